//! Sessions that break: lost replies, superseded tokens, ends that come early.

use countersign_domain::{Operation, Reason};

use super::{CURE, LIMITED, QUICK, REFRESHES, REUSE, STEADY, after, calls};
use crate::card::demand::Check;
use crate::card::step::{Act, Leap, Need, Stage, Step};
use crate::{Fault, What};

const LOSE: Act = Act::Fault(
    Fault::lost_reply().on(Operation::Refresh),
    "the reply to the next refresh is lost",
);

const REVOKE: Act = Act::Fault(
    Fault::revoke(What::Account).on(Operation::Guard),
    "the vendor ends every session of the account",
);

/// Sessions that break.
pub(super) const LOSSES: &[Step] = &[
    Step {
        name: "lost-reply",
        title: "recovers when the reply to a refresh is lost",
        needs: &[Need::Refresh],
        stage: Stage::ShortLived,
        script: &[
            calls(1, QUICK),
            LOSE,
            Act::CallUntilFault(Operation::Refresh),
            calls(20, STEADY),
        ],
        demands: &[
            after(
                Check::AtLeast(Operation::Refresh, 1),
                "the token's end came near",
            ),
            after(
                Check::Recovers,
                "after a lost reply send the same refresh token again within its grace, or log in",
            ),
            after(Check::Never(Reason::Reuse), REUSE),
            after(Check::AtMost(Operation::Login, 1), LIMITED),
            after(
                Check::Unhurried(Operation::Refresh),
                "a pause between tries lets the vendor come back",
            ),
        ],
    },
    Step {
        name: "lost-reply-login",
        title: "logs in when the reply to a refresh is lost",
        needs: &[Need::Refresh, Need::LoginAfterLoss],
        stage: Stage::ShortLived,
        script: &[
            calls(1, QUICK),
            LOSE,
            Act::CallUntilFault(Operation::Refresh),
            calls(4, STEADY),
        ],
        demands: &[
            after(
                Check::AtLeast(Operation::Refresh, 1),
                "the token's end came near",
            ),
            after(
                Check::NoSecondUse,
                "this vendor ends a session whose refresh token comes twice; log in",
            ),
        ],
    },
    Step {
        name: "rotation",
        title: "keeps the newest refresh token, and no other",
        needs: &[Need::Refresh],
        stage: Stage::ShortLived,
        script: &[
            calls(1, QUICK),
            Act::Advance(Leap::PastGrace),
            calls(6, STEADY),
            Act::Advance(Leap::PastGrace),
            calls(10, STEADY),
            Act::Advance(Leap::PastGrace),
            calls(2, QUICK),
        ],
        demands: &[
            after(Check::Never(Reason::Reuse), REUSE),
            after(
                Check::AtLeast(Operation::Refresh, 3),
                "the access token ended three times",
            ),
            after(Check::AtMost(Operation::Login, 0), REFRESHES),
            after(Check::Recovers, CURE),
        ],
    },
    Step {
        name: "refresh-expiry",
        title: "logs in again when the refresh token has ended",
        needs: &[Need::Refresh],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            Act::Advance(Leap::PastRefresh),
            calls(3, STEADY),
        ],
        demands: &[
            after(
                Check::AllSucceed,
                "a refused refresh is followed by a login, and the call made again",
            ),
            after(
                Check::AtMost(Operation::Refresh, 1),
                "a refused refresh token stays refused",
            ),
            after(Check::AtMost(Operation::Login, 1), LIMITED),
        ],
    },
    Step {
        name: "revoke",
        title: "logs in again when the vendor has ended the session",
        needs: &[],
        stage: Stage::Usual,
        script: &[calls(1, QUICK), REVOKE, calls(3, STEADY)],
        demands: &[
            after(
                Check::AllSucceed,
                "a refused token is followed by a refresh, a refused refresh by a login, and the call made again",
            ),
            after(
                Check::AtMost(Operation::Refresh, 1),
                "a refused refresh token stays refused",
            ),
            after(Check::AtMost(Operation::Login, 1), LIMITED),
        ],
    },
];
