//! The API listener: finds the api that a request is for, and whether it is for its issuer or its
//! guard.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dialect::{FoundEndpoint, TokenRefusal};
use countersign_domain::{Reason, Timestamp, TokenOperation};
use countersign_gateway::{
    AddressPolicy, ClientConnection, CorsPolicy, ForwardAuth, Gateway, GuardDenial, GuardedApi,
    asked_api, at_path, client_address,
};
use countersign_relay::AnswerBody;
use countersign_server::api::IssuingApi;
use countersign_server::issuer::{Issuer, TokenCaller};
use countersign_store::Store;
use countersign_store::random::random;
use countersign_transport::{
    CollectError, Peer, REFUSAL, RefusedPageRequest, RefusedRequest as RefusedAtTheDoor, Request,
    collect, problem_response,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{Either, Full};

use super::journal::{Entry, Journal};
use super::routing::{MountedApi, Route, alone_at, asked_keys, named, route};

/// The body of an answer: ours, or the upstream's.
pub(crate) type FrontBody = Either<Full<Bytes>, AnswerBody>;

/// What the API listener serves. A reload of the configuration makes another.
pub(crate) struct Front {
    pub(crate) apis: Arc<Vec<MountedApi>>,
    pub(crate) addresses: AddressPolicy,
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) forward_auth: ForwardAuth,
    pub(crate) store: Store,
    pub(crate) journal: Arc<Journal>,
}

impl Front {
    /// Logs and counts a request that no service saw, gives it its support id, and
    /// says whose page may read the answer, where it is clear which api was meant.
    pub(crate) fn refused_at_the_door(
        &self,
        refused: &RefusedAtTheDoor,
        asked: Option<&RefusedPageRequest>,
    ) -> HeaderMap {
        let mut fields = HeaderMap::new();
        if let Ok(id) = random::<10>().map(hex::encode) {
            self.journal.refused_at_the_door(&id, refused);
            fields.extend(HeaderValue::from_str(&id).ok().map(|id| (REFUSAL, id)));
        }
        let asked = asked.and_then(|asked| Some((asked, self.cors(asked)?.0)));
        if let Some((asked, cors)) = asked {
            cors.set_headers(cors.allowed_origin(asked.headers()), &mut fields);
        }
        fields
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request, peer: Peer) -> Response<FrontBody> {
        let Ok(id) = random::<10>().map(hex::encode) else {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let refused = problem(status, "the server cannot generate an id");
            return refused.map(|body| Either::Left(Full::new(body)));
        };
        let mut entry = Entry::begin(&self.journal, &request, id, peer.address.ip());
        let address = client_address(peer.address.ip(), request.headers(), &self.addresses);
        if let Ok(address) = address {
            entry.address = address;
        }
        let cors = self.cors(&request);
        let origin = cors.and_then(|(cors, _)| cors.allowed_origin(request.headers()));
        let mut response = match cors.and_then(|(cors, api)| Some((cors.preflight(&request)?, api)))
        {
            Some((Ok(granted), _)) => return granted.map(|body| Either::Left(Full::new(body))),
            Some((Err(denied), api)) => no_preflight(api, &denied, entry),
            None => self.serve(request, peer, address, entry).await,
        };
        if let Some((cors, _)) = cors {
            cors.set_headers(origin, response.headers_mut());
        }
        response
    }

    /// Answers one request, to whatever page.
    async fn serve(
        &self,
        request: Request,
        peer: Peer,
        address: Result<IpAddr, Reason>,
        entry: Entry,
    ) -> Response<FrontBody> {
        let (host, path) = (host(&request), request.uri().path());
        match route(&self.apis, request.method(), host, path) {
            Some(Route::Issuer(api, found, path)) => {
                let request = with_path(request, &path);
                self.issue(api, found, request, address, entry).await
            }
            Some(Route::Guard(api, path)) => {
                let tls = self.spoke_tls(&request, peer);
                let client = address.map(|address| ClientConnection { address, tls });
                let request = with_path(request, &path);
                self.guard(api, request, client, entry).await
            }
            Some(Route::Keys(api)) => public_keys(api, request.method(), self.store.now()),
            Some(Route::Verdict(api)) => self.verdict(api, request, peer, entry).await,
            Some(Route::Nowhere(api)) => self.not_found(api, entry),
            None => unserved(entry),
        }
    }

