//! What is told: errors in words, and each change to logs, metrics and the hook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign_domain::{Operation, Refusal, Timestamp};

use super::shared::{Blocked, Shared};
use crate::{Change, Changed, Error, ErrorKind, StoreError, Trouble};

/// Where nothing says when to try again, the store and the secret are looked at
/// again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Shared {
    pub(super) fn of_store(&self, error: &StoreError) -> Error {
        Error::new(ErrorKind::Store, format!("{}: {error}", self.name))
    }

    pub(super) fn of_unkept(&self, error: &StoreError) -> Error {
        let name = &self.name;
        let message = format!(
            "{name}: the vendor has answered, and what it gave cannot be kept: {error}; it stays in memory and is not used before it can be written"
        );
        Error::new(ErrorKind::Store, message)
    }

    pub(super) fn of_trouble(&self, trouble: &Trouble) -> Error {
        let kind = match (trouble.refusal, trouble.status) {
            (Some(Refusal::Throttled), _) => ErrorKind::Throttled,
            (Some(refusal), _) if is_of_the_server(refusal) => ErrorKind::Unavailable,
            (Some(refusal), _) => ErrorKind::Refused {
                operation: trouble.operation,
                refusal,
            },
            (None, Some(_)) => ErrorKind::Unintelligible,
            (None, None) => ErrorKind::Unavailable,
        };
        let (name, operation, detail) = (&self.name, trouble.operation, &trouble.detail);
        let message = match kind {
            ErrorKind::Unintelligible => {
                format!("{name}: the answer to the {operation} cannot be used: {detail}")
            }
            _ => format!("{name}: the {operation} failed: {detail}"),
        };
        Error::new(kind, message).until(trouble.retry_at)
    }

    /// The vendor grants, and what it gives cannot be used.
    pub(super) fn unusable(&self) -> Error {
        let message = format!("{}: the vendor gives tokens that cannot be used", self.name);
        Error::new(ErrorKind::Unintelligible, message)
    }

    pub(super) fn too_many(&self, uses: u32) -> Error {
        let message = format!(
            "{}: no token may make {uses} requests and have one left",
            self.name
        );
        Error::new(ErrorKind::Setup, message)
    }

    pub(super) fn logged_out(&self) -> Error {
        let message = format!("{}: logged out while a token was waited for", self.name);
        Error::new(ErrorKind::LoggedOut, message)
    }

    /// The task of a renewal is gone, with its runtime.
    pub(super) fn cut_off(&self) -> Error {
        let message = format!("{}: the renewal was cut off", self.name);
        Error::new(ErrorKind::Unavailable, message).until(self.clock.now())
    }

    pub(super) fn too_long(&self, patience: Duration) -> Error {
        let (name, seconds) = (&self.name, patience.as_secs_f32());
        let why = match self.blocked.load().as_ref() {
            Some(blocked) => blocked.error.message.to_string(),
            None => "the vendor, or another process that holds the store, takes its time".into(),
        };
        let message = format!("{name}: no token after {seconds} s: {why}");
        Error::new(ErrorKind::Unavailable, message)
    }

    /// Remembers why there is no token, so that not everybody has to find out.
    pub(super) fn blocked_by(&self, mut error: Error) -> Error {
        let look_again_at = self.clock.now() + LOOK_AGAIN_AFTER;
        let retry_at = *error.retry_at.get_or_insert(look_again_at);
        let before = self.blocked.swap(Some(std::sync::Arc::new(Blocked {
            error: error.clone(),
            look_again_at,
        })));
        let is_ours = matches!(
            error.kind,
            ErrorKind::Store | ErrorKind::Secret | ErrorKind::Setup
        );
        let is_new = before.is_none_or(|before| before.error.message != error.message);
        // What the vendor said was told when it said it.
        if is_ours && is_new {
            self.tell_failed(&error);
        }
        let is_for_good = matches!(error.kind, ErrorKind::Refused { .. } | ErrorKind::Setup);
        if !is_for_good {
            self.keeper.set(super::keeper::Due::At(retry_at));
        }
        error
    }

    /// New tokens are durable. Their end is told as the vendor told it, and beside it
    /// until when they are used.
    pub(super) fn tell_granted(&self, operation: Operation, told: Timestamp, until: Timestamp) {
        let (expires_in, used_for) = (self.seconds_to(told), self.seconds_to(until));
        tracing::info!(profile = &*self.name, %operation, expires_in, used_for, "new token");
        self.count(operation, "granted");
        self.gauge(told, until);
        self.hook(match operation {
            Operation::Login => Changed::LoggedIn { expires_at: until },
            _ => Changed::Refreshed { expires_at: until },
        });
    }

    pub(super) fn tell_adopted(&self, told: Timestamp, until: Timestamp) {
        let (expires_in, used_for) = (self.seconds_to(told), self.seconds_to(until));
        let profile = &*self.name;
        tracing::debug!(profile, expires_in, used_for, "token found in the store");
        self.gauge(told, until);
        self.hook(Changed::Adopted { expires_at: until });
    }

    fn seconds_to(&self, end: Timestamp) -> u64 {
        end.since(self.clock.now()).as_secs()
    }

    pub(super) fn tell_logged_out(&self) {
        tracing::info!(profile = &*self.name, "logged out");
        self.hook(Changed::LoggedOut);
    }

    /// A request to the vendor came to nothing.
    pub(super) fn tell_failed_request(&self, operation: Operation, trouble: &Trouble) {
        let outcome = trouble.refusal.map_or("lost", |_| "refused");
        self.count(operation, outcome);
        self.tell_failed(&self.of_trouble(trouble));
    }

    pub(super) fn tell_failed(&self, error: &Error) {
        let (name, kind) = (self.name.to_string(), error.kind.name());
        tracing::warn!(profile = name, kind, "{}", error.message);
        metrics::counter!("countersign_client_failures_total", "profile" => name, "kind" => kind)
            .increment(1);
        self.hook(Changed::Failed(error.clone()));
    }

    fn count(&self, operation: Operation, outcome: &'static str) {
        let name = self.name.to_string();
        metrics::counter!(
            "countersign_client_renewals_total",
            "profile" => name, "operation" => operation.name(), "outcome" => outcome
        )
        .increment(1);
    }

    /// In seconds since 1970, so that a token that is not renewed shows.
    #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
    fn gauge(&self, told: Timestamp, until: Timestamp) {
        let name = self.name.to_string();
        metrics::gauge!("countersign_client_token_expiry_seconds", "profile" => name.clone())
            .set(told.as_seconds() as f64);
        metrics::gauge!("countersign_client_token_used_until_seconds", "profile" => name)
            .set(until.as_seconds() as f64);
    }

    fn hook(&self, what: Changed) {
        if let Some(hook) = &self.hook {
            let profile = self.name.clone();
            // What it does is none of ours, and must not cost us a token.
            let told = AssertUnwindSafe(|| hook(&Change { profile, what }));
            let _ = catch_unwind(told);
        }
    }
}

fn is_of_the_server(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Internal | Refusal::Unavailable | Refusal::BadGateway | Refusal::GatewayTimeout
    )
}
