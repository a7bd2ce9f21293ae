//! The issuer: login, refresh and logout in the format of an api's dialect.
//!
//! The flow is always the same: the dialect reads a command; the store loads, decides and
//! commits in one step; the dialect writes the answer. Nothing is answered before it is
//! durable. If the outcome is unknown, the answer is a 503, so that the same request can
//! be sent again, and never a 401.

mod authenticate;
mod record;
mod token_denial;

use std::net::IpAddr;
use std::sync::Arc;

use countersign_dialect::{
    FoundEndpoint, RequestedForm, Secret, TokenCommand, TokenGrant, Variant,
};
use countersign_domain::session::{End, SessionChange, SessionDecision, SessionOpening};
use countersign_domain::{
    AccountId, CountedAttempt, HostNetwork, LogoutScope, Reason, Session, SessionId, Timestamp,
    TokenOperation,
};
use countersign_token::{MintFault, RefreshSeed, Verified, VerifiedRefresh};
use http::request::Parts;

use metrics::counter;

use self::authenticate::Authenticated;
use self::token_denial::{DenialCause, TokenDenial};
use crate::api::IssuingApi;
use crate::password::PasswordPool;
use crate::throttle::{LoginThrottle, MintCounter};
use countersign_store::random::random;
use countersign_store::{
    OwnedSessionTerms, RefreshOutcome, SessionError, SessionSuccession, Store, StoreUnavailable,
};

pub use self::record::{RequestRecord, TokenAnswer};

/// Issues tokens for any number of apis. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    store: Store,
    passwords: PasswordPool,
    throttle: Arc<LoginThrottle>,
    mints: Arc<MintCounter>,
}

/// The origin of a request.
#[derive(Clone, Debug)]
pub struct TokenCaller {
    /// The peer's address.
    pub address: IpAddr,
}

/// Counts events that an operator should look at, by `api` and `alert`.
const ALERTS: &str = "countersign_alerts_total";

/// How many bytes of a `User-Agent` are kept.
const MAX_USER_AGENT: usize = 256;

impl Issuer {
    /// An issuer over this store.
    pub fn new(store: Store, passwords: PasswordPool) -> Self {
        Self {
            store,
            passwords,
            throttle: Arc::default(),
            mints: Arc::new(MintCounter::new()),
        }
    }

    /// Answers a request at one of the api's token endpoints.
    pub async fn answer(
        &self,
        api: &IssuingApi,
        parts: &Parts,
        body: &[u8],
        caller: &TokenCaller,
    ) -> TokenAnswer {
        let request = IssuerRequest {
            issuer: self,
            api,
            caller,
            user_agent: user_agent(parts),
        };
        let command = match parse_command(api, parts, body) {
            Ok(command) => command,
            Err(denied) => return denied.answer(api),
        };
        let answered = match command {
            TokenCommand::Login {
                asked,
                login,
                secret,
                ..
            } => request.login(&asked, &login, &secret).await,
            TokenCommand::Refresh {
                asked,
                refresh_token,
                credential,
                ..
            } => request.refresh(&asked, &refresh_token, credential).await,
            TokenCommand::Logout {
                asked,
                access_token,
            } => request.logout(&asked, &access_token).await,
        };
        answered.unwrap_or_else(|denied| {
            request.alert(denied.record());
            denied.answer(api)
        })
    }

    /// Refuses a request whose body could not be read.
    pub fn refuse(
        &self,
        api: &IssuingApi,
        operation: TokenOperation,
        reason: Reason,
    ) -> TokenAnswer {
        TokenDenial::new(RequestRecord::begin(operation), reason).answer(api)
    }
}

/// A request that is being answered.
struct IssuerRequest<'a> {
    issuer: &'a Issuer,
    api: &'a IssuingApi,
    caller: &'a TokenCaller,
    user_agent: String,
}

