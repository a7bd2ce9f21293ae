//! Other spellings: which rules they get around, and what stops them.

use proptest::prelude::*;

use super::super::{RouteRule, TrailingSlash};
use super::*;
use crate::path::JudgedPath;

fn public(path: &str) -> RouteRule {
    RouteRule {
        methods: Vec::new(),
        path: path.to_owned(),
        access: RouteAccess::Public,
        scopes: Vec::new(),
    }
}

fn protected(path: &str) -> RouteRule {
    asking(path, &[])
}

fn asking(path: &str, scopes: &[&str]) -> RouteRule {
    RouteRule {
        access: RouteAccess::Protected,
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ..public(path)
    }
}

fn at(methods: &[&str], rule: RouteRule) -> RouteRule {
    RouteRule {
        methods: methods.iter().map(ToString::to_string).collect(),
        ..rule
    }
}

fn routes(guards: &[&str], rules: &[RouteRule]) -> Routes {
    Routes::new(guards, rules.to_vec(), TrailingSlash::Exact).unwrap()
}

/// The exposed patterns, each with what its spellings fall under.
fn exposed(guards: &[&str], rules: &[RouteRule]) -> Vec<String> {
    let routes = routes(guards, rules);
    let told = routes.exposed().into_iter().map(|it| {
        let weaker = it.weaker.iter().map(|it| match it.access {
            WeakerAccess::Public => format!("{} public", it.path),
            WeakerAccess::FewerScopes => format!("{} fewer", it.path),
            WeakerAccess::NoRule => format!("{} no rule", it.path),
            WeakerAccess::AnyLogin => format!("{} any login", it.path),
        });
        let weaker: Vec<String> = weaker.collect();
        format!("{} by {}: {}", it.path, it.spelling, weaker.join(", "))
    });
    told.collect()
}

