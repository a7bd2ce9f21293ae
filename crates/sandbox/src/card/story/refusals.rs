//! A vendor that says no: throttled, unavailable, not from this address.

use std::time::Duration;

use countersign_domain::Operation;

use super::{LIMITED, LOCKS, QUICK, STEADY, after, calls, whole};
use crate::Fault;
use crate::card::demand::Check;
use crate::card::step::{Act, Need, RETRY_AFTER, Stage, Step};

const fn throttle(operation: Operation) -> Act {
    Act::Fault(
        Fault::status(429).retry_after(RETRY_AFTER).on(operation),
        "the vendor answers 429 with Retry-After: 2, once",
    )
}

const fn unavailable(operation: Operation, times: u32) -> Act {
    Act::Fault(
        Fault::status(503).on(operation).times(times),
        "the vendor answers 503 for a while",
    )
}

/// Until it is mended.
const fn deny(operation: Operation) -> Act {
    Act::Fault(
        Fault::forbid().on(operation).rate(1.0),
        "the vendor does not let this address in any more",
    )
}

/// A vendor that says no.
pub(super) const REFUSALS: &[Step] = &[
    Step {
        name: "throttled-login",
        title: "waits as long as a 429 to a login says",
        needs: &[],
        stage: Stage::Usual,
        script: &[
            throttle(Operation::Login),
            calls(5, Duration::from_millis(500)),
            Act::CallUntilDone,
        ],
        demands: &[
            after(
                Check::Waits(Operation::Login, RETRY_AFTER),
                "who asks sooner is throttled for longer",
            ),
            after(Check::Recovers, "the vendor said when to come back"),
        ],
    },
    Step {
        name: "throttled-refresh",
        title: "waits as long as a 429 to a refresh says",
        needs: &[Need::Refresh],
        stage: Stage::ShortLived,
        script: &[
            calls(1, QUICK),
            throttle(Operation::Refresh),
            Act::CallUntilFault(Operation::Refresh),
            calls(16, STEADY),
            Act::CallUntilDone,
        ],
        demands: &[
            after(
                Check::AtLeast(Operation::Refresh, 1),
                "the token's end came near",
            ),
            after(
                Check::Waits(Operation::Refresh, RETRY_AFTER),
                "who asks sooner is throttled for longer; the old token is good until its end",
            ),
            after(
                Check::AtMost(Operation::Login, 0),
                "the session lives; a login now asks for more where less was asked for",
            ),
            after(Check::Recovers, "the vendor said when to come back"),
        ],
    },
    Step {
        name: "throttled-call",
        title: "keeps its token when a call is throttled",
        needs: &[],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            throttle(Operation::Guard),
            calls(1, QUICK),
            Act::Pause(Duration::from_millis(2200)),
            Act::CallUntilDone,
        ],
        demands: &[
            after(
                Check::Waits(Operation::Guard, RETRY_AFTER),
                "who asks sooner is throttled for longer",
            ),
            after(
                Check::AtMost(Operation::Login, 0),
                "a 429 says nothing against the token",
            ),
            after(
                Check::AtMost(Operation::Refresh, 0),
                "a 429 says nothing against the token",
            ),
            after(Check::Recovers, "the vendor said when to come back"),
        ],
    },
    Step {
        name: "unavailable-login",
        title: "tries a login again, with pauses, when the vendor answers 503",
        needs: &[],
        stage: Stage::Usual,
        script: &[unavailable(Operation::Login, 3), Act::CallUntilDone],
        demands: &[
            after(
                Check::Unhurried(Operation::Login),
                "a pause between tries lets the vendor come back",
            ),
            after(Check::Recovers, "the vendor is back"),
        ],
    },
    Step {
        name: "unavailable-refresh",
        title: "tries a refresh again, with pauses, when the vendor answers 503",
        needs: &[Need::Refresh],
        stage: Stage::ShortLived,
        script: &[
            calls(1, QUICK),
            unavailable(Operation::Refresh, 2),
            Act::CallUntilFault(Operation::Refresh),
            calls(16, STEADY),
            Act::CallUntilDone,
        ],
        demands: &[
            after(
                Check::AtLeast(Operation::Refresh, 1),
                "the token's end came near",
            ),
            after(
                Check::Unhurried(Operation::Refresh),
                "a pause between tries lets the vendor come back",
            ),
            after(Check::AtMost(Operation::Login, 1), LIMITED),
            after(Check::Recovers, "the vendor is back"),
        ],
    },
    Step {
        name: "unavailable-call",
        title: "keeps its token when a call is answered with 503",
        needs: &[],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            unavailable(Operation::Guard, 1),
            calls(3, STEADY),
        ],
        demands: &[
            after(
                Check::AtMost(Operation::Login, 0),
                "a 503 says nothing against the token",
            ),
            after(
                Check::AtMost(Operation::Refresh, 0),
                "a 503 says nothing against the token",
            ),
            after(Check::Recovers, "the vendor is back"),
        ],
    },
    Step {
        name: "address-denied",
        title: "stops when a login is refused for its address",
        needs: &[],
        stage: Stage::Usual,
        script: &[deny(Operation::Login), calls(5, STEADY)],
        demands: &[
            after(
                Check::AllFail,
                "without a token no call can be made, and the caller has to learn it",
            ),
            after(Check::AtMost(Operation::Login, 3), LOCKS),
        ],
    },
    Step {
        name: "address-denied-call",
        title: "keeps its token when a call is refused for its address",
        needs: &[],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            deny(Operation::Guard),
            calls(3, STEADY),
            Act::Mend,
            calls(1, QUICK),
        ],
        demands: &[
            after(
                Check::AtMost(Operation::Login, 0),
                "a new token comes from the same address",
            ),
            after(
                Check::AtMost(Operation::Refresh, 0),
                "a new token comes from the same address",
            ),
            after(Check::Recovers, "the address is let in again"),
        ],
    },
    Step {
        name: "wrong-secret",
        title: "stops when its secret is refused",
        needs: &[],
        stage: Stage::WrongSecret,
        script: &[calls(5, STEADY)],
        demands: &[
            whole(
                Check::AllFail,
                "without a token no call can be made, and the caller has to learn it",
            ),
            whole(Check::AtMost(Operation::Login, 3), LOCKS),
        ],
    },
];
