//! Random histories: the store against the rotation protocol on plain values.

use std::collections::BTreeMap;

use countersign_domain::session::{self, End, OwnerStanding, SessionChange};
use countersign_domain::{Epoch, LogoutScope, Reason};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::super::AccountUpdate;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Login {
        revokes: bool,
    },
    /// The refresh token `back` generations before the row's; negative: ahead.
    Refresh {
        session: usize,
        back: i8,
        seed: bool,
        address: bool,
    },
    Logout {
        session: usize,
        account: bool,
    },
    End {
        session: usize,
    },
    Active(bool),
    CredentialActive(bool),
    Advance(u32),
    Used {
        session: usize,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let session = 0..6_usize;
    let flag = || proptest::bool::weighted(0.9);
    let step = prop_oneof![
        4 => proptest::bool::weighted(0.1).prop_map(|revokes| Step::Login { revokes }),
        16 => (session.clone(), -1..4_i8, flag(), flag()).prop_map(
            |(session, back, seed, address)| Step::Refresh { session, back, seed, address }
        ),
        1 => (session.clone(), proptest::bool::ANY)
            .prop_map(|(session, account)| Step::Logout { session, account }),
        1 => session.clone().prop_map(|session| Step::End { session }),
        1 => flag().prop_map(Step::Active),
        1 => flag().prop_map(Step::CredentialActive),
        4 => prop_oneof![Just(1), Just(59), Just(61), Just(900), Just(80_000)]
            .prop_map(Step::Advance),
        2 => session.prop_map(|session| Step::Used { session }),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..40)
}

/// What the store should hold, by the domain alone.
struct Model {
    account: Account,
    credential: Credential,
    sessions: BTreeMap<SessionId, Session>,
    order: Vec<SessionId>,
    audits: usize,
    revocations: usize,
}

impl Model {
    fn pick(&self, index: usize) -> Option<Session> {
        let id = self.order.get(index % self.order.len().max(1))?;
        self.sessions.get(id).cloned()
    }

    fn end_all(&mut self, how: End, now: Timestamp) {
        self.account.epoch = Epoch(self.account.epoch.0 + 1);
        self.revocations += 1;
        for session in self
            .sessions
            .values_mut()
            .filter(|session| is_live(session))
        {
            *session = session::end(session, how, now);
        }
    }

    fn has_live(&self) -> bool {
        self.sessions.values().any(is_live)
    }

    fn end(&mut self, session: &Session, how: End, now: Timestamp) {
        self.revocations += 1;
        self.sessions
            .insert(session.id, session::end(session, how, now));
    }

    fn standing(&self, address: IpAddr) -> OwnerStanding<'_> {
        OwnerStanding {
            account: &self.account,
            credential: Some(&self.credential),
            address,
        }
    }
}

fn is_live(session: &Session) -> bool {
    session.state == session::SessionState::Active
}

struct Run {
    place: Place,
    store: Option<Store>,
    model: Model,
}

impl Run {
    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    async fn start() -> Self {
        let place = Place::new();
        let store = place.open();
        let new = NewAccount {
            allow: Allowlist::parse(&["192.0.2.0/24"]).unwrap(),
            ..partner("p")
        };
        let (account, credential) = store.create_account(new, operator()).await.unwrap();
        let model = Model {
            account,
            credential,
            sessions: BTreeMap::new(),
            order: Vec::new(),
            audits: 1,
            revocations: 0,
        };
        Self {
            place,
            store: Some(store),
            model,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Login { revokes } => self.login(revokes).await,
            Step::Refresh {
                session,
                back,
                seed,
                address,
            } => {
                self.refresh(session, back, seed, address).await;
            }
            Step::Logout { session, account } => self.logout(session, account).await,
            Step::End { session } => self.end(session).await,
            Step::Active(active) => self.set_active(active).await,
            Step::CredentialActive(active) => self.set_credential_active(active).await,
            Step::Advance(seconds) => self.place.clock.advance(SECOND * seconds),
            Step::Used { session } => self.mark_used(session).await,
            Step::Restart => {
                self.store.take().unwrap().close().await;
                self.store = Some(self.place.open());
            }
        }
    }

    async fn login(&mut self, revokes: bool) {
        let (opening, now) = (opening(), self.store().now());
        let mode = if revokes {
            NewLogin::Revokes
        } else {
            NewLogin::Keeps
        };
        let credential = self.model.credential.id;
        let answer = self
            .store()
            .open_session(opening.clone(), credential, terms(), mode)
            .await;
        if !(self.model.account.active && self.model.credential.active) {
            assert!(answer.is_err());
            return;
        }
        if revokes && self.model.has_live() {
            self.model.end_all(End::NewLogin, now);
        }
        let (account, credential) = (&self.model.account, &self.model.credential);
        let session = session::open(opening, account, credential, &terms().terms(), now);
        assert_eq!(answer, Ok(session.clone()));
        self.model.audits += 1;
        self.model.order.push(session.id);
        self.model.sessions.insert(session.id, session);
    }

