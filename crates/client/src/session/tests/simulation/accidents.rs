//! Lives with accidents, drawn at random: lost and refused requests, crashes at
//! each point, clocks that jump.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{RenewalFailure, RequestAttempt};
use countersign_domain::TokenOperation;

/// What becomes of one request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    /// There is no connection.
    NotSent,
    /// The answer is lost; it was acted upon.
    AnswerLost,
    /// The answer cannot be read; it was acted upon.
    Garbled,
    /// Refused without being acted upon.
    Refused(Refusal),
    /// The process is killed once the request is written down, before it is sent.
    KilledBefore,
    /// It is killed once the vendor acted.
    KilledAfter,
}

const FATES: [Fate; 12] = [
    Fate::Answered,
    Fate::NotSent,
    Fate::AnswerLost,
    Fate::Garbled,
    Fate::Refused(Refusal::Throttled),
    Fate::Refused(Refusal::Unavailable),
    Fate::Refused(Refusal::Internal),
    Fate::Refused(Refusal::BadLogin),
    Fate::Refused(Refusal::BadRefresh),
    Fate::Refused(Refusal::AddressDenied),
    Fate::KilledBefore,
    Fate::KilledAfter,
];

/// One turn: what becomes of the request, how long it takes, and how long the
/// process is down if it is killed.
#[derive(Clone, Copy, Debug)]
struct Turn {
    fate: Fate,
    takes: Duration,
    down: Duration,
    /// By how much the clock jumps after it, if clocks do.
    jump: i64,
}

impl Turn {
    const ANSWERED: Self = Self {
        fate: Fate::Answered,
        takes: Duration::from_millis(100),
        down: Duration::ZERO,
        jump: 0,
    };
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let jumps = select(vec![
        0i64, 0, 0, 1, -1, 30, -30, 3600, -3600, 1_000_000, -1_000_000,
    ]);
    let turn = (
        select(FATES.to_vec()),
        prop_oneof![0u64..300, 0u64..20_000],
        0u64..200_000,
        jumps,
    );
    let turn = turn.prop_map(|(fate, takes, down, jump)| Turn {
        fate,
        takes: millis(takes),
        down: millis(down),
        jump,
    });
    proptest::collection::vec(turn, 0..40)
}

/// A client and its vendor, in true time. Our clock is true time and what it
/// jumped by.
struct World {
    story: Story,
    vendor: Vendor,
    now: Timestamp,
    jumped: i64,
    /// When requests were sent, in true time.
    sent: Vec<Timestamp>,
}

