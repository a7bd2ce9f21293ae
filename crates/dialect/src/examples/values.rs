//! The values in an exchange: those that the issuer reads in the request, and those that
//! the client reads in the reply.

use super::annotations::shown;
use crate::{
    ClientValues, ExtraParts, GrantedTokens, RefusedBy, RequestReadError, RequestedForm, Secret,
    TokenCommand,
};

/// What the issuer read in the request.
pub(super) enum HeardRequest {
    Command(TokenCommand),
    Unread(RequestReadError),
    Guarded(Option<String>),
}

/// The values of a reply that an exchange can state.
pub(crate) const NAMES: [&str; 10] = [
    "access_token",
    "refresh_token",
    "access_expires_at",
    "refresh_expires_at",
    "client_id",
    "login",
    "code",
    "detail",
    "pointer",
    "retry_after",
];

pub(super) fn of_granted(granted: &GrantedTokens, name: &str) -> Option<String> {
    let time = shown;
    match name {
        "access_token" => Some(granted.access_token.expose().to_owned()),
        "refresh_token" => granted
            .refresh_token
            .as_ref()
            .map(|token| token.expose().to_owned()),
        "access_expires_at" => Some(time(granted.access_expires_at)),
        "refresh_expires_at" => granted.refresh_expires_at.map(time),
        "client_id" => granted.client_id.map(|id| id.to_string()),
        "login" => granted.login.clone(),
        _ => Some(
            granted
                .extra
                .get(name.strip_prefix("extra.")?)?
                .expose()
                .to_owned(),
        ),
    }
}

pub(super) fn of_refused(refused: &RefusedBy, name: &str) -> Option<String> {
    match name {
        "code" => refused.code.clone(),
        "detail" => refused.detail.clone(),
        "pointer" => refused.pointer.clone(),
        "retry_after" => refused.retry_after.map(|span| span.as_secs().to_string()),
        _ => None,
    }
}
pub(super) fn asked_form(command: &TokenCommand) -> RequestedForm {
    match command {
        TokenCommand::Login { asked, .. }
        | TokenCommand::Refresh { asked, .. }
        | TokenCommand::Logout { asked, .. } => *asked,
    }
}

/// The values of a request.
#[derive(Default)]
pub(super) struct RequestParts {
    pub(super) login: Option<String>,
    pub(super) secret: Option<Secret>,
    pub(super) token: Option<Secret>,
    pub(super) extra: ExtraParts,
}

impl RequestParts {
    pub(super) fn from_heard(heard: &HeardRequest) -> Self {
        match heard {
            HeardRequest::Command(command) => Self::of_command(command),
            _ => Self::default(),
        }
    }

    pub(super) fn of_command(command: &TokenCommand) -> Self {
        match command.clone() {
            TokenCommand::Login {
                login,
                secret,
                extra,
                ..
            } => Self {
                login: Some(login),
                secret: Some(secret),
                token: None,
                extra,
            },
            TokenCommand::Refresh {
                refresh_token,
                credential,
                extra,
                ..
            } => {
                let (login, secret) = credential.unzip();
                Self {
                    login,
                    secret,
                    token: Some(refresh_token),
                    extra,
                }
            }
            TokenCommand::Logout { access_token, .. } => Self {
                token: Some(access_token),
                ..Self::default()
            },
        }
    }

    pub(super) fn asking(&self) -> ClientValues<'_> {
        ClientValues {
            login: self.login.as_deref(),
            secret: self.secret.as_ref(),
            access_token: self.token.as_ref(),
            refresh_token: self.token.as_ref(),
            extra: Some(&self.extra),
        }
    }
}
