//! The API listener: which api a request is for, and whether it is for its
//! issuer or its guard.

use std::sync::Arc;

use bytes::Bytes;
use countersign_dialect::Found;
use countersign_domain::{Operation, Reason};
use countersign_gateway::{AnswerBody, Client, ForwardAuth, Gateway, GuardedApi, asked_api};
use countersign_server::api::Api;
use countersign_server::issuer::{Caller, Issuer};
use countersign_server::random::random;
use countersign_server::store::Store;
use countersign_transport::{CollectError, Peer, REFUSAL, Refused, Request, collect};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};

use super::journal::{Entry, Journal};

/// The body of an answer: ours, or the upstream's.
pub(crate) type FrontBody = Either<Full<Bytes>, AnswerBody>;

/// What the API listener serves.
pub(crate) struct Front {
    pub(crate) apis: Vec<Served>,
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Gateway,
    pub(crate) forward: ForwardAuth,
    pub(crate) store: Store,
    pub(crate) journal: Arc<Journal>,
}

/// One api on the listener.
pub(crate) struct Served {
    pub(crate) api: Arc<Api>,
    pub(crate) guarded: Option<GuardedApi>,
}

/// Logs and counts a request that no service saw, and gives it its support id.
pub(crate) fn refused_at_the_door(journal: &Journal, refused: &Refused) -> Option<HeaderValue> {
    let id = random::<10>().map(hex::encode).ok()?;
    journal.refused_at_the_door(&id, refused);
    HeaderValue::from_str(&id).ok()
}

/// Where a request goes.
enum Route<'a> {
    Issuer(&'a Api, Found),
    Guard(&'a GuardedApi),
    Verdict(&'a GuardedApi),
}

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request, peer: Peer) -> Response<FrontBody> {
        let Ok(id) = random::<10>().map(hex::encode) else {
            return problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the server cannot draw an id",
            );
        };
        let entry = Entry::begin(&self.journal, &request, id, peer.address.ip());
        match self.route(&request) {
            Some(Route::Issuer(api, found)) => self.issue(api, found, request, entry).await,
            Some(Route::Guard(api)) => self.guard(api, request, entry).await,
            Some(Route::Verdict(api)) => self.verdict(api, request, entry),
            None => {
                let response = problem(StatusCode::NOT_FOUND, "no api is served at this path");
                let response = with_support_id(response, &entry.request_id);
                entry.unserved();
                response
            }
        }
    }

    fn route(&self, request: &Request) -> Option<Route<'_>> {
        let path = request.uri().path();
        if let Some(name) = asked_api(path) {
            let mut guarded = self.apis.iter().filter_map(|it| it.guarded.as_ref());
            let asked = guarded.find(|api| api.name().as_str() == name);
            return asked.map(Route::Verdict);
        }
        self.apis.iter().find_map(|served| {
            match served.api.dialect().find(request.method(), path) {
                Found::NotMine => {
                    let guarded = served.guarded.as_ref()?;
                    guarded
                        .routes()
                        .claims(path)
                        .then_some(Route::Guard(guarded))
                }
                found => Some(Route::Issuer(&served.api, found)),
            }
        })
    }

    async fn issue(
        &self,
        api: &Api,
        found: Found,
        request: Request,
        entry: Entry,
    ) -> Response<FrontBody> {
        let operation = match found {
            Found::Operation(operation) | Found::WrongMethod { operation, .. } => operation,
            Found::NotMine => Operation::Guard,
        };
        let (parts, body) = request.into_parts();
        let answer = match collect(body, api.dialect().max_body()).await {
            Ok(body) => {
                let caller = Caller {
                    address: entry.address,
                };
                self.issuer.answer(api, &parts, &body, &caller).await
            }
            Err(error) => self.issuer.refuse(api, operation, unreadable(&error)),
        };
        let refused = answer.record.outcome.is_err();
        let mut response = answer.response.map(|body| Either::Left(Full::new(body)));
        if refused {
            response = with_support_id(response, &entry.request_id);
        }
        entry.issued(api.name(), &answer.record, response.status());
        response
    }

    async fn guard(&self, api: &GuardedApi, request: Request, entry: Entry) -> Response<FrontBody> {
        let now = self.store.now();
        let id = entry.request_id.clone();
        let client = Client {
            address: entry.address,
            tls: false,
        };
        let answer = self.gateway.forward(api, request, client, &id, now).await;
        if let Err(denied) = &answer.outcome {
            entry.denied(api.name(), denied, answer.response.status());
        }
        answer.response.map(Either::Right)
    }

    /// A verdict on a request that a proxy forwards itself.
    fn verdict(&self, api: &GuardedApi, request: Request, mut entry: Entry) -> Response<FrontBody> {
        let (check, _) = request.into_parts();
        let id = entry.request_id.clone();
        let now = self.store.now();
        let answer = self.forward.answer(api, &check, entry.address, &id, now);
        if let Some(original) = answer.original {
            entry.asked(original.method.clone(), original.path(), original.address);
        }
        if let Some(Err(denied)) = &answer.outcome {
            entry.denied(api.name(), denied, answer.response.status());
        }
        answer.response.map(|body| Either::Left(Full::new(body)))
    }
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
fn problem(status: StatusCode, detail: &str) -> Response<FrontBody> {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
    });
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
