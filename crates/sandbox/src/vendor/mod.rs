//! The vendor that a client sees: its token endpoints, and a guard over every other path with
//! an echo server behind it; and what faults do to them.
//!
//! The steps of a request: find its operation, find the faults that apply, act on it in a task
//! of its own (so that a client that disconnects changes nothing), record it, and answer: in
//! time, late, cut off, or not at all.

mod active_faults;
mod fault_refusals;
mod reply;
mod upkeep;
mod wrong_clock;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{FoundEndpoint, PresentedCredential, Secret, TokenCommand};
use countersign_domain::{AccountId, Reason, SessionId, Timestamp, TokenOperation};
use countersign_gateway::{
    CallerProof, ClientConnection, Gateway, GuardedApi, RequestAllowances, RevocationView,
};
use countersign_server::api::IssuingApi;
use countersign_server::issuer::{Issuer, TokenCaller};
use countersign_store::clock::StoreClock;
use countersign_store::random::random;
use countersign_store::seal::MasterKey;
use countersign_store::{AuditActor, Store};
use countersign_token::tokens::algorithm_of;
use countersign_transport::{CollectError, Peer, Request, collect};
use http::request::Parts;
use http::{HeaderValue, Response, header};
use tokio::sync::{OnceCell, watch};

use self::active_faults::ActiveFaults;
use self::reply::VendorBody;
pub(crate) use self::upkeep::{PruneSchedule, WrittenGenerations};
use crate::armed_faults::ArmedFaults;
use crate::expectations::{RequestCounts, RequestExpectations};
use crate::fault::{ClockSkew, RevocationTarget};
use crate::record::{RecordedRequest, RequestRecorder};
use crate::sandbox::ClockMoveRefused;

/// The vendor, in memory.
pub(crate) struct SandboxVendor {
    pub(crate) api: IssuingApi,
    pub(crate) guarded: GuardedApi,
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Gateway,
    pub(crate) allowances: Arc<RequestAllowances>,
    pub(crate) used: WrittenGenerations,
    pub(crate) store: Store,
    pub(crate) view: Arc<RevocationView>,
    pub(crate) master: MasterKey,
    /// Set once the keys are made that take long.
    pub(crate) keys: OnceCell<()>,
    pub(crate) clock: StoreClock,
    pub(crate) moves: watch::Sender<Timestamp>,
    pub(crate) account: AccountId,
    pub(crate) login: String,
    pub(crate) secret: Secret,
    pub(crate) armed: ArmedFaults,
    pub(crate) requests: RequestRecorder,
    pub(crate) latency: Duration,
    pub(crate) pruning: PruneSchedule,
}

