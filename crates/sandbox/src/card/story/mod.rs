//! The story as data: for each step what the card does, what it demands, and
//! why.

mod losses;
mod refusals;
mod renewals;

use std::time::Duration;

use super::demand::{DemandCheck, StepDemand};
use super::evidence::EvidenceScope;
use super::step::{StepAction, StoryStep};

/// The story, in order.
pub fn story() -> impl Iterator<Item = &'static StoryStep> {
    let parts = [renewals::RENEWALS, losses::LOSSES, refusals::REFUSALS];
    parts.into_iter().flatten()
}

const QUICK: Duration = Duration::from_millis(50);
const STEADY: Duration = Duration::from_millis(250);

const fn calls(times: u32, every: Duration) -> StepAction {
    StepAction::Calls { times, every }
}

const fn whole(check: DemandCheck, because: &'static str) -> StepDemand {
    StepDemand {
        check,
        scope: EvidenceScope::Whole,
        because,
    }
}

const fn after(check: DemandCheck, because: &'static str) -> StepDemand {
    StepDemand {
        check,
        scope: EvidenceScope::After,
        because,
    }
}

const CURE: &str =
    "a token that the vendor refuses with 401 must be replaced, and the call repeated";
const LIMITED: &str =
    "vendors count logins and refreshes, and throttle or lock out clients that send too many";
const LOCKS: &str = "vendors lock an account after a few refused logins; remember the first refusal, \
                     report it to every caller, and retry only after growing pauses";
const REFRESHES: &str = "a refresh is enough, and logins are limited";
const REUSE: &str = "the vendor treats a superseded refresh token as stolen and ends the session; \
                     keep the refresh token of the newest reply";
