//! Tokens that end as expected: by their lifetime, by a clock that jumps, by their budget.

use std::time::Duration;

use countersign_domain::{Reason, TokenOperation};

use super::{CURE, LIMITED, QUICK, REFRESHES, STEADY, after, calls, whole};
use crate::card::demand::DemandCheck;
use crate::card::step::{ClockLeap, StepAction, StepNeed, StepSetup, StoryStep};
use crate::{ClockSkew, VendorFault};

const BEHIND: StepAction = StepAction::Fault(
    VendorFault::skew(ClockSkew::Behind(Duration::from_secs(600))).rate(1.0),
    "the vendor's clock is ten minutes behind the client's",
);

const SKEWED: &str = "a token lives for as long as the reply says, counted by the vendor's clock, \
                      which the reply states; by the client's own it seems to have expired";

/// Tokens that end as they should.
pub(super) const RENEWALS: &[StoryStep] = &[
    StoryStep {
        name: "login",
        title: "logs in once, then calls",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[calls(1, QUICK)],
        demands: &[
            whole(DemandCheck::AllSucceed, "the login and secret are valid"),
            whole(
                DemandCheck::AtLeast(TokenOperation::Login, 1),
                "only a login gives a token",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
            whole(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "the token is new",
            ),
        ],
    },
    StoryStep {
        name: "one-token",
        title: "makes many calls with one token",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[calls(6, QUICK)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "the token is valid for all of them",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
            whole(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "the token is valid for all of them, and a margin before its expiry has to be shorter than its lifetime",
            ),
        ],
    },
    StoryStep {
        name: "anonymous-limit",
        title: "makes more calls than the vendor allows logins in a minute",
        needs: &[StepNeed::AnonymousLimit],
        stage: StepSetup::Usual,
        script: &[StepAction::OutnumberLogins],
        demands: &[
            whole(
                DemandCheck::Never(Reason::LoginThrottled),
                "the vendor counts every login of an address, successful ones too; keep the token, \
                 and refresh it",
            ),
            whole(
                DemandCheck::AllSucceed,
                "one or two tokens are enough for all of them",
            ),
        ],
    },
    StoryStep {
        name: "refresh-in-time",
        title: "refreshes before the token expires",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a new token is available at any time",
            ),
            whole(
                DemandCheck::Never(Reason::TokenExpired),
                "the reply says when the token expires; get a new one before that",
            ),
            whole(
                DemandCheck::AtLeast(TokenOperation::Refresh, 2),
                "the tokens live for 5 s and the calls took 11 s",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), REFRESHES),
        ],
    },
    StoryStep {
        name: "login-in-time",
        title: "logs in again before the token expires",
        needs: &[StepNeed::NoRefresh],
        stage: StepSetup::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a new token is available at any time",
            ),
            whole(
                DemandCheck::Never(Reason::TokenExpired),
                "the reply says when the token expires; get a new one before that",
            ),
            whole(
                DemandCheck::AtLeast(TokenOperation::Login, 3),
                "the tokens live for 5 s and the calls took 11 s",
            ),
        ],
    },
    StoryStep {
        name: "expiry",
        title: "cures a 401 by a refresh and repeats the call",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::Usual,
        script: &[
            calls(2, QUICK),
            StepAction::Advance(ClockLeap::PastAccess),
            calls(2, QUICK),
        ],
        demands: &[
            whole(DemandCheck::AllSucceed, CURE),
            after(DemandCheck::AtMost(TokenOperation::Login, 0), REFRESHES),
            after(DemandCheck::AtMost(TokenOperation::Refresh, 1), LIMITED),
        ],
    },
    StoryStep {
        name: "expiry-login",
        title: "cures a 401 by a login and repeats the call",
        needs: &[StepNeed::NoRefresh],
        stage: StepSetup::Usual,
        script: &[
            calls(2, QUICK),
            StepAction::Advance(ClockLeap::PastAccess),
            calls(2, QUICK),
        ],
        demands: &[
            whole(DemandCheck::AllSucceed, CURE),
            after(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
        ],
    },
    StoryStep {
        name: "at-once",
        title: "renews once for simultaneous calls",
        needs: &[StepNeed::Parallel, StepNeed::Refresh],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            StepAction::Advance(ClockLeap::PastAccess),
            StepAction::AtOnce(8),
            calls(1, QUICK),
        ],
        demands: &[
            after(DemandCheck::AllSucceed, CURE),
            after(
                DemandCheck::AtMost(TokenOperation::Refresh, 1),
                "every later call must wait for the first renewal and use its token; a stricter vendor ends a session whose refresh token is used twice",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 0), REFRESHES),
        ],
    },
    StoryStep {
        name: "at-once-login",
        title: "logs in once for simultaneous calls",
        needs: &[StepNeed::Parallel, StepNeed::NoRefresh],
        stage: StepSetup::Usual,
        script: &[
            calls(1, QUICK),
            StepAction::Advance(ClockLeap::PastAccess),
            StepAction::AtOnce(8),
            calls(1, QUICK),
        ],
        demands: &[
            after(DemandCheck::AllSucceed, CURE),
            after(
                DemandCheck::AtMost(TokenOperation::Login, 1),
                "every later call must wait for the first renewal and use its token",
            ),
        ],
    },
    StoryStep {
        name: "budget",
        title: "gets a new token before the old one's budget is spent",
        needs: &[StepNeed::Budget],
        stage: StepSetup::Usual,
        script: &[StepAction::Spend { tokens: 2 }],
        demands: &[
            whole(
                DemandCheck::Never(Reason::BudgetSpent),
                "count the requests of each token, and get the next one before the last; a call with a body cannot always be made twice",
            ),
            whole(
                DemandCheck::AllSucceed,
                "a new token is available at any time",
            ),
        ],
    },
    StoryStep {
        name: "clock-behind",
        title: "is not misled by a vendor whose clock is behind",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[BEHIND, calls(6, QUICK)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a new token is available at any time",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), SKEWED),
            whole(DemandCheck::AtMost(TokenOperation::Refresh, 1), SKEWED),
        ],
    },
];
