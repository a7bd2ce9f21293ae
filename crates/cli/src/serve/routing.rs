//! Where on the API listener a request goes: by its host, path and method alone.

use std::borrow::Cow;
use std::sync::Arc;

use countersign_dialect::FoundEndpoint;
use countersign_domain::ApiName;
use countersign_gateway::{ApiSite, CorsPolicy, GuardedApi, asked_api};
use countersign_server::api::IssuingApi;
use http::Method;

/// One api on the listener.
pub(crate) struct MountedApi {
    pub(crate) site: ApiSite,
    pub(crate) api: Arc<IssuingApi>,
    pub(crate) guarded: Option<GuardedApi>,
    /// Whose pages may call it.
    pub(crate) cors: Option<CorsPolicy>,
}

/// Where a request goes.
pub(super) enum Route<'a> {
    /// To a token endpoint; with the path below the api's prefix.
    Issuer(&'a IssuingApi, FoundEndpoint, String),
    /// To the guarded API; with the path below the api's prefix.
    Guard(&'a GuardedApi, String),
    /// To the api's public keys.
    Keys(&'a IssuingApi),
    /// To the guard, for a verdict that another proxy asks for.
    Verdict(&'a GuardedApi),
    /// To nothing, at a path that only this api could have served.
    Nowhere(&'a IssuingApi),
}

impl Route<'_> {
    /// The name of the api that is meant.
    pub(super) fn api(&self) -> &ApiName {
        match self {
            Self::Issuer(api, ..) | Self::Keys(api) | Self::Nowhere(api) => api.name(),
            Self::Guard(api, _) | Self::Verdict(api) => api.name(),
        }
    }
}

/// Where a request goes; `None` if no api is meant.
pub(super) fn route<'s>(
    apis: &'s [MountedApi],
    method: &Method,
    host: &str,
    path: &str,
) -> Option<Route<'s>> {
    if let Some(name) = asked_api(path) {
        let guarded = named(apis, name)?.guarded.as_ref();
        return guarded.map(Route::Verdict);
    }
    if let Some(name) = asked_keys(path) {
        return named(apis, name).map(|served| Route::Keys(&served.api));
    }
    let served = apis.iter().find_map(|served| {
        let path = served.below_prefix(host, path)?;
        served.route(method, &path)
    });
    served.or_else(|| {
        let alone = alone_at(apis, host, path)?;
        Some(Route::Nowhere(&alone.api))
    })
}

/// The one api that the host and the longest prefix lead to, if it is one
/// alone.
pub(super) fn alone_at<'s>(
    apis: &'s [MountedApi],
    host: &str,
    path: &str,
) -> Option<&'s MountedApi> {
    let here = |served: &&MountedApi| served.below_prefix(host, path).is_some();
    let length = |served: &&MountedApi| served.site.prefix().len();
    let longest = apis.iter().filter(here).map(|it| length(&it)).max()?;
    let mut nearest = apis
        .iter()
        .filter(here)
        .filter(|served| length(served) == longest);
    match (nearest.next(), nearest.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The api with this name.
pub(super) fn named<'s>(apis: &'s [MountedApi], name: &str) -> Option<&'s MountedApi> {
    apis.iter()
        .find(|served| served.api.name().as_str() == name)
}

impl MountedApi {
    /// The path of a request target as the api's dialect reads it, without the
    /// api's prefix; `None` if host or prefix are another's.
    pub(crate) fn below_prefix<'p>(&self, host: &str, path: &'p str) -> Option<Cow<'p, str>> {
        match self.api.dialect().read_path(path) {
            Cow::Borrowed(path) => self.site.claims(host, path).map(Cow::Borrowed),
            Cow::Owned(merged) => {
                let below = self.site.claims(host, &merged)?;
                Some(Cow::Owned(below.to_owned()))
            }
        }
    }

    /// Whether a request with this path, below the prefix, is for this api.
    pub(crate) fn claims(&self, method: &Method, path: &str) -> bool {
        self.route(method, path).is_some()
    }

    /// Where a request with this path, below the prefix, goes; `None` if it is not for this api.
    pub(super) fn route(&self, method: &Method, path: &str) -> Option<Route<'_>> {
        let found = self.api.dialect().find(method, path);
        if found != FoundEndpoint::NotMine {
            return Some(Route::Issuer(&self.api, found, path.to_owned()));
        }
        let guarded = self.guarded.as_ref()?;
        let claims = guarded.has_upstream() && guarded.routes().claims(path);
        claims.then(|| Route::Guard(guarded, path.to_owned()))
    }

    /// Where a request with this path, below the prefix, is judged that comes from another
    /// proxy and not by this listener: as it came, whether or not the dialect merges slashes.
    pub(super) fn forwarded(&self, path: &str) -> Option<Route<'_>> {
        let guarded = self.guarded.as_ref()?;
        let judges = guarded.routes().claims(path);
        judges.then(|| Route::Guard(guarded, path.to_owned()))
    }
}

/// The name of the api whose public keys are asked for.
pub(super) fn asked_keys(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/.well-known/countersign/")?;
    name.strip_suffix("/jwks.json")
}