impl IssuerRequest<'_> {
    async fn login(
        &self,
        asked: &RequestedForm,
        login: &str,
        secret: &Secret,
    ) -> Result<TokenAnswer, TokenDenial> {
        let record = self.record(asked).with_login(login);
        let counted = self.count_anonymous();
        counted.map_err(|cause| TokenDenial::new(record.clone(), cause))?;
        let known = self.authenticate(login, secret).await;
        let known = known.map_err(|cause| TokenDenial::new(record.clone(), cause))?;
        let record = record.with_account(known.account.id);
        self.issuer.mints.learn(&known.account);
        let minting = self.may_mint(known.account.id);
        let minting = minting.map_err(|cause| TokenDenial::new(record.clone(), cause))?;
        let opened = self.open(asked, &known).await;
        if opened.is_err() {
            self.mints_nothing(minting);
        }
        let (session, seed) = opened.map_err(|reason| TokenDenial::new(record.clone(), reason))?;
        let record = record.with_session(session.id).with_change(Some("opened"));
        let secret = Some(secret);
        self.grant(
            &GrantedSession {
                asked,
                session: &session,
                seed: &seed,
                login,
                secret,
                now: session.rotated_at,
            },
            record,
        )
    }

    /// Counts a login as a request without a token, if the api limits those.
    fn count_anonymous(&self) -> Result<(), DenialCause> {
        let Issuer {
            throttle, store, ..
        } = self.issuer;
        let (settings, network) = (
            &self.api.settings.throttle,
            HostNetwork::containing(self.caller.address),
        );
        let counted = throttle.admit_anonymous(settings, self.api.name(), network, store.now());
        counted.map_err(|wait| DenialCause::throttled(Reason::LoginThrottled, wait))
    }

    /// Opens a session, only for a login that was checked.
    async fn open(
        &self,
        asked: &RequestedForm,
        known: &Authenticated,
    ) -> Result<(Session, RefreshSeed), Reason> {
        let drawn = |_| Reason::ServerFault;
        let seed = RefreshSeed::new(random().map_err(drawn)?);
        let opening = SessionOpening {
            id: SessionId(random().map_err(drawn)?),
            seed_hash: seed.hash(),
            variant: self.api.dialect().variant_name(asked.variant).to_owned(),
            address: self.caller.address,
            user_agent: self.user_agent.clone(),
        };
        let terms = self.terms(asked.variant)?;
        let older = SessionSuccession {
            new_login: self.api.dialect().new_login(),
            limits: self.api.settings.limits,
        };
        let store = &self.issuer.store;
        let opened = store
            .open_session(opening, known.credential.id, terms, older)
            .await;
        Ok((opened.map_err(session_reason)?, seed))
    }

    async fn refresh(
        &self,
        asked: &RequestedForm,
        token: &Secret,
        credential: Option<(String, Secret)>,
    ) -> Result<TokenAnswer, TokenDenial> {
        let record = self.record(asked);
        let verified = self
            .api
            .tokens()
            .verify_refresh(token.expose(), self.issuer.store.now());
        let refused = |reason| TokenDenial::new(record.clone(), reason).with_token(token);
        let verified = verified.map_err(refused)?;
        let claims = verified.claims;
        let record = record
            .with_account(claims.account)
            .with_session(claims.session);
        let refreshed = self.rotate(&verified, credential).await;
        let refreshed = refreshed.map_err(|cause| TokenDenial::new(record.clone(), cause))?;
        let rotated = refreshed.decision.change == SessionChange::Rotated;
        let record = record.with_change(change_name(refreshed.decision.change));
        let (session, credential) = match (refreshed.decision, refreshed.credential) {
            (
                SessionDecision {
                    outcome: Err(reason),
                    ..
                },
                _,
            ) => return Err(TokenDenial::new(record, reason)),
            (
                SessionDecision {
                    session: Some(session),
                    ..
                },
                Some(credential),
            ) => (session, credential),
            // An `Ok` without a session or credential is none that D2 lets pass.
            _ => return Err(TokenDenial::new(record, Reason::ServerFault)),
        };
        let now = if rotated {
            session.rotated_at
        } else {
            self.issuer.store.now()
        };
        let (seed, login) = (&verified.seed, &credential.login);
        self.grant(
            &GrantedSession {
                asked,
                session: &session,
                seed,
                login,
                secret: None,
                now,
            },
            record,
        )
    }

    /// Refreshes, if the account may receive more tokens.
    async fn rotate(
        &self,
        verified: &Verified<VerifiedRefresh>,
        credential: Option<(String, Secret)>,
    ) -> Result<RefreshOutcome, DenialCause> {
        let minting = self.may_mint(verified.claims.account)?;
        let refreshed = self.decide(verified, credential).await;
        let given = |refreshed: &RefreshOutcome| refreshed.decision.outcome.is_ok();
        if !refreshed.as_ref().is_ok_and(given) {
            self.mints_nothing(minting);
        }
        refreshed
    }

    /// D1 to D6, after the credentials that some dialects require beside the token.
    async fn decide(
        &self,
        verified: &Verified<VerifiedRefresh>,
        credential: Option<(String, Secret)>,
    ) -> Result<RefreshOutcome, DenialCause> {
        if let Some((login, secret)) = credential {
            let known = self.authenticate(&login, &secret).await?;
            if known.account.id != verified.claims.account {
                return Err(Reason::TokenForged.into());
            }
        }
        let terms = self.terms(verified.variant())?;
        let refreshed = self
            .issuer
            .store
            .refresh(verified.claims, self.caller.address, terms);
        let refreshed = refreshed.await.map_err(store_reason)?;
        if let Some(account) = &refreshed.account {
            self.issuer.mints.learn(account);
        }
        Ok(refreshed)
    }

    async fn logout(
        &self,
        asked: &RequestedForm,
        token: &Secret,
    ) -> Result<TokenAnswer, TokenDenial> {
        let record = self.record(asked);
        let verified = self
            .api
            .tokens()
            .verify_access(token.expose(), self.issuer.store.now());
        let claims = *verified.map_err(|reason| TokenDenial::new(record.clone(), reason))?;
        let record = record
            .with_account(claims.account)
            .with_session(claims.session);
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
        let ended = ended.map_err(store_reason).and_then(|ended| ended);
        ended.map_err(|reason| TokenDenial::new(record.clone(), reason))?;
        let record = record.with_change(Some("ended"));
        Ok(TokenAnswer {
            response: self.api.dialect().write_done(asked),
            record,
            token: None,
        })
    }

    /// Alerts the operator to a correct secret or token that came from an address from
    /// which its account may not call: it may be stolen.
    fn alert(&self, record: &RequestRecord) {
        if record.outcome != Err(Reason::AddressDenied) {
            return;
        }
        let api = self.api.name().as_str();
        counter!(ALERTS, "api" => api.to_owned(), "alert" => "address_denied").increment(1);
        tracing::warn!(
            api,
            operation = record.operation.name(),
            account = record.account.map(AccountId::number),
            address = %self.caller.address,
            "a correct secret came from an address that is not allowed"
        );
    }

    fn record(&self, asked: &RequestedForm) -> RequestRecord {
        RequestRecord::begin(asked.operation)
            .in_variant(self.api.dialect().variant_name(asked.variant))
    }

    /// Counts tokens that the account is about to receive. If that is too many, nothing
    /// is changed.
    fn may_mint(&self, account: AccountId) -> Result<CountedAttempt, DenialCause> {
        let limits = &self.api.settings.limits;
        let now = self.issuer.store.now();
        let counted = self.issuer.mints.admit(account, limits, now);
        counted.map_err(|wait| DenialCause::throttled(Reason::MintsThrottled, wait))
    }

    /// Takes back what was counted if the account receives nothing: whoever holds a dead
    /// token of the account must not use up its limit.
    fn mints_nothing(&self, minting: CountedAttempt) {
        let now = self.issuer.store.now();
        self.issuer.mints.take_back(minting, now);
    }

    fn terms(&self, variant: Variant) -> Result<OwnedSessionTerms, Reason> {
        self.api
            .terms(variant, self.issuer.store.now())
            .ok_or(Reason::ServerFault)
    }

    fn grant(
        &self,
        granted: &GrantedSession<'_>,
        record: RequestRecord,
    ) -> Result<TokenAnswer, TokenDenial> {
        let GrantedSession {
            asked,
            session,
            seed,
            login,
            secret,
            now,
        } = *granted;
        let minted = self.api.tokens().mint(session, seed, login);
        let pair = minted.map_err(|fault| {
            let record = RequestRecord {
                detail: fault.to_string(),
                ..record.clone()
            };
            TokenDenial::new(record, mint_reason(&fault, asked.operation))
        })?;
        let grant = TokenGrant {
            login,
            client_id: session.account.number(),
            access_token: pair.access_token.expose(),
            refresh_token: pair.refresh_token.as_ref().map(Secret::expose),
            access_expires_at: session.access_expires_at,
            refresh_expires_at: session.refresh_expires_at,
            now,
            secret,
        };
        Ok(TokenAnswer {
            response: self.api.dialect().write_grant(asked, &grant),
            record,
            token: None,
        })
    }
}

