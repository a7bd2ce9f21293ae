use proptest::prelude::*;

use super::*;
use crate::account::Allowlist;
use crate::account::StoredSecret;
use crate::limits::AccountLimits;
use crate::scopes::Scopes;

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = DEFAULT_WINDOW;

/// A change to a story and to the claims that it is about to meet.
type Spoil<Claims> = fn(&mut Story, &mut Claims);

/// An api, a partner and a session of his, at a time that the test moves.
#[derive(Clone)]
struct Story {
    account: Account,
    credential: Option<Credential>,
    session: Session,
    lifetimes: SessionLifetimes,
    mode: RefreshMode,
    active_kid: Kid,
    live_kids: Vec<Kid>,
    now: Timestamp,
    address: IpAddr,
}

impl Story {
    fn begin() -> Self {
        Self::with(RefreshMode::Rotate)
    }

    fn with(mode: RefreshMode) -> Self {
        let now = Timestamp::from_micros(1_718_214_464_405_243);
        let account = Account {
            id: AccountId::new(34).unwrap(),
            api: "pay".parse().unwrap(),
            name: "partner".to_owned(),
            active: true,
            epoch: Epoch(5),
            allow: Allowlist::parse(&["192.0.2.0/24"]).unwrap(),
            limits: AccountLimits::default(),
            created_at: now,
        };
        let credential = Credential {
            id: CredentialId(1),
            account: account.id,
            login: "partner".to_owned(),
            secret: StoredSecret::Key([0; 32]),
            scopes: Scopes::default(),
            active: true,
            created_at: now,
        };
        let lifetimes = SessionLifetimes {
            access: 180 * SECOND,
            refresh: 21_600 * SECOND,
            absolute: 2_592_000 * SECOND,
            window: WINDOW,
        };
        let kid = Kid("a".to_owned());
        let terms = OpeningTerms {
            lifetimes,
            mode,
            active_kid: &kid,
            live_kids: &[],
        };
        let opening = SessionOpening {
            id: SessionId([1; 16]),
            seed_hash: SeedHash([2; 32]),
            variant: "v2".to_owned(),
            address: "192.0.2.1".parse().unwrap(),
            user_agent: String::new(),
        };
        let session = open(opening, &account, &credential, &terms, now);
        Self {
            account,
            credential: Some(credential),
            session,
            lifetimes,
            mode,
            active_kid: kid.clone(),
            live_kids: vec![kid],
            now,
            address: "192.0.2.1".parse().unwrap(),
        }
    }

    /// The refresh token that the session's current generation was given.
    fn token(&self) -> RefreshClaims {
        RefreshClaims {
            session: self.session.id,
            generation: self.session.generation,
            account: self.account.id,
            epoch: self.session.epoch,
            seed_hash: self.session.seed_hash,
            expires_at: self.session.refresh_expires_at.floor_to_second(),
        }
    }

    fn access(&self) -> AccessClaims {
        AccessClaims {
            session: self.session.id,
            generation: self.session.generation,
            account: self.account.id,
            credential: self.session.credential,
            epoch: self.session.epoch,
            expires_at: self.session.access_expires_at.floor_to_second(),
        }
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now = self.now + by;
        self
    }

    fn decide(&self, claims: &RefreshClaims) -> SessionDecision {
        let standing = OwnerStanding {
            account: &self.account,
            credential: self.credential.as_ref(),
            address: self.address,
        };
        let terms = OpeningTerms {
            lifetimes: self.lifetimes,
            mode: self.mode,
            active_kid: &self.active_kid,
            live_kids: &self.live_kids,
        };
        refresh(Some((&self.session, standing)), claims, &terms, self.now)
    }

    /// Decides and stores, as the store does.
    fn refresh(&mut self, claims: &RefreshClaims) -> SessionDecision {
        let decision = self.decide(claims);
        self.session = decision.session.clone().unwrap();
        decision
    }

    fn rotate_key(&mut self, kid: &str) {
        self.active_kid = Kid(kid.to_owned());
        self.live_kids.push(self.active_kid.clone());
    }
}

/// What a client holds after an answer: all that its tokens are made from.
fn successor(session: &Session) -> (u32, Timestamp, Timestamp, Timestamp, Kid) {
    (
        session.generation,
        session.rotated_at,
        session.access_expires_at,
        session.refresh_expires_at,
        session.kid.clone(),
    )
}

