//! Parameters of paths: an account, a credential, a session. A text that cannot be an id
//! names nothing, so the answer is 404 and not 400. Whatever belongs to an api that the
//! operator may not see is 404 too, as if it did not exist.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use countersign_domain::{
    Account, AccountId, ApiName, ApiScope, Credential, CredentialId, Kid, Session, SessionId,
};

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::member_number::{AccountNumber, CredentialNumber};
use super::member_text::{AdminKeyNameText, ApiNameText, KeyIdText, SessionIdText, SupportIdText};
use super::openapi::handler_shape::SchemaSource;
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;
use countersign_store::SealedKey;

/// The meaning and form of a parameter of a path.
pub(super) fn path_parameter(name: &str) -> (&'static str, SchemaSource) {
    match name {
        "account" => (
            "The id of an account.",
            SchemaSource::for_type::<AccountNumber>(),
        ),
        "credential" => (
            "The id of a credential of the account.",
            SchemaSource::for_type::<CredentialNumber>(),
        ),
        "session" => (
            "The id of a session.",
            SchemaSource::for_type::<SessionIdText>(),
        ),
        "api" => (
            "The name of an api.",
            SchemaSource::for_type::<ApiNameText>(),
        ),
        "kid" => ("The id of a key.", SchemaSource::for_type::<KeyIdText>()),
        "refusal" => (
            "The support id of a refusal, or as much of its beginning as makes it the only one.",
            SchemaSource::for_type::<SupportIdText>(),
        ),
        _ => (
            "The name of an admin key.",
            SchemaSource::for_type::<AdminKeyNameText>(),
        ),
    }
}

/// The parameters of the path.
pub(super) struct PathParams(RawPathParams);

impl<S: Send + Sync> FromRequestParts<S> for PathParams {
    type Rejection = AdminProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminProblem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        params
            .map(Self)
            .map_err(|_| AdminProblem::not_found("not_found", "the path is not UTF-8"))
    }
}

impl PathParams {
    /// The account in the path, if it exists and the operator sees it.
    pub(super) async fn account(
        &self,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Result<Account, AdminProblem> {
        let number = self.text("account").parse().ok();
        let id = number.and_then(AccountId::new).ok_or_else(no_account)?;
        let found = admin.store.account(id).await?;
        found
            .filter(|account| operator.sees(&account.api))
            .ok_or_else(no_account)
    }

    /// The credential in the path, if it exists and belongs to the account.
    pub(super) async fn credential(
        &self,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Result<Credential, AdminProblem> {
        let account = self.account(admin, operator).await?;
        let id = self.text("credential").parse().map(CredentialId);
        let id = id.map_err(|_| no_credential())?;
        let found = admin.store.credential(id).await?;
        found
            .filter(|credential| credential.account == account.id)
            .ok_or_else(no_credential)
    }

    /// The session in the path, if it exists and the operator sees its api. The account
    /// of an old session may be gone; then only an operator of all apis sees it.
    pub(super) async fn session(
        &self,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Result<Session, AdminProblem> {
        let id = SessionId::from_hex(self.text("session")).ok_or_else(no_session)?;
        let session = admin.store.session(id).await?.ok_or_else(no_session)?;
        if *operator.scope() == ApiScope::All {
            return Ok(session);
        }
        let account = admin.store.account(session.account).await?;
        match account {
            Some(account) if operator.sees(&account.api) => Ok(session),
            _ => Err(no_session()),
        }
    }

    /// The api in the path, if it is served and the operator sees it.
    pub(super) fn api(
        &self,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Result<Arc<IssuingApi>, AdminProblem> {
        let name = self.text("api").parse().map_err(|_| no_api())?;
        let found = admin.apis.get(&name).filter(|_| operator.sees(&name));
        found.cloned().ok_or_else(no_api)
    }

    /// The key in the path, and its owner, if the operator sees that.
    pub(super) async fn key(
        &self,
        admin: &AdminState,
        operator: &AuthenticatedOperator,
    ) -> Result<(ApiName, SealedKey), AdminProblem> {
        let found = admin.store.key(&Kid(self.text("kid").to_owned())).await?;
        found
            .filter(|(api, _)| operator.sees(api))
            .ok_or_else(no_key)
    }

    /// The id of the refusal in the path.
    pub(super) fn refusal_id(&self) -> &str {
        self.text("refusal")
    }

    /// The name in the path.
    pub(super) fn name(&self) -> &str {
        self.text("name")
    }

    fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }
}

fn no_api() -> AdminProblem {
    AdminProblem::not_found("no_such_api", "no api with this name is served")
}

pub(super) fn no_key() -> AdminProblem {
    AdminProblem::not_found("no_such_key", "there is no key with this id")
}

pub(super) fn no_account() -> AdminProblem {
    AdminProblem::not_found("no_such_account", "there is no such account")
}

pub(super) fn no_credential() -> AdminProblem {
    let detail = "the account has no such credential";
    AdminProblem::not_found("no_such_credential", detail)
}

pub(super) fn no_session() -> AdminProblem {
    AdminProblem::not_found("no_such_session", "there is no such session")
}
