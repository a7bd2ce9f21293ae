//! An api behind the guard: its dialect, its keys, which paths it guards, and where it
//! forwards requests to.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, Variant};
use countersign_domain::{ApiLimits, ApiName, Routes};
use countersign_relay::{Upstream, UpstreamState, visible};
use countersign_token::{Keychain, Pepper, Tokens};
use http::{HeaderName, HeaderValue};

use crate::forward_auth::ProxyFamily;
use crate::meter::GuardMeter;
use crate::site::ApiSite;
use crate::wrong_keys::WrongKeys;

/// An api and, if the built-in proxy serves it, its upstream. Clones share their keys and
/// their upstream.
#[derive(Clone)]
pub struct GuardedApi {
    name: ApiName,
    dialect: Arc<Dialect>,
    keychain: Keychain,
    pepper: Option<Arc<Pepper>>,
    wrong_keys: WrongKeys,
    routes: Routes,
    limits: ApiLimits,
    access_lifetime: Option<Duration>,
    variants: Vec<VariantLimits>,
    upstream: Option<Arc<Upstream>>,
    presentation: Vec<HeaderName>,
    forward_authorization: bool,
    forward_auth: Option<ProxyFamily>,
    prefix: Option<HeaderValue>,
    site: ApiSite,
    meter: GuardMeter,
}

/// What is different for access tokens of a variant.
#[derive(Clone, Copy, Debug)]
struct VariantLimits {
    variant: Variant,
    budget: Option<u32>,
    access_lifetime: Duration,
}

impl GuardedApi {
    /// An api without an upstream: its requests are judged, but not forwarded.
    pub fn new(name: ApiName, dialect: Arc<Dialect>, keychain: Keychain, routes: Routes) -> Self {
        Self {
            meter: GuardMeter::new(&name),
            name,
            presentation: dialect.presentation_headers(),
            dialect,
            keychain,
            pepper: None,
            wrong_keys: WrongKeys::new(),
            routes,
            limits: ApiLimits::default(),
            access_lifetime: None,
            variants: Vec::new(),
            upstream: None,
            forward_authorization: false,
            forward_auth: None,
            prefix: None,
            site: ApiSite::default(),
        }
    }

    /// Sets the upstream, to which the proxy forwards the requests that the guard allows.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(Arc::new(upstream));
        self
    }

    /// Sets the limits for accounts that have none of their own.
    #[must_use]
    pub fn with_limits(mut self, limits: ApiLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the lifetime of an access token, which clients receive with its budget.
    #[must_use]
    pub fn with_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_lifetime = Some(lifetime);
        self
    }

    /// Sets another budget and lifetime for access tokens of this variant. Accounts may
    /// still have budgets of their own.
    #[must_use]
    pub fn with_variant(
        mut self,
        variant: Variant,
        budget: Option<u32>,
        access_lifetime: Duration,
    ) -> Self {
        self.variants.push(VariantLimits {
            variant,
            budget,
            access_lifetime,
        });
        self
    }

    /// Allows static keys, which are stored under this pepper. They exist only if the
    /// dialect has a place for them.
    #[must_use]
    pub fn with_static_keys(mut self, pepper: Arc<Pepper>) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// Forwards the access token to the upstream.
    #[must_use]
    pub fn forwarding_authorization(mut self) -> Self {
        self.forward_authorization = true;
        self
    }

    /// Answers proxies of this kind.
    #[must_use]
    pub fn with_forward_auth(mut self, family: ProxyFamily) -> Self {
        self.forward_auth = Some(family);
        self
    }

    /// Sets the site. The built-in proxy receives paths without its prefix and tells the
    /// upstream about the prefix; other proxies ask about paths with it.
    #[must_use]
    pub fn at(mut self, site: &ApiSite) -> Self {
        let prefix = Some(site.prefix()).filter(|prefix| !prefix.is_empty());
        self.prefix = prefix.map(visible);
        self.site = site.clone();
        self
    }

    /// The name.
    pub fn name(&self) -> &ApiName {
        &self.name
    }

    /// The paths that the api guards.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The wire format.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        self.keychain.current()
    }

    pub(crate) fn pepper(&self) -> Option<&Pepper> {
        self.pepper.as_deref()
    }

    /// Whether the built-in proxy serves it.
    pub fn has_upstream(&self) -> bool {
        self.upstream.is_some()
    }

    /// A clone for those who only judge requests: it does not keep the upstream and its
    /// health check alive after a reload has replaced them.
    pub(crate) fn without_upstream(&self) -> Self {
        Self {
            upstream: None,
            ..self.clone()
        }
    }

    pub(crate) fn wrong_keys(&self) -> &WrongKeys {
        &self.wrong_keys
    }

    pub(crate) fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_deref()
    }

    /// Whether requests are sent to the upstream; `None` without an upstream.
    pub fn upstream_state(&self) -> Option<UpstreamState> {
        self.upstream().map(Upstream::state)
    }

    /// The limits of each account for tokens of this variant, unless the account has its
    /// own.
    pub(crate) fn limits(&self, variant: Option<Variant>) -> ApiLimits {
        let own = self.of_variant(variant);
        ApiLimits {
            budget: own.map_or(self.limits.budget, |own| own.budget),
            ..self.limits
        }
    }

    pub(crate) fn access_lifetime(&self, variant: Option<Variant>) -> Option<Duration> {
        let own = self.of_variant(variant);
        own.map(|own| own.access_lifetime).or(self.access_lifetime)
    }

    fn of_variant(&self, variant: Option<Variant>) -> Option<&VariantLimits> {
        let mut own = self.variants.iter();
        own.find(|own| Some(own.variant) == variant)
    }

    /// The kind of proxy that asks for verdicts.
    pub fn forward_auth(&self) -> Option<ProxyFamily> {
        self.forward_auth
    }

    pub(crate) fn site(&self) -> &ApiSite {
        &self.site
    }

    pub(crate) fn prefix(&self) -> Option<&HeaderValue> {
        self.prefix.as_ref()
    }

    pub(crate) fn meter(&self) -> &GuardMeter {
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

    /// The headers that can contain a credential.
    pub(crate) fn presentation_headers(&self) -> &[HeaderName] {
        &self.presentation
    }

    /// The headers that are not forwarded after the access token in them was verified.
    pub(crate) fn secret_headers(&self) -> &[HeaderName] {
        if self.forward_authorization {
            &[]
        } else {
            &self.presentation
        }
    }
}
