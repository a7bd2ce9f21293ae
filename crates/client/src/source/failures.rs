//! The errors of a source, in words.

use std::time::Duration;

use countersign_domain::{Refusal, Timestamp};

use super::setup::SourceSetup;
use crate::{Error, ErrorKind, RenewalFailure, StoreError};

impl SourceSetup {
    pub(super) fn store_error(&self, error: &StoreError) -> Error {
        let message = format!("{}: {error}", self.name);
        Error::new(ErrorKind::Store, message).with_help_of(error.help())
    }

    pub(super) fn unsaved_outcome(&self, error: &StoreError) -> Error {
        let name = &self.name;
        let message = format!(
            "{name}: the vendor has answered, but the outcome cannot be stored, and is not used \
             before it is: {error}"
        );
        Error::new(ErrorKind::Store, message).with_help_of(error.help())
    }

    pub(super) fn vendor_failure(&self, failure: &RenewalFailure) -> Error {
        let kind = match (failure.refusal, failure.status) {
            (Some(Refusal::Throttled), _) => ErrorKind::Throttled,
            (Some(refusal), _) if is_server_failure(refusal) => ErrorKind::Unavailable,
            (Some(refusal), _) => ErrorKind::Refused {
                operation: failure.operation,
                refusal,
            },
            (None, Some(_)) => ErrorKind::Unintelligible,
            (None, None) => ErrorKind::Unavailable,
        };
        let (name, operation, detail) = (&self.name, failure.operation, &failure.detail);
        let message = match kind {
            ErrorKind::Unintelligible => {
                format!("{name}: the answer to the {operation} cannot be used: {detail}")
            }
            _ => format!("{name}: the {operation} failed: {detail}"),
        };
        Error::new(kind, message)
            .with_help_of(failure.help.as_deref())
            .until(failure.retry_at)
    }

    /// The vendor grants tokens that cannot be used.
    pub(super) fn unusable_tokens(&self) -> Error {
        let message = format!(
            "{}: the vendor refuses the tokens that it issues",
            self.name
        );
        Error::new(ErrorKind::Unintelligible, message)
    }

    pub(super) fn reservation_too_large(&self, uses: u32) -> Error {
        let message = format!(
            "{}: the budget of a token has no room for {uses} requests, since its last one is \
             never handed out",
            self.name
        );
        Error::new(ErrorKind::Setup, message)
    }

    pub(super) fn logged_out(&self) -> Error {
        let message = format!(
            "{}: the session was logged out while a caller waited for a token",
            self.name
        );
        Error::new(ErrorKind::LoggedOut, message)
    }

    /// The task of a renewal ended with its runtime.
    pub(super) fn renewal_cut_off(&self, now: Timestamp) -> Error {
        let message = format!("{}: the renewal was interrupted", self.name);
        Error::new(ErrorKind::Unavailable, message).until(now)
    }

    /// No token arrived in time; `failure` is why the last renewal failed, if it did.
    pub(super) fn timed_out(&self, patience: Duration, failure: Option<&Error>) -> Error {
        let (name, seconds) = (&self.name, patience.as_secs_f32());
        let why = match failure {
            Some(failure) => &failure.message,
            None => "the vendor, or another process that holds the lock of the store, is slow",
        };
        let message = format!("{name}: no token after {seconds} s: {why}");
        let help = failure.and_then(|it| it.help.clone());
        Error::new(ErrorKind::Unavailable, message).with_help_of(help)
    }
}

fn is_server_failure(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Internal | Refusal::Unavailable | Refusal::BadGateway | Refusal::GatewayTimeout
    )
}