/// A session whose tokens are the answer.
#[derive(Clone, Copy)]
struct GrantedSession<'a> {
    asked: &'a RequestedForm,
    session: &'a Session,
    seed: &'a RefreshSeed,
    login: &'a str,
    secret: Option<&'a Secret>,
    /// The time of the reply: that of the generation it contains, so that all its times
    /// agree, or the present for a generation that is returned again.
    now: Timestamp,
}

fn parse_command(
    api: &IssuingApi,
    parts: &Parts,
    body: &[u8],
) -> Result<TokenCommand, TokenDenial> {
    match api.dialect().find(&parts.method, parts.uri.path()) {
        FoundEndpoint::WrongMethod { operation, allow } => {
            Err(TokenDenial::wrong_method(operation, allow))
        }
        FoundEndpoint::NotMine => Err(TokenDenial::new(
            RequestRecord::begin(TokenOperation::Guard),
            Reason::PathUnknown,
        )),
        FoundEndpoint::Operation(_) => api
            .dialect()
            .read_request(parts, body)
            .map_err(TokenDenial::from),
    }
}

/// A key can be killed between the commit of a session and the signature of its
/// tokens, and between a refresh and its repetition.
fn mint_reason(fault: &MintFault, operation: TokenOperation) -> Reason {
    match (fault, operation) {
        // What the killed key signed is to end, so the session goes no further.
        (MintFault::KeyGone(_), TokenOperation::Refresh) => Reason::KeyRetired,
        // The same login a moment later is signed by the next key.
        (MintFault::KeyGone(_), _) => Reason::StoreUnavailable,
        _ => Reason::ServerFault,
    }
}

fn store_reason(_: StoreUnavailable) -> Reason {
    Reason::StoreUnavailable
}

fn session_reason(error: SessionError) -> Reason {
    match error {
        SessionError::Refused(reason) => reason,
        SessionError::Unavailable(_) => Reason::StoreUnavailable,
    }
}

const fn change_name(change: SessionChange) -> Option<&'static str> {
    match change {
        SessionChange::None => None,
        SessionChange::Rotated => Some("rotated"),
        SessionChange::Replayed => Some("replayed"),
        SessionChange::Renewed => Some("renewed"),
        SessionChange::Ended(End::Reuse) => Some("ended_for_reuse"),
        SessionChange::Ended(_) => Some("ended"),
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
