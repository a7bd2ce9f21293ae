//! Which paths an api guards, and which of them are public.
//!
//! The most specific path that matches decides, and for equal paths a rule that names the
//! method comes before one that does not. The order in which rules are written does not
//! matter. A path without a rule is protected. A rule for GET also holds for HEAD (RFC
//! 9110 section 9.3.2), unless an equally specific one names HEAD itself.

mod exposed;

use crate::account::InvalidText;
use crate::path::JudgedPath;
use crate::pattern::PathPattern;
use crate::scopes::Scopes;
pub use exposed::{ExposedRoute, WeakerAccess, WeakerRoute};

/// Whether a request needs a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteAccess {
    /// It does not.
    Public,
    /// It does.
    Protected,
}

/// Whether a slash at the end of a path matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrailingSlash {
    /// `/a` and `/a/` are two paths.
    Exact,
    /// They are the same path.
    Optional,
}

/// A rule, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// The methods, in upper case; empty for every method.
    pub methods: Vec<String>,
    /// The path: segments of plain text, `{login}` for the caller's login,
    /// `{name}` for any one segment, and `*` at the end for any depth
    /// (`/a/*` has `/a` and `/a/` too).
    pub path: String,
    /// The access that it grants.
    pub access: RouteAccess,
    /// The scopes that the credential must have, where access is protected (RFC 6749
    /// section 3.3).
    pub scopes: Vec<String>,
}

/// What is wrong with a set of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// A path is not a pattern.
    #[error("{path:?} is not a path pattern: {why}")]
    Pattern {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: InvalidText,
    },
    /// A rule lies outside everything that the api guards.
    #[error("{0:?} is outside the paths that the api guards, so its rule would never apply")]
    Outside(String),
    /// A rule requires scopes where no credential is required.
    #[error("{0:?} is public, so nobody is asked for its scopes")]
    ScopesInPublic(String),
    /// A rule requires something that is not a scope.
    #[error("{path:?}: {why}")]
    Scope {
        /// The path of the rule.
        path: String,
        /// What is wrong with its scopes.
        why: InvalidText,
    },
    /// Two rules decide about the same method and path.
    #[error("{first:?} and {second:?} are rules for the same requests")]
    Twice {
        /// The path of the first.
        first: String,
        /// The path of the second.
        second: String,
    },
}

impl RouteFault {
    /// What to write instead, if that is known.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Pattern { why, .. } | Self::Scope { why, .. } => why.help.as_deref(),
            Self::Outside(_) | Self::ScopesInPublic(_) | Self::Twice { .. } => None,
        }
    }
}

/// The compiled rules of an api. The default guards nothing.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    guards: Vec<PathPattern>,
    /// The most specific first.
    rules: Vec<CompiledRule>,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    methods: Vec<String>,
    pattern: PathPattern,
    access: RouteAccess,
    scopes: Scopes,
}

/// What a request must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedRoute<'p> {
    /// Whether it needs a credential.
    pub access: RouteAccess,
    /// The scopes that the credential must have, if there is a rule.
    pub scopes: Option<&'p Scopes>,
    /// The segments that must equal the caller's login.
    pub logins: Vec<&'p str>,
}

impl Routes {
    /// Compiles the patterns of the paths that the api guards, and its rules.
    ///
    /// A `{login}` in a guarded path holds for every request that matches it, whatever
    /// its rule says.
    ///
    /// # Errors
    ///
    /// Every mistake, at once.
    pub fn new<T: AsRef<str>>(
        guards: &[T],
        rules: Vec<RouteRule>,
        slash: TrailingSlash,
    ) -> Result<Self, Vec<RouteFault>> {
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        let guards = guards.iter().map(|path| compile(path.as_ref(), slash));
        let guards = guards.filter_map(|it| it.map_err(&mut note).ok()).collect();
        let rules = rules.into_iter().map(|rule| CompiledRule::new(rule, slash));
        let rules = rules.filter_map(|it| it.map_err(&mut note).ok()).collect();
        let mut routes = Self { guards, rules };
        routes.rules.sort_by(CompiledRule::order);
        if faults.is_empty() {
            faults = routes.faults();
        }
        if faults.is_empty() {
            Ok(routes)
        } else {
            Err(faults)
        }
    }

    /// Whether the api guards this path of a request target.
    pub fn claims(&self, path: &str) -> bool {
        let path = JudgedPath::guess(path);
        self.guards
            .iter()
            .any(|guard| guard.matches(&path).is_some())
    }

