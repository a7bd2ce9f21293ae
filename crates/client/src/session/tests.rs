//! Stories of the session machine.

mod ending;
mod living;
mod losing;
mod simulation;

use std::time::Duration;

use countersign_dialect::{ExtraParts, GrantedTokens, LostRefresh, RefusedBy, Secret};
use countersign_domain::{Refusal, Timestamp};

use super::{ClientSession, NextStep, RenewalKind, SessionTerms};
use crate::{RequestDelivery, SessionRecord, TokenSet};

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn terms() -> SessionTerms {
    SessionTerms {
        refreshes: true,
        presents_access: false,
        lost_refresh: LostRefresh::Retry,
        sliding: None,
        budget: None,
        jitter: 0.5,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A reply of a vendor whose clock is ours: tokens named `name`, the access token
/// for 3 minutes and the refresh token for 6 hours.
fn pair(name: &str, now: Timestamp) -> GrantedTokens {
    GrantedTokens {
        access_token: format!("access {name}").into(),
        refresh_token: Some(format!("refresh {name}").into()),
        access_expires_at: now + secs(180),
        refresh_expires_at: Some(now + secs(6 * 3600)),
        access_life: None,
        refresh_life: None,
        now: Some(now),
        date: None,
        iat: None,
        exp: None,
        client_id: Some(7),
        login: Some("partner".to_owned()),
        extra: ExtraParts::new(),
    }
}

fn no(refusal: Refusal) -> RefusedBy {
    RefusedBy {
        refusal,
        status: refusal.default_status(),
        retry_after: None,
        code: None,
        detail: Some("no".to_owned()),
        pointer: None,
    }
}

fn refused_for(refusal: Refusal, retry_after: Duration) -> RefusedBy {
    RefusedBy {
        retry_after: Some(retry_after),
        ..no(refusal)
    }
}

/// A session and its clock.
struct Story {
    session: ClientSession,
    now: Timestamp,
}

impl Story {
    fn begin(terms: SessionTerms) -> Self {
        Self::from(terms, SessionRecord::default())
    }

    fn from(terms: SessionTerms, record: SessionRecord) -> Self {
        Self {
            session: ClientSession::new(terms, record),
            now: START,
        }
    }

    /// Logged in at the start.
    fn logged_in(terms: SessionTerms) -> Self {
        let mut story = Self::begin(terms);
        story.ask(RenewalKind::Login);
        story.answer("one");
        story
    }

    /// The process was killed, and another begins with what was kept.
    fn restarted(self) -> Self {
        Self {
            session: ClientSession::new(self.session.terms.clone(), self.session.draft()),
            now: self.now,
        }
    }

    fn later(&mut self, span: Duration) -> &mut Self {
        self.now = self.now + span;
        self
    }

    fn next(&self) -> NextStep {
        self.session.next(self.now)
    }

    /// The machine says so, and the request is sent.
    fn ask(&mut self, ask: RenewalKind) -> &mut Self {
        assert!(
            matches!(self.next(), NextStep::Request { kind: asked, .. } if asked == ask),
            "{:?} instead of {ask:?}",
            self.next()
        );
        self.session.begin_request(ask, self.now);
        self.written()
    }

    /// What the machine holds is durable.
    fn written(&mut self) -> &mut Self {
        self.session.adopt(self.session.draft());
        self
    }

    fn answer(&mut self, name: &str) {
        self.session.received(pair(name, self.now), self.now);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.session.refused(&no(refusal), self.now);
    }

    fn lose(&mut self) {
        self.session
            .lost(RequestDelivery::MaybeSent, "no answer", self.now);
    }

    /// Time passes until the token at hand is to be renewed.
    fn until_due(&mut self) -> &mut Self {
        if let NextStep::Use { renew_at, .. } = self.next() {
            self.now = renew_at;
        }
        self
    }

    /// Time passes until the pause is over.
    fn until_allowed(&mut self) -> &mut Self {
        match self.next() {
            NextStep::Wait { until, .. } => self.now = until,
            NextStep::Ended { again_at, .. } => self.now = again_at,
            NextStep::Use { .. } | NextStep::Request { .. } => (),
        }
        self
    }

    fn tokens(&self) -> &TokenSet {
        self.session.record().tokens.as_ref().unwrap()
    }

    fn uses(&self, name: &str) -> bool {
        let token = Secret::from(format!("access {name}"));
        matches!(self.next(), NextStep::Use { .. }) && self.tokens().access_token == token
    }

    /// How long the machine waits, if it does.
    fn pause(&self) -> Option<Duration> {
        match self.next() {
            NextStep::Wait { until, .. } => Some(until.since(self.now)),
            NextStep::Ended { again_at, .. } => Some(again_at.since(self.now)),
            NextStep::Use { .. } | NextStep::Request { .. } => None,
        }
    }

    fn may_use_meanwhile(&self) -> bool {
        match self.next() {
            NextStep::Use { .. } => true,
            NextStep::Request { meanwhile, .. } | NextStep::Wait { meanwhile, .. } => {
                meanwhile.is_some()
            }
            NextStep::Ended { .. } => false,
        }
    }
}
