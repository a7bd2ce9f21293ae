//! Stored sessions that no profile uses any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use countersign_dialect::{Dialect, Secret};

use super::{KeyPlace, Profile, SessionStorage};
use crate::{
    Error, ErrorKind, FileStore, SealKey, SessionOwner, StoreError, StoredSession, StoredState,
    TokenSource, TokenSourceBuilder,
};

/// A stored session of a URL or login that a profile had before, or of a profile that was
/// removed from its file. It is kept until somebody ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleSession {
    /// What is stored.
    pub stored: StoredSession,
    /// Where the key is that seals it, if one does.
    key: KeyPlace,
}

impl StaleSession {
    /// Looks through the directories in which `profiles` keep their sessions. `known` are
    /// the names of all profiles of their file, if sessions of profiles that are no longer
    /// in it are looked for, too. Of the profiles of other files nothing is found.
    ///
    /// # Errors
    ///
    /// A directory cannot be read.
    pub fn find(profiles: &[Profile], known: Option<&[String]>) -> Result<Vec<Self>, StoreError> {
        let mut places: BTreeMap<&Path, &KeyPlace> = BTreeMap::new();
        for profile in profiles {
            if let SessionStorage::File { path, key } = &profile.storage
                && let Some(directory) = path.parent()
            {
                places.entry(directory).or_insert(key);
            }
        }
        let mut found = Vec::new();
        for (directory, key) in places {
            let opener = opener(key, directory);
            let opener = opener.as_ref();
            let all = StoredSession::in_directory(directory, opener)?;
            let stale = all
                .into_iter()
                .filter(|it| is_stale(it, opener, profiles, known));
            found.extend(stale.map(|stored| Self {
                stored,
                key: key.clone(),
            }));
        }
        Ok(found)
    }

    /// Whether nobody can read it, so that its vendor cannot be told of its end.
    pub fn is_lost(&self) -> bool {
        let state = &self.stored.state;
        matches!(state, StoredState::Damaged | StoredState::Closed)
    }

    /// Its store.
    ///
    /// # Errors
    ///
    /// There is no key for it, or it does not say whose it is.
    pub fn store(&self) -> Result<FileStore, Error> {
        let lost = |why: String| Error::new(ErrorKind::Store, why);
        let directory = self.stored.file.parent().unwrap_or(Path::new("."));
        let key = self.key.key(directory).map_err(|it| lost(it.to_string()))?;
        let store = self.stored.store(key);
        store.ok_or_else(|| lost("the file does not say whose it is".to_owned()))
    }

    /// The profile of `profiles` that it was of, whose URL or login is another now.
    pub fn profile<'p>(&self, profiles: &'p [Profile]) -> Option<&'p Profile> {
        let owner = self.stored.owner.as_ref()?;
        profiles.iter().find(|it| it.name == owner.profile)
    }

    /// Its dialect: that of one of `profiles`, or one that comes with the program.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setup`]: the dialect is not available, or the file does not say which one
    /// it is.
    pub fn dialect(&self, profiles: &[Profile]) -> Result<Arc<Dialect>, Error> {
        let name = &self.owner()?.dialect;
        let mut at_hand = profiles.iter().map(|it| &it.dialect);
        let named = at_hand.find(|it| it.name() == name);
        let shipped = || Dialect::compile(Dialect::shipped(name)?, name).ok();
        let found = named.cloned().or_else(|| shipped().map(Arc::new));
        found.ok_or_else(|| lacking(format!("the dialect {name} is not available")))
    }

    /// Begins to build a source of its tokens, to log out with: it reaches the vendor as
    /// its profile does, if that is one of `profiles`, and has no secret of a login that is
    /// not the profile's.
    ///
    /// # Errors
    ///
    /// As of [`StaleSession::dialect`] and [`StaleSession::store`], or the certificates that
    /// the profile names cannot be used.
    pub fn source(&self, profiles: &[Profile]) -> Result<TokenSourceBuilder, Error> {
        let owner = self.owner()?;
        let profile = self.profile(profiles);
        let mut builder = TokenSource::builder(self.dialect(profiles)?, &owner.auth_url)
            .name(&owner.profile)
            .variant(&owner.variant)
            .login(&owner.login)
            .store(self.store()?);
        if let Some(profile) = profile {
            builder = builder.roots(profile.roots()?).proxies(profile.proxies());
            if profile.danger_plain_http {
                builder = builder.danger_plain_http();
            }
            let parts = profile.extra_sources();
            builder = parts.fold(builder, |builder, (name, part)| {
                builder.extra_from(name, part)
            });
        }
        // A secret is that of a login: another login has another.
        Ok(match profile.filter(|it| it.login == owner.login) {
            Some(profile) => builder.secret(profile.secret_source()),
            None => builder.secret(Secret::from("")),
        })
    }

    fn owner(&self) -> Result<&SessionOwner, Error> {
        let owner = self.stored.owner.as_ref();
        owner.ok_or_else(|| lacking("the file does not say whose it is".to_owned()))
    }
}

