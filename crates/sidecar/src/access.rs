//! Which requests may go to the vendor.
//!
//! The path is judged in the form in which it is forwarded, so a path that two servers
//! could read differently is refused. The token endpoints of the dialect are closed
//! whatever is allowed, in any letter case: a program that logged in or out there would
//! end the session that the sidecar keeps.

use countersign_client::profile::AllowedRequest;
use countersign_dialect::Dialect;
use countersign_domain::{
    JudgedPath, RouteAccess, RouteFault, RouteRule, Routes, TrailingSlash, echoes_request,
};
use http::Method;

use crate::problem::{ProblemCause, SidecarProblem};

/// Which requests go to the vendor.
pub(crate) struct AccessRules {
    /// The allowed requests; `None` for all.
    allowed: Option<Routes>,
    /// The segments of the token endpoints, in lower case.
    closed: Vec<Vec<String>>,
}

/// What is wrong with the `allow` of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allow: {}", joined(.0))]
pub struct AllowFault(Vec<RouteFault>);

fn joined(faults: &[RouteFault]) -> String {
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| match fault.help() {
            Some(help) => format!("{fault} ({help})"),
            None => fault.to_string(),
        })
        .collect();
    faults.join("; ")
}

impl AccessRules {
    /// The access that a profile allows to the API of a dialect.
    pub(crate) fn new(allow: &[AllowedRequest], dialect: &Dialect) -> Result<Self, AllowFault> {
        let rule = |allowed: &AllowedRequest| RouteRule {
            methods: allowed.method.iter().map(Method::to_string).collect(),
            path: allowed.path.clone(),
            access: RouteAccess::Public,
            scopes: vec![],
        };
        let mut rules: Vec<RouteRule> = allow.iter().map(rule).collect();
        rules.dedup();
        let routes = || Routes::new(&["/*"], rules, TrailingSlash::Exact).map_err(AllowFault);
        Ok(Self {
            allowed: (!allow.is_empty()).then(routes).transpose()?,
            closed: dialect
                .operations()
                .map(|operation| folded(operation.path.split('/').skip(1)))
                .collect(),
        })
    }

    /// Refuses requests that may not go to the vendor.
    pub(crate) fn admit(&self, method: &Method, path: &str) -> Result<(), SidecarProblem> {
        if echoes_request(method.as_str()) {
            return Err(SidecarProblem::new(
                ProblemCause::Method,
                format!(
                    "{method} makes a server return what it was sent, including the token, so it is not forwarded"
                ),
            ));
        }
        let judged = JudgedPath::judge(path).map_err(|_| {
            SidecarProblem::new(
                ProblemCause::AmbiguousPath,
                "servers read this path differently: write it without empty or dot segments, \
                 without \\ and ;, and without an encoded slash, ? or #",
            )
        })?;
        let segments = folded(judged.segments().iter().map(|it| &**it));
        if self.closed.contains(&segments) {
            return Err(SidecarProblem::new(
                ProblemCause::TokenEndpoint,
                "the sidecar keeps the session itself: token endpoints are not called through it",
            ));
        }
        if self
            .allowed
            .as_ref()
            .is_none_or(|it| allows(it, method, &judged))
        {
            return Ok(());
        }
        Err(SidecarProblem::new(
            ProblemCause::NotAllowed,
            format!("the profile does not allow {method} {path}"),
        ))
    }
}

fn allows(routes: &Routes, method: &Method, path: &JudgedPath<'_>) -> bool {
    let found = routes.find(method.as_str(), path);
    found.is_some_and(|route| route.access == RouteAccess::Public)
}

/// In lower case, without an empty segment at the end: some servers ignore both.
fn folded<'s>(segments: impl Iterator<Item = &'s str>) -> Vec<String> {
    segments
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[(&str, &str)]) -> AccessRules {
        let source = Dialect::shipped("b2binpay").unwrap();
        let dialect = Dialect::compile(source, "b2binpay").unwrap();
        let allowed = |(method, path): &(&str, &str)| AllowedRequest {
            method: (*method != "*").then(|| method.parse().unwrap()),
            path: (*path).to_owned(),
        };
        let allow: Vec<_> = allow.iter().map(allowed).collect();
        AccessRules::new(&allow, &dialect).unwrap()
    }

    fn refused(access: &AccessRules, method: &str, path: &str) -> &'static str {
        let refused = access.admit(&method.parse().unwrap(), path).err();
        refused.map_or("", |problem| problem.code())
    }

    #[test]
    fn without_a_list_everything_goes_but_the_token_endpoints() {
        let access = access(&[]);
        for path in ["/", "/deposit/", "/token/x", "/a/b%20c"] {
            assert_eq!(refused(&access, "GET", path), "", "{path}");
        }
        for path in [
            "/token/",
            "/token",
            "/TOKEN/",
            "/%74oken/",
            "/token/refresh/",
            "/token/Refresh",
        ] {
            for method in ["GET", "POST", "PUT"] {
                let found = refused(&access, method, path);
                assert_eq!(found, "token_endpoint", "{method} {path}");
            }
        }
    }

    #[test]
    fn paths_that_could_be_read_as_another_go_nowhere() {
        let access = access(&[("GET", "/deposit/*")]);
        for path in [
            "/deposit/../payout/",
            "/deposit/%2e%2e/payout/",
            "/deposit/%2f../payout",
            "/deposit//x",
            "/deposit/;x",
            "/deposit/..%3f/x",
            "/deposit/a%23b",
            "/deposit/%e2%80%a6/x",
            "//token/",
            "/token%2f",
        ] {
            assert_eq!(refused(&access, "GET", path), "ambiguous_path", "{path}");
        }
    }

    #[test]
    fn what_would_give_the_token_back_goes_nowhere() {
        for access in [access(&[]), access(&[("*", "/deposit/*")])] {
            for method in ["TRACE", "trace", "TRACK"] {
                assert_eq!(refused(&access, method, "/deposit/"), "method", "{method}");
            }
        }
    }

    #[test]
    fn a_list_lets_through_what_is_on_it() {
        let access = access(&[("GET", "/deposit/*"), ("*", "/wallet/{id}"), ("PUT", "/x")]);
        for (method, path, expected) in [
            ("GET", "/deposit", ""),
            ("GET", "/deposit/1/2", ""),
            ("HEAD", "/deposit/1", ""),
            ("GET", "/%64eposit/1", ""),
            ("POST", "/deposit/1", "not_allowed"),
            ("DELETE", "/wallet/7", ""),
            ("GET", "/wallet/7/x", "not_allowed"),
            ("GET", "/x", "not_allowed"),
            ("GET", "/Deposit/1", "not_allowed"),
            ("GET", "/", "not_allowed"),
        ] {
            assert_eq!(refused(&access, method, path), expected, "{method} {path}");
        }
    }
}
