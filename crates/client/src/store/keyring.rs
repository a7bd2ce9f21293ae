//! The key in the keyring of the user's desktop.

use super::{SealKey, StoreError};

impl SealKey {
    /// The key in the user's keyring: this build cannot look there.
    pub fn from_keyring() -> Result<Self, StoreError> {
        Err(StoreError::Key(
            "this program was built without the feature `keyring`: use `store_key_file` or \
             `store_key_env`"
                .to_owned(),
        ))
    }
}