#[test]
fn what_is_public_around_a_protected_pattern_takes_its_other_spellings() {
    let exact = "/v2/x/callback";
    for (around, pattern, told) in [
        ("/v2/*", "/v2/admin/*", "/v2/Admin"),
        ("/v2/*", "/v2/admin", "/v2/Admin"),
        ("/v2/*", "/v2/{x}/admin/*", "/v2/x/Admin"),
        ("/v2/*", "/v2/{x}", "/v2/x/"),
        ("/*", "/v2/*", "/V2"),
        ("/v2/{a}/{b}", exact, "/v2/x/Callback"),
        ("/v2/{page}/info", "/v2/admin/*", "/v2/Admin/info"),
        ("/v2/x/*", "/v2/{a}/callback", "/v2/x/Callback"),
        ("/v2/*", "/v2/100/*", "/v2/100."),
        ("/v2/Admin/*", "/v2/admin/*", "/v2/Admin"),
        ("/v2/x/", "/v2/x", "/v2/x/"),
        ("/v2/x", "/v2/x/", "/v2/x"),
    ] {
        let found = exposed(&["/*"], &[public(around), protected(pattern)]);
        let expected = format!("{pattern} by {told}: {around} public");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn what_no_other_spelling_reaches_is_not_told() {
    let exact = "/v2/x/callback";
    for (around, pattern) in [
        ("/v2/{a}/other", exact),
        ("/v2/x", exact),
        ("/v2/y/*", exact),
        ("/v2/x/callback/deep/*", exact),
        // Public by its own text, within what is protected.
        ("/v2/rates/*", "/v2/*"),
        ("/v2/rates", "/v2/*"),
        ("/v2/{page}/info", "/v2/*"),
        // The root has no other spelling.
        ("/*", "/"),
    ] {
        let found = exposed(&["/*"], &[public(around), protected(pattern)]);
        assert_eq!(found, [""; 0], "{around} {pattern}");
    }
    let guarded = exposed(&["/v2/*"], &[public("/*"), protected("/v2/*")]);
    assert_eq!(guarded, [""; 0], "/V2 is nobody's");
}

#[test]
fn a_route_for_the_slash_cures_no_letter_case() {
    let found = exposed(
        &["/*"],
        &[
            public("/v2/*"),
            protected("/v2/x/callback"),
            protected("/v2/x/callback/*"),
        ],
    );
    assert_eq!(
        found,
        [
            "/v2/x/callback by /v2/x/Callback: /v2/* public",
            "/v2/x/callback/* by /v2/x/Callback: /v2/* public",
        ]
    );
}

#[test]
fn scopes_are_lost_to_every_rule_that_does_not_ask_for_them() {
    let admin = || asking("/v2/admin", &["a"]);
    for (rules, told) in [
        (
            vec![admin(), protected("/v2/*")],
            vec!["/v2/admin by /v2/Admin: /v2/* fewer, /* no rule"],
        ),
        (vec![admin()], vec!["/v2/admin by /v2/Admin: /* no rule"]),
        (
            vec![admin(), asking("/*", &["b"])],
            vec!["/v2/admin by /v2/Admin: /* fewer"],
        ),
        (vec![admin(), asking("/*", &["a", "b"])], vec![]),
        (
            vec![admin(), asking("/*", &["a"]), protected("/v2/rates")],
            vec![],
        ),
    ] {
        assert_eq!(exposed(&["/*"], &rules), told);
    }
    let within = exposed(&["/v2/*"], &[admin(), asking("/v2/*", &["a"])]);
    assert_eq!(within, [""; 0], "/V2 is nobody's");
}

#[test]
fn a_login_is_lost_to_what_does_not_compare_it() {
    let own = "/acc/{login}/x";
    let by_case = "/acc/{login}/x by /acc/x/X: ";
    for (guard, rules, told) in [
        (
            "/*",
            &[protected(own)][..],
            vec![format!("{by_case}/* any login")],
        ),
        ("/acc/{login}/*", &[protected(own)], vec![]),
        ("/acc/{login}/*", &[protected("/acc/{id}/x")], vec![]),
        (
            "/*",
            &[protected(own), protected("/acc/{login}/*")],
            vec![
                format!("{own} by /Acc/x/x: /* any login"),
                "/acc/{login}/* by /Acc/x: /* any login".to_owned(),
            ],
        ),
        (
            "/*",
            &[protected(own), asking("/*", &["a"])],
            vec![format!("{by_case}/* any login")],
        ),
        (
            "/*",
            &[asking(own, &["a"])],
            vec![format!("{by_case}/* no rule")],
        ),
    ] {
        let mut found = exposed(&[guard], rules);
        found.sort();
        let mut told = told;
        told.sort();
        assert_eq!(found, told, "{guard} {rules:?}");
    }
    let guards = exposed(&["/acc/{login}/*", "/*"], &[]);
    assert_eq!(guards, ["/acc/{login}/* by /Acc/x: /* any login"]);
}

#[test]
fn methods_are_looked_at_one_by_one() {
    let exact = || protected("/v2/x");
    for (around, rule, more, found) in [
        (&["GET"][..], exact(), None, true),
        (&["GET"], at(&["HEAD"], exact()), None, true),
        (&["GET"], at(&["POST"], exact()), None, false),
        (&["GET", "POST"], at(&["POST"], exact()), None, true),
        // For GET its own spelling is public, too.
        (
            &["GET"],
            exact(),
            Some(at(&["GET"], public("/v2/x"))),
            false,
        ),
    ] {
        let mut rules = vec![at(around, public("/v2/*")), rule];
        rules.extend(more);
        let told = exposed(&["/*"], &rules);
        assert_eq!(!told.is_empty(), found, "{rules:?}");
    }
}

#[test]
fn what_is_around_for_several_methods_is_listed_once() {
    let rules = [
        protected("/v2/x"),
        at(&["GET"], public("/v2/*")),
        at(&["POST"], public("/{a}/*")),
    ];
    let told = "/v2/x by /v2/X: /v2/* public, /{a}/* public";
    assert_eq!(exposed(&["/*"], &rules), [told]);
}

#[test]
fn white_space_and_dots_at_the_ends_are_another_spelling() {
    for around in ["/v2/x.", "/v2/ x", "/v2/x . "] {
        let found = exposed(&["/*"], &[protected("/v2/x"), public(around)]);
        assert_eq!(found, [format!("/v2/x by {around}: {around} public")]);
    }
}

#[test]
fn a_path_that_ends_somewhere_decides_before_what_goes_on_below_it() {
    let asking = |path| asking(path, &["a"]);
    let rules = [
        asking("/v2/x"),
        public("/v2/X"),
        asking("/v2/X/*"),
        asking("/*"),
    ];
    assert_eq!(exposed(&["/*"], &rules), ["/v2/x by /v2/X: /v2/X public"]);
}

#[test]
fn where_nothing_asks_for_less_nothing_is_walked() {
    let routes = routes(&["/*"], &[protected("/a/*"), protected("/b")]);
    assert_eq!(routes.exposed_counting(), (Vec::new(), 0));
}

#[test]
fn spellings_that_nothing_guards_are_not_followed() {
    let rules = [asking("/v2/r/*", &["a"]), public("/v2/*")];
    let (_, steps) = routes(&["/v2/*"], &rules).exposed_counting();
    assert_eq!(steps, 4, "/V2 leads nowhere");
}

#[test]
fn an_optional_slash_is_no_other_spelling() {
    let rules = vec![public("/v2/{a}/"), protected("/v2/x")];
    let routes = Routes::new(&["/*"], rules, TrailingSlash::Optional).unwrap();
    let spellings: Vec<String> = routes.exposed().into_iter().map(|it| it.spelling).collect();
    assert_eq!(spellings, ["/v2/X"]);
}

#[test]
fn steps_grow_with_rules_and_not_with_their_pairs() {
    let steps = |number: usize| {
        let rules = (0..number).map(|it| asking(&format!("/v2/r{it}/*"), &["a"]));
        let mut rules: Vec<RouteRule> = rules.collect();
        rules.push(public("/v2/*"));
        let routes = routes(&["/*"], &rules);
        let (exposed, steps) = routes.exposed_counting();
        assert_eq!(exposed.len(), number);
        steps
    };
    let few = steps(40);
    assert!(few >= 40 * 5, "each segment is a step: {few}");
    assert!(steps(400) <= 10 * few, "{few} for a tenth");
}

#[test]
fn patterns_that_are_gotten_around_by_the_same_rules_share_their_walks() {
    let steps = |number: usize| {
        let open = (0..number).map(|it| public(&format!("/{{x}}/r{it}/*")));
        let closed = (0..number).map(|it| protected(&format!("/q{it}/{{y}}/z")));
        let rules: Vec<RouteRule> = open.chain(closed).collect();
        let routes = routes(&["/*"], &rules);
        let (exposed, steps) = routes.exposed_counting();
        assert_eq!(exposed.len(), number);
        assert!(exposed.iter().all(|it| it.weaker.len() == number));
        steps
    };
    // Each is gotten around by each of the others, which is found once.
    assert!(steps(24) < 5 * steps(12));
}

/// Every path over a few spellings, to a depth that no pattern below has.
fn some_paths() -> Vec<String> {
    let texts = ["a", "A", "a.", "b", "B", "x"];
    let mut paths = vec![String::new()];
    let mut last = paths.clone();
    for _ in 0..3 {
        let longer = |path: &String| texts.map(|text| format!("{path}/{text}"));
        last = last.iter().flat_map(longer).collect();
        paths.extend(last.iter().cloned());
    }
    let slashed = paths.iter().map(|path| format!("{path}/"));
    slashed.chain(paths[1..].to_vec()).collect()
}

/// Whether some server may take the path for one of the pattern's, which it is not.
fn is_other_spelling(pattern: &PathPattern, path: &str) -> bool {
    let judged = JudgedPath::judge(path).unwrap();
    if pattern.matches(&judged).is_some() {
        return false;
    }
    let folded: Vec<String> = judged.segments().iter().map(|it| folded(it)).collect();
    let folded = folded.strip_suffix(&[String::new()]).unwrap_or(&folded);
    let own = pattern.segments();
    let fits = |(own, theirs): (&PatternSegment, &String)| match own {
        PatternSegment::Text(own) => super::folded(own) == *theirs,
        PatternSegment::Any | PatternSegment::Login => true,
    };
    let longer = folded.len() > own.len() && pattern.end() != PatternEnd::Rest;
    folded.len() >= own.len() && !longer && own.iter().zip(folded).all(fits)
}

/// What is asked of a path: whether it is public, its scopes, and which segments are
/// compared with the login.
fn asked<'r>(
    routes: &'r Routes,
    path: &str,
) -> Option<(RouteAccess, Vec<&'r str>, BTreeSet<usize>)> {
    let judged = JudgedPath::judge(path).unwrap();
    let fits = |it: &&PathPattern| it.matches(&judged).is_some();
    let guards: Vec<&PathPattern> = routes.guards.iter().filter(fits).collect();
    let mut rules = routes.rules.iter();
    let rule = rules.find(|it| it.pattern.matches(&judged).is_some());
    let binding = guards.iter().copied().chain(rule.map(|it| &it.pattern));
    let compared = binding.flat_map(logins).collect();
    (!guards.is_empty()).then(|| match rule {
        Some(rule) => (rule.access, rule.scopes.iter().collect(), compared),
        None => (RouteAccess::Protected, Vec::new(), compared),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_pattern_is_told_exactly_if_a_path_gets_around_it_and_no_more_after_the_cure(
        guards in prop::collection::vec(some_pattern(), 1..3),
        rules in prop::collection::vec(some_rule(), 1..5),
        slash in prop::sample::select(vec![TrailingSlash::Exact, TrailingSlash::Optional]),
    ) {
        let Ok(routes) = Routes::new(&guards, rules.clone(), slash) else {
            return Ok(());
        };
        let exposed = routes.exposed();
        for rule in &routes.rules {
            let told = exposed.iter().find(|it| it.path == rule.pattern.text());
            let scopes: Vec<&str> = rule.scopes.iter().collect();
            let gets_around = |path: &String| {
                rule.access == RouteAccess::Protected
                    && is_other_spelling(&rule.pattern, path)
                    && asked(&routes, path).is_some_and(|(access, has, compared)| {
                        access == RouteAccess::Public
                            || scopes.iter().any(|it| !has.contains(it))
                            || logins(&rule.pattern).iter().any(|it| !compared.contains(it))
                    })
            };
            let around = some_paths().into_iter().find(gets_around);
            prop_assert_eq!(told.is_some(), around.is_some(), "{:?} {:?}", rule, around);
            let Some(told) = told else { continue };
            prop_assert!(gets_around(&told.spelling), "{:?}", told);
            if told.path.contains("{login}") {
                continue;
            }

            let mut cured = rules.clone();
            for weaker in &told.weaker {
                let scopes = told.scopes.iter().map(str::to_owned);
                match cured.iter_mut().find(|it| it.path == weaker.path) {
                    Some(rule) => {
                        rule.access = RouteAccess::Protected;
                        rule.scopes.extend(scopes);
                    }
                    None => cured.push(RouteRule {
                        scopes: scopes.collect(),
                        ..protected(weaker.path)
                    }),
                }
            }
            let cured = Routes::new(&guards, cured, slash).unwrap();
            let left = cured.exposed();
            let left = left.iter().filter(|it| it.scopes.first_missing(told.scopes).is_none());
            let mut left = left.filter(|it| told.scopes.first_missing(it.scopes).is_none());
            prop_assert!(left.all(|it| it.path != told.path), "{:?}", told);
        }
    }
}

fn some_pattern() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(vec!["a", "A", "b", "{x}", "{login}"]);
    let segments = prop::collection::vec(texts, 0..3);
    let end = prop::sample::select(vec!["", "/", "/*"]);
    (segments, end).prop_map(|(segments, end)| {
        let head: String = segments.iter().map(|it| format!("/{it}")).collect();
        let text = format!("{head}{end}");
        if text.is_empty() {
            "/".to_owned()
        } else {
            text
        }
    })
}

fn some_rule() -> impl Strategy<Value = RouteRule> {
    (some_pattern(), 0..4_usize).prop_map(|(path, kind)| match kind {
        0 | 1 => public(&path),
        2 => protected(&path),
        _ => asking(&path, &["r"]),
    })
}
