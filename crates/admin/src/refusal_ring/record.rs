//! What is written to the ring, and what is read from it.

use std::net::IpAddr;

use countersign_domain::{AccountId, ApiName, Reason, SessionId, Timestamp, TokenOperation, coded};

/// A request that was refused. It contains no secrets: no token, no login secret, no
/// query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefusal {
    /// The support id that the peer received.
    pub id: String,
    /// The time.
    pub at: Timestamp,
    /// The part of the server that refused it.
    pub front: RefusingPart,
    /// The api; `None` for a path that belongs to none, and before the api is known.
    pub api: Option<ApiName>,
    /// The operation, if it was known.
    pub operation: Option<TokenOperation>,
    /// The reason.
    pub reason: Reason,
    /// The HTTP status that the peer received; `None` if the connection was closed
    /// without an answer.
    pub status: Option<u16>,
    /// The account, if it is known.
    pub account: Option<AccountId>,
    /// The api of that account, if it is a different one: its token was presented at the
    /// wrong place.
    pub account_api: Option<ApiName>,
    /// The login that was tried.
    pub login: Option<String>,
    /// The session of the token that was presented.
    pub session: Option<SessionId>,
    /// The client's address.
    pub address: IpAddr,
    /// The method; empty if the request was not read that far.
    pub method: String,
    /// The path; empty if the request was not read that far.
    pub path: String,
    /// Details, in words.
    pub detail: String,
}

impl NewRefusal {
    /// The code of the refusal, as the peer saw it.
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

/// A recorded refusal. Codes are text, because another release may have written them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefusal {
    /// Its number in the ring; later ones have higher numbers.
    pub number: u64,
    /// The support id.
    pub id: String,
    /// The time.
    pub at: Timestamp,
    /// How many more of the same kind came from the same network within the minute, and
    /// were not recorded one by one.
    pub repeated: u64,
    /// When the last of them came; `at` if there was none.
    pub last_at: Timestamp,
    /// The name of a [`RefusingPart`].
    pub front: String,
    /// The api.
    pub api: Option<String>,
    /// The name of an [`TokenOperation`].
    pub operation: Option<String>,
    /// The code of the refusal, as the peer saw it.
    pub refusal: String,
    /// The code of the [`Reason`].
    pub reason: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The account.
    pub account: Option<AccountId>,
    /// The api of the account, if it is a different one.
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
    /// Details, in words.
    pub detail: String,
}

/// What happened to the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// The time.
    pub at: Timestamp,
    /// The kind of event.
    pub kind: EventKind,
    /// Details, in words.
    pub detail: String,
}

coded! {
    /// What can happen to a server.
    EventKind {
        /// It was started.
        ServerStarted = "server_started",
        /// Its configuration was reloaded.
        ConfigurationReloaded = "configuration_reloaded",
    }
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// The time.
    pub at: Timestamp,
    /// The code of an [`EventKind`].
    pub kind: String,
    /// Details, in words.
    pub detail: String,
}