#[test]
fn a_refresh_gives_the_next_generation_with_new_lifetimes() {
    let mut story = Story::begin();
    let token = story.token();
    story.later(100 * SECOND).rotate_key("b");
    let decision = story.refresh(&token);
    assert_eq!(
        (decision.change, decision.outcome),
        (SessionChange::Rotated, Ok(()))
    );
    assert_eq!(story.session.generation, 1);
    assert_eq!(story.session.rotated_at, story.now);
    assert_eq!(story.session.access_expires_at, story.now + 180 * SECOND);
    assert_eq!(
        story.session.refresh_expires_at,
        story.now + 21_600 * SECOND
    );
    assert_eq!(story.session.kid.0, "b");
    assert_eq!(story.session.previous_kid, Some(Kid("a".to_owned())));
}

#[test]
fn a_lost_reply_is_given_again_byte_for_byte() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    let answered = successor(&story.session);

    story.rotate_key("b");
    story.lifetimes.refresh = SECOND;
    story.lifetimes.access = SECOND;
    let again = story.later(59 * SECOND).refresh(&token);
    assert_eq!(
        (again.change, again.outcome),
        (SessionChange::Replayed, Ok(()))
    );
    assert_eq!(
        successor(&story.session),
        answered,
        "neither keys nor lifetimes change it"
    );
    assert_eq!(story.session.replays, 1);
}

#[test]
fn a_job_that_retries_after_the_window_is_honest_while_its_successor_was_never_used() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    story.later(170 * SECOND);
    assert_eq!(story.refresh(&token).change, SessionChange::Replayed);
}

#[test]
fn a_used_successor_makes_a_late_retry_a_theft() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    story.session.used = true;
    story.later(WINDOW);
    assert_eq!(
        story.decide(&token).change,
        SessionChange::Replayed,
        "the window's last microsecond"
    );
    let decision = story.later(Duration::from_micros(1)).refresh(&token);
    assert_eq!(decision.change, SessionChange::Ended(End::Reuse));
    assert_eq!(decision.outcome, Err(Reason::Reuse));
}

#[test]
fn a_rotation_forgets_that_its_predecessor_was_used() {
    let mut story = Story::begin();
    let first = story.token();
    story.refresh(&first);
    story.session.used = true;
    let second = story.token();
    story.refresh(&second);
    story.later(2 * WINDOW);
    assert_eq!(story.decide(&second).change, SessionChange::Replayed);
}

#[test]
fn an_unused_successor_whose_access_token_ran_out_makes_a_late_retry_a_theft() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    story.now = story.session.access_expires_at.floor_to_second();
    assert_eq!(
        story.refresh(&token).change,
        SessionChange::Ended(End::Reuse)
    );
}

#[test]
fn a_replay_whose_access_token_ran_out_gets_a_new_one_of_the_same_generation() {
    let mut story = Story::begin();
    story.lifetimes.access = 5 * SECOND;
    let token = story.token();
    story.refresh(&token);
    let (refresh_expires_at, generation) = (story.session.refresh_expires_at, 1);
    story.later(30 * SECOND).refresh(&token);
    assert_eq!(story.session.generation, generation);
    assert_eq!(story.session.access_expires_at, story.now + 5 * SECOND);
    assert_eq!(story.session.refresh_expires_at, refresh_expires_at);
}

#[test]
fn the_generation_before_the_last_is_a_theft_within_the_window_too() {
    let mut story = Story::begin();
    let first = story.token();
    story.refresh(&first);
    let second = story.token();
    story.refresh(&second);
    assert_eq!(
        story.refresh(&first).change,
        SessionChange::Ended(End::Reuse)
    );
}

#[test]
fn the_sixty_fifth_replay_is_throttled_and_the_session_lives() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    for _ in 0..MAX_REPLAYS {
        assert_eq!(story.refresh(&token).outcome, Ok(()));
    }
    let decision = story.refresh(&token);
    assert_eq!(
        (decision.change, decision.outcome),
        (SessionChange::None, Err(Reason::ReplayLimit))
    );
    let current = story.token();
    assert_eq!(story.refresh(&current).change, SessionChange::Rotated);
    assert_eq!(story.session.replays, 0);
}

