//! The parts of the credential: its secret, and what the dialect wants beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use countersign_dialect::{Extra, Secret, Unwritable};
use countersign_domain::Operation;
use http::{HeaderName, HeaderValue};

use super::shared::Shared;
use crate::{Error, ErrorKind, Held, SecretSource};

/// Where each further part of a credential comes from, by its name.
pub(super) type ExtraSources = BTreeMap<String, Box<dyn SecretSource>>;

/// What a request is made with.
pub(super) struct Parts {
    /// The secret, where it is needed to ask or to check the reply.
    pub(super) secret: Option<Secret>,
    /// The further parts.
    pub(super) extra: Arc<Extra>,
}

impl Parts {
    /// With the parts that came with the tokens: a refresh or a logout may want them
    /// as well.
    pub(super) fn beside(self, held: Option<&Held>) -> Self {
        let Self { secret, extra } = self;
        let extra = match held {
            Some(held) => with_those_of(extra, held),
            None => extra,
        };
        Self { secret, extra }
    }
}

fn with_those_of(own: Arc<Extra>, held: &Held) -> Arc<Extra> {
    if held.extra.is_empty() {
        return own;
    }
    let mut all = Extra::clone(&own);
    all.extend(held.extra.clone());
    Arc::new(all)
}

impl Shared {
    /// What an operation is asked with, read anew.
    pub(super) async fn parts_for(&self, operation: Operation) -> Result<Parts, Error> {
        let secret = match self.dialect.takes_secret(operation, self.variant) {
            true => Some(self.secret.secret().await?),
            false => None,
        };
        let extra = self.read_extra().await?;
        Ok(Parts { secret, extra })
    }

    /// The further parts, read anew, so that one that was rotated is used without
    /// a restart.
    async fn read_extra(&self) -> Result<Arc<Extra>, Error> {
        let mut extra = Extra::new();
        for (name, source) in &self.extra {
            let part = source.secret().await.map_err(|error| {
                let message = format!("{}: extra.{name}: {}", self.name, error.message);
                Error::new(ErrorKind::Secret, message)
            })?;
            extra.insert(name.clone(), part);
        }
        let extra = Arc::new(extra);
        self.read_extra.store(Some(extra.clone()));
        Ok(extra)
    }

    /// The headers that present the token at hand: with the further parts of the
    /// credential, and those that came with the token.
    pub(super) async fn presentation(
        &self,
        held: &Held,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let own = match self.read_extra.load_full() {
            Some(extra) => extra,
            None => self.read_extra().await?,
        };
        let all = with_those_of(own, held);
        let presented = self.dialect.present(held.access_token.expose(), &all);
        presented.map_err(|why| self.cannot_present(&why))
    }

    fn cannot_present(&self, why: &Unwritable) -> Error {
        let (name, dialect) = (&self.name, self.dialect.name());
        let message = format!("{name}: a token of {dialect} cannot be presented: {why}");
        Error::new(ErrorKind::Setup, message)
    }

    /// Tells what a login was refused with from anything else, and nothing else.
    /// `None` if that cannot be had now.
    pub(super) async fn fingerprint_now(&self) -> Option<[u8; 8]> {
        let secret = self.secret.secret().await.ok()?;
        let extra = self.read_extra().await.ok()?;
        Some(self.fingerprint(&secret, &extra))
    }

    /// The fingerprint of a secret, with the further parts if there are any.
    pub(super) fn fingerprint(&self, secret: &Secret, extra: &Extra) -> [u8; 8] {
        let mut text = digest::Context::new(&digest::SHA256);
        let own = ["countersign secret", &self.login, secret.expose()];
        let further = extra.iter();
        let further = further.flat_map(|(name, part)| [name.as_str(), part.expose()]);
        for part in own.into_iter().chain(further) {
            text.update(part.as_bytes());
            text.update(&[0]);
        }
        let mut print = [0; 8];
        let whole = text.finish();
        print
            .iter_mut()
            .zip(whole.as_ref())
            .for_each(|(to, from)| *to = *from);
        print
    }
}
