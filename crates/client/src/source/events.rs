//! Reports what happens to the tokens of a source to logs, metrics and the hook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use countersign_domain::{Timestamp, TokenOperation};

use crate::warnings::warn;
use crate::{Clock, Error, TokenEvent, TokenEventKind};

/// Called with each event.
pub(super) type EventHook = Box<dyn Fn(&TokenEvent) + Send + Sync>;

/// Reports what happens to the tokens of one source.
pub(super) struct SourceEvents {
    profile: Arc<str>,
    clock: Arc<dyn Clock>,
    hook: Option<EventHook>,
}

impl SourceEvents {
    pub(super) fn new(profile: Arc<str>, clock: Arc<dyn Clock>, hook: Option<EventHook>) -> Self {
        Self {
            profile,
            clock,
            hook,
        }
    }

    /// New tokens are durable. The report has the expiry time that the vendor stated, and
    /// until when the tokens are used.
    pub(super) fn granted(
        &self,
        operation: TokenOperation,
        stated_end: Timestamp,
        until: Timestamp,
    ) {
        let (expires_in, used_for) = (self.seconds_to(stated_end), self.seconds_to(until));
        tracing::info!(profile = &*self.profile, %operation, expires_in, used_for, "new token");
        self.count_renewal(operation, "granted");
        self.set_expiry(stated_end, until);
        self.call_hook(match operation {
            TokenOperation::Login => TokenEventKind::LoggedIn { expires_at: until },
            _ => TokenEventKind::Refreshed { expires_at: until },
        });
    }

    /// A token of another process was found in the store.
    pub(super) fn adopted(&self, stated_end: Timestamp, until: Timestamp) {
        let (expires_in, used_for) = (self.seconds_to(stated_end), self.seconds_to(until));
        let profile = &*self.profile;
        tracing::debug!(profile, expires_in, used_for, "token found in the store");
        self.set_expiry(stated_end, until);
        self.call_hook(TokenEventKind::Adopted { expires_at: until });
    }

    pub(super) fn logged_out(&self) {
        tracing::info!(profile = &*self.profile, "logged out");
        self.call_hook(TokenEventKind::LoggedOut);
    }

    /// A request to the vendor returned no tokens.
    pub(super) fn request_failed(
        &self,
        operation: TokenOperation,
        outcome: &'static str,
        error: &Error,
    ) {
        self.count_renewal(operation, outcome);
        self.failed(error);
    }

    pub(super) fn failed(&self, error: &Error) {
        let (profile, kind) = (self.profile.to_string(), error.kind.name());
        tracing::warn!(profile, kind, "{}", error.message);
        metrics::counter!(
            "countersign_client_failures_total",
            "profile" => profile, "kind" => kind
        )
        .increment(1);
        self.call_hook(TokenEventKind::Failed(error.clone()));
    }

    /// A login replaced a session that could not be ended.
    pub(super) fn former_session_not_ended(&self, error: &Error) {
        warn(&format!(
            "{}: the session before this one could not be ended: {}",
            self.profile, error.message
        ));
        self.call_hook(TokenEventKind::FormerSessionLeft(error.clone()));
    }

    fn seconds_to(&self, end: Timestamp) -> u64 {
        end.since(self.clock.now()).as_secs()
    }

    fn count_renewal(&self, operation: TokenOperation, outcome: &'static str) {
        let profile = self.profile.to_string();
        metrics::counter!(
            "countersign_client_renewals_total",
            "profile" => profile, "operation" => operation.name(), "outcome" => outcome
        )
        .increment(1);
    }

    /// In seconds since 1970, so that a token that is never renewed can be noticed.
    #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
    fn set_expiry(&self, stated_end: Timestamp, until: Timestamp) {
        let profile = self.profile.to_string();
        metrics::gauge!("countersign_client_token_expiry_seconds", "profile" => profile.clone())
            .set(stated_end.as_seconds() as f64);
        metrics::gauge!("countersign_client_token_used_until_seconds", "profile" => profile)
            .set(until.as_seconds() as f64);
    }

    fn call_hook(&self, kind: TokenEventKind) {
        if let Some(hook) = &self.hook {
            let profile = self.profile.clone();
            // A panic in the caller's hook must not cost the caller its token.
            let call = AssertUnwindSafe(|| hook(&TokenEvent { profile, kind }));
            let _ = catch_unwind(call);
        }
    }
}
