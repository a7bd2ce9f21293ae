//! The parts of the credential: the secret, and the extra parts that the dialect
//! requires.

use std::sync::Arc;

use aws_lc_rs::digest;
use countersign_dialect::{ExtraParts, Secret, UnwritableValue};
use countersign_domain::TokenOperation;
use http::{HeaderName, HeaderValue};

use super::setup::SourceSetup;
use super::state::SourceState;
use crate::{Error, ErrorKind, TokenSet};

/// The values that a request is made with.
pub(super) struct CredentialParts {
    /// The secret, if it is needed to send the request or to check the reply.
    pub(super) secret: Option<Secret>,
    /// The extra parts.
    pub(super) extra: Arc<ExtraParts>,
}

impl CredentialParts {
    /// Adds the extra parts that came with the tokens: a refresh or a logout may need
    /// them as well.
    pub(super) fn with_parts_of(self, tokens: Option<&TokenSet>) -> Self {
        let Self { secret, extra } = self;
        let extra = match tokens {
            Some(tokens) => with_parts_of(extra, tokens),
            None => extra,
        };
        Self { secret, extra }
    }
}

fn with_parts_of(own: Arc<ExtraParts>, tokens: &TokenSet) -> Arc<ExtraParts> {
    if tokens.extra.is_empty() {
        return own;
    }
    let mut all = ExtraParts::clone(&own);
    all.extend(tokens.extra.clone());
    Arc::new(all)
}

impl SourceState {
    /// Reads again the parts that an operation needs.
    pub(super) async fn credential_parts(
        &self,
        operation: TokenOperation,
    ) -> Result<CredentialParts, Error> {
        let setup = &self.setup;
        let secret = match setup.dialect.takes_secret(operation, setup.variant) {
            true => Some(setup.secret.secret().await?),
            false => None,
        };
        let extra = self.read_extra().await?;
        Ok(CredentialParts { secret, extra })
    }

    /// Reads the extra parts again, so that a part that was rotated is used without a
    /// restart.
    async fn read_extra(&self) -> Result<Arc<ExtraParts>, Error> {
        let mut extra = ExtraParts::new();
        for (name, source) in &self.setup.extra {
            let part = source.secret().await.map_err(|error| {
                let message = format!("{}: extra.{name}: {}", self.setup.name, error.message);
                Error {
                    message: message.into(),
                    kind: ErrorKind::Secret,
                    ..error
                }
            })?;
            extra.insert(name.clone(), part);
        }
        let extra = Arc::new(extra);
        self.last_extra.store(Some(extra.clone()));
        Ok(extra)
    }

    /// The headers that present the current token, with the extra parts of the credential
    /// and those that came with the token.
    pub(super) async fn token_headers(
        &self,
        tokens: &TokenSet,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let own = match self.last_extra.load_full() {
            Some(extra) => extra,
            None => self.read_extra().await?,
        };
        let all = with_parts_of(own, tokens);
        let dialect = &self.setup.dialect;
        let presented = dialect.present(tokens.access_token.expose(), &all);
        presented.map_err(|why| self.setup.unpresentable_token(&why))
    }

    /// The fingerprint of the current credential; `None` if it cannot be read.
    pub(super) async fn current_fingerprint(&self) -> Option<[u8; 8]> {
        let secret = self.setup.secret.secret().await.ok()?;
        let extra = self.read_extra().await.ok()?;
        Some(self.setup.fingerprint(&secret, &extra))
    }
}

impl SourceSetup {
    fn unpresentable_token(&self, why: &UnwritableValue) -> Error {
        let (name, dialect) = (&self.name, self.dialect.name());
        let message = format!("{name}: a token of {dialect} cannot be presented: {why}");
        Error::new(ErrorKind::Setup, message)
    }

    /// The fingerprint of a secret, with the extra parts if there are any. It
    /// distinguishes a refused credential from any other, and reveals nothing else.
    pub(super) fn fingerprint(&self, secret: &Secret, extra: &ExtraParts) -> [u8; 8] {
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
