//! The store of a profile.

use std::path::Path;
use std::sync::Arc;

use super::{Keeping, KeyPlace, Profile};
use crate::{FileStore, MemoryStore, SealKey, Store, StoreError};

impl Profile {
    /// Where the session is kept. Nothing is made but, where it is missing, the
    /// user's own key.
    pub fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        match &self.keeping {
            Keeping::Memory => Ok(Arc::new(MemoryStore::new())),
            Keeping::File { path, key } => {
                let owner = [&self.name, &self.url.to_string(), &self.login];
                let owner = owner.map(String::as_str);
                Ok(Arc::new(FileStore::open(
                    path,
                    key.key(path.parent().unwrap_or(Path::new(".")))?,
                    &owner,
                )))
            }
        }
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