#[test]
fn a_token_from_the_future_means_a_restored_backup() {
    let mut story = Story::begin();
    let token = RefreshClaims {
        generation: 1,
        ..story.token()
    };
    let decision = story.refresh(&token);
    assert_eq!(decision.change, SessionChange::Ended(End::StateRegression));
    assert_eq!(decision.outcome, Err(Reason::StateRegression));
}

#[test]
fn nothing_of_an_ended_session_succeeds_again() {
    let mut story = Story::begin();
    let (first, access) = (story.token(), story.access());
    story.refresh(&first);
    let second = story.token();
    story.refresh(&second);
    story.refresh(&first);
    for token in [first, second, story.token()] {
        let decision = story.refresh(&token);
        assert_eq!(
            (decision.change, decision.outcome),
            (SessionChange::None, Err(Reason::SessionRevoked))
        );
    }
    let standing = OwnerStanding {
        account: &story.account,
        credential: story.credential.as_ref(),
        address: story.address,
    };
    let logout = logout(Some((&story.session, standing)), &access, story.now);
    assert_eq!(logout, Err(Reason::SessionRevoked));
}

#[test]
fn a_session_that_nobody_stored_is_refused() {
    let story = Story::begin();
    let kid = Kid("a".to_owned());
    let terms = OpeningTerms {
        lifetimes: story.lifetimes,
        mode: story.mode,
        active_kid: &kid,
        live_kids: &[],
    };
    let decision = refresh(None, &story.token(), &terms, story.now);
    assert_eq!(decision.outcome, Err(Reason::SessionUnknown));
}

#[test]
fn expiry_is_exact() {
    let mut story = Story::begin();
    let token = story.token();
    story.now = token.expires_at - Duration::from_micros(1);
    assert_eq!(story.decide(&token).outcome, Ok(()));
    story.now = token.expires_at;
    assert_eq!(story.decide(&token).outcome, Err(Reason::TokenExpired));
    story.now = story.session.refresh_expires_at;
    assert_eq!(story.decide(&token).outcome, Err(Reason::SessionExpired));
}

#[test]
fn rotation_never_moves_the_absolute_end() {
    let mut story = Story::begin();
    let end = story.session.absolute_expires_at;
    story.lifetimes.refresh = 3_000_000 * SECOND;
    story.lifetimes.access = 3_000_000 * SECOND;
    let token = story.token();
    story.refresh(&token);
    assert_eq!(story.session.refresh_expires_at, end);
    assert_eq!(story.session.access_expires_at, end);
    assert_eq!(story.session.absolute_expires_at, end);
}

#[test]
fn a_replay_that_a_killed_key_would_have_to_sign_is_refused_and_changes_nothing() {
    let mut story = Story::begin();
    let token = story.token();
    story.rotate_key("b");
    story.refresh(&token);
    story.live_kids.retain(|kid| kid.0 != "b");
    let decision = story.decide(&token);
    assert_eq!(
        (decision.change, decision.outcome),
        (SessionChange::None, Err(Reason::KeyRetired))
    );
}

#[test]
fn a_refresh_token_that_stays_gives_new_access_tokens_and_no_generation() {
    let mut story = Story::with(RefreshMode::Keep);
    let token = story.token();
    let (refresh_expires_at, generation) = (story.session.refresh_expires_at, 0);
    for _ in 0..3 {
        let decision = story.later(100 * SECOND).refresh(&token);
        assert_eq!(
            (decision.change, decision.outcome),
            (SessionChange::Renewed, Ok(()))
        );
        assert_eq!(story.session.access_expires_at, story.now + 180 * SECOND);
    }
    assert_eq!(story.session.refresh_expires_at, refresh_expires_at);
    assert_eq!(story.session.generation, generation);

    story.rotate_key("b");
    story.refresh(&token);
    assert_eq!(story.session.kid.0, "b", "a retiring key signs nothing new");
    assert_eq!(story.session.previous_kid, Some(Kid("a".to_owned())));
}

#[test]
fn a_session_without_refresh_is_as_long_as_its_access_token() {
    let story = Story::with(RefreshMode::None);
    assert_eq!(
        story.session.refresh_expires_at,
        story.session.access_expires_at
    );
}