    /// What holds for pages of other origins, and of which api it holds: the one
    /// that serves the path, or else the only one whose site it is on. A proxy that
    /// asks for a verdict is not a page.
    fn cors<B>(&self, request: &http::Request<B>) -> Option<(&CorsPolicy, &IssuingApi)> {
        let path = request.uri().path();
        if asked_api(path).is_some() {
            return None;
        }
        let served = match asked_keys(path) {
            Some(name) => named(&self.apis, name)?,
            None => self.owner(request)?,
        };
        Some((served.cors.as_ref()?, &served.api))
    }

    fn owner<B>(&self, request: &http::Request<B>) -> Option<&MountedApi> {
        let (host, path) = (host(request), request.uri().path());
        let claims = |served: &&MountedApi| {
            let path = served.below_prefix(host, path);
            path.is_some_and(|path| served.claims(request.method(), &path))
        };
        let claimed = self.apis.iter().find(claims);
        claimed.or_else(|| alone_at(&self.apis, host, path))
    }

    /// Whether the client spoke TLS: to us, or to a trusted proxy that says so.
    fn spoke_tls(&self, request: &Request, peer: Peer) -> bool {
        let told = || {
            let mut told = request.headers().get_all("x-forwarded-proto").iter();
            matches!((told.next(), told.next()), (Some(proto), None) if proto == "https")
        };
        peer.tls || (self.addresses.trusted.has(peer.address.ip()) && told())
    }

    async fn issue(
        &self,
        api: &IssuingApi,
        found: FoundEndpoint,
        request: Request,
        address: Result<IpAddr, Reason>,
        mut entry: Entry,
    ) -> Response<FrontBody> {
        let operation = match found {
            FoundEndpoint::Operation(operation) | FoundEndpoint::WrongMethod { operation, .. } => {
                operation
            }
            FoundEndpoint::NotMine => TokenOperation::Guard,
        };
        let (parts, body) = request.into_parts();
        let whole = collect(body, api.dialect().max_body()).await;
        let answer = match (address, whole) {
            (Ok(address), Ok(body)) => {
                let caller = TokenCaller { address };
                self.issuer.answer(api, &parts, &body, &caller).await
            }
            (Err(reason), _) => self.issuer.refuse(api, operation, reason),
            (_, Err(error)) => self.issuer.refuse(api, operation, unreadable(&error)),
        };
        let refused = answer.record.outcome.is_err();
        let mut response = answer.response.map(|body| Either::Left(Full::new(body)));
        if refused {
            response = with_support_id(response, &entry.request_id);
        }
        entry.presented(answer.token);
        entry.issued(api.name(), &answer.record, response.status());
        response
    }

    /// Nothing is at the path, in the spelling of the api whose path it would be.
    fn not_found(&self, api: &IssuingApi, entry: Entry) -> Response<FrontBody> {
        let answer = self
            .issuer
            .refuse(api, TokenOperation::Guard, Reason::PathUnknown);
        let response = answer.response.map(|body| Either::Left(Full::new(body)));
        let response = with_support_id(response, &entry.request_id);
        entry.unserved(Some(api.name()));
        response
    }

    async fn guard(
        &self,
        api: &GuardedApi,
        request: Request,
        client: Result<ClientConnection, Reason>,
        entry: Entry,
    ) -> Response<FrontBody> {
        let now = self.store.now();
        let id = entry.request_id.clone();
        let answer = match client {
            Ok(client) => self.gateway.forward(api, request, client, &id, now).await,
            Err(reason) => self.gateway.refuse(api, request.method(), reason, &id),
        };
        if let Err(denied) = &answer.outcome {
            entry.denied(api.name(), denied, answer.response.status());
        }
        answer.response.map(Either::Right)
    }

