//! The guarded part of `[apis.NAME]`: paths, rules, and who forwards what the
//! guard lets through: the built-in proxy to an upstream, or a proxy in front
//! that asks for verdicts.

use std::path::Path;

use countersign_dialect::Dialect;
use countersign_dialect::document::TomlTable;
use countersign_gateway::ProxyFamily;

use super::routes::{routes, rules};
use super::upstream::{self, upstream};
use crate::config::settings::GuardSection;

/// Keys that mean nothing to an api that guards nothing.
const GUARDED_ONLY: [&str; 3] = ["forward_auth", "routes", "forward_authorization"];

/// `Some(None)`: an issuer without a guard.
pub(super) fn read(
    api: &TomlTable<'_>,
    dialect: Option<&Dialect>,
    base: &Path,
) -> Option<Option<GuardSection>> {
    let mut only = GUARDED_ONLY.iter().chain(&upstream::KEYS);
    let given = only.any(|key| api.get(key).is_some());
    let upstream = upstream(api, base);
    let rules = api.get("routes").map(|value| rules(&value));
    let forward = api.get("forward_authorization");
    let forward = forward.and_then(|it| it.boolean());
    let forward_auth = api
        .get("forward_auth")
        .map(|it| it.choice(&ProxyFamily::NAMED));
    let Some(guards) = api.get("guards") else {
        if given {
            api.blame("needs `guards`, the paths that are guarded, e.g. [\"/v1/*\"]");
        }
        return Some(None);
    };
    if upstream.is_none() && forward_auth.is_none() {
        api.blame(
            "needs `upstream`, the guarded API, e.g. \"http://127.0.0.1:9000\", or \
             `forward_auth`, the kind of proxy that forwards to it",
        );
    }
    let routes = routes(&guards, rules.unwrap_or(Some(Vec::new())), dialect);
    Some(Some(GuardSection {
        upstream: upstream.map_or(Some(None), |read| read.map(Some))?,
        forward_auth: forward_auth.map_or(Some(None), |read| read.map(Some))?,
        routes: routes?,
        forward_authorization: forward.unwrap_or(false),
    }))
}
