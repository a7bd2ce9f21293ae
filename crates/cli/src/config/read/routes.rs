//! `guards` and `[[apis.NAME.routes]]`: which paths are guarded, and what each
//! asks for.

use countersign_dialect::Dialect;
use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_domain::{RouteAccess, RouteFault, RouteRule, Routes, TrailingSlash};

/// A rule, and where its path stands.
pub(super) type PlacedRule<'d> = (RouteRule, TomlValue<'d>);

/// Rules that are wrong themselves (`None`) do not hide what is wrong with the
/// paths.
pub(super) fn routes(
    guards: &TomlValue<'_>,
    rules: Option<Vec<PlacedRule<'_>>>,
    dialect: Option<&Dialect>,
) -> Option<Routes> {
    let slash_optional =
        dialect.is_some_and(|it| it.operations().any(|operation| operation.slash_optional));
    let slash = if slash_optional {
        TrailingSlash::Optional
    } else {
        TrailingSlash::Exact
    };
    let good = rules.is_some();
    let (rules, places): (Vec<_>, Vec<_>) = rules.unwrap_or_default().into_iter().unzip();
    let paths: Vec<_> = rules
        .iter()
        .map(|rule: &RouteRule| rule.path.clone())
        .collect();
    let compiled = Routes::new(&guards.texts()?, rules, slash);
    let routes = compiled.map_err(|faults| {
        for fault in faults {
            let (RouteFault::Pattern { path, .. }
            | RouteFault::Outside(path)
            | RouteFault::ScopesInPublic(path)
            | RouteFault::Scope { path, .. }
            | RouteFault::Twice { second: path, .. }) = &fault;
            let rule = paths.iter().rposition(|written| written == path);
            let place = rule.and_then(|rule| places.get(rule)).unwrap_or(guards);
            place.blame(fault.to_string(), None);
        }
    });
    routes.ok().filter(|_| good)
}

pub(super) fn rules<'d>(value: &TomlValue<'d>) -> Option<Vec<PlacedRule<'d>>> {
    let rules = value
        .array()?
        .into_iter()
        .map(|it| it.table().and_then(|table| rule(&table)));
    // All are read before the first that fails ends it, so that all are reported.
    rules.collect::<Vec<_>>().into_iter().collect()
}

fn rule<'d>(table: &TomlTable<'d>) -> Option<PlacedRule<'d>> {
    let accesses = [
        ("public", RouteAccess::Public),
        ("protected", RouteAccess::Protected),
    ];
    let path = table.require("path");
    let text = path.as_ref().and_then(TomlValue::text);
    let access = table.require("access").and_then(|it| it.choice(&accesses));
    let methods = table
        .get("methods")
        .map_or(Some(Vec::new()), |it| methods(&it));
    let scopes = table
        .get("scopes")
        .map_or(Some(Vec::new()), |it| it.texts());
    let scopes = scopes.map(|it| it.into_iter().map(str::to_owned).collect());
    let rule = RouteRule {
        methods: methods?,
        path: text?.to_owned(),
        access: access?,
        scopes: scopes?,
    };
    Some((rule, path?))
}

fn methods(value: &TomlValue<'_>) -> Option<Vec<String>> {
    let texts = value.texts()?;
    if texts.is_empty() {
        value.blame("names no method; leave it out for every method", None);
        return None;
    }
    let read = texts.into_iter().map(|text| {
        let is_method = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method {
            value.blame(
                format!("{text:?} is not a method; write it in upper case, e.g. \"GET\""),
                None,
            );
        }
        is_method.then(|| text.to_owned())
    });
    read.collect::<Vec<_>>().into_iter().collect()
}
