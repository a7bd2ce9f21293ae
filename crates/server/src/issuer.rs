//! The issuer: login, refresh and logout in the spelling of an api's dialect.
//!
//! The flow is always the same: the dialect reads a command, the store loads,
//! decides and commits in one step, the dialect spells the answer. Nothing is
//! answered before it is durable, and an outcome that is not known is a 503
//! that asks for the same request again, never a 401.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{Asked, Command, Found, Grant, Refused, Secret, Unread};
use countersign_domain::account::StoredSecret;
use countersign_domain::session::{Change, End, Opening};
use countersign_domain::{
    Account, AccountId, Credential, LogoutScope, Operation, Reason, Refusal, Session, SessionId,
};
use countersign_token::Seed;
use http::request::Parts;

use crate::api::Api;
use crate::password::{PasswordFault, Passwords};
use crate::random::random;
use crate::store::{SessionError, Store, TermsOwned, Unavailable};

/// Issues for any number of apis. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    store: Store,
    passwords: Passwords,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The peer's address.
    pub address: IpAddr,
}

/// The answer to a request, and what the log may say of it.
#[derive(Debug)]
pub struct Answer {
    /// What the peer gets.
    pub response: http::Response<Bytes>,
    /// What happened.
    pub record: Record,
}

/// What happened to one request, for the log; nothing in it is secret.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was asked for.
    pub operation: Operation,
    /// The dialect's variant, where the request told one.
    pub variant: Option<String>,
    /// Done, or why not.
    pub outcome: Result<(), Reason>,
    /// What the outcome did to the session, where that is worth a word:
    /// `rotated`, `replayed`, `reuse` and so on.
    pub change: Option<&'static str>,
    /// Whose request it was, once that is known.
    pub account: Option<AccountId>,
    /// The login that was used.
    pub login: Option<String>,
    /// The session.
    pub session: Option<SessionId>,
    /// More on a refusal, in words.
    pub detail: String,
}

/// How many bytes of a `User-Agent` are kept.
const MAX_USER_AGENT: usize = 256;

impl Issuer {
    /// An issuer over this store.
    pub fn new(store: Store, passwords: Passwords) -> Self {
        Self { store, passwords }
    }

    /// Answers a request at one of the api's token endpoints.
    pub async fn answer(&self, api: &Api, parts: &Parts, body: &[u8], caller: &Caller) -> Answer {
        let request = Request {
            issuer: self,
            api,
            caller,
            user_agent: user_agent(parts),
        };
        let command = match read(api, parts, body) {
            Ok(command) => command,
            Err(denied) => return denied.answer(api),
        };
        let answered = match command {
            Command::Login {
                asked,
                login,
                secret,
                ..
            } => request.login(&asked, &login, &secret).await,
            Command::Refresh {
                asked,
                refresh_token,
                credential,
                ..
            } => request.refresh(&asked, &refresh_token, credential).await,
            Command::Logout {
                asked,
                access_token,
            } => request.logout(&asked, &access_token).await,
        };
        answered.unwrap_or_else(|denied| denied.answer(api))
    }

    /// Refuses a request whose body could not be had.
    pub fn refuse(&self, api: &Api, operation: Operation, reason: Reason) -> Answer {
        Denied::new(operation, reason).answer(api)
    }
}

/// A login and secret that were checked. Only [`Request::authenticate`] makes
/// it.
struct Authenticated {
    account: Account,
    credential: Credential,
}

/// A request that is being answered.
struct Request<'a> {
    issuer: &'a Issuer,
    api: &'a Api,
    caller: &'a Caller,
    user_agent: String,
}

