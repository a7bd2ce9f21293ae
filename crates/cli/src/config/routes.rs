//! `guards` and `[[apis.NAME.routes]]`: which paths are guarded, and what each
//! requires.

use std::path::Path;

use countersign_dialect::Dialect;
use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_domain::{RouteAccess, RouteFault, RouteRule, Routes, TrailingSlash};
use serde_json::json;

use super::kinds::{ValueKind, choice, text, texts};
use super::setting::{SettingsTable, settings};

/// The keys of `[[apis.NAME.routes]]`.
pub(super) fn route_settings() -> SettingsTable<RouteRule> {
    settings! { RouteRule, Changes:
        /// every method, if left out
        methods = methods(), at(methods);
        path = text(), at(path), required();
        /// "public", or "protected": needs an access token
        access = choice(&ACCESSES), at(access), required();
        /// scopes that the credential must have
        scopes = texts(), at(scopes);
    }
}

const ACCESSES: [(&str, RouteAccess); 2] = [
    ("public", RouteAccess::Public),
    ("protected", RouteAccess::Protected),
];

/// A rule, and where its path is written.
pub(super) type PlacedRule<'d> = (RouteRule, TomlValue<'d>);

/// The paths are checked even where rules could not be read (`None`), so that all
/// mistakes are reported.
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
            place.blame(fault.to_string(), fault.help().map(str::to_owned));
        }
    });
    routes.ok().filter(|_| good)
}

pub(super) fn rules<'d>(value: &TomlValue<'d>, base: &Path) -> Option<Vec<PlacedRule<'d>>> {
    let rules = value
        .array()?
        .into_iter()
        .map(|it| it.table().and_then(|table| rule(&table, base)));
    // All are read before the first that fails ends it, so that all are reported.
    rules.collect::<Vec<_>>().into_iter().collect()
}

fn rule<'d>(table: &TomlTable<'d>, base: &Path) -> Option<PlacedRule<'d>> {
    let mut rule = RouteRule {
        methods: Vec::new(),
        path: String::new(),
        access: RouteAccess::Protected,
        scopes: Vec::new(),
    };
    let given = route_settings().read(table, base, &mut rule);
    let path = given.sound("path")?.clone();
    let read = given.sound("access").is_some() && given.all_sound();
    read.then_some((rule, path))
}

fn methods() -> ValueKind<Vec<String>> {
    ValueKind::new(|value, _| read_methods(value), |it| json!(it))
}

fn read_methods(value: &TomlValue<'_>) -> Option<Vec<String>> {
    let texts = value.texts()?;
    if texts.is_empty() {
        let help = "leave it out for every method";
        value.blame("lists no method", Some(help.to_owned()));
        return None;
    }
    let read = texts.into_iter().map(|text| {
        let is_method = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method {
            let help = "write it in upper case, such as \"GET\"";
            value.blame(format!("{text:?} is not a method"), Some(help.to_owned()));
        }
        is_method.then(|| text.to_owned())
    });
    read.collect::<Vec<_>>().into_iter().collect()
}
