//! An api behind the guard: what it speaks, which keys it has, what it guards
//! and where it forwards to.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_dialect::Dialect;
use countersign_domain::ApiName;
use countersign_token::{Pepper, Tokens};
use http::HeaderName;

use crate::meter::Meter;
use crate::routes::Routes;
use crate::upstream::Upstream;

/// An api and its upstream.
pub struct GuardedApi {
    name: ApiName,
    dialect: Arc<Dialect>,
    tokens: RwLock<Arc<Tokens>>,
    pepper: Option<Arc<Pepper>>,
    routes: Routes,
    upstream: Upstream,
    presentation: Vec<HeaderName>,
    forward_authorization: bool,
    meter: Meter,
}

impl GuardedApi {
    /// An api that forwards what its guard lets through to `upstream`.
    pub fn new(
        name: ApiName,
        dialect: Arc<Dialect>,
        tokens: Arc<Tokens>,
        routes: Routes,
        upstream: Upstream,
    ) -> Self {
        Self {
            meter: Meter::new(&name),
            name,
            presentation: dialect.presentation_headers(),
            dialect,
            tokens: RwLock::new(tokens),
            pepper: None,
            routes,
            upstream,
            forward_authorization: false,
        }
    }

    /// With static keys, which are stored under this pepper. They exist only
    /// where the dialect has a place for them.
    #[must_use]
    pub fn with_static_keys(mut self, pepper: Arc<Pepper>) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// With the access token passed on to the upstream.
    #[must_use]
    pub fn forwarding_authorization(mut self) -> Self {
        self.forward_authorization = true;
        self
    }

    /// Puts other tokens in place, after a change of keys. Requests that come
    /// later are verified with them.
    ///
    /// The notice of a revoked key does not do it: from that notice to this call
    /// every access token of the api is refused as unavailable.
    pub fn replace_tokens(&self, tokens: Arc<Tokens>) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// The name.
    pub fn name(&self) -> &ApiName {
        &self.name
    }

    /// What the api guards.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The wire format.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&tokens)
    }

    pub(crate) fn pepper(&self) -> Option<&Pepper> {
        self.pepper.as_deref()
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The query without static keys; `None` if nothing else was in it.
    pub(crate) fn strip_query<'q>(&self, query: &'q str) -> Option<Cow<'q, str>> {
        let Some(place) = self.dialect.static_key() else {
            return Some(Cow::Borrowed(query));
        };
        let stripped = place.strip_query(query);
        (!stripped.is_empty() || query.is_empty()).then_some(stripped)
    }

    /// The headers in which a credential is presented.
    pub(crate) fn presentation_headers(&self) -> &[HeaderName] {
        &self.presentation
    }

    /// Those that do not go on once an access token in them was looked at.
    pub(crate) fn secret_headers(&self) -> &[HeaderName] {
        if self.forward_authorization {
            &[]
        } else {
            &self.presentation
        }
    }
}
