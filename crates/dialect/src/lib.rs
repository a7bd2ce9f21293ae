//! Says: compiles dialect files; bytes to commands and replies, in both
//! directions. No I/O, no clock, no randomness.

mod client;
mod command;
mod credential_form;
pub mod document;
mod guard;
mod mistake;
mod policy;
mod secret;
mod shipped;
mod token_form;

use bytes::Bytes;
use countersign_domain::{Kind, LogoutScope, NewLogin, Operation, RefreshMode, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use client::{Asking, Granted, RefusedBy, Understood, Unintelligible};
pub use command::{Asked, Command, Extra, Found, Grant, OperationInfo, Refused, Unread, Variant};
pub use credential_form::CredentialForm;
pub use guard::{Presented, StaticKeyPlace};
pub use mistake::{Mistake, Mistakes};
pub use policy::{ClientPolicy, LostRefresh, Preset, Serves};
pub use secret::Secret;
pub use token_form::{Claims, ClaimsRead, JwtForm, OpaqueForm, TokenForm};

/// A wire format, compiled from its file.
#[derive(Debug)]
pub struct Dialect {
    name: String,
    title: String,
    serves: Serves,
    preset: Preset,
    client: ClientPolicy,
    refresh_mode: RefreshMode,
    new_login: NewLogin,
    logout_scope: Option<LogoutScope>,
    credential: Option<CredentialForm>,
    max_body: usize,
    static_key: Option<StaticKeyPlace>,
}

impl Dialect {
    /// The dialects that come with the program: name and source, sorted.
    pub const SHIPPED: &[(&str, &str)] = shipped::SHIPPED;

    /// The source of a dialect that comes with the program.
    pub fn shipped(name: &str) -> Option<&'static str> {
        shipped::SHIPPED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| *source)
    }

    /// Compiles a dialect file; `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, with its places.
    pub fn compile(source: &str, origin: &str) -> Result<Self, Mistakes> {
        let _ = (source, origin);
        Err(Mistakes(Vec::new()))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name for people; the plain name if the file gives none.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// For which side the file is complete.
    pub fn serves(&self) -> Serves {
        self.serves
    }

    /// The vendor's lifetimes and limits.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// How a client of the vendor behaves.
    pub fn client_policy(&self) -> &ClientPolicy {
        &self.client
    }

    /// What a refresh does with the refresh token.
    pub fn refresh_mode(&self) -> RefreshMode {
        self.refresh_mode
    }

    /// What a new login does to older tokens.
    pub fn new_login(&self) -> NewLogin {
        self.new_login
    }

    /// How far a logout reaches; `None` if there is no logout.
    pub fn logout_scope(&self) -> Option<LogoutScope> {
        self.logout_scope
    }

    /// The variants; the first is the default one.
    pub fn variants(&self) -> impl Iterator<Item = Variant> {
        (0..1).map(Variant)
    }

    /// The variant with this name.
    pub fn variant(&self, name: &str) -> Option<Variant> {
        self.variants()
            .find(|variant| self.variant_name(*variant) == name)
    }

    /// The name of a variant, stable enough to store; `main` where a dialect
    /// has but one.
    pub fn variant_name(&self, _variant: Variant) -> &str {
        "main"
    }

    /// Whether sessions of this variant can be refreshed.
    pub fn refreshes(&self, _variant: Variant) -> bool {
        false
    }

    /// Every operation, with its variants.
    pub fn operations(&self) -> impl Iterator<Item = OperationInfo> {
        std::iter::empty()
    }

    /// The forms that the vendor fixes for credentials.
    pub fn credential(&self) -> Option<&CredentialForm> {
        self.credential.as_ref()
    }

    /// What a path and method lead to. Judged by the path and the slash rule
    /// alone, before a body is read.
    pub fn find(&self, _method: &http::Method, _path: &str) -> Found {
        Found::NotMine
    }

    /// The largest request body that is read, in bytes.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Reads a request of a token endpoint.
    ///
    /// # Errors
    ///
    /// The precise cause, which [`Dialect::refuse`] then spells.
    pub fn read(&self, _parts: &http::request::Parts, _body: &[u8]) -> Result<Command, Unread> {
        Err(Unread {
            operation: Operation::Guard,
            reason: countersign_domain::Reason::PathUnknown,
            pointer: None,
            detail: String::new(),
        })
    }

    /// The reply to a login or refresh. A reply signature is computed here.
    pub fn grant(&self, _asked: &Asked, _grant: &Grant<'_>) -> http::Response<Bytes> {
        http::Response::default()
    }

    /// The reply to a logout.
    pub fn done(&self, _asked: &Asked) -> http::Response<Bytes> {
        http::Response::default()
    }

    /// The reply to what is refused: any refusal, on any operation.
    pub fn refuse(&self, _refused: &Refused<'_>) -> http::Response<Bytes> {
        http::Response::default()
    }

    /// The credential in a guarded request's headers and query.
    pub fn presented<'a>(&self, _headers: &'a HeaderMap, _query: Option<&'a str>) -> Presented<'a> {
        Presented::Nothing
    }

    /// The headers that carry the credential, to be taken off before the
    /// request goes on.
    pub fn presentation_headers(&self) -> Vec<HeaderName> {
        Vec::new()
    }

    /// Where a static key may be sent, if the dialect has one.
    pub fn static_key(&self) -> Option<&StaticKeyPlace> {
        self.static_key.as_ref()
    }

    /// The form of a token; `None` where the variant has no such token.
    pub fn token_form(&self, _variant: Variant, _kind: Kind) -> Option<&TokenForm> {
        None
    }

    /// The request for an operation; its URI is a path. `None` if the dialect
    /// has no such operation in this variant.
    pub fn request(
        &self,
        _operation: Operation,
        _variant: Variant,
        _asking: &Asking<'_>,
    ) -> Option<http::Request<Bytes>> {
        None
    }

    /// The headers that present an access token at a guarded endpoint.
    pub fn present(&self, _access_token: &str, _extra: &Extra) -> Vec<(HeaderName, HeaderValue)> {
        Vec::new()
    }

    /// What a reply means. A guarded reply is understood for its refusals.
    ///
    /// # Errors
    ///
    /// The reply is none that the dialect explains, or its signature is wrong.
    pub fn understand(
        &self,
        _operation: Operation,
        _variant: Variant,
        _asking: &Asking<'_>,
        _response: &http::Response<Bytes>,
        _now: Timestamp,
    ) -> Result<Understood, Unintelligible> {
        Err(Unintelligible::NoSuchOperation)
    }
}