    async fn refresh(&mut self, index: usize, back: i8, seed: bool, home_address: bool) {
        let Some(session) = self.model.pick(index) else {
            return;
        };
        let now = self.store().now();
        let address = if home_address {
            home()
        } else {
            "203.0.113.1".parse().unwrap()
        };
        let mut claims = refresh_token(&session);
        claims.generation = session.generation.saturating_add_signed(-i32::from(back));
        if !seed {
            claims.seed_hash.0[31] ^= 1;
        }
        let answer = self
            .store()
            .refresh(claims, address, terms())
            .await
            .unwrap()
            .decision;
        let standing = self.model.standing(address);
        let expected = session::refresh(Some((&session, standing)), &claims, &terms().terms(), now);
        assert_eq!(answer, expected);
        match expected.change {
            SessionChange::None => {}
            SessionChange::Ended(how) => {
                self.model.audits += 1;
                self.model.end(&session, how, now);
            }
            _ => {
                self.model
                    .sessions
                    .insert(session.id, expected.session.unwrap());
            }
        }
    }

    async fn logout(&mut self, index: usize, account: bool) {
        let Some(session) = self.model.pick(index) else {
            return;
        };
        let now = self.store().now();
        let claims = access_token(&session);
        let scope = if account {
            LogoutScope::Account
        } else {
            LogoutScope::Session
        };
        let answer = self.store().logout(claims, home(), scope).await.unwrap();
        let standing = self.model.standing(home());
        let expected = session::logout(Some((&session, standing)), &claims, now);
        assert_eq!(answer, expected);
        if expected.is_err() {
            return;
        }
        self.model.audits += 1;
        if account {
            self.model.end_all(End::Logout, now);
        } else {
            self.model.end(&session, End::Logout, now);
        }
    }

    async fn end(&mut self, index: usize) {
        let Some(session) = self.model.pick(index) else {
            return;
        };
        let now = self.store().now();
        self.store()
            .end_session(session.id, operator())
            .await
            .unwrap();
        if is_live(&session) {
            self.model.audits += 1;
            self.model.end(&session, End::Operator, now);
        }
    }

    async fn set_active(&mut self, active: bool) {
        let now = self.store().now();
        let update = AccountUpdate {
            active: Some(active),
            ..AccountUpdate::default()
        };
        self.store()
            .update_account(self.model.account.id, update, operator())
            .await
            .unwrap();
        if self.model.account.active == active {
            return;
        }
        self.model.account.active = active;
        self.model.audits += 1;
        if !active {
            self.model.end_all(End::AccountDisabled, now);
        }
    }

    async fn set_credential_active(&mut self, active: bool) {
        let now = self.store().now();
        let id = self.model.credential.id;
        self.store()
            .set_credential_active(id, active, operator())
            .await
            .unwrap();
        if self.model.credential.active == active {
            return;
        }
        self.model.credential.active = active;
        self.model.audits += 1;
        let live: Vec<_> = self
            .model
            .sessions
            .values()
            .filter(|s| is_live(s))
            .cloned()
            .collect();
        for session in live.iter().filter(|_| !active) {
            self.model.end(session, End::CredentialRevoked, now);
        }
    }

    async fn mark_used(&mut self, index: usize) {
        let Some(session) = self.model.pick(index) else {
            return;
        };
        self.store().mark_used(session.id, session.generation);
        super::rotation::flush(&self.store()).await;
        if is_live(&session) {
            self.model.sessions.insert(
                session.id,
                Session {
                    used: true,
                    ..session
                },
            );
        }
    }

    async fn compare(&self) {
        let store = self.store();
        let account = self.model.account.id;
        assert_eq!(
            store.account(account).await,
            Ok(Some(self.model.account.clone()))
        );
        let stored = store.sessions(account, None, 1_000).await.unwrap();
        let stored: BTreeMap<_, _> = stored.into_iter().map(|s| (s.id, s)).collect();
        assert_eq!(stored, self.model.sessions);
        assert_eq!(audit(&store).await.len(), self.model.audits);
        let numbers: Vec<i64> = (1..).take(self.model.revocations).collect();
        assert_eq!(log_numbers(&store).await, numbers);
        assert_eq!(self.place.revoked().len(), self.model.revocations);
        for dead in stored.values().filter(|session| !is_live(session)) {
            let refused = refresh(&store, refresh_token(dead)).await.decision.outcome;
            assert_eq!(refused, Err(Reason::SessionRevoked));
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_history_ends_as_the_protocol_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::start().await;
            for step in steps {
                run.step(step).await;
            }
            run.compare().await;
        });
    }
}