impl Request<'_> {
    async fn login(&self, asked: &Asked, login: &str, secret: &Secret) -> Result<Answer, Denied> {
        let denied = |reason| Denied::new(asked.operation, reason).asked(self.api, asked);
        let with_login = |reason| denied(reason).login(login);
        let known = self.authenticate(login, secret).await.map_err(with_login)?;
        let of_account = |reason| with_login(reason).account(known.account.id);
        let seed = Seed::new(random().map_err(|_| of_account(Reason::ServerFault))?);
        let opening = Opening {
            id: SessionId(random().map_err(|_| of_account(Reason::ServerFault))?),
            seed_hash: seed.hash(),
            variant: self.api.dialect().variant_name(asked.variant).to_owned(),
            address: self.caller.address,
            user_agent: self.user_agent.clone(),
        };
        let terms = self.terms(asked).map_err(of_account)?;
        let new_login = self.api.dialect().new_login();
        let store = &self.issuer.store;
        let opened = store
            .open_session(opening, known.credential.id, terms, new_login)
            .await;
        let session = opened.map_err(|error| of_account(session_reason(error)))?;
        let granted = Granted {
            asked,
            session: &session,
            seed: &seed,
            login,
            secret: Some(secret),
        };
        self.grant(&granted, "opened")
            .map_err(|reason| of_account(reason).session(session.id))
    }

    async fn refresh(
        &self,
        asked: &Asked,
        token: &Secret,
        credential: Option<(String, Secret)>,
    ) -> Result<Answer, Denied> {
        let denied = |reason| Denied::new(asked.operation, reason).asked(self.api, asked);
        let tokens = self.api.tokens();
        let verified = tokens.verify_refresh(token.expose(), self.issuer.store.now());
        let verified = verified.map_err(denied)?;
        let claims = verified.claims;
        let of_session = |reason| {
            denied(reason)
                .account(claims.account)
                .session(claims.session)
        };
        if let Some((login, secret)) = credential {
            let known = self
                .authenticate(&login, &secret)
                .await
                .map_err(of_session)?;
            if known.account.id != claims.account {
                return Err(of_session(Reason::TokenForged));
            }
        }
        let terms = self.terms(asked).map_err(of_session)?;
        let refreshed = self
            .issuer
            .store
            .refresh(claims, self.caller.address, terms)
            .await;
        let refreshed = refreshed.map_err(|error| of_session(store_reason(error)))?;
        let change = change_name(refreshed.decision.change);
        refreshed
            .decision
            .outcome
            .map_err(|reason| of_session(reason).change(change))?;
        let (Some(session), Some(credential)) =
            (&refreshed.decision.session, &refreshed.credential)
        else {
            return Err(of_session(Reason::ServerFault));
        };
        let login = &credential.login;
        let granted = Granted {
            asked,
            session,
            seed: &verified.seed,
            login,
            secret: None,
        };
        self.grant(&granted, change.unwrap_or("none"))
            .map_err(of_session)
    }

    async fn logout(&self, asked: &Asked, token: &Secret) -> Result<Answer, Denied> {
        let denied = |reason| Denied::new(asked.operation, reason).asked(self.api, asked);
        let now = self.issuer.store.now();
        let claims = *self
            .api
            .tokens()
            .verify_access(token.expose(), now)
            .map_err(denied)?;
        let of_session = |reason| {
            denied(reason)
                .account(claims.account)
                .session(claims.session)
        };
        let scope = self
            .api
            .dialect()
            .logout_scope()
            .unwrap_or(LogoutScope::Session);
        let ended = self
            .issuer
            .store
            .logout(claims, self.caller.address, scope)
            .await;
        ended
            .map_err(|error| of_session(store_reason(error)))?
            .map_err(of_session)?;
        let mut record = of_session(Reason::ServerFault).record;
        record.outcome = Ok(());
        record.change = Some("ended");
        Ok(Answer {
            response: self.api.dialect().done(asked),
            record,
        })
    }

    /// Checks a login and secret. Whatever is wrong, the answer and, where the
    /// api has passwords, the cost are the same (one argon2id).
    async fn authenticate(&self, login: &str, secret: &Secret) -> Result<Authenticated, Reason> {
        let found = self
            .issuer
            .store
            .credential_by_login(self.api.name(), login)
            .await;
        let (known, fault) = match found.map_err(store_reason)? {
            None => (None, Reason::UnknownLogin),
            Some((account, _)) if !account.active => (None, Reason::AccountDisabled),
            Some((_, credential)) if !credential.active => (None, Reason::CredentialRevoked),
            Some((account, credential)) => (
                Some(Authenticated {
                    account,
                    credential,
                }),
                Reason::WrongSecret,
            ),
        };
        let stored = known.as_ref().map(|known| &known.credential.secret);
        if self.secret_matches(secret, stored).await? {
            known.ok_or(fault)
        } else {
            Err(fault)
        }
    }

    async fn secret_matches(
        &self,
        secret: &Secret,
        stored: Option<&StoredSecret>,
    ) -> Result<bool, Reason> {
        let hashed = match stored {
            Some(StoredSecret::Key(hash)) if self.api.pepper.matches(secret.expose(), hash) => {
                return Ok(true);
            }
            Some(StoredSecret::Password(phc)) => Some(phc.clone()),
            Some(StoredSecret::Key(_)) | None => None,
        };
        if hashed.is_none() && !self.api.settings.passwords {
            return Ok(false);
        }
        let verified = self.issuer.passwords.verify(secret.clone(), hashed).await;
        verified.map_err(|fault| match fault {
            PasswordFault::Busy => Reason::HashingBusy,
            PasswordFault::Failed => Reason::ServerFault,
        })
    }

    fn terms(&self, asked: &Asked) -> Result<TermsOwned, Reason> {
        self.api
            .terms(asked.variant, self.issuer.store.now())
            .ok_or(Reason::ServerFault)
    }

    fn grant(&self, granted: &Granted<'_>, change: &'static str) -> Result<Answer, Reason> {
        let Granted {
            asked,
            session,
            seed,
            login,
            secret,
        } = *granted;
        let minted = self.api.tokens().mint(session, seed, login);
        let pair = minted.map_err(|_| Reason::ServerFault)?;
        let response = self.api.dialect().grant(
            asked,
            &Grant {
                login,
                client_id: session.account.number(),
                access_token: pair.access_token.expose(),
                refresh_token: pair.refresh_token.as_ref().map(Secret::expose),
                access_expires_at: session.access_expires_at,
                refresh_expires_at: session.refresh_expires_at,
                now: self.issuer.store.now(),
                secret,
            },
        );
        let record = Record {
            operation: asked.operation,
            variant: Some(session.variant.clone()),
            outcome: Ok(()),
            change: Some(change),
            account: Some(session.account),
            login: Some(login.to_owned()),
            session: Some(session.id),
            detail: String::new(),
        };
        Ok(Answer { response, record })
    }
}

