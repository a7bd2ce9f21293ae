//! The guarded part of `[apis.NAME]`: paths, rules, and what forwards the requests that
//! the guard lets through: the built-in proxy to an upstream, or a proxy in front
//! that asks for verdicts.

use std::path::Path;

use countersign_dialect::Dialect;
use countersign_dialect::document::TomlTable;
use countersign_domain::Routes;
use countersign_gateway::ProxyFamily;
use serde_json::json;

use super::kinds::{boolean, by_hand, choice, optional};
use super::routes::{routes, rules};
use super::setting::{SettingsTable, settings};
use super::upstream::{self, UpstreamSection};

/// The guarded part of `[apis.NAME]`.
#[derive(Debug, Default)]
pub(crate) struct GuardSection {
    /// The guarded API, where the built-in proxy forwards to it.
    pub(crate) upstream: Option<UpstreamSection>,
    /// The kind of proxy that asks for verdicts, where another forwards.
    pub(crate) forward_auth: Option<ProxyFamily>,
    /// The paths that are guarded, and which of them are public.
    pub(crate) routes: Routes,
    /// Whether the caller's access token is forwarded to the upstream.
    pub(crate) forward_authorization: bool,
}

/// The keys of `[apis.NAME]` about its guard, except those of the upstream.
pub(super) fn guard_settings() -> SettingsTable<GuardSection> {
    settings! { GuardSection, Changes:
        guards = by_hand(), shows(|it| it.routes.guarded_paths().collect());
        /// or "traefik", "caddy", "haproxy", "envoy": instead of `upstream`, where this
        /// proxy forwards the requests and asks /forward-auth/pay about each first
        forward_auth = optional(choice(&ProxyFamily::NAMED)), at(forward_auth),
            sample(r#""nginx""#);
        /// whether the caller's access token is forwarded to the upstream
        forward_authorization = boolean(), at(forward_authorization);
        routes = by_hand(), shows(|it| match it.routes.rule_count() {
            1 => json!("1 rule"),
            many => json!(format!("{many} rules")),
        }), in_tables();
    }
}

/// `Some(None)`: an issuer without a guard.
pub(super) fn read_section(
    api: &TomlTable<'_>,
    dialect: Option<&Dialect>,
    base: &Path,
) -> Option<Option<GuardSection>> {
    let mut guard = GuardSection::default();
    let given = guard_settings().read(api, base, &mut guard);
    let (of_upstream, upstream) = upstream::read_section(api, base)?;
    let rules = given.sound("routes").map(|value| rules(value, base));
    let Some(guards) = given.sound("guards") else {
        if given.first().or(of_upstream.first()).is_some() {
            api.blame("needs `guards`, the paths that are guarded, e.g. [\"/v1/*\"]");
        }
        return Some(None);
    };
    let has_upstream = of_upstream.has("upstream");
    if let Some(key) = of_upstream.first().filter(|_| !has_upstream) {
        api.blame(format!("needs `upstream`, which `{key}` is about"));
    }
    if !has_upstream && !given.has("forward_auth") {
        api.blame(
            "needs `upstream`, the guarded API, e.g. \"http://127.0.0.1:9000\", or \
             `forward_auth`, the kind of proxy that forwards to it",
        );
    }
    guard.routes = routes(guards, rules.unwrap_or(Some(Vec::new())), dialect)?;
    guard.upstream = has_upstream.then_some(upstream);
    Some(Some(guard))
}