impl World {
    fn new(story: Story, vendor: Vendor) -> Self {
        Self {
            now: story.now,
            story,
            vendor,
            jumped: 0,
            sent: Vec::new(),
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.set();
    }

    fn set(&mut self) {
        let micros = self.jumped.saturating_mul(1_000_000);
        self.story.now = Timestamp::from_micros(self.now.as_micros().saturating_add(micros));
    }

    /// Until the machine asks; the longest pause is a day.
    fn until_asked(&mut self) -> RenewalKind {
        for _ in 0..3 {
            let until = match self.story.next() {
                NextStep::Request { kind, .. } => return kind,
                NextStep::Use { renew_at, .. } => renew_at,
                NextStep::Wait { until, .. } => until,
                NextStep::Ended { again_at, .. } => again_at,
            };
            self.pass(until.since(self.story.now));
        }
        unreachable!("it never asks: {:?}", self.story.next())
    }

    fn restart(&mut self, written: SessionRecord, down: Duration) {
        let terms = self.story.session.terms.clone();
        self.story = Story::from(terms, written);
        self.pass(down);
    }

    fn turn(&mut self, turn: Turn) {
        let ask = self.until_asked();
        self.story.session.begin_request(ask, self.story.now);
        let written = self.story.session.draft();
        self.sent.push(self.now);
        self.pass(turn.takes / 2);
        match turn.fate {
            Fate::KilledBefore => return self.restart(written, turn.down),
            Fate::KilledAfter => {
                let _ = self.vendor.answer(&self.story, ask, self.now);
                return self.restart(written, turn.down);
            }
            Fate::Answered => {
                let answer = self.vendor.answer(&self.story, ask, self.now);
                self.pass(turn.takes / 2);
                match answer {
                    Ok(granted) => self.story.session.received(granted, self.story.now),
                    Err(by) => self.story.session.refused(&by, self.story.now),
                }
            }
            Fate::NotSent => {
                self.story
                    .session
                    .lost(RequestDelivery::NotSent, "no way", self.story.now);
            }
            Fate::AnswerLost | Fate::Garbled => {
                let _ = self.vendor.answer(&self.story, ask, self.now);
                self.pass(turn.takes / 2);
                if matches!(turn.fate, Fate::Garbled) {
                    self.story
                        .session
                        .garbled(200, "half of it", self.story.now);
                } else {
                    self.story.lose();
                }
            }
            Fate::Refused(refusal) => self.story.refuse(refusal),
        }
        let draft = self.story.session.draft();
        self.story.session.adopt(draft);
    }

    fn jump(&mut self, seconds: i64) {
        self.jumped = self.jumped.saturating_add(seconds);
        self.set();
    }

    /// From now on the vendor answers: how many requests it takes until there is
    /// a token that it accepts, and how long.
    fn recovers(&mut self) -> (usize, Duration) {
        let (sent, since) = (self.sent.len(), self.now);
        for _ in 0..25 * 60 {
            let token = self.at_hand();
            let good = token
                .as_ref()
                .is_some_and(|token| self.vendor.accepts(token, self.now));
            if good {
                return (self.sent.len() - sent, self.now.since(since));
            }
            if let Some(token) = token {
                self.story.session.invalidate(&token, self.story.now);
            }
            match self.story.next() {
                NextStep::Request { .. } => self.turn(Turn::ANSWERED),
                _ => self.pass(secs(60)),
            }
        }
        unreachable!("no token: {:?}", self.story.next())
    }

    /// The token that the machine lets callers use.
    fn at_hand(&self) -> Option<Secret> {
        let tokens = self.story.session.record().tokens.as_ref();
        tokens
            .filter(|_| self.story.may_use_meanwhile())
            .map(|tokens| tokens.access_token.clone())
    }

    /// The most requests that were sent within half a minute.
    fn busiest(&self) -> usize {
        let within = |from: &Timestamp| {
            let end = *from + secs(30);
            self.sent
                .iter()
                .filter(|at| (*from..end).contains(at))
                .count()
        };
        self.sent.iter().map(within).max().unwrap_or(0)
    }
}

fn any_instant() -> impl Strategy<Value = Timestamp> {
    let near = (-100_000i64..100_000).prop_map(|seconds| START.as_seconds() + seconds);
    let near = near.prop_map(Timestamp::from_seconds);
    let any = any::<i64>().prop_map(Timestamp::from_micros);
    prop_oneof![4 => near, 1 => any]
}

/// A record as it may be found: of this machine, of another clock, of a bug.
fn any_record() -> impl Strategy<Value = SessionRecord> {
    let instant = any_instant;
    let tokens = (
        instant(),
        instant(),
        proptest::option::of(instant()),
        any::<bool>(),
    );
    let tokens =
        tokens.prop_map(
            |(asked_at, expires_at, refresh_expires_at, refreshes)| TokenSet {
                access_token: "access 0".into(),
                refresh_token: refreshes.then(|| "refresh 0 1".into()),
                asked_at,
                expires_at,
                refresh_expires_at,
                stated_expires_at: None,
                stated_refresh_expires_at: None,
                logged_in_at: asked_at,
                client_id: None,
                login: None,
                extra: ExtraParts::new(),
            },
        );
    let operations = || select(TokenOperation::ALL.to_vec());
    let attempt = (operations(), instant()).prop_map(|(operation, asked_at)| RequestAttempt {
        operation,
        asked_at,
    });
    let refusal = proptest::option::of(select(Refusal::ALL.to_vec()));
    let failure = (
        operations(),
        refusal,
        instant(),
        0u64..24 * 3600,
        any::<u32>(),
        any::<u32>(),
    );
    let failure =
        failure.prop_map(
            |(operation, refusal, at, pause, times, refused)| RenewalFailure {
                help: None,
                operation,
                refusal,
                status: None,
                detail: String::new(),
                at,
                times,
                refused,
                secrets: refused,
                retry_at: at + secs(pause),
                secret: None,
            },
        );
    let counts = (any::<u64>(), any::<u32>(), any::<u32>());
    let option = (
        proptest::option::of(tokens),
        proptest::option::of(attempt),
        proptest::option::of(failure),
    );
    (counts, option).prop_map(|((serial, spent, rejected), (tokens, attempt, failure))| {
        SessionRecord {
            serial,
            tokens,
            spent,
            rejected,
            attempt,
            failure,
        }
    })
}

proptest! {
    /// However requests end and whenever the process is killed: the vendor never
    /// thinks that a refresh token was stolen, is never hammered, and once it
    /// answers there is a good token.
    #[test]
    fn no_accident_looks_like_theft_or_leaves_the_client_without_a_token(
        turns in turns(), life in select(vec![5u64, 180, 604_800]), tells in select(TELLS.to_vec()),
    ) {
        let vendor = Vendor::new(secs(life), tells);
        let mut world = World::new(Story::begin(terms()), vendor);
        for turn in turns {
            world.turn(turn);
        }
        let (requests, span) = world.recovers();
        prop_assert!(requests <= 2, "{requests}");
        prop_assert!(span <= secs(3700), "{span:?}");
        prop_assert_eq!(world.vendor.thefts, 0);
        prop_assert!(world.busiest() <= 25, "{}", world.busiest());
    }

    /// The same where a refresh presents the access token.
    #[test]
    fn no_accident_leaves_a_client_that_presents_its_access_token_without_one(
        turns in turns(), life in select(vec![5u64, 180, 604_800]), tells in select(TELLS.to_vec()),
    ) {
        let vendor = Vendor { by_access: true, ..Vendor::new(secs(life), tells) };
        let terms = SessionTerms { presents_access: true, ..terms() };
        let mut world = World::new(Story::begin(terms), vendor);
        for turn in turns {
            world.turn(turn);
        }
        let (requests, span) = world.recovers();
        prop_assert!(requests <= 2, "{requests}");
        prop_assert!(span <= secs(3700), "{span:?}");
        prop_assert!(world.busiest() <= 25, "{}", world.busiest());
    }

    /// The same while our clock jumps: a token may be lost by it, and no more.
    #[test]
    fn no_jump_of_the_clock_leaves_the_client_without_a_token(
        turns in turns(), tells in select(TELLS.to_vec()),
    ) {
        let vendor = Vendor::new(secs(180), tells);
        let mut world = World::new(Story::begin(terms()), vendor);
        for turn in turns {
            world.turn(turn);
            world.jump(turn.jump);
        }
        let (requests, span) = world.recovers();
        prop_assert!(requests <= 3, "{requests}");
        prop_assert!(span <= secs(3700), "{span:?}");
    }

    /// Whatever is found in the store.
    #[test]
    fn no_record_keeps_a_client_from_a_token_once_the_vendor_answers(record in any_record()) {
        let vendor = Vendor::new(secs(180), Tells::Date);
        let mut world = World::new(Story::from(terms(), record), vendor);
        let (requests, span) = world.recovers();
        prop_assert!(requests <= 3, "{requests}");
        prop_assert!(span <= secs(25 * 3600), "{span:?}");
    }

    /// A refresh token is never sent more than 45 seconds after the first time.
    #[test]
    fn no_record_makes_a_client_send_an_old_refresh_token(record in any_record()) {
        let story = Story::from(terms(), record);
        let attempt = story.session.record().attempt.clone();
        let age = attempt.filter(|attempt| attempt.operation == TokenOperation::Refresh);
        let age = age.map(|attempt| story.now.since(attempt.asked_at));
        if matches!(story.next(), NextStep::Request { kind: RenewalKind::Refresh, .. }) {
            prop_assert!(age.is_none_or(|age| age <= secs(45)), "{age:?}");
        }
    }
}