fn lacking(what: String) -> Error {
    Error::new(ErrorKind::Setup, what)
}

/// The key that opens what lies in a directory. One that is not there yet is not
/// made for a look.
fn opener(key: &KeyPlace, directory: &Path) -> Option<SealKey> {
    match key {
        KeyPlace::Own(path) if !path.exists() => None,
        key => key.key(directory).ok(),
    }
}

/// Whether a file is none that a profile uses or will use. Of profiles of another
/// file of profiles nothing is said, nor of those that cannot be used.
fn is_stale(
    stored: &StoredSession,
    key: Option<&SealKey>,
    profiles: &[Profile],
    known: Option<&[String]>,
) -> bool {
    let is_its = |profile: &Profile| {
        let SessionStorage::File { path, .. } = &profile.storage else {
            return false;
        };
        let to_be_taken_over = || {
            let owner = profile.session_owner();
            !path.exists() && key.is_some_and(|key| stored.is_former_of(&owner, key))
        };
        *path == stored.file || to_be_taken_over()
    };
    if profiles.iter().any(is_its) {
        return false;
    }
    let name = stored.profile();
    let is_named = profiles.iter().any(|it| it.name == name);
    let origin = profiles.iter().find_map(|it| it.origin.as_ref());
    let is_gone = known.is_some_and(|known| !known.iter().any(|it| it == name));
    match stored.owner.as_ref().map(|it| Path::new(&it.profiles)) {
        // Where it is from is not known, but for its name.
        None => is_named,
        Some(from) if from.as_os_str().is_empty() || !from.exists() => is_named,
        Some(from) => origin.is_some_and(|it| it == from) && (is_named || is_gone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profiles, UserPaths};
    use crate::{SessionRecord, SessionStore};

    /// A folder with the profiles `PAY` and the session of one of them.
    struct Place(tempfile::TempDir);

    const PAY: &str = "[pay]\ndialect = 'b2binpay'\nurl = 'https://api.example'\nlogin = 'ann'\n\
                       secret_env = 'PAY'\nstore_dir = 'state'\nstore_key_file = 'key'\n";

    impl Place {
        async fn with_a_session() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            SealKey::own(&place.0.path().join("key")).unwrap();
            let record = SessionRecord {
                serial: 1,
                ..SessionRecord::default()
            };
            let store = place.profiles("p.toml", PAY)[0].store().unwrap();
            let mut locked = store.lock().await.unwrap();
            locked.write(&record).await.unwrap();
            place
        }

        fn profiles(&self, file: &str, text: &str) -> Vec<Profile> {
            let file = self.0.path().join(file);
            std::fs::write(&file, text).unwrap();
            let read = Profiles::load(&file, &UserPaths::default()).unwrap();
            read.iter().cloned().collect()
        }
    }

    #[tokio::test]
    async fn a_session_of_a_former_login_or_url_is_found_and_can_be_reached() {
        let place = Place::with_a_session().await;
        let same = place.profiles("p.toml", PAY);
        assert_eq!(StaleSession::find(&same, None).unwrap(), []);
        for (from, to) in [("'ann'", "'bob'"), ("api.example", "api.test")] {
            let changed = place.profiles("p.toml", &PAY.replace(from, to));
            let found = StaleSession::find(&changed, None).unwrap();
            let [session] = &found[..] else {
                unreachable!("one session is stored: {found:?}");
            };
            assert!(!session.is_lost());
            assert_eq!(session.profile(&changed), changed.first());
            assert_eq!(session.dialect(&[]).unwrap().name(), "b2binpay");
            let kept = session.store().unwrap().read().await.unwrap();
            assert_eq!(kept.map(|it| it.serial), Some(1));
            session.source(&changed).unwrap().build().unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_of_a_removed_profile_is_found_only_among_all_of_its_file() {
        let place = Place::with_a_session().await;
        let other = PAY.replace("[pay]", "[gift]");
        let found = |file: &str, known: Option<&[String]>| {
            let profiles = place.profiles(file, &other);
            StaleSession::find(&profiles, known).unwrap().len()
        };
        let known = ["gift".to_owned()];
        assert_eq!(found("p.toml", Some(&known)), 1);
        assert_eq!(found("p.toml", None), 0);
        let unusable = ["gift".to_owned(), "pay".to_owned()];
        assert_eq!(found("p.toml", Some(&unusable)), 0);
        assert_eq!(found("other.toml", Some(&known)), 0);
    }

    #[tokio::test]
    async fn a_session_that_another_key_sealed_is_lost() {
        let place = Place::with_a_session().await;
        std::fs::remove_file(place.0.path().join("key")).unwrap();
        SealKey::own(&place.0.path().join("key")).unwrap();
        let changed = place.profiles("p.toml", &PAY.replace("'ann'", "'bob'"));
        let found = StaleSession::find(&changed, None).unwrap();
        assert!(
            matches!(&found[..], [session] if session.is_lost()),
            "{found:?}"
        );
    }
}
