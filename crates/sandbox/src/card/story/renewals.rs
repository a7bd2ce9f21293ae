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

const SKEWED: &str = "a token lives for as long as the reply says, counted by the vendor's clock as \
                      the reply tells it; by the client's own it seems to have ended";

/// Tokens that end as they should.
pub(super) const RENEWALS: &[StoryStep] = &[
    StoryStep {
        name: "login",
        title: "logs in once, then calls",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[calls(1, QUICK)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a good login and secret open the API",
            ),
            whole(
                DemandCheck::AtLeast(TokenOperation::Login, 1),
                "nothing else gives a token",
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
            whole(DemandCheck::AllSucceed, "the token is good for all of them"),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), LIMITED),
            whole(
                DemandCheck::AtMost(TokenOperation::Refresh, 0),
                "the token is good for all of them, and a margin before its end has to be smaller than its life",
            ),
        ],
    },
    StoryStep {
        name: "anonymous-limit",
        title: "makes more calls than the vendor takes logins in a minute",
        needs: &[StepNeed::AnonymousLimit],
        stage: StepSetup::Usual,
        script: &[StepAction::OutnumberLogins],
        demands: &[
            whole(
                DemandCheck::Never(Reason::LoginThrottled),
                "the vendor counts every login of an address, right ones too; keep the token, \
                 and refresh it",
            ),
            whole(
                DemandCheck::AllSucceed,
                "a token or two are good for all of them",
            ),
        ],
    },
    StoryStep {
        name: "refresh-in-time",
        title: "refreshes before the token ends",
        needs: &[StepNeed::Refresh],
        stage: StepSetup::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a fresh token can be had at any time",
            ),
            whole(
                DemandCheck::Never(Reason::TokenExpired),
                "the reply says when the token ends; get a new one before that",
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
        title: "logs in again before the token ends",
        needs: &[StepNeed::NoRefresh],
        stage: StepSetup::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a fresh token can be had at any time",
            ),
            whole(
                DemandCheck::Never(Reason::TokenExpired),
                "the reply says when the token ends; get a new one before that",
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
        title: "renews once for calls that come at once",
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
                "whoever comes second has to wait for the first and take its token; a stricter vendor ends a session whose refresh token comes twice",
            ),
            after(DemandCheck::AtMost(TokenOperation::Login, 0), REFRESHES),
        ],
    },
    StoryStep {
        name: "at-once-login",
        title: "logs in once for calls that come at once",
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
                "whoever comes second has to wait for the first and take its token",
            ),
        ],
    },
    StoryStep {
        name: "budget",
        title: "takes a new token before the old one has made all its requests",
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
                "a fresh token can be had at any time",
            ),
        ],
    },
    StoryStep {
        name: "clock-behind",
        title: "is not led astray by a vendor whose clock is behind",
        needs: &[],
        stage: StepSetup::Usual,
        script: &[BEHIND, calls(6, QUICK)],
        demands: &[
            whole(
                DemandCheck::AllSucceed,
                "a fresh token can be had at any time",
            ),
            whole(DemandCheck::AtMost(TokenOperation::Login, 1), SKEWED),
            whole(DemandCheck::AtMost(TokenOperation::Refresh, 1), SKEWED),
        ],
    },
];
