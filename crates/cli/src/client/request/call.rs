//! One request over HTTP, and its response as it arrives.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_check::{Redactor, ShownMessage};
use countersign_client::{Profile, RequestCredential, RequestDelivery, TransportError};
use countersign_dialect::Secret;
use countersign_outbound::{
    HTTP_1_1, OutboundTls, ServerConnector, TlsOnPlainPort, client_config, failure_help,
    failure_reason,
};
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::{self, legacy::Client};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;

use super::api_call::ApiCall;
use crate::client::open;
use crate::client::transcript::{ShownRequest, Transcript};
use crate::exit::Failure;

/// How long a connection may take. An answer may take as long as it wants.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is looked into, to tell whether a token was refused.
const LOOKED_AT: usize = 64 * 1024;

/// Reaches the API of a profile.
pub(super) struct Caller<'p> {
    client: Client<ServerConnector, Full<Bytes>>,
    connector: ServerConnector,
    profile: &'p Profile,
    transcript: Transcript,
}

/// An answer: what is there of its body, and what is still to come.
pub(super) struct Answer {
    pub(super) head: Parts,
    begun: Bytes,
    rest: Option<Incoming>,
}

impl<'p> Caller<'p> {
    pub(super) fn new(profile: &'p Profile, transcript: Transcript) -> Result<Self, Failure> {
        let url = &profile.url;
        let tls = if url.is_https() {
            let config = client_config(&open::roots(profile)?, &[HTTP_1_1]);
            let name = ServerName::try_from(url.name().to_owned()).map_err(Failure::usage)?;
            Some(OutboundTls::new(config.map_err(Failure::usage)?, name))
        } else {
            None
        };
        let proxy = profile
            .proxies()
            .proxy_for(url)
            .map_err(|fault| Failure::usage(&fault).with_help_of(fault.help()))?;
        // A request is sent once: what it does may not be done twice.
        let connector = ServerConnector::new(tls, CONNECT).through(proxy);
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .build(connector.clone());
        Ok(Self {
            client,
            connector,
            profile,
            transcript,
        })
    }

    /// Sends a request with what opens the API.
    pub(super) async fn call(
        &self,
        call: &ApiCall,
        credential: &RequestCredential,
    ) -> Result<Answer, Failure> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.headers_mut() = call.headers.clone();
        *request.uri_mut() = match credential {
            RequestCredential::Token(token) => {
                token.present(request.headers_mut());
                self.target(&call.path, call.path.query())?
            }
            RequestCredential::StaticKey(key) => {
                let query = self.with_key(call.path.query(), key)?;
                self.target(&call.path, Some(&query))?
            }
        };
        let target = request.uri().clone();
        let shown = match self.transcript.is_wanted() {
            true => Some(self.shown(call, credential)?),
            false => None,
        };
        shown.iter().for_each(|it| self.transcript.asks(it));
        let response = self.client.request(request).await;
        if let Some(shown) = shown {
            let secret = secret(credential);
            self.transcript
                .hears(shown, "", &heard(&response), [secret]);
        }
        let response = match response {
            Ok(response) => response,
            Err(lost) => return Err(self.unanswered(&target, &lost).await),
        };
        let (head, body) = response.into_parts();
        Ok(Answer {
            head,
            begun: Bytes::new(),
            rest: Some(body),
        })
    }

    fn target(&self, path: &PathAndQuery, query: Option<&str>) -> Result<Uri, Failure> {
        let target = self.profile.url.target(path.path(), query);
        target.map_err(Failure::usage)
    }

    /// The head of a request as it can be shown.
    fn shown(
        &self,
        call: &ApiCall,
        credential: &RequestCredential,
    ) -> Result<ShownRequest, Failure> {
        const KEY: &str = "countersign-static-key";
        let mut presented = HeaderMap::new();
        let target = match credential {
            RequestCredential::Token(token) => {
                token.present(&mut presented);
                self.target(&call.path, call.path.query())?
            }
            RequestCredential::StaticKey(_) => {
                let query = self.with_key(call.path.query(), &KEY.into())?;
                self.target(&call.path, Some(&query))?
            }
        };
        let own = Redactor::default().headers(&call.headers);
        let mut headers: Vec<_> = own
            .into_iter()
            .filter(|(name, _)| !presented.contains_key(name.as_str()))
            .collect();
        headers.extend(presented.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), masked(&value, credential))
        }));
        let target = target.to_string().replace(KEY, "[static_key]");
        Ok(ShownRequest {
            operation: "request",
            request: ShownMessage {
                first: format!("{} {target}", call.method),
                headers,
                body: String::new(),
            },
            curl: None,
        })
    }

    /// Every method may have the key in its query.
    fn with_key(&self, query: Option<&str>, key: &Secret) -> Result<String, Failure> {
        let place = self.profile.dialect.static_key();
        let query = place.and_then(|place| place.put_into_query(query, key));
        query.ok_or_else(|| {
            Failure::unavailable("there is no token, and the static key has no place in a query")
        })
    }

    async fn unanswered(&self, target: &Uri, lost: &client::legacy::Error) -> Failure {
        let (why, help) = match self.connector.should_speak_tls(target, lost).await {
            true => (TlsOnPlainPort.to_string(), Some(TlsOnPlainPort::HELP)),
            false => (failure_reason(lost), failure_help(lost)),
        };
        Failure::unavailable(format!("{} does not answer: {why}", self.profile.url))
            .with_help_of(help)
    }
}