    /// What a request must have; `None` if the api does not guard the path.
    pub fn find<'p>(&'p self, method: &str, path: &'p JudgedPath<'_>) -> Option<MatchedRoute<'p>> {
        let guards = self.guards.iter().filter_map(|guard| guard.matches(path));
        let mut logins = guards.reduce(|mut all, more| {
            all.extend(more);
            all
        })?;
        let mut rules = self.rules.iter().filter(|rule| rule.covers(method));
        let found = rules.find_map(|rule| Some((rule, rule.pattern.matches(path)?)));
        let (access, scopes) = match found {
            Some((rule, bound)) => {
                logins.extend(bound);
                (rule.access, Some(&rule.scopes))
            }
            None => (RouteAccess::Protected, None),
        };
        Some(MatchedRoute {
            access,
            scopes,
            logins,
        })
    }

    /// The guarded paths, as they were written.
    pub fn guarded_paths(&self) -> impl Iterator<Item = &str> {
        self.guards.iter().map(PathPattern::text)
    }

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The patterns of the guarded paths.
    pub fn guards(&self) -> &[PathPattern] {
        &self.guards
    }

    fn faults(&self) -> Vec<RouteFault> {
        let outside = self
            .rules
            .iter()
            .filter(|rule| {
                !self
                    .guards
                    .iter()
                    .any(|guard| guard.overlaps(&rule.pattern))
            })
            .map(|rule| RouteFault::Outside(rule.pattern.text().to_owned()));
        let pairs = self.rules.iter().enumerate().flat_map(|(at, first)| {
            self.rules[at + 1..]
                .iter()
                .map(move |second| (first, second))
        });
        let twice = pairs
            .filter(|(first, second)| first.ties(second))
            .map(|(first, second)| RouteFault::Twice {
                first: first.pattern.text().to_owned(),
                second: second.pattern.text().to_owned(),
            });
        outside.chain(twice).collect()
    }
}

fn compile(path: &str, slash: TrailingSlash) -> Result<PathPattern, RouteFault> {
    let compiled = PathPattern::compile(path, slash == TrailingSlash::Optional);
    compiled.map_err(|why| RouteFault::Pattern {
        path: path.to_owned(),
        why,
    })
}

impl CompiledRule {
    fn new(rule: RouteRule, slash: TrailingSlash) -> Result<Self, RouteFault> {
        let pattern = compile(&rule.path, slash)?;
        if rule.access == RouteAccess::Public && !rule.scopes.is_empty() {
            return Err(RouteFault::ScopesInPublic(rule.path));
        }
        let scopes = Scopes::parse(&rule.scopes).map_err(|why| RouteFault::Scope {
            path: rule.path,
            why,
        })?;
        Ok(Self {
            methods: rule.methods,
            pattern,
            access: rule.access,
            scopes,
        })
    }

    fn covers(&self, method: &str) -> bool {
        let named = |method| self.methods.iter().any(|it| it == method);
        self.methods.is_empty() || named(method) || (method == "HEAD" && named("GET"))
    }

    fn precedence(&self, other: &Self) -> std::cmp::Ordering {
        let by_path = self.pattern.specificity(&other.pattern);
        by_path.then(self.methods.is_empty().cmp(&other.methods.is_empty()))
    }

