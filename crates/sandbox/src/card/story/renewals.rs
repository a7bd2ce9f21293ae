//! Tokens that end as they should: by time, by clock, by budget.

use std::time::Duration;

use countersign_domain::{Operation, Reason};

use super::{CURE, LIMITED, QUICK, REFRESHES, STEADY, after, calls, whole};
use crate::card::demand::Check;
use crate::card::step::{Act, Leap, Need, Stage, Step};
use crate::{Fault, Skew};

const BEHIND: Act = Act::Fault(
    Fault::skew(Skew::Behind(Duration::from_secs(600))).rate(1.0),
    "the vendor's clock is ten minutes behind the client's",
);

const SKEWED: &str = "a token lives for as long as the reply says, counted by the vendor's clock as \
                      the reply tells it; by the client's own it seems to have ended";

/// Tokens that end as they should.
pub(super) const RENEWALS: &[Step] = &[
    Step {
        name: "login",
        title: "logs in once, then calls",
        needs: &[],
        stage: Stage::Usual,
        script: &[calls(1, QUICK)],
        demands: &[
            whole(Check::AllSucceed, "a good login and secret open the API"),
            whole(
                Check::AtLeast(Operation::Login, 1),
                "nothing else gives a token",
            ),
            whole(Check::AtMost(Operation::Login, 1), LIMITED),
            whole(Check::AtMost(Operation::Refresh, 0), "the token is new"),
        ],
    },
    Step {
        name: "one-token",
        title: "makes many calls with one token",
        needs: &[],
        stage: Stage::Usual,
        script: &[calls(6, QUICK)],
        demands: &[
            whole(Check::AllSucceed, "the token is good for all of them"),
            whole(Check::AtMost(Operation::Login, 1), LIMITED),
            whole(
                Check::AtMost(Operation::Refresh, 0),
                "the token is good for all of them, and a margin before its end has to be smaller than its life",
            ),
        ],
    },
    Step {
        name: "anonymous-limit",
        title: "makes more calls than the vendor takes logins in a minute",
        needs: &[Need::AnonymousLimit],
        stage: Stage::Usual,
        script: &[Act::OutnumberLogins],
        demands: &[
            whole(
                Check::Never(Reason::LoginThrottled),
                "the vendor counts every login of an address, right ones too; keep the token, \
                 and refresh it",
            ),
            whole(Check::AllSucceed, "a token or two are good for all of them"),
        ],
    },
    Step {
        name: "refresh-in-time",
        title: "refreshes before the token ends",
        needs: &[Need::Refresh],
        stage: Stage::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(Check::AllSucceed, "a fresh token can be had at any time"),
            whole(
                Check::Never(Reason::TokenExpired),
                "the reply says when the token ends; get a new one before that",
            ),
            whole(
                Check::AtLeast(Operation::Refresh, 2),
                "the tokens live for 5 s and the calls took 11 s",
            ),
            whole(Check::AtMost(Operation::Login, 1), REFRESHES),
        ],
    },
    Step {
        name: "login-in-time",
        title: "logs in again before the token ends",
        needs: &[Need::NoRefresh],
        stage: Stage::ShortLived,
        script: &[calls(44, STEADY)],
        demands: &[
            whole(Check::AllSucceed, "a fresh token can be had at any time"),
            whole(
                Check::Never(Reason::TokenExpired),
                "the reply says when the token ends; get a new one before that",
            ),
            whole(
                Check::AtLeast(Operation::Login, 3),
                "the tokens live for 5 s and the calls took 11 s",
            ),
        ],
    },
    Step {
        name: "expiry",
        title: "cures a 401 by a refresh and repeats the call",
        needs: &[Need::Refresh],
        stage: Stage::Usual,
        script: &[
            calls(2, QUICK),
            Act::Advance(Leap::PastAccess),
            calls(2, QUICK),
        ],
        demands: &[
            whole(Check::AllSucceed, CURE),
            after(Check::AtMost(Operation::Login, 0), REFRESHES),
            after(Check::AtMost(Operation::Refresh, 1), LIMITED),
        ],
    },
    Step {
        name: "expiry-login",
        title: "cures a 401 by a login and repeats the call",
        needs: &[Need::NoRefresh],
        stage: Stage::Usual,
        script: &[
            calls(2, QUICK),
            Act::Advance(Leap::PastAccess),
            calls(2, QUICK),
        ],
        demands: &[
            whole(Check::AllSucceed, CURE),
            after(Check::AtMost(Operation::Login, 1), LIMITED),
        ],
    },
    Step {
        name: "at-once",
        title: "renews once for calls that come at once",
        needs: &[Need::Parallel, Need::Refresh],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            Act::Advance(Leap::PastAccess),
            Act::AtOnce(8),
            calls(1, QUICK),
        ],
        demands: &[
            after(Check::AllSucceed, CURE),
            after(
                Check::AtMost(Operation::Refresh, 1),
                "whoever comes second has to wait for the first and take its token; a stricter vendor ends a session whose refresh token comes twice",
            ),
            after(Check::AtMost(Operation::Login, 0), REFRESHES),
        ],
    },
    Step {
        name: "at-once-login",
        title: "logs in once for calls that come at once",
        needs: &[Need::Parallel, Need::NoRefresh],
        stage: Stage::Usual,
        script: &[
            calls(1, QUICK),
            Act::Advance(Leap::PastAccess),
            Act::AtOnce(8),
            calls(1, QUICK),
        ],
        demands: &[
            after(Check::AllSucceed, CURE),
            after(
                Check::AtMost(Operation::Login, 1),
                "whoever comes second has to wait for the first and take its token",
            ),
        ],
    },
    Step {
        name: "budget",
        title: "takes a new token before the old one has made all its requests",
        needs: &[Need::Budget],
        stage: Stage::Usual,
        script: &[Act::Spend { tokens: 2 }],
        demands: &[
            whole(
                Check::Never(Reason::BudgetSpent),
                "count the requests of each token, and get the next one before the last; a call with a body cannot always be made twice",
            ),
            whole(Check::AllSucceed, "a fresh token can be had at any time"),
        ],
    },
    Step {
        name: "clock-behind",
        title: "is not led astray by a vendor whose clock is behind",
        needs: &[],
        stage: Stage::Usual,
        script: &[BEHIND, calls(6, QUICK)],
        demands: &[
            whole(Check::AllSucceed, "a fresh token can be had at any time"),
            whole(Check::AtMost(Operation::Login, 1), SKEWED),
            whole(Check::AtMost(Operation::Refresh, 1), SKEWED),
        ],
    },
];