#[test]
fn what_is_refused_before_the_generation_is_looked_at_changes_nothing() {
    let mut story = Story::begin();
    let token = story.token();
    story.refresh(&token);
    // A stale generation that would end the session if it got that far.
    let next = story.token();
    story.refresh(&next);
    let cases: [(Reason, Spoil<RefreshClaims>); 8] = [
        (Reason::SeedMismatch, |_, claims| {
            claims.seed_hash = SeedHash([9; 32]);
        }),
        (Reason::TokenForged, |_, claims| {
            claims.account = AccountId::new(35).unwrap();
        }),
        (Reason::TokenExpired, |story, claims| {
            claims.expires_at = story.now;
        }),
        (Reason::EpochPassed, |story, _| {
            story.account.epoch = Epoch(6);
        }),
        (Reason::AccountDisabled, |story, _| {
            story.account.active = false;
        }),
        (Reason::CredentialRevoked, |story, _| {
            story.credential = None;
        }),
        (Reason::AddressDenied, |story, _| {
            story.address = "198.51.100.1".parse().unwrap();
        }),
        (Reason::SessionExpired, |story, _| {
            story.now = story.session.refresh_expires_at;
        }),
    ];
    for (reason, spoil) in cases {
        let (mut story, mut claims) = (story.clone(), token);
        spoil(&mut story, &mut claims);
        let before = story.session.clone();
        let decision = story.refresh(&claims);
        assert_eq!(
            (decision.change, decision.outcome),
            (SessionChange::None, Err(reason))
        );
        assert_eq!(story.session, before, "{reason}");
    }
}

#[test]
fn a_logout_asks_what_a_refresh_asks() {
    let story = Story::begin();
    let cases: [(Result<(), Reason>, Spoil<AccessClaims>); 9] = [
        (Ok(()), |_, claims| claims.generation = 0),
        (Err(Reason::TokenExpired), |story, claims| {
            claims.expires_at = story.now;
        }),
        (Err(Reason::TokenForged), |_, claims| {
            claims.account = AccountId::new(35).unwrap();
        }),
        (Err(Reason::EpochPassed), |story, _| {
            story.account.epoch = Epoch(6);
        }),
        (Err(Reason::CredentialRevoked), |story, _| {
            story.credential = None;
        }),
        (Err(Reason::TokenForged), |story, _| {
            story.account.id = AccountId::new(35).unwrap();
        }),
        (Err(Reason::SessionExpired), |story, claims| {
            story.now = story.session.refresh_expires_at;
            claims.expires_at = story.now + SECOND;
        }),
        (Err(Reason::AccountDisabled), |story, _| {
            story.account.active = false;
        }),
        (Err(Reason::AddressDenied), |story, _| {
            story.address = "198.51.100.1".parse().unwrap();
        }),
    ];
    for (expected, change) in cases {
        let (mut story, mut claims) = (story.clone(), story.access());
        change(&mut story, &mut claims);
        let standing = OwnerStanding {
            account: &story.account,
            credential: story.credential.as_ref(),
            address: story.address,
        };
        assert_eq!(
            logout(Some((&story.session, standing)), &claims, story.now),
            expected
        );
    }
    assert_eq!(
        logout(None, &story.access(), story.now),
        Err(Reason::SessionUnknown)
    );
}

#[test]
fn ids_and_ends_are_read_as_they_are_written() {
    let id = SessionId([0x0f; 16]);
    assert_eq!(id.to_string(), "0f".repeat(16));
    assert_eq!(SessionId::from_hex(&id.to_string()), Some(id));
    for odd in [
        "",
        "0f",
        &"0F".repeat(16),
        &"+f".repeat(16),
        &"0f".repeat(17),
    ] {
        assert_eq!(SessionId::from_hex(odd), None, "{odd:?}");
    }
    for end in End::ALL {
        assert_eq!(End::from_code(end.code()), Some(end));
    }
}

#[test]
fn the_row_of_a_session_stays_until_its_last_token_has_run_out() {
    let mut session = Story::begin().session;
    assert_eq!(session.last_expiry(), session.refresh_expires_at);
    session.access_expires_at = session.refresh_expires_at + SECOND;
    assert_eq!(session.last_expiry(), session.access_expires_at);
}

#[test]
fn an_ended_session_says_how_and_when_and_keeps_the_rest() {
    let session = Story::begin().session;
    let at = session.started_at + SECOND;
    let ended = end(&session, End::Operator, at);
    let state = SessionState::Ended {
        end: End::Operator,
        at,
    };
    assert_eq!(ended, Session { state, ..session });
}

