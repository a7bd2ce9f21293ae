//! What goes into the ring, and what comes out of it.

use std::net::IpAddr;

use countersign_domain::{AccountId, ApiName, Reason, SessionId, Timestamp, TokenOperation, coded};

/// A request that was refused. Nothing in it is secret: no token, no login
/// secret, no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefusal {
    /// The support id that the peer was given.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What refused it.
    pub front: RefusingPart,
    /// At which api; `None` for a path of none, and before that is known.
    pub api: Option<ApiName>,
    /// What was asked for, as far as that was known.
    pub operation: Option<TokenOperation>,
    /// Why.
    pub reason: Reason,
    /// The HTTP status that the peer was given; `None` if the connection was
    /// closed without an answer.
    pub status: Option<u16>,
    /// Whose request it was, as far as that is known.
    pub account: Option<AccountId>,
    /// The api of that account, if it is another one: its token was presented
    /// at the wrong place.
    pub account_api: Option<ApiName>,
    /// The login that was tried.
    pub login: Option<String>,
    /// The session of the token that was presented.
    pub session: Option<SessionId>,
    /// The client's address.
    pub address: IpAddr,
    /// The method; empty if the request was not read so far.
    pub method: String,
    /// The path; empty if the request was not read so far.
    pub path: String,
    /// More, in words.
    pub detail: String,
}

impl NewRefusal {
    /// The code of the refusal that the peer was told.
    pub fn peer_code(&self) -> &'static str {
        let operation = self.operation.unwrap_or(TokenOperation::Guard);
        self.reason.refusal(operation).code()
    }
}

coded! {
    /// Which part of the server refused a request.
    RefusingPart(name, from_name) {
        /// A token endpoint.
        Issuer = "issuer",
        /// The built-in proxy.
        BuiltIn = "built-in",
        /// The answer to another proxy.
        ForwardAuth = "forward-auth",
        /// The listener, before the request was read whole.
        Door = "door",
    }
}

/// A refusal as it was kept. Codes are text, because another release may have
/// written them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefusal {
    /// Its number in the ring; later ones are greater.
    pub number: u64,
    /// The support id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// How many more of the same kind came from there within the minute and
    /// were not kept one by one.
    pub repeated: u64,
    /// When the last of them came; `at` if there was none.
    pub last_at: Timestamp,
    /// The name of a [`RefusingPart`].
    pub front: String,
    /// The api.
    pub api: Option<String>,
    /// The name of an [`TokenOperation`].
    pub operation: Option<String>,
    /// The code of the refusal that the peer was told.
    pub refusal: String,
    /// The code of the [`Reason`].
    pub reason: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The account.
    pub account: Option<AccountId>,
    /// The api of the account, if it is another one.
    pub account_api: Option<String>,
    /// The login that was tried.
    pub login: Option<String>,
    /// The session.
    pub session: Option<SessionId>,
    /// The client's address.
    pub address: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// More, in words.
    pub detail: String,
}

/// What happened to the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// More, in words.
    pub detail: String,
}

coded! {
    /// What can happen to a server.
    EventKind {
        /// It was started.
        ServerStarted = "server_started",
        /// It took another configuration.
        ConfigurationReloaded = "configuration_reloaded",
    }
}

/// An event as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// When.
    pub at: Timestamp,
    /// The code of an [`EventKind`].
    pub kind: String,
    /// More, in words.
    pub detail: String,
}
