//! A client that knows the dialect and sees every byte.

use bytes::Bytes;
use countersign_dialect::{
    ClientValues, ExtraParts, GrantedTokens, RefusedBy, Secret, UnderstoodReply,
};
use countersign_domain::{Refusal, TokenOperation};
use countersign_sandbox::Sandbox;
use countersign_testing::raw::{RawClient, content_length};
use http::Response;
use tokio::net::TcpStream;

/// A client with the tokens that it was given last.
pub(crate) struct Client<'s> {
    pub(crate) sandbox: &'s Sandbox,
    variant: Option<&'static str>,
    secret: Secret,
    pub(crate) held: Option<GrantedTokens>,
}

impl<'s> Client<'s> {
    pub(crate) fn of(sandbox: &'s Sandbox) -> Self {
        Self {
            sandbox,
            variant: None,
            secret: sandbox.secret().clone(),
            held: None,
        }
    }

    pub(crate) fn in_variant(self, variant: &'static str) -> Self {
        Self {
            variant: Some(variant),
            ..self
        }
    }

    pub(crate) fn with_secret(self, secret: &str) -> Self {
        let secret = Secret::from(secret);
        Self { secret, ..self }
    }

    /// A client that has logged in.
    pub(crate) async fn logged_in(sandbox: &'s Sandbox) -> Self {
        let mut client = Self::of(sandbox);
        client.login().await.unwrap();
        client
    }

    pub(crate) async fn login(&mut self) -> Result<GrantedTokens, RefusedBy> {
        self.ask(TokenOperation::Login).await
    }

    pub(crate) async fn refresh(&mut self) -> Result<GrantedTokens, RefusedBy> {
        self.ask(TokenOperation::Refresh).await
    }

    /// Asks for tokens, and keeps those that it gets.
    async fn ask(&mut self, operation: TokenOperation) -> Result<GrantedTokens, RefusedBy> {
        let answer = reply(&self.send(operation).await);
        match self.understand(operation, &answer) {
            UnderstoodReply::Granted(granted) => {
                self.held = Some(granted.clone());
                Ok(granted)
            }
            UnderstoodReply::Refused(refused) => Err(refused),
            UnderstoodReply::Done => panic!("no tokens"),
        }
    }

    /// The reply as it came, byte for byte.
    pub(crate) async fn send(&self, operation: TokenOperation) -> Vec<u8> {
        let (head, body) = self.request(operation);
        exchange(self.sandbox.url(), &head, &body).await
    }

    /// Asks, and does not wait for the reply.
    pub(crate) async fn hang_up(&self, operation: TokenOperation) {
        let (head, body) = self.request(operation);
        drop(ask(self.sandbox.url(), &head, &body).await);
    }

    fn request(&self, operation: TokenOperation) -> (String, Bytes) {
        let dialect = self.sandbox.dialect();
        let (held, extra) = (self.held.as_ref(), self.extra());
        let asking = ClientValues {
            login: Some(self.sandbox.login()),
            secret: Some(&self.secret),
            access_token: held.map(|held| &held.access_token),
            refresh_token: held.and_then(|held| held.refresh_token.as_ref()),
            extra: Some(&extra),
        };
        let request = dialect.request(operation, self.variant(), &asking).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        (head, request.into_body())
    }

    pub(crate) fn understand(
        &self,
        operation: TokenOperation,
        answer: &Response<Bytes>,
    ) -> UnderstoodReply {
        let asking = ClientValues {
            login: Some(self.sandbox.login()),
            secret: Some(&self.secret),
            ..ClientValues::default()
        };
        let now = self.sandbox.now();
        let dialect = self.sandbox.dialect();
        let understood = dialect.understand(operation, self.variant(), &asking, answer, now);
        understood.unwrap()
    }

    /// Calls a guarded path, and gives the reply as it came.
    pub(crate) async fn call(&self) -> Vec<u8> {
        let held = self.held.as_ref().unwrap();
        call_presenting(self.sandbox, &held.access_token, &self.extra()).await
    }

    /// The further parts that it was given, and those that it was told.
    fn extra(&self) -> ExtraParts {
        let mut extra = self.sandbox.extra();
        extra.extend(self.held.iter().flat_map(|held| held.extra.clone()));
        extra
    }

    /// The status of a call, and what it means.
    pub(crate) async fn called(&self) -> Result<u16, Refusal> {
        let answer = reply(&self.call().await);
        match self.understand(TokenOperation::Guard, &answer) {
            UnderstoodReply::Refused(refused) => Err(refused.refusal),
            _ => Ok(answer.status().as_u16()),
        }
    }

    fn variant(&self) -> countersign_dialect::Variant {
        let dialect = self.sandbox.dialect();
        match self.variant {
            Some(name) => dialect.variant(name).unwrap(),
            None => dialect.variants().next().unwrap(),
        }
    }
}

/// Calls a guarded path with this token, and gives the reply as it came.
pub(crate) async fn call_with(sandbox: &Sandbox, token: &Secret) -> Vec<u8> {
    call_presenting(sandbox, token, &sandbox.extra()).await
}

async fn call_presenting(sandbox: &Sandbox, token: &Secret, extra: &ExtraParts) -> Vec<u8> {
    let presented = sandbox
        .dialect()
        .present(token.expose(), extra)
        .unwrap_or_default();
    let mut head = "GET /deposit/7?page=2 HTTP/1.1\r\n".to_owned();
    for (name, value) in presented {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    exchange(sandbox.url(), &head, b"").await
}

/// Sends one request on a connection of its own, and reads to its end.
pub(crate) async fn exchange(url: &str, head: &str, body: &[u8]) -> Vec<u8> {
    ask(url, head, body).await.rest_bytes().await
}

async fn ask(url: &str, head: &str, body: &[u8]) -> RawClient<TcpStream> {
    let address = url.strip_prefix("http://").unwrap();
    let mut client = RawClient::connect(address.parse().unwrap()).await;
    let head = format!(
        "{head}Host: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).await;
    client.send(body).await;
    client
}

/// The reply in bytes that came whole.
pub(crate) fn reply(bytes: &[u8]) -> Response<Bytes> {
    let (head, body) = split(bytes).expect("a whole head");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut response = Response::builder().status(status);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    // A reply of 204 has none.
    assert_eq!(body.len(), content_length(head), "{head}");
    response.body(Bytes::copy_from_slice(body)).unwrap()
}

/// The head and what came after it.
pub(crate) fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    Some((head, bytes.get(end + 4..)?))
}
