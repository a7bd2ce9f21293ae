//! Where the session record is stored, and who may change it.

mod file_store;
#[doc(hidden)]
pub mod fuzzing;
mod interprocess_lock;
mod key_source;
mod keyring;
mod memory_store;
mod private_file;
mod record_json;
mod seal;
mod sealed_file;
mod session_owner;
mod session_store;
mod store_error;
mod stored_session;

pub use file_store::FileStore;
pub use memory_store::MemoryStore;
pub use seal::SealKey;
pub use session_owner::SessionOwner;
pub use session_store::{LockedStore, SessionStore, WriteOutcome};
pub use store_error::StoreError;
pub use stored_session::{StoredSession, StoredState};
