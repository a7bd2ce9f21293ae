//! Finds two apis that could both answer a path, before anything is served.

use countersign_dialect::Dialect;
use countersign_domain::pattern_index::{IndexedPath, PatternIndex};
use countersign_domain::{ApiName, PathPattern, Routes};

use crate::site::ApiSite;

/// What an api serves on a listener.
#[derive(Clone, Copy, Debug)]
pub struct ApiClaim<'a> {
    /// The api.
    pub api: &'a ApiName,
    /// Its hosts and prefix.
    pub site: &'a ApiSite,
    /// Its dialect, whose operations have paths.
    pub dialect: &'a Dialect,
    /// The paths that it guards, if it guards any.
    pub routes: Option<&'a Routes>,
}

/// Two apis that could both answer the same request: they share a host and a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} at {first_path} and {second} at {second_path} could answer the same path")]
pub struct ApiOverlap {
    /// The first api.
    pub first: ApiName,
    /// Its path or pattern.
    pub first_path: String,
    /// The second api.
    pub second: ApiName,
    /// Its path or pattern.
    pub second_path: String,
}

/// For each path of each api, one path of an earlier api that could answer the same
/// request on one host, with the apis' prefixes. So there is one for every api that
/// overlaps with earlier ones, however many these are. An api's own operations may lie
/// within what it guards: they take precedence.
///
/// This also holds for paths with repeated slashes, which one api may merge and another
/// may not: only the last segment of a pattern can be empty, so a path that matches
/// before its slashes are merged matches afterwards.
pub fn overlaps(claims: &[ApiClaim<'_>]) -> Vec<ApiOverlap> {
    overlaps_with(claims, &mut PatternIndex::default())
}

/// The same with an index of the previous apis.
fn overlaps_with(claims: &[ApiClaim<'_>], earlier: &mut PatternIndex) -> Vec<ApiOverlap> {
    let mut found = Vec::new();
    for (api, claim) in claims.iter().enumerate() {
        let paths = claim.paths();
        for path in &paths {
            let met = earlier.overlapping(claim.site.hosts(), path);
            found.extend(met.map(|entry| ApiOverlap {
                first: claims[entry.api].api.clone(),
                first_path: entry.text.clone(),
                second: claim.api.clone(),
                second_path: path.text().to_owned(),
            }));
        }
        for path in paths {
            let text = path.text().to_owned();
            earlier.insert(claim.site.hosts(), &path, &IndexedPath { api, text });
        }
    }
    // One mistake for two apis, wherever their paths stand.
    found.sort_by(|one, next| (&one.second, &one.first).cmp(&(&next.second, &next.first)));
    found.dedup();
    found
}

impl ApiClaim<'_> {
    fn paths(&self) -> Vec<PathPattern> {
        let operations = self.dialect.operations();
        let mut paths: Vec<PathPattern> = operations
            .filter_map(|it| PathPattern::compile(&it.path, it.slash_optional).ok())
            .collect();
        paths.dedup_by(|one, other| one.text() == other.text());
        paths.extend(
            self.routes
                .map(Routes::guards)
                .unwrap_or_default()
                .iter()
                .cloned(),
        );
        let placed = paths.into_iter().map(|path| self.site.place(path));
        placed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_domain::TrailingSlash;

    struct Api(ApiName, Dialect, Routes, ApiSite);

    fn api(name: &str, dialect: &str, guards: &[&str]) -> Api {
        let source = Dialect::shipped(dialect).unwrap();
        Api(
            name.parse().unwrap(),
            Dialect::compile(source, dialect).unwrap(),
            Routes::new(guards, Vec::new(), TrailingSlash::Exact).unwrap(),
            ApiSite::default(),
        )
    }

    /// A mypopup that guards `/api/v1/*`.
    fn api_at(name: &str, hosts: &[&str], prefix: &str) -> Api {
        let mut api = api(name, "mypopup", &["/api/v1/*"]);
        api.3 = ApiSite::parse(hosts, prefix).unwrap();
        api
    }

    fn told(apis: &[&Api]) -> Vec<String> {
        let claims: Vec<ApiClaim<'_>> = apis
            .iter()
            .map(|Api(api, dialect, routes, site)| ApiClaim {
                api,
                site,
                dialect,
                routes: Some(routes),
            })
            .collect();
        overlaps(&claims).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_demo_has_no_overlap() {
        let b2binpay = api("b2binpay", "b2binpay", &["/deposit/*", "/payout/*"]);
        let mypopup = api("mypopup", "mypopup", &["/api/v1/*"]);
        let guards = ["/api/v2/accounts/{login}/*", "/api/v2/wallets/{login}/*"];
        let apirone = api("apirone", "apirone", &guards);
        assert_eq!(told(&[&b2binpay, &mypopup, &apirone]), [""; 0]);
    }

    #[test]
    fn two_apis_that_guard_one_path_are_named() {
        let one = api("one", "mypopup", &["/api/v1/*"]);
        let other = api("other", "apirone", &["/api/{version}/orders"]);
        assert_eq!(
            told(&[&one, &other]),
            ["one at /api/v1/* and other at /api/{version}/orders could answer the same path"]
        );
    }

    #[test]
    fn an_operation_counts_as_well() {
        let one = api("one", "mypopup", &["/api/v1/*"]);
        let other = api("other", "apirone", &["/auth/login/*"]);
        assert_eq!(
            told(&[&one, &other]),
            ["one at /auth/login and other at /auth/login/* could answer the same path"]
        );
    }

    #[test]
    fn the_same_operations_are_told_once_each() {
        let one = api("one", "mypopup", &[]);
        let other = api("other", "mypopup", &[]);
        assert_eq!(told(&[&one, &other]).len(), 3);
    }

    #[test]
    fn an_api_may_guard_what_lies_around_its_own_operations() {
        assert_eq!(told(&[&api("one", "mypopup", &["/*"])]), [""; 0]);
    }

    #[test]
    fn apis_of_different_hosts_share_their_paths() {
        let one = api_at("one", &["a.example", "b.example"], "");
        assert_eq!(told(&[&one, &api_at("other", &["c.example"], "")]), [""; 0]);
        assert_eq!(told(&[&one, &api_at("other", &["b.example"], "")]).len(), 4);
        assert_eq!(
            told(&[&one, &api_at("other", &[], "")]).len(),
            4,
            "no host is every host"
        );
    }

    #[test]
    fn apis_of_different_prefixes_share_a_host() {
        let (one, other) = (api_at("one", &[], "/one"), api_at("other", &[], "/two"));
        assert_eq!(told(&[&one, &other]), [""; 0]);
        let inside = api("inside", "apirone", &["/one/api/v1/orders"]);
        assert_eq!(
            told(&[&one, &inside]),
            ["one at /one/api/v1/* and inside at /one/api/v1/orders could answer the same path"]
        );
    }

    #[test]
    fn the_root_behind_a_prefix_is_the_prefix_with_or_without_a_slash() {
        let mut one = api("one", "mypopup", &["/"]);
        one.3 = ApiSite::parse::<&str>(&[], "/one").unwrap();
        for path in ["/one", "/one/"] {
            let other = api("other", "apirone", &[path]);
            assert_eq!(told(&[&one, &other]).len(), 1, "{path}");
        }
    }

    /// The apis that would answer a path, unchanged or merged.
    fn answers(api: &Api, path: &str, merges: bool) -> bool {
        let Api(_, _, routes, site) = api;
        let path = if merges {
            let merging = Dialect::compile(Dialect::shipped("apirone").unwrap(), "a").unwrap();
            merging.read_path(path).into_owned()
        } else {
            path.to_owned()
        };
        let below = site.claims("", &path);
        below.is_some_and(|below| routes.claims(below))
    }

    proptest::proptest! {
        #[test]
        fn apis_without_an_overlap_share_no_path_however_slashes_are_merged(
            guards in proptest::array::uniform2(
                proptest::sample::select(vec!["/", "/*", "/a", "/a/", "/a/*", "/{x}", "/{x}/b", "/a/b/*"]),
            ),
            prefixes in proptest::array::uniform2(proptest::sample::select(vec!["", "/a", "/b"])),
            merges in proptest::array::uniform2(proptest::bool::ANY),
            path in "(/{1,3}(a|b|%61|%2f|\\.)?){0,4}",
        ) {
            let made = |at: usize| {
                let mut made = api(["one", "other"][at], "mypopup", &[guards[at]]);
                made.3 = ApiSite::parse::<&str>(&[], prefixes[at]).unwrap();
                made
            };
            let (one, other) = (made(0), made(1));
            if answers(&one, &path, merges[0]) && answers(&other, &path, merges[1]) {
                proptest::prop_assert!(!told(&[&one, &other]).is_empty(), "{path}");
            }
        }
    }

    #[test]
    fn apis_that_overlap_cost_each_the_same_however_many_they_are() {
        let Api(_, dialect, routes, site) = api("one", "mypopup", &["/api/v1/*", "/{x}/b/*"]);
        let cost = |apis: usize| {
            let names: Vec<ApiName> = (0..apis)
                .map(|number| format!("api{number}").parse().unwrap())
                .collect();
            let claims: Vec<ApiClaim<'_>> = names
                .iter()
                .map(|api| ApiClaim {
                    api,
                    site: &site,
                    dialect: &dialect,
                    routes: Some(&routes),
                })
                .collect();
            let mut index = PatternIndex::default();
            let found = overlaps_with(&claims, &mut index);
            assert_eq!(found.len(), (apis - 1) * 5);
            index.looked_at()
        };
        let (one, two) = (cost(1), cost(2));
        assert_eq!(cost(800) - one, 799 * (two - one));
    }
}
