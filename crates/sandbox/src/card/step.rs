//! The parts of a step of the story.

use std::time::Duration;

use countersign_domain::TokenOperation;

use super::demand::StepDemand;
use crate::VendorFault;

/// One step of the story. Each is played on a fresh vendor with a client that
/// was started anew, so that none suffers from what went wrong in another.
#[derive(Clone, Copy, Debug)]
pub struct StoryStep {
    /// The stable name.
    pub name: &'static str,
    /// What a client that passes does.
    pub title: &'static str,
    /// What the dialect or the client must have for it.
    pub needs: &'static [StepNeed],
    /// How the vendor and the client are set up.
    pub stage: StepSetup,
    /// What the card does.
    pub script: &'static [StepAction],
    /// What it demands.
    pub demands: &'static [StepDemand],
}

/// What a step cannot be played without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepNeed {
    /// The dialect's sessions can be refreshed.
    Refresh,
    /// They cannot.
    NoRefresh,
    /// A lost refresh is to be followed by a login.
    LoginAfterLoss,
    /// An access token makes a limited number of requests.
    Budget,
    /// The vendor takes a limited number of logins from one address.
    AnonymousLimit,
    /// The client said that it makes calls at once.
    Parallel,
}

/// How the vendor and the client are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepSetup {
    /// With the lifetimes of the dialect.
    Usual,
    /// With access tokens that live for [`SHORT`].
    ShortLived,
    /// The client is given a secret that opens nothing.
    WrongSecret,
}

/// The life of an access token where the card waits for its end: the client's
/// clock is the real one.
pub const SHORT: Duration = Duration::from_secs(5);

/// Something that the card does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepAction {
    /// Calls, one after another, each so long after the one before began.
    Calls {
        /// How many.
        times: u32,
        /// How long from one to the next.
        every: Duration,
    },
    /// Nothing for so long.
    Pause(Duration),
    /// Calls at once.
    AtOnce(u32),
    /// Calls until one of this operation met the fault, for a while at most.
    CallUntilFault(TokenOperation),
    /// Calls until one is done, for ten seconds at most.
    CallUntilDone,
    /// Calls until so many tokens must have made all the requests they may.
    Spend {
        /// How many tokens.
        tokens: u32,
    },
    /// More calls than the vendor takes logins from one address in a minute.
    OutnumberLogins,
    /// The vendor's clock goes on.
    Advance(ClockLeap),
    /// The next requests meet this fault; in words that an integrator
    /// understands.
    Fault(VendorFault, &'static str),
    /// The faults end.
    Mend,
}

/// How far the clock goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockLeap {
    /// Past the end of the access token.
    PastAccess,
    /// Past the end of the refresh token too.
    PastRefresh,
    /// Far enough that an old refresh token is not a lost reply any more.
    PastGrace,
}

/// What a 429 asks the client to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);
