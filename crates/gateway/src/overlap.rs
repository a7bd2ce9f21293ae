//! Two apis that could both answer a path: found before anything is served.

use countersign_dialect::Dialect;
use countersign_domain::ApiName;

use crate::pattern::Pattern;
use crate::routes::Routes;
use crate::site::Site;

/// What an api answers on a listener.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The api.
    pub api: &'a ApiName,
    /// Where on the listener it is.
    pub site: &'a Site,
    /// Its dialect, whose operations have paths.
    pub dialect: &'a Dialect,
    /// The paths that it guards, if it guards any.
    pub routes: Option<&'a Routes>,
}

/// Two apis that could both answer a request: they share a host, and a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} at {first_path} and {second} at {second_path} could answer the same path")]
pub struct Overlap {
    /// One api.
    pub first: ApiName,
    /// Its path or pattern.
    pub first_path: String,
    /// The other api.
    pub second: ApiName,
    /// Its path or pattern.
    pub second_path: String,
}

/// Every pair of paths that two of these apis could both answer on one host,
/// told with the apis' prefixes. An api's own operations may lie within what it
/// guards: they go first.
pub fn overlaps(claims: &[Claim<'_>]) -> Vec<Overlap> {
    let placed: Vec<_> = claims.iter().map(|claim| (claim, claim.paths())).collect();
    let mut found = Vec::new();
    for (at, (first, paths)) in placed.iter().enumerate() {
        let others = placed.iter().skip(at + 1);
        for (second, theirs) in others.filter(|(second, _)| first.site.shares_a_host(second.site)) {
            let pairs = paths
                .iter()
                .flat_map(|one| theirs.iter().map(move |other| (one, other)));
            let overlapping = pairs.filter(|(one, other)| one.overlaps(other));
            found.extend(overlapping.map(|(one, other)| Overlap {
                first: first.api.clone(),
                first_path: one.text().to_owned(),
                second: second.api.clone(),
                second_path: other.text().to_owned(),
            }));
        }
    }
    found.dedup();
    found
}

impl Claim<'_> {
    fn paths(&self) -> Vec<Pattern> {
        let operations = self.dialect.operations();
        let mut paths: Vec<Pattern> = operations
            .filter_map(|it| Pattern::compile(&it.path, it.slash_optional).ok())
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
    use crate::routes::Slash;

    struct Api(ApiName, Dialect, Routes, Site);

    fn api(name: &str, dialect: &str, guards: &[&str]) -> Api {
        let source = Dialect::shipped(dialect).unwrap();
        Api(
            name.parse().unwrap(),
            Dialect::compile(source, dialect).unwrap(),
            Routes::new(guards, Vec::new(), Slash::Exact).unwrap(),
            Site::default(),
        )
    }

    /// A mypopup that guards `/api/v1/*`.
    fn api_at(name: &str, hosts: &[&str], prefix: &str) -> Api {
        let mut api = api(name, "mypopup", &["/api/v1/*"]);
        api.3 = Site::parse(hosts, prefix).unwrap();
        api
    }

    fn told(apis: &[&Api]) -> Vec<String> {
        let claims: Vec<Claim<'_>> = apis
            .iter()
            .map(|Api(api, dialect, routes, site)| Claim {
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
        one.3 = Site::parse::<&str>(&[], "/one").unwrap();
        for path in ["/one", "/one/"] {
            let other = api("other", "apirone", &[path]);
            assert_eq!(told(&[&one, &other]).len(), 1, "{path}");
        }
    }
}