/// A session whose tokens are the answer.
#[derive(Clone, Copy)]
struct Granted<'a> {
    asked: &'a Asked,
    session: &'a Session,
    seed: &'a Seed,
    login: &'a str,
    secret: Option<&'a Secret>,
}

/// A refusal on its way to the peer and the log.
struct Denied {
    record: Record,
    reason: Reason,
    pointer: Option<String>,
    allow: Option<String>,
}

impl Denied {
    fn new(operation: Operation, reason: Reason) -> Self {
        let record = Record {
            operation,
            variant: None,
            outcome: Err(reason),
            change: None,
            account: None,
            login: None,
            session: None,
            detail: String::new(),
        };
        Self {
            record,
            reason,
            pointer: None,
            allow: None,
        }
    }

    fn asked(mut self, api: &Api, asked: &Asked) -> Self {
        self.record.variant = Some(api.dialect().variant_name(asked.variant).to_owned());
        self
    }

    fn login(mut self, login: &str) -> Self {
        self.record.login = Some(login.to_owned());
        self
    }

    fn account(mut self, account: AccountId) -> Self {
        self.record.account = Some(account);
        self
    }

    fn session(mut self, session: SessionId) -> Self {
        self.record.session = Some(session);
        self
    }

    fn change(mut self, change: Option<&'static str>) -> Self {
        self.record.change = change;
        self
    }

    fn answer(self, api: &Api) -> Answer {
        let refusal = self.reason.refusal(self.record.operation);
        let response = api.dialect().refuse(&Refused {
            operation: self.record.operation,
            refusal,
            pointer: self.pointer.as_deref(),
            retry_after: retry_after(refusal),
            allow: self.allow.as_deref(),
        });
        Answer {
            response,
            record: self.record,
        }
    }
}

impl From<Unread> for Denied {
    fn from(unread: Unread) -> Self {
        let mut denied = Self::new(unread.operation, unread.reason);
        denied.pointer = unread.pointer;
        denied.record.detail = unread.detail;
        denied
    }
}

fn read(api: &Api, parts: &Parts, body: &[u8]) -> Result<Command, Denied> {
    match api.dialect().find(&parts.method, parts.uri.path()) {
        Found::WrongMethod { operation, allow } => {
            let mut denied = Denied::new(operation, Reason::MethodUnknown);
            denied.allow = Some(allow);
            Err(denied)
        }
        Found::NotMine => Err(Denied::new(Operation::Guard, Reason::PathUnknown)),
        Found::Operation(_) => api.dialect().read(parts, body).map_err(Denied::from),
    }
}

/// When a peer should come back. A refresh that was repeated too often may try
/// once its window is over; what was shed or unknown may come at once, a little
/// later.
fn retry_after(refusal: Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Throttled => Some(Duration::from_secs(60)),
        Refusal::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    }
}

fn store_reason(_: Unavailable) -> Reason {
    Reason::StoreUnavailable
}

fn session_reason(error: SessionError) -> Reason {
    match error {
        SessionError::Refused(reason) => reason,
        SessionError::Unavailable(_) => Reason::StoreUnavailable,
    }
}

const fn change_name(change: Change) -> Option<&'static str> {
    match change {
        Change::None => None,
        Change::Rotated => Some("rotated"),
        Change::Replayed => Some("replayed"),
        Change::Renewed => Some("renewed"),
        Change::Ended(End::Reuse) => Some("ended_for_reuse"),
        Change::Ended(_) => Some("ended"),
    }
}

fn user_agent(parts: &Parts) -> String {
    let sent = parts
        .headers
        .get(http::header::USER_AGENT)
        .map(|value| value.as_bytes());
    let mut text = String::from_utf8_lossy(sent.unwrap_or_default()).into_owned();
    let end = (0..=MAX_USER_AGENT.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}
