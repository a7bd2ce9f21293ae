//! A vendor that refuses: too many requests, unavailable, or not from this address.

use std::time::Duration;

use countersign_domain::TokenOperation;

use super::{LIMITED, LOCKS, QUICK, STEADY, after, calls, whole};
use crate::VendorFault;
use crate::card::demand::DemandCheck;
use crate::card::step::{RETRY_AFTER, StepAction, StepNeed, StepSetup, StoryStep};

const fn throttle(operation: TokenOperation) -> StepAction {
    StepAction::Fault(
        VendorFault::status(429)
            .retry_after(RETRY_AFTER)
            .on(operation),
        "the vendor answers 429 with Retry-After: 2, once",
    )
}

const fn unavailable(operation: TokenOperation, times: u32) -> StepAction {
    StepAction::Fault(
        VendorFault::status(503).on(operation).times(times),
        "the vendor answers 503 for a while",
    )
}

/// Until it is mended.
const fn deny(operation: TokenOperation) -> StepAction {
    StepAction::Fault(
        VendorFault::forbid().on(operation).rate(1.0),
        "the vendor no longer allows this address",
    )
}

/// A vendor that says no.
pub(super) const REFUSALS: &[StoryStep] = &[
    StoryStep {
        name: "throttled-login",
        title: "waits as long as a 429 to a login says",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[
            throttle(TokenOperation::Login),
            calls(5, Duration::from_millis(500)),
            StepAction::CallUntilDone,
        ],
        demands: &[
            after(
                DemandCheck::Waits(TokenOperation::Login, RETRY_AFTER),
                "clients that retry sooner are throttled longer",
            ),
            after(DemandCheck::Recovers, "the vendor said when to come back"),
        ],
    },
    StoryStep {
        name: "throttled-refresh",
        title: "waits as long as a 429 to a refresh says",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[
            calls(1, QUICK),
            throttle(TokenOperation::Refresh),
            StepAction::CallUntilFault(TokenOperation::Refresh),
            calls(16, STEADY),
            StepAction::CallUntilDone,
        ],
        demands: &[
            after(
                DemandCheck::AtLeast(TokenOperation::Refresh, 1),
                "the token was about to expire",
            ),
            after(
                DemandCheck::Waits(TokenOperation::Refresh, RETRY_AFTER),
                "clients that retry sooner are throttled longer; the old token is valid until it \
                 expires",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Login, 0),
                "the session is alive; a login would add requests while the vendor is throttling",
            ),
            after(DemandCheck::Recovers, "the vendor said when to come back"),
        ],
    },
    StoryStep {
        name: "throttled-call",
        title: "keeps its token when a call is throttled",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            throttle(TokenOperation::Guard),
            calls(1, QUICK),
            StepAction::Pause(Duration::from_millis(2200)),
            StepAction::CallUntilDone,
        ],
        demands: &[
            after(
                DemandCheck::Waits(TokenOperation::Guard, RETRY_AFTER),
                "clients that retry sooner are throttled longer",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Login, 0),
                "a 429 does not mean that the token is invalid",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "a 429 does not mean that the token is invalid",
            ),
            after(DemandCheck::Recovers, "the vendor said when to come back"),
        ],
    },
    StoryStep {
        name: "unavailable-login",
        title: "repeats a login, with pauses, when the vendor answers 503",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[
            unavailable(TokenOperation::Login, 3),
            StepAction::CallUntilDone,
        ],
        demands: &[
            after(
                DemandCheck::Unhurried(TokenOperation::Login),
                "pauses between attempts let the vendor recover",
            ),
            after(DemandCheck::Recovers, "the vendor works again"),
        ],
    },
    StoryStep {
        name: "unavailable-refresh",
        title: "repeats a refresh, with pauses, when the vendor answers 503",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[
            calls(1, QUICK),
            unavailable(TokenOperation::Refresh, 2),
            StepAction::CallUntilFault(TokenOperation::Refresh),
            calls(16, STEADY),
            StepAction::CallUntilDone,
        ],
        demands: &[
            after(
                DemandCheck::AtLeast(TokenOperation::Refresh, 1),
                "the token was about to expire",
            ),
            after(
                DemandCheck::Unhurried(TokenOperation::Refresh),
                "pauses between attempts let the vendor recover",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
            after(DemandCheck::Recovers, "the vendor works again"),
        ],
    },
    StoryStep {
        name: "unavailable-call",
        title: "keeps its token when a call is answered with 503",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            unavailable(TokenOperation::Guard, 1),
            calls(3, STEADY),
        ],
        demands: &[
            after(
                DemandCheck::AtMost(TokenOperation::Login, 0),
                "a 503 does not mean that the token is invalid",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "a 503 does not mean that the token is invalid",
            ),
            after(DemandCheck::Recovers, "the vendor works again"),
        ],
    },
    StoryStep {
        name: "address-denied",
        title: "stops when a login is refused for its address",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[deny(TokenOperation::Login), calls(5, STEADY)],
        demands: &[
            after(
                DemandCheck::AllFail,
                "without a token no call can be made, and the caller has to be told",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 3), LOCKS),
        ],
    },
    StoryStep {
        name: "address-denied-call",
        title: "keeps its token when a call is refused for its address",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            deny(TokenOperation::Guard),
            calls(3, STEADY),
            StepAction::Mend,
            calls(1, QUICK),
        ],
        demands: &[
            after(
                DemandCheck::AtMost(TokenOperation::Login, 0),
                "a new token would be used from the same address",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "a new token would be used from the same address",
            ),
            after(DemandCheck::Recovers, "the address is allowed again"),
        ],
    },
    StoryStep {
        name: "wrong-secret",
        title: "stops when its secret is refused",
        needs: &[],
        stage: StepSetup::WrongSecret,
        script: &[calls(5, STEADY)],
        demands: &[
            whole(
                DemandCheck::AllFail,
                "without a token no call can be made, and the caller has to be told",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 3), LOCKS),
        ],
    },
];
