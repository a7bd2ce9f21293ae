//! Sessions that break: lost replies, superseded tokens, and sessions that end early.

use countersign_domain::{Reason, TokenOperation};

use super::{CURE, LIMITED, QUICK, REFRESHES, REUSE, STEADY, after, calls};
use crate::card::demand::DemandCheck;
use crate::card::step::{ClockLeap, StepAction, StepNeed, StepSetup, StoryStep};
use crate::{RevocationTarget, VendorFault};

const LOSE: StepAction = StepAction::Fault(
    VendorFault::lost_reply().on(TokenOperation::Refresh),
    "the reply to the next refresh is lost",
);

const REVOKE: StepAction = StepAction::Fault(
    VendorFault::revoke(RevocationTarget::Account).on(TokenOperation::Guard),
    "the vendor ends every session of the account",
);

/// Sessions that break.
pub(super) const LOSSES: &[StoryStep] = &[
    StoryStep {
        name: "lost-reply",
        title: "recovers when the reply to a refresh is lost",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[
            calls(1, QUICK),
            LOSE,
            StepAction::CallUntilFault(TokenOperation::Refresh),
            calls(20, STEADY),
        ],
        demands: &[
            after(
                DemandCheck::AtLeast(TokenOperation::Refresh, 1),
                "the token was about to expire",
            ),
            after(
                DemandCheck::Recovers,
                "after a lost reply send the same refresh token again within its grace, or log in",
            ),
            after(DemandCheck::Never(Reason::Reuse), REUSE),
            after(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
            after(
                DemandCheck::Unhurried(TokenOperation::Refresh),
                "pauses between attempts let the vendor recover",
            ),
        ],
    },
    StoryStep {
        name: "lost-reply-login",
        title: "logs in when the reply to a refresh is lost",
        needs: &[StepNeed::Refresh, StepNeed::LoginAfterLoss],
        stage: StepSetup::ShortLived,
        script: &[
            calls(1, QUICK),
            LOSE,
            StepAction::CallUntilFault(TokenOperation::Refresh),
            calls(4, STEADY),
        ],
        demands: &[
            after(
                DemandCheck::AtLeast(TokenOperation::Refresh, 1),
                "the token was about to expire",
            ),
            after(
                DemandCheck::NoSecondUse,
                "this vendor ends a session whose refresh token is used twice; log in",
            ),
        ],
    },
    StoryStep {
        name: "rotation",
        title: "keeps the newest refresh token, and no other",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[
            calls(1, QUICK),
            StepAction::Advance(ClockLeap::PastGrace),
            calls(6, STEADY),
            StepAction::Advance(ClockLeap::PastGrace),
            calls(10, STEADY),
            StepAction::Advance(ClockLeap::PastGrace),
            calls(2, QUICK),
        ],
        demands: &[
            after(DemandCheck::Never(Reason::Reuse), REUSE),
            after(
                DemandCheck::AtLeast(TokenOperation::Refresh, 3),
                "the access token expired three times",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 0), REFRESHES),
            after(DemandCheck::Recovers, CURE),
        ],
    },
    StoryStep {
        name: "refresh-expiry",
        title: "logs in again when the refresh token has expired",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            StepAction::Advance(ClockLeap::PastRefresh),
            calls(3, STEADY),
        ],
        demands: &[
            after(
                DemandCheck::AllSucceed,
                "a refused refresh is followed by a login, and the call made again",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 1),
                "a refused refresh token stays refused",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
        ],
    },
    StoryStep {
        name: "revoke",
        title: "logs in again when the vendor has ended the session",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[calls(1, QUICK), REVOKE, calls(3, STEADY)],
        demands: &[
            after(
                DemandCheck::AllSucceed,
                "a refused token is followed by a refresh, a refused refresh by a login, and the call made again",
            ),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 1),
                "a refused refresh token stays refused",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
        ],
    },
];
