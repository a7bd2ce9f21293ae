//! What a store of sessions does.

use super::StoreError;
use crate::{BoxFuture, SessionRecord};

/// Stores one session's record for every task and process that shares it.
pub trait SessionStore: Send + Sync + 'static {
    /// Reads the record without waiting for the lock. `None` if there is none.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;

    /// Waits until nobody else changes the record. The lock is held until it is
    /// dropped; the kernel releases that of a process that was killed.
    ///
    /// # Errors
    ///
    /// The store cannot be locked.
    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>>;
}

impl<S: SessionStore + ?Sized> SessionStore for std::sync::Arc<S> {
    fn read(&self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        (**self).read()
    }

    fn lock(&self) -> BoxFuture<'_, Result<Box<dyn LockedStore>, StoreError>> {
        (**self).lock()
    }
}

/// The record while nobody else may change it.
pub trait LockedStore: Send {
    /// Reads the record. `None` if there is none.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    fn read(&mut self) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;

    /// Replaces the record whose serial is `record.serial - 1` (0: there is none). It
    /// is durable when this returns. If locks do not work, another process may have
    /// been faster: then nothing is written, and the record of that process is
    /// returned (the default record, of serial 0, if that process has removed the
    /// record).
    ///
    /// # Errors
    ///
    /// The record cannot be written.
    fn write<'a>(
        &'a mut self,
        record: &'a SessionRecord,
    ) -> BoxFuture<'a, Result<WriteOutcome, StoreError>>;

    /// Removes the record.
    ///
    /// # Errors
    ///
    /// The record cannot be removed.
    fn clear(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is durable.
    Done,
    /// Another process was faster and wrote this record.
    Lost(Box<SessionRecord>),
}

/// The record of a process that was faster than the writer of `next`.
pub(super) fn faster(
    kept: Option<&SessionRecord>,
    next: &SessionRecord,
) -> Option<Box<SessionRecord>> {
    let kept_serial = kept.map_or(0, |kept| kept.serial);
    let expected = next.serial.checked_sub(1);
    (expected != Some(kept_serial)).then(|| Box::new(kept.cloned().unwrap_or_default()))
}