#[test]
fn the_hash_of_a_seed_does_not_print() {
    assert_eq!(format!("{:?}", SeedHash([0xab; 32])), "SeedHash(..)");
    assert_eq!(format!("{:?}", SessionId([0xab; 16])), "ab".repeat(16));
}

/// What happens to a session in a random history.
#[derive(Clone, Debug)]
enum Event {
    /// Somebody presents the token that answer number `n`, counted back from
    /// the last, gave.
    Present {
        back: usize,
    },
    Wait {
        micros: u64,
    },
    UseAccess,
    RotateKey,
    Lifetimes {
        access: u64,
        refresh: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0usize..4).prop_map(|back| Event::Present { back }),
        3 => (0u64..100_000_000).prop_map(|micros| Event::Wait { micros }),
        1 => Just(Event::UseAccess),
        1 => Just(Event::RotateKey),
        1 => (1u64..400, 400u64..40_000)
            .prop_map(|(access, refresh)| Event::Lifetimes { access, refresh }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over any history of retries, thefts, pauses, key rotations and changed
    /// lifetimes: a generation never goes back, one generation is accepted at a
    /// time, every answer to one token carries the same successor, and after
    /// the end nothing succeeds.
    #[test]
    fn the_invariants_hold_over_any_history(events in prop::collection::vec(event(), 1..60)) {
        let mut story = Story::begin();
        let mut tokens = vec![story.token()];
        let mut answers: std::collections::HashMap<u32, (Timestamp, Timestamp, Kid)> =
            std::collections::HashMap::new();
        let mut keys = 0;
        for event in events {
            match event {
                Event::Wait { micros } => {
                    story.later(Duration::from_micros(micros));
                }
                Event::UseAccess => story.session.used = true,
                Event::RotateKey => {
                    keys += 1;
                    story.rotate_key(&format!("k{keys}"));
                }
                Event::Lifetimes { access, refresh } => {
                    story.lifetimes.access = Duration::from_secs(access);
                    story.lifetimes.refresh = Duration::from_secs(refresh);
                }
                Event::Present { back } => {
                    let token = tokens[tokens.len().saturating_sub(1 + back)];
                    let before = story.session.clone();
                    let decision = story.refresh(&token);
                    let after = &story.session;
                    prop_assert!(after.generation >= before.generation);
                    prop_assert_eq!(after.absolute_expires_at, before.absolute_expires_at);
                    prop_assert!(after.access_expires_at <= after.absolute_expires_at);
                    prop_assert!(after.refresh_expires_at <= after.absolute_expires_at);
                    if before.state != SessionState::Active {
                        prop_assert_eq!(decision.outcome, Err(Reason::SessionRevoked));
                        prop_assert_eq!(after, &before);
                    }
                    if decision.change == SessionChange::None {
                        prop_assert_eq!(after, &before);
                    }
                    if decision.outcome.is_ok() {
                        prop_assert_eq!(after.generation, token.generation + 1);
                        let answer =
                            (after.rotated_at, after.refresh_expires_at, after.kid.clone());
                        let first = answers.entry(token.generation).or_insert(answer.clone());
                        prop_assert_eq!(&*first, &answer, "the same successor every time");
                        if decision.change == SessionChange::Rotated {
                            tokens.push(story.token());
                        }
                    }
                }
            }
        }
    }

    /// Whatever the client's last stored pair is, it gets on: the newest token
    /// rotates, and the one before it gives the newest, as after a crash that
    /// lost the reply.
    #[test]
    fn a_client_that_kept_its_last_reply_is_never_refused(
        pauses in prop::collection::vec((0u64..179, any::<bool>()), 1..40),
    ) {
        let mut story = Story::begin();
        for (pause, reply_lost) in pauses {
            let held = story.token();
            story.later(Duration::from_secs(pause));
            prop_assert_eq!(story.refresh(&held).outcome, Ok(()));
            if reply_lost {
                let answered = successor(&story.session);
                story.later(Duration::from_secs(45));
                prop_assert_eq!(story.refresh(&held).outcome, Ok(()));
                prop_assert_eq!(successor(&story.session), answered);
            }
            story.session.used = true;
        }
    }
}
