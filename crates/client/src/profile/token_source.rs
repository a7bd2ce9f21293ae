//! From a profile to a source of tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dialect::Secret;
use countersign_outbound::{ProxyRules, ServerUrl, TrustedRoots};

use super::{ExtraPart, KeyPlace, Profile, SecretPlace, SessionStorage};
use crate::{
    BoxFuture, Error, ErrorKind, FileStore, HttpTransport, MemoryStore, NamedFile, SealKey,
    SecretCommand, SecretEnv, SecretFile, SecretSource, SessionOwner, SessionStore, StoreError,
    TokenSource, TokenSourceBuilder, environment,
};

impl Profile {
    /// A builder of a token source for this profile, with the profile's settings, and
    /// defaults for the rest.
    ///
    /// # Errors
    ///
    /// The key of the store, or the file with the certificate authorities, cannot be
    /// read.
    pub fn source(&self) -> Result<TokenSourceBuilder, Error> {
        let store = self.store().map_err(|error| {
            let message = format!("{}: {error}", self.name);
            Error::new(ErrorKind::Store, message).with_help_of(error.help())
        })?;
        let builder = TokenSource::builder(self.dialect.clone(), &self.url.to_string())
            .name(&self.name)
            .variant(self.dialect.variant_name(self.variant))
            .auth_url(self.auth_url.to_string())
            .login(&self.login)
            .secret(self.secret_source())
            .static_key(self.static_key)
            .budget(self.budget)
            .roots(self.roots()?)
            .proxies(self.proxies())
            .store(store);
        let builder = match self.danger_plain_http {
            true => builder.danger_plain_http(),
            false => builder,
        };
        let parts = self.extra_sources();
        Ok(parts.fold(builder, |builder, (name, source)| {
            builder.extra_from(name, source)
        }))
    }

    /// The sources of the extra parts of the credential.
    pub fn extra_sources(&self) -> impl Iterator<Item = (&str, Box<dyn SecretSource>)> {
        let parts = self.extra.iter();
        parts.map(|(name, part)| (name.as_str(), self.part_source(part)))
    }

    fn part_source(&self, part: &ExtraPart) -> Box<dyn SecretSource> {
        match part {
            ExtraPart::Literal(text) => Box::new(text.clone()),
            ExtraPart::Kept(place) => self.place_source(place),
        }
    }

    /// The file in which an older release stored a session of this profile, whatever
    /// its url and login.
    pub fn former_session_file(&self) -> Option<PathBuf> {
        let SessionStorage::File { path, .. } = &self.storage else {
            return None;
        };
        Some(self.session_owner().former_file(path.parent()?))
    }

    /// The store of the session. Nothing is created except the user's own key, if it
    /// is missing.
    ///
    /// # Errors
    ///
    /// The key of the store cannot be read or created.
    pub fn store(&self) -> Result<Arc<dyn SessionStore>, StoreError> {
        match &self.storage {
            SessionStorage::Memory => Ok(Arc::new(MemoryStore::new())),
            SessionStorage::File { path, key } => {
                let directory = path.parent().unwrap_or(Path::new("."));
                let (key, owner) = (key.key(directory)?, self.session_owner());
                Ok(Arc::new(FileStore::in_directory(directory, key, owner)))
            }
        }
    }

    /// The owner of the session.
    pub fn session_owner(&self) -> SessionOwner {
        let origin = self.origin.as_ref();
        SessionOwner {
            profile: self.name.clone(),
            profiles: origin.map_or(String::new(), |it| it.display().to_string()),
            url: self.url.to_string(),
            auth_url: self.auth_url.to_string(),
            login: self.login.clone(),
            dialect: self.dialect.name().to_owned(),
            variant: self.dialect.variant_name(self.variant).to_owned(),
        }
    }

    /// Replaces the directory of the sessions with the file of this one.
    pub(super) fn name_session_file(&mut self) {
        let owner = self.session_owner();
        if let SessionStorage::File { path, .. } = &mut self.storage {
            *path = owner.file(path);
        }
    }

    /// The source of the login's secret.
    pub fn secret_source(&self) -> Box<dyn SecretSource> {
        self.place_source(&self.secret)
    }

    fn place_source(&self, place: &SecretPlace) -> Box<dyn SecretSource> {
        match place {
            SecretPlace::File(path) => Box::new(SecretFile::new(path)),
            SecretPlace::Env(variable) => Box::new(SecretEnv::new(variable)),
            SecretPlace::Command(argv) => match SecretCommand::new(argv) {
                Some(command) => Box::new(command),
                None => Box::new(MissingSecret(self.name.clone())),
            },
            SecretPlace::Asked => Box::new(MissingSecret(self.name.clone())),
        }
    }

    /// The proxies to the vendor, according to the profile or else the environment.
    pub fn proxies(&self) -> ProxyRules {
        self.proxy.clone().unwrap_or_else(environment::proxies)
    }

    /// A transport to a server of the vendor: its API, or its token endpoints.
    ///
    /// # Errors
    ///
    /// The certificate authorities or the proxy of the profile are wrong.
    pub fn transport(&self, url: &ServerUrl) -> Result<HttpTransport, Error> {
        HttpTransport::through(&self.proxies(), url, &self.roots()?)
    }

    /// The certificate authorities that may have issued the vendor's certificate.
    ///
    /// # Errors
    ///
    /// The file with them cannot be read.
    pub fn roots(&self) -> Result<TrustedRoots, Error> {
        let Some(path) = &self.roots else {
            return Ok(TrustedRoots::System);
        };
        let read = NamedFile::open(path).and_then(|it| it.bytes(NamedFile::LARGEST_TEXT));
        let read = read.map(|it| TrustedRoots::Pem(it.to_vec()));
        read.map_err(|error| {
            let (name, path) = (&self.name, path.display());
            let message = format!("{name}: the roots in {path} cannot be read: {error}");
            Error::new(ErrorKind::Setup, message)
        })
    }
}

impl KeyPlace {
    /// Reads the key for the sessions of a directory. The user's own key is created
    /// if it is missing.
    ///
    /// # Errors
    ///
    /// The key cannot be read or created.
    pub fn key(&self, directory: &Path) -> Result<SealKey, StoreError> {
        match self {
            Self::Own(path) => SealKey::own(path),
            Self::File(path) => SealKey::from_file(path),
            Self::Env(variable) => SealKey::from_environment(variable),
            Self::Keyring => SealKey::from_keyring(directory),
        }
    }
}

/// The error that the profile with this name has no secret.
struct MissingSecret(String);

impl SecretSource for MissingSecret {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        let name = &self.0;
        let message = format!("{name}: the profile does not say where the secret is");
        let error = Error::new(ErrorKind::Secret, message).with_help(format!(
            "run `countersign login {name}`, which asks for it, or write `secret_file`, `secret_env` \
             or `secret_command`"
        ));
        Box::pin(std::future::ready(Err(error)))
    }
}