    /// A verdict on a request that another proxy forwards itself.
    async fn verdict(
        &self,
        api: &GuardedApi,
        request: Request,
        peer: Peer,
        mut entry: Entry,
    ) -> Response<FrontBody> {
        let (check, _) = request.into_parts();
        let (id, now) = (entry.request_id.clone(), self.store.now());
        let proxy = peer.address.ip();
        let verdict = self.forward_auth.answer(api, &check, proxy, &id, now);
        let answer = verdict.await;
        if let Some(original) = answer.original {
            entry.name_request(original.method.clone(), original.path(), original.address);
        }
        if let Some(Err(denied)) = &answer.outcome {
            entry.denied(api.name(), denied, answer.response.status());
        }
        answer.response.map(|body| Either::Left(Full::new(body)))
    }
}

/// The keys as a JWK Set (RFC 7517 section 5), for programs that verify tokens themselves.
fn public_keys(api: &IssuingApi, method: &Method, now: Timestamp) -> Response<FrontBody> {
    if let Some(refused) = refused_at_keys(method) {
        return refused.map(|body| Either::Left(Full::new(body)));
    }
    let keys = Bytes::from(api.jwks(now).to_string());
    let mut response = Response::new(Either::Left(Full::new(keys)));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/jwk-set+json");
    headers.insert(header::CONTENT_TYPE, kind);
    // A key is published ten minutes before its first use.
    let age = HeaderValue::from_static("public, max-age=300");
    headers.insert(header::CACHE_CONTROL, age);
    response
}

/// The answer to a request that would do more than read public keys.
pub(super) fn refused_at_keys(method: &Method) -> Option<Response<Bytes>> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let words = "public keys can only be read";
    let mut refused = problem(StatusCode::METHOD_NOT_ALLOWED, words);
    // RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field in a 405
    // response containing a list of the target resource's currently supported methods."
    let allow = HeaderValue::from_static("GET, HEAD");
    refused.headers_mut().insert(header::ALLOW, allow);
    Some(refused)
}

/// The host of a request; empty if it names none.
fn host<B>(request: &http::Request<B>) -> &str {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn with_path(mut request: Request, path: &str) -> Request {
    if request.uri().path() != path {
        *request.uri_mut() = at_path(request.uri(), path);
    }
    request
}

/// Refuses a preflight for a page that may not call the api.
fn no_preflight(api: &IssuingApi, denied: &GuardDenial, entry: Entry) -> Response<FrontBody> {
    let refusal = denied.reason.refusal(TokenOperation::Guard);
    let refused = TokenRefusal::new(TokenOperation::Guard, refusal);
    let response = api.dialect().write_refusal(&refused);
    let response = response.map(|body| Either::Left(Full::new(body)));
    let response = with_support_id(response, &entry.request_id);
    entry.denied(api.name(), denied, response.status());
    response
}

/// No api is meant, so the answer is in no dialect's spelling.
fn unserved(entry: Entry) -> Response<FrontBody> {
    let response = no_api_here().map(|body| Either::Left(Full::new(body)));
    let response = with_support_id(response, &entry.request_id);
    entry.unserved(None);
    response
}

/// What is answered where no api is meant.
pub(super) fn no_api_here() -> Response<Bytes> {
    problem(StatusCode::NOT_FOUND, "no api is served at this path")
}

fn unreadable(error: &CollectError) -> Reason {
    match error {
        CollectError::TooLarge => Reason::RequestTooLarge,
        _ => Reason::RequestCutOff,
    }
}

fn with_support_id(mut response: Response<FrontBody>, id: &str) -> Response<FrontBody> {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REFUSAL, value);
    }
    response
}

/// A problem in no dialect's spelling (RFC 9457), since no api is meant.
fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
    });
    problem_response(status, body.to_string())
}