impl SandboxVendor {
    /// Answers one request, or does what a fault makes of that.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request,
        peer: Peer,
    ) -> Response<VendorBody> {
        let latency = self.latency;
        let acting = tokio::spawn(async move { self.act(request, peer).await });
        let Ok((response, struck)) = acting.await else {
            return Response::new(VendorBody::lost());
        };
        let late = latency + struck.delay();
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        if struck.loses_the_reply() {
            Response::new(VendorBody::lost())
        } else if struck.cuts() {
            reply::cut(response).await
        } else {
            response
        }
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, span: Duration) -> Timestamp {
        self.clock.advance(span);
        self.moved()
    }

    /// Sets the clock.
    pub(crate) fn set(&self, instant: Timestamp) -> Result<Timestamp, ClockMoveRefused> {
        let now = self.clock.now();
        if instant < now {
            let asked = instant;
            return Err(ClockMoveRefused { now, asked });
        }
        self.clock.set(instant);
        Ok(self.moved())
    }

    /// Whether it was asked what was expected.
    pub(crate) fn check(&self, expected: &RequestExpectations) -> Result<(), Vec<String>> {
        let dropped = self.requests.dropped();
        if dropped > 0 {
            return Err(vec![format!(
                "{dropped} older requests went to make room, so nobody can tell: forget the \
                 requests between your tests"
            )]);
        }
        expected.check(&self.requests.all()).map(drop)
    }

    /// What it was asked, counted.
    pub(crate) fn request_counts(&self) -> RequestCounts {
        RequestCounts::count_all(&self.requests.all())
    }

    fn moved(&self) -> Timestamp {
        let now = self.clock.now();
        self.prune(now);
        self.moves.send_replace(now);
        now
    }

    /// Forgets what can no longer matter, from time to time.
    fn prune(&self, now: Timestamp) {
        if self.pruning.is_due(now) {
            self.view.prune(now);
            self.allowances.prune(now);
        }
    }

    async fn act(&self, request: Request, peer: Peer) -> (Response<VendorBody>, ActiveFaults) {
        let found = self.dialect_finds(&request);
        let operation = found.unwrap_or(TokenOperation::Guard);
        let mut recorded = RecordedRequest::begin(&request, operation, self.clock.now());
        let (mut response, struck) = match found {
            Some(operation) => {
                let asked = self.asked_for(operation, request).await;
                let struck = self.strike(asked.operation, &mut recorded);
                let issued = self.issue(asked, peer, &struck, &mut recorded).await;
                (issued.map(VendorBody::whole), struck)
            }
            None => {
                let struck = self.strike(operation, &mut recorded);
                let guarded = self.guard(request, peer, &struck, &mut recorded).await;
                (guarded, struck)
            }
        };
        recorded.status = response.status().as_u16();
        self.requests.note(recorded);
        let date = struck.skewed(self.clock.now()).http_date();
        if let Some(date) = date.and_then(|it| HeaderValue::try_from(it).ok()) {
            response.headers_mut().insert(header::DATE, date);
        }
        (response, struck)
    }

    /// The faults that strike an operation at this moment.
    fn strike(&self, operation: TokenOperation, recorded: &mut RecordedRequest) -> ActiveFaults {
        let struck = ActiveFaults(self.armed.strike(operation));
        (recorded.at, recorded.operation) = (self.clock.now(), operation);
        recorded.faults = struck.names();
        self.prune(recorded.at);
        struck
    }

    /// A request of a token endpoint: one path may serve several operations, which
    /// only the body tells apart.
    async fn asked_for(&self, operation: TokenOperation, request: Request) -> TokenRequest {
        let dialect = self.api.dialect();
        let (parts, body) = request.into_parts();
        let body = collect(body, dialect.max_body()).await;
        let read = body
            .as_ref()
            .ok()
            .map(|body| dialect.read_request(&parts, body));
        let (operation, command) = match read {
            None => (operation, None),
            Some(Err(unread)) => (unread.operation, None),
            Some(Ok(command)) => (operation_of(&command), Some(command)),
        };
        TokenRequest {
            operation,
            parts,
            body,
            command,
        }
    }

    /// The operation at a token endpoint.
    fn dialect_finds(&self, request: &Request) -> Option<TokenOperation> {
        let dialect = self.api.dialect();
        match dialect.find(request.method(), request.uri().path()) {
            FoundEndpoint::Operation(operation) | FoundEndpoint::WrongMethod { operation, .. } => {
                Some(operation)
            }
            FoundEndpoint::NotMine => None,
        }
    }

    async fn issue(
        &self,
        asked: TokenRequest,
        peer: Peer,
        struck: &ActiveFaults,
        recorded: &mut RecordedRequest,
    ) -> Response<Bytes> {
        let TokenRequest {
            operation,
            parts,
            body,
            command,
        } = asked;
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                let answer = self.issuer.refuse(&self.api, operation, unreadable(&error));
                recorded.refusal = answer.record.outcome.err();
                return answer.response;
            }
        };
        self.revoke(struck.revokes(), || self.session_of(command.as_ref()))
            .await;
        if let Some(response) = self.sabotaged(operation, struck, recorded) {
            return response;
        }
        self.make_keys_for(command.as_ref()).await;
        let caller = TokenCaller {
            address: peer.address.ip(),
        };
        let answer = self.issuer.answer(&self.api, &parts, &body, &caller).await;
        recorded.refusal = answer.record.outcome.err();
        recorded.change = answer.record.change;
        recorded.session = answer.record.session;
        match (struck.skew(), command) {
            (Some(skew), Some(command)) => self.retold(answer.response, &command, skew),
            _ => answer.response,
        }
    }

    async fn guard(
        &self,
        request: Request,
        peer: Peer,
        struck: &ActiveFaults,
        recorded: &mut RecordedRequest,
    ) -> Response<VendorBody> {
        self.revoke(struck.revokes(), || self.session_of_bearer(&request))
            .await;
        if let Some(response) = self.sabotaged(TokenOperation::Guard, struck, recorded) {
            return response.map(VendorBody::whole);
        }
        let client = ClientConnection {
            address: peer.address.ip(),
            tls: false,
        };
        // Without randomness nothing works at all; the id is only told.
        let id = random::<10>().map(hex::encode).unwrap_or_default();
        let now = self.clock.now();
        let answer = self
            .gateway
            .forward(&self.guarded, request, client, &id, now)
            .await;
        match &answer.outcome {
            Ok(permit) => {
                if let Some(CallerProof::Token {
                    session,
                    generation,
                    ..
                }) = permit.caller().map(|caller| caller.proof)
                {
                    (recorded.session, recorded.generation) = (Some(session), Some(generation));
                    self.note_use(session, generation).await;
                }
            }
            Err(denied) => {
                (recorded.session, recorded.refusal) = (denied.session, Some(denied.reason));
            }
        }
        answer.response.map(VendorBody::Streamed)
    }

    /// Notes the first use of a generation, before its reply: what comes after that
    /// may rely on it.
    async fn note_use(&self, session: SessionId, generation: u32) {
        if self.used.knows(session, generation) {
            return;
        }
        // One that is not written only keeps a replay window open.
        let _tried = self.store.write_used(session, generation).await;
        self.used.learn(session, generation);
    }

    /// The refusal that a fault makes of a request, which is not acted upon.
    fn sabotaged(
        &self,
        operation: TokenOperation,
        struck: &ActiveFaults,
        recorded: &mut RecordedRequest,
    ) -> Option<Response<Bytes>> {
        let dialect = self.api.dialect();
        if struck.forbids() {
            recorded.refusal = Some(Reason::AddressDenied);
            return Some(fault_refusals::forbidden(dialect, operation));
        }
        let (status, retry_after) = struck.status()?;
        Some(fault_refusals::status(
            dialect,
            operation,
            status,
            retry_after,
        ))
    }

    async fn revoke(
        &self,
        what: Option<RevocationTarget>,
        session: impl FnOnce() -> Option<SessionId>,
    ) {
        let session = match what {
            None => return,
            Some(RevocationTarget::Session) => session(),
            Some(RevocationTarget::Account) => None,
        };
        let actor = AuditActor::Operator("sandbox".to_owned());
        // A store in memory that fails says so to the request itself too.
        let _tried = match session {
            Some(session) => self.store.end_session(session, actor).await.map(drop),
            None => {
                let ended = self.store.end_sessions(self.account, actor).await;
                ended.map(drop)
            }
        };
    }

    fn session_of(&self, command: Option<&TokenCommand>) -> Option<SessionId> {
        let (tokens, now) = (self.api.tokens(), self.clock.now());
        match command? {
            TokenCommand::Login { .. } => None,
            TokenCommand::Refresh { refresh_token, .. } => {
                let verified = tokens.verify_refresh(refresh_token.expose(), now).ok()?;
                Some(verified.claims.session)
            }
            TokenCommand::Logout { access_token, .. } => {
                let verified = tokens.verify_access(access_token.expose(), now).ok()?;
                Some(verified.session)
            }
        }
    }

    fn session_of_bearer(&self, request: &Request) -> Option<SessionId> {
        let (headers, query) = (request.headers(), request.uri().query());
        let PresentedCredential::Token(token) = self.api.dialect().presented(headers, query) else {
            return None;
        };
        let verified = self.api.tokens().verify_access(token, self.clock.now());
        Some(verified.ok()?.session)
    }

    /// An RSA key takes some tenths of a second, so it is made when somebody logs
    /// in whose variant needs one.
    async fn make_keys_for(&self, command: Option<&TokenCommand>) {
        let Some(TokenCommand::Login { asked, .. }) = command else {
            return;
        };
        let needs_one = algorithm_of(self.api.dialect(), asked.variant).is_some()
            && self.api.tokens().active_kid(asked.variant).is_none();
        if needs_one {
            let made = || self.api.complete(&self.store, &self.master);
            // If it fails, the issuer says that it has no key.
            let _tried = self.keys.get_or_try_init(made).await;
        }
    }
}

impl ClockSkew {
    /// The time that a clock shows which is wrong by this.
    pub(crate) fn shift(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(by) => now + by,
            Self::Behind(by) => now - by,
        }
    }
}

/// A request of a token endpoint, as far as it arrived.
struct TokenRequest {
    operation: TokenOperation,
    parts: Parts,
    body: Result<Bytes, CollectError>,
    command: Option<TokenCommand>,
}

fn operation_of(command: &TokenCommand) -> TokenOperation {
    match command {
        TokenCommand::Login { asked, .. }
        | TokenCommand::Refresh { asked, .. }
        | TokenCommand::Logout { asked, .. } => asked.operation,
    }
}

fn unreadable(error: &CollectError) -> Reason {
    match error {
        CollectError::TooLarge => Reason::RequestTooLarge,
        _ => Reason::RequestCutOff,
    }
}
