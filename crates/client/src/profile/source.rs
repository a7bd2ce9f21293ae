//! From a profile to a source of tokens.

use std::path::Path;
use std::sync::Arc;

use countersign_dialect::Secret;
use countersign_outbound::{ProxyRules, Roots};

use super::{Keeping, KeyPlace, Profile, SecretPlace};
use crate::{
    BoxFuture, Builder, Error, ErrorKind, FileStore, MemoryStore, SealKey, SecretCommand,
    SecretEnv, SecretFile, SecretSource, Store, StoreError, TokenSource, environment,
};

impl Profile {
    /// What a source of tokens for this profile is built from: all that the
    /// profile says, the rest as usual.
    ///
    /// # Errors
    ///
    /// The key of the store, or the file with the authorities, cannot be read.
    pub fn source(&self) -> Result<Builder, Error> {
        let store = self
            .store()
            .map_err(|error| Error::new(ErrorKind::Store, format!("{}: {error}", self.name)))?;
        let builder = TokenSource::builder(self.dialect.clone(), &self.url.to_string())
            .name(&self.name)
            .variant(self.dialect.variant_name(self.variant))
            .login(&self.login)
            .secret(self.secret_source())
            .static_key(self.static_key)
            .budget(self.budget)
            .roots(self.roots()?)
            .proxies(self.proxies())
            .store(store);
        let parts = self.extra.iter();
        Ok(parts.fold(builder, |builder, (name, part)| {
            builder.extra(name, part.clone())
        }))
    }

    /// Where the session is kept. Nothing is made but, where it is missing, the
    /// user's own key.
    pub fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        match &self.keeping {
            Keeping::Memory => Ok(Arc::new(MemoryStore::new())),
            Keeping::File { path, key } => {
                let owner = [&self.name, &self.url.to_string(), &self.login];
                let owner = owner.map(String::as_str);
                let directory = path.parent().unwrap_or(Path::new("."));
                Ok(Arc::new(FileStore::open(path, key.key(directory)?, &owner)))
            }
        }
    }

    /// Where the secret of the login comes from.
    pub fn secret_source(&self) -> Box<dyn SecretSource> {
        match &self.secret {
            SecretPlace::File(path) => Box::new(SecretFile::new(path)),
            SecretPlace::Env(variable) => Box::new(SecretEnv::new(variable)),
            SecretPlace::Command(argv) => match SecretCommand::new(argv) {
                Some(command) => Box::new(command),
                None => Box::new(Nowhere(self.name.clone())),
            },
            SecretPlace::Asked => Box::new(Nowhere(self.name.clone())),
        }
    }

    /// Through which proxies the vendor is reached: what the profile says, or else
    /// the environment.
    pub fn proxies(&self) -> ProxyRules {
        self.proxy.clone().unwrap_or_else(environment::proxies)
    }

    /// Whose certificates the vendor may show.
    ///
    /// # Errors
    ///
    /// The file with them cannot be read.
    pub fn roots(&self) -> Result<Roots, Error> {
        let Some(path) = &self.roots else {
            return Ok(Roots::System);
        };
        let read = std::fs::read(path).map(Roots::Pem);
        read.map_err(|error| {
            let (name, path) = (&self.name, path.display());
            let message = format!("{name}: the roots in {path} cannot be read: {error}");
            Error::new(ErrorKind::Setup, message)
        })
    }
}

impl KeyPlace {
    fn key(&self, directory: &Path) -> Result<SealKey, StoreError> {
        match self {
            Self::Own(path) => SealKey::own(path),
            Self::File(path) => SealKey::from_file(path),
            Self::Env(variable) => SealKey::from_environment(variable),
            Self::Keyring => SealKey::from_keyring(directory),
        }
    }
}

/// The secret of a profile that names none, by the profile's name.
struct Nowhere(String);

impl SecretSource for Nowhere {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        let name = &self.0;
        let message = format!(
            "{name}: the profile does not say where the secret is: run `countersign login {name}`, \
             which asks for it, or write `secret_file`, `secret_env` or `secret_command`"
        );
        let error = Error::new(ErrorKind::Secret, message);
        Box::pin(std::future::ready(Err(error)))
    }
}
