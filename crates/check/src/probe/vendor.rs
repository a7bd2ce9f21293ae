//! One request to the vendor at a time, past the store and the session.

use std::time::Duration;

use bytes::Bytes;
use countersign_client::{Clock, SystemClock, Transport};
use countersign_dialect::{
    ClientValues, Dialect, ExtraParts, GrantedTokens, RefusedBy, Secret, UnderstoodReply, Variant,
};
use countersign_domain::{Timestamp, TokenOperation};
use countersign_outbound::ServerUrl;
use http::uri::PathAndQuery;
use http::{Request, Response};

use super::MeasuredLifetimes;
use crate::Redactor;

/// A vendor, and who asks it.
pub(super) struct Vendor<'p> {
    pub(super) dialect: &'p Dialect,
    pub(super) variant: Variant,
    /// Where the API is.
    pub(super) url: &'p ServerUrl,
    /// Where the token endpoints are.
    pub(super) auth_url: &'p ServerUrl,
    pub(super) login: &'p str,
    pub(super) secret: Secret,
    pub(super) extra: &'p ExtraParts,
    /// What reaches the token endpoints.
    pub(super) transport: &'p dyn Transport,
    /// What reaches the API.
    pub(super) api: &'p dyn Transport,
}

/// Why there is nothing to measure.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The vendor refuses.
    Refused(RefusedBy),
    /// The vendor does not answer; what to do about it.
    Unreached(String, Option<String>),
    /// It answers something else; what to do about it.
    Unintelligible(String, Option<&'static str>),
}

/// Tokens, and how long they live.
pub(super) type GrantWithLifetimes = (GrantedTokens, MeasuredLifetimes);

impl Vendor<'_> {
    /// Whether there is a refresh.
    pub(super) fn refreshes(&self) -> bool {
        self.dialect.refreshes(self.variant)
    }

    pub(super) async fn login(&self) -> Result<GrantWithLifetimes, Unanswered> {
        self.grant(TokenOperation::Login, &self.asking()).await
    }

    pub(super) async fn refresh(&self, token: &Secret) -> Result<GrantWithLifetimes, Unanswered> {
        let asking = ClientValues {
            refresh_token: Some(token),
            // In its place, where that is presented.
            access_token: Some(token),
            ..self.asking()
        };
        self.grant(TokenOperation::Refresh, &asking).await
    }

    pub(super) async fn logout(&self, access: &Secret) -> Result<(), Unanswered> {
        let asking = ClientValues {
            access_token: Some(access),
            ..self.asking()
        };
        self.ask(TokenOperation::Logout, &asking).await.map(drop)
    }

    /// Whether a guarded path takes an access token.
    pub(super) async fn works(
        &self,
        path: &PathAndQuery,
        access: &Secret,
    ) -> Result<bool, Unanswered> {
        let mut request = Request::get(path.as_str())
            .body(Bytes::new())
            .map_err(|it| unsendable(&it))?;
        let presented = self.dialect.present(access.expose(), self.extra);
        let presented = presented.map_err(|it| Unanswered::Unintelligible(it.to_string(), None))?;
        request.headers_mut().extend(presented);
        let (response, now) = send(request, self.url, self.api).await?;
        let nothing = ClientValues::default();
        let guard = TokenOperation::Guard;
        let told = self
            .dialect
            .understand(guard, self.variant, &nothing, &response, now);
        let dead = &self.dialect.client_policy().expired;
        Ok(!matches!(told, Ok(UnderstoodReply::Refused(by)) if dead.contains(&by.refusal)))
    }

    fn asking(&self) -> ClientValues<'_> {
        ClientValues {
            login: Some(self.login),
            secret: Some(&self.secret),
            extra: Some(self.extra),
            ..ClientValues::default()
        }
    }

    async fn grant(
        &self,
        operation: TokenOperation,
        asking: &ClientValues<'_>,
    ) -> Result<GrantWithLifetimes, Unanswered> {
        let begun = SystemClock.now();
        let (understood, now) = self.ask(operation, asking).await?;
        let UnderstoodReply::Granted(mut granted) = understood else {
            return Err(Unanswered::Unintelligible(
                "the reply has no token".to_owned(),
                None,
            ));
        };
        let took = SystemClock.now().since(begun);
        let lived = lived(&granted, now, took);
        if self.dialect.refreshes_with_access_token(self.variant) {
            granted.refresh_token = Some(granted.access_token.clone());
        }
        Ok((granted, lived))
    }

    async fn ask(
        &self,
        operation: TokenOperation,
        asking: &ClientValues<'_>,
    ) -> Result<(UnderstoodReply, Timestamp), Unanswered> {
        let request = self.dialect.request(operation, self.variant, asking);
        let request = request.ok_or_else(|| {
            let why = self.dialect.why_unwritable(operation, self.variant, asking);
            Unanswered::Unintelligible(why.to_string(), None)
        })?;
        let (response, now) = send(request, self.auth_url, self.transport).await?;
        let told = self
            .dialect
            .understand(operation, self.variant, asking, &response, now);
        match told {
            Ok(UnderstoodReply::Refused(by)) => Err(Unanswered::Refused(discreet(by, asking))),
            Ok(understood) => Ok((understood, now)),
            Err(why) => Err(Unanswered::Unintelligible(why.to_string(), why.help())),
        }
    }
}

/// The answer, and when it came.
async fn send(
    mut request: Request<Bytes>,
    url: &ServerUrl,
    transport: &dyn Transport,
) -> Result<(Response<Bytes>, Timestamp), Unanswered> {
    let (path, query) = (request.uri().path(), request.uri().query());
    *request.uri_mut() = url.target(path, query).map_err(|it| unsendable(&it))?;
    let response = transport.send(request).await;
    let response = response.map_err(|it| Unanswered::Unreached(it.message, it.help))?;
    Ok((response, SystemClock.now()))
}

/// The vendor may repeat what it was asked with.
fn discreet(by: RefusedBy, asking: &ClientValues<'_>) -> RefusedBy {
    let secrets = [asking.secret, asking.access_token, asking.refresh_token];
    let extra = asking.extra.into_iter().flat_map(ExtraParts::values);
    let secrets = secrets.into_iter().flatten().chain(extra);
    let redactor = Redactor::knowing(secrets.map(Secret::expose));
    RefusedBy {
        detail: by.detail.map(|it| redactor.sentence(&it)),
        ..by
    }
}

fn unsendable(error: &http::Error) -> Unanswered {
    Unanswered::Unintelligible(error.to_string(), None)
}

/// Told lives count, and otherwise the ends, from what the vendor tells of its
/// own clock.
fn lived(granted: &GrantedTokens, now: Timestamp, took: Duration) -> MeasuredLifetimes {
    let now = granted.now.or(granted.iat).or(granted.date).unwrap_or(now);
    let end = granted.access_expires_at;
    let refresh = granted.refresh_expires_at.map(|it| it.since(now));
    let access = granted.access_life.unwrap_or(end.since(now));
    let told = granted.access_life.map_or(end, |life| now + life);
    MeasuredLifetimes {
        took,
        access,
        refresh: granted.refresh_life.or(refresh),
        exp_off: granted.exp.map(|exp| exp.as_seconds() - told.as_seconds()),
    }
}
