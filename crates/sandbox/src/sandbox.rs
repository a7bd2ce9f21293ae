//! A running sandbox.

use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, ExtraParts, Secret};
use countersign_domain::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::expectations::RequestExpectations;
use crate::fault::VendorFault;
use crate::record::RecordedRequest;
use crate::setup::SandboxSetup;
use crate::vendor::SandboxVendor;

/// A vendor on a port of this machine. It ends when it is dropped.
pub struct Sandbox {
    pub(crate) vendor: Arc<SandboxVendor>,
    /// The dialect as its file has it, before it was completed.
    pub(crate) given: Arc<Dialect>,
    pub(crate) made_up: Vec<String>,
    pub(crate) not_played: Vec<String>,
    pub(crate) url: String,
    pub(crate) control: Option<ControlHandle>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) listening: Vec<JoinHandle<()>>,
}

/// Where a sandbox is controlled, and what opens it.
pub(crate) struct ControlHandle {
    pub(crate) url: String,
    pub(crate) key: Secret,
}

/// Time does not go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sandbox's clock shows {} and is not moved back to {}: expired tokens would \
     be valid again", now.rfc3339(), asked.rfc3339()
)]
pub struct ClockMoveRefused {
    /// What the clock shows.
    pub now: Timestamp,
    /// What it was to show.
    pub asked: Timestamp,
}

impl Sandbox {
    /// A sandbox that speaks a dialect which comes with the program.
    pub fn shipped(name: &str) -> SandboxSetup {
        SandboxSetup::shipped(name)
    }

    /// A sandbox that speaks this dialect.
    pub fn speaking(dialect: Arc<Dialect>) -> SandboxSetup {
        SandboxSetup::speaking(dialect)
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The login of its account.
    pub fn login(&self) -> &str {
        &self.vendor.login
    }

    /// The secret of that login.
    pub fn secret(&self) -> &Secret {
        &self.vendor.secret
    }

    /// The numeric id of its account.
    pub fn client_id(&self) -> u64 {
        self.vendor.account.number()
    }

    /// Where it is controlled, if it is.
    pub fn control(&self) -> Option<&str> {
        self.control.as_ref().map(|control| control.url.as_str())
    }

    /// All that a test needs, with its secrets: `url`, `control`, `control_key`,
    /// `dialect`, `login` and `secret`.
    pub fn manifest(&self) -> Value {
        json!({
            "url": self.url,
            "control": self.control(),
            "control_key": self.control.as_ref().map(|control| control.key.expose()),
            "dialect": self.dialect().name(),
            "login": self.login(),
            "secret": self.secret().expose(),
        })
    }

    /// What it speaks, as the dialect's file says it.
    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.given
    }

    /// What the file of a dialect for clients does not say and is made up here: a
    /// sentence each.
    pub fn made_up(&self) -> &[String] {
        &self.made_up
    }

    /// What of such a file is not played: a sentence each.
    pub fn not_played(&self) -> &[String] {
        &self.not_played
    }

    /// Further parts of a credential that it takes, by name; a client that its
    /// dialect asks for such parts gives these.
    pub fn extra(&self) -> ExtraParts {
        self.given.parts_for_a_sandbox()
    }

    /// The time on its clock.
    pub fn now(&self) -> Timestamp {
        self.vendor.clock.now()
    }

    /// Moves its clock on, and gives what it shows then.
    pub fn advance(&self, span: Duration) -> Timestamp {
        self.vendor.advance(span)
    }

    /// Sets its clock.
    ///
    /// # Errors
    ///
    /// The instant is in its past.
    pub fn set(&self, instant: Timestamp) -> Result<Timestamp, ClockMoveRefused> {
        self.vendor.set(instant)
    }

    /// Tells the time on its clock whenever that was moved.
    pub fn moves(&self) -> watch::Receiver<Timestamp> {
        self.vendor.moves.subscribe()
    }

    /// Arms a fault, beside those that are armed.
    pub fn fault(&self, fault: VendorFault) {
        self.vendor.armed.arm(fault);
    }

    /// The faults that are armed still.
    pub fn faults(&self) -> Vec<VendorFault> {
        self.vendor.armed.waiting()
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.vendor.armed.clear();
    }

    /// What it was asked, in the order in which it acted; the last 100,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.vendor.requests.all()
    }

    /// How many older requests went to make room for these.
    pub fn requests_dropped(&self) -> u64 {
        self.vendor.requests.dropped()
    }

    /// Forgets what it was asked.
    pub fn forget_requests(&self) {
        self.vendor.requests.forget();
    }

    /// Whether it was asked what was expected.
    ///
    /// # Errors
    ///
    /// What was not as expected, in words.
    pub fn check(&self, expected: &RequestExpectations) -> Result<(), Vec<String>> {
        self.vendor.check(expected)
    }

    /// Finishes what runs, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for listening in std::mem::take(&mut self.listening) {
            // One that panicked has ended too.
            let _ended = listening.await;
        }
        self.vendor.store.clone().close().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