    /// The order of precedence; among equals, a rule that names HEAD comes before one
    /// that covers it only through GET. For other methods the second part decides
    /// nothing, since two such rules would be a fault.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by_get = |rule: &Self| !rule.methods.iter().any(|it| it == "HEAD");
        self.precedence(other)
            .then(by_get(self).cmp(&by_get(other)))
    }

    /// Whether it is undecided which of the two rules applies.
    fn ties(&self, other: &Self) -> bool {
        // Of equal precedence, both name methods or neither does.
        let methods_meet = self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|method| other.methods.contains(method));
        methods_meet && self.precedence(other).is_eq() && self.pattern.overlaps(&other.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(methods: &[&str], path: &str, access: RouteAccess) -> RouteRule {
        RouteRule {
            methods: methods.iter().map(|it| (*it).to_owned()).collect(),
            path: path.to_owned(),
            access,
            scopes: Vec::new(),
        }
    }

    fn apirone() -> Routes {
        let guards = ["/api/v2/accounts/{login}/*", "/api/v2/wallets/{login}/*"];
        let estimate = "/api/v2/accounts/{login}/transfer";
        let rules = vec![
            rule(&["GET"], estimate, RouteAccess::Public),
            rule(&["POST"], estimate, RouteAccess::Protected),
            rule(&[], "/api/v2/wallets/{login}/rates/*", RouteAccess::Public),
            rule(
                &["PUT"],
                "/api/v2/wallets/{login}/rates/{name}",
                RouteAccess::Protected,
            ),
        ];
        Routes::new(&guards, rules, TrailingSlash::Exact).unwrap()
    }

    fn access(routes: &Routes, method: &str, path: &str) -> Option<RouteAccess> {
        let judged = JudgedPath::judge(path).unwrap();
        routes.find(method, &judged).map(|route| route.access)
    }

    #[test]
    fn a_path_and_a_method_have_their_own_rule() {
        use RouteAccess::{Protected, Public};
        let routes = apirone();
        for (method, path, expected) in [
            ("GET", "/api/v2/accounts/apr-1/transfer", Some(Public)),
            ("HEAD", "/api/v2/accounts/apr-1/transfer", Some(Public)),
            ("GET", "/api/v2/accounts/apr-1/%74ransfer", Some(Public)),
            ("POST", "/api/v2/accounts/apr-1/transfer", Some(Protected)),
            ("POST", "/api/v2/accounts/apr-1/%74ransfer", Some(Protected)),
            ("PURGE", "/api/v2/accounts/apr-1/transfer", Some(Protected)),
            ("get", "/api/v2/accounts/apr-1/transfer", Some(Protected)),
            ("GET", "/api/v2/accounts/apr-1/transfer/", Some(Protected)),
            ("GET", "/api/v2/accounts/apr-1/Transfer", Some(Protected)),
            (
                "OPTIONS",
                "/api/v2/accounts/apr-1/transfer",
                Some(Protected),
            ),
            ("PATCH", "/api/v2/accounts/apr-1", Some(Protected)),
            ("DELETE", "/api/v2/wallets/btc-1/rates/usd", Some(Public)),
            ("PUT", "/api/v2/wallets/btc-1/rates/usd", Some(Protected)),
            ("GET", "/api/v2/accounts", None),
            ("GET", "/api/v2/accounts/", None),
            ("GET", "/elsewhere", None),
        ] {
            assert_eq!(access(&routes, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_most_specific_rule_decides_in_whatever_order_they_are_written() {
        let mut rules = vec![
            rule(&[], "/*", RouteAccess::Public),
            rule(&[], "/admin/*", RouteAccess::Protected),
            rule(&[], "/admin/{page}", RouteAccess::Public),
            rule(&[], "/admin/keys", RouteAccess::Protected),
            rule(&["GET"], "/admin/keys", RouteAccess::Public),
        ];
        for _ in 0..rules.len() {
            rules.rotate_left(1);
            let routes = Routes::new(&["/*"], rules.clone(), TrailingSlash::Exact).unwrap();
            for (method, path, expected) in [
                ("GET", "/", RouteAccess::Public),
                ("GET", "/admin", RouteAccess::Protected),
                ("GET", "/admin/about", RouteAccess::Public),
                ("GET", "/admin/about/x", RouteAccess::Protected),
                ("POST", "/admin/keys", RouteAccess::Protected),
                ("GET", "/admin/keys", RouteAccess::Public),
                ("HEAD", "/admin/keys", RouteAccess::Public),
                ("GET", "/admin/%6beys", RouteAccess::Public),
                ("POST", "/%61dmin/keys", RouteAccess::Protected),
            ] {
                assert_eq!(
                    access(&routes, method, path),
                    Some(expected),
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn a_rule_that_names_head_decides_for_it_in_whatever_order_they_are_written() {
        use RouteAccess::{Protected, Public};
        for (get, head) in [(Public, Protected), (Protected, Public)] {
            let mut rules = vec![
                rule(&["GET", "PUT"], "/a/{x}", get),
                rule(&["HEAD"], "/a/{y}", head),
            ];
            for _ in 0..rules.len() {
                rules.rotate_left(1);
                let routes = Routes::new(&["/a/*"], rules.clone(), TrailingSlash::Exact).unwrap();
                for (method, expected) in [("HEAD", head), ("GET", get), ("PUT", get)] {
                    assert_eq!(access(&routes, method, "/a/b"), Some(expected), "{method}");
                }
            }
        }
    }

    #[test]
    fn a_login_in_a_guarded_path_is_bound_on_every_route() {
        let guards = ["/accounts/{login}/*"];
        let rules = vec![rule(
            &[],
            "/accounts/{id}/users/{login}",
            RouteAccess::Protected,
        )];
        let routes = Routes::new(&guards, rules, TrailingSlash::Exact).unwrap();
        for (path, bound) in [
            ("/accounts/a", &["a"][..]),
            ("/accounts/a/x/y", &["a"]),
            ("/accounts/a/users/b", &["a", "b"]),
        ] {
            let judged = JudgedPath::judge(path).unwrap();
            let route = routes.find("GET", &judged).unwrap();
            assert_eq!(route.logins, bound, "{path}");
        }
    }

    #[test]
    fn a_path_that_will_be_refused_is_claimed_all_the_same() {
        let routes = apirone();
        for path in [
            "/api/v2/accounts/apr-1/../x",
            "/api/v2/accounts/apr-1/%2e%2e/x",
            "/api/v2/accounts/apr-1//x",
            "/%61pi/v2/accounts/apr-1/%ff",
            "/api/v2/accounts/a;b/transfer",
        ] {
            assert!(routes.claims(path), "{path}");
        }
        for path in ["/", "", "*", "/api/v2/accounts/", "/api/v2/rates"] {
            assert!(!routes.claims(path), "{path}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let guards = ["/a/*", "b"];
        let rules = vec![rule(&[], "/a/{", RouteAccess::Public)];
        let faults = Routes::new(&guards, rules, TrailingSlash::Exact).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");

        let rules = vec![
            rule(&["GET"], "/a/{x}", RouteAccess::Public),
            rule(&["GET", "PUT"], "/a/{y}", RouteAccess::Protected),
            rule(&[], "/b", RouteAccess::Public),
        ];
        let faults = Routes::new(&["/a/*"], rules, TrailingSlash::Exact).unwrap_err();
        assert_eq!(
            faults,
            [
                RouteFault::Outside("/b".to_owned()),
                RouteFault::Twice {
                    first: "/a/{x}".to_owned(),
                    second: "/a/{y}".to_owned(),
                },
            ]
        );
    }

    #[test]
    fn rules_of_different_methods_do_not_meet() {
        let rules = vec![
            rule(&["GET"], "/a", RouteAccess::Public),
            rule(&["PUT"], "/a", RouteAccess::Protected),
            rule(&[], "/a", RouteAccess::Protected),
        ];
        assert!(Routes::new(&["/a/*"], rules, TrailingSlash::Exact).is_ok());
    }

    #[test]
    fn the_rule_that_decides_asks_for_its_scopes() {
        let asking = |path: &str, scopes: &[&str]| RouteRule {
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ..rule(&[], path, RouteAccess::Protected)
        };
        let rules = vec![
            asking("/payout/*", &["payout:write", "read"]),
            asking("/payout/{id}", &["read"]),
        ];
        let routes = Routes::new(&["/*"], rules, TrailingSlash::Exact).unwrap();
        for (path, scopes) in [
            ("/payout/1", &["read"][..]),
            ("/payout/1/cancel", &["payout:write", "read"]),
            ("/other", &[]),
        ] {
            let judged = JudgedPath::judge(path).unwrap();
            let route = routes.find("GET", &judged).unwrap();
            let asked: Vec<&str> = route.scopes.iter().flat_map(|it| it.iter()).collect();
            assert_eq!(asked, scopes, "{path}");
        }
    }

    #[test]
    fn scopes_that_nobody_can_be_asked_for_are_faults() {
        let asking = |access, scope: &str| RouteRule {
            scopes: vec![scope.to_owned()],
            ..rule(&[], "/a", access)
        };
        let fault = |rule| Routes::new(&["/a"], vec![rule], TrailingSlash::Exact).unwrap_err();
        assert_eq!(
            fault(asking(RouteAccess::Public, "read")),
            [RouteFault::ScopesInPublic("/a".to_owned())]
        );
        let faults = fault(asking(RouteAccess::Protected, "a b"));
        assert!(matches!(&faults[..], [RouteFault::Scope { path, .. }] if path == "/a"));
    }

    #[test]
    fn the_compiled_routes_say_what_they_were_made_of() {
        let routes = apirone();
        let guarded: Vec<&str> = routes.guarded_paths().collect();
        let written = ["/api/v2/accounts/{login}/*", "/api/v2/wallets/{login}/*"];
        assert_eq!(guarded, written);
        assert_eq!(routes.guards().len(), 2);
        assert_eq!(routes.guards()[1].text(), written[1]);
        assert_eq!(routes.rule_count(), 4);
    }
}