/// A header that presents a token: its scheme, and that there is a token.
fn masked(value: &str, credential: &RequestCredential) -> String {
    let before = match credential {
        RequestCredential::Token(token) => value.strip_suffix(token.expose()),
        RequestCredential::StaticKey(_) => None,
    };
    let is_scheme = |it: &&str| it.trim_end().chars().all(|c| c.is_ascii_alphabetic());
    match before.filter(is_scheme) {
        Some(scheme) => format!("{scheme}[access_token]"),
        None => format!("[redacted, {} characters]", value.chars().count()),
    }
}

fn secret(credential: &RequestCredential) -> Secret {
    match credential {
        RequestCredential::Token(token) => token.expose().into(),
        RequestCredential::StaticKey(key) => key.clone(),
    }
}

/// The head of an answer, or why there is none.
fn heard(
    response: &Result<Response<Incoming>, client::legacy::Error>,
) -> Result<Response<Bytes>, TransportError> {
    match response {
        Ok(response) => {
            let mut head = Response::new(Bytes::new());
            *head.status_mut() = response.status();
            *head.headers_mut() = response.headers().clone();
            Ok(head)
        }
        Err(error) => Err(TransportError {
            delivery: RequestDelivery::MaybeSent,
            message: failure_reason(error),
            help: None,
        }),
    }
}

impl Answer {
    /// The next piece of the body.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if !self.begun.is_empty() {
            return Ok(Some(std::mem::take(&mut self.begun)));
        }
        self.next().await
    }

    /// The whole answer, if it is not too long to be looked at. Nothing of it is
    /// lost.
    pub(super) async fn whole(&mut self) -> Result<Option<Response<Bytes>>, Failure> {
        let mut body = BytesMut::new();
        while body.len() <= LOOKED_AT {
            let Some(piece) = self.next().await? else {
                break;
            };
            body.extend_from_slice(&piece);
        }
        self.begun = body.freeze();
        if self.rest.is_some() {
            return Ok(None);
        }
        Ok(Some(Response::from_parts(
            self.head.clone(),
            self.begun.clone(),
        )))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(rest) = &mut self.rest {
            let Some(frame) = rest.frame().await else {
                self.rest = None;
                break;
            };
            let frame = frame.map_err(|error| {
                Failure::unavailable(format!("the answer broke off: {}", failure_reason(&error)))
            })?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
