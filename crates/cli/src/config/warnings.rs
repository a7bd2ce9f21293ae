//! Warns of configurations that are valid but perhaps not intended, with what to do about it.

use countersign_domain::Scopes;
use countersign_domain::routes::{ExposedRoute, WeakerAccess, WeakerRoute};

use super::Settings;

/// A warning about a configuration.
pub(super) struct Warning {
    /// What is perhaps not intended.
    pub(super) sentence: String,
    /// What to do about it.
    pub(super) help: String,
}

/// Every warning about these settings.
pub(super) fn warnings(settings: &Settings) -> Vec<Warning> {
    let guards = settings.apis.iter().filter_map(|api| {
        let routes = &api.guard.as_ref()?.routes;
        Some((api.name(), routes.exposed()))
    });
    let warnings = guards.flat_map(|(name, exposed)| {
        let exposed = exposed.into_iter();
        exposed.map(move |it| exposed_route(&name.to_string(), &it))
    });
    warnings.collect()
}

fn exposed_route(api: &str, exposed: &ExposedRoute<'_>) -> Warning {
    let ExposedRoute {
        path,
        scopes,
        spelling,
        weaker,
    } = exposed;
    let asks = if scopes.is_empty() {
        String::new()
    } else {
        format!(" and requires {}", scopes_named(scopes))
    };
    let falls = weaker.iter().map(falls_under).collect::<Vec<_>>();
    Warning {
        sentence: format!(
            "api {api}: {path} is protected{asks}, but other spellings of it (letter case, a \
             slash or dot at the end), such as {spelling}, fall {}",
            falls.join(", and ")
        ),
        help: format!(
            "unless the upstream treats them as other paths, {}",
            cure(exposed)
        ),
    }
}

fn falls_under(weaker: &WeakerRoute<'_>) -> String {
    let path = weaker.path;
    match weaker.access {
        WeakerAccess::Public => format!("under {path}, which is public"),
        WeakerAccess::FewerScopes => format!("under {path}, which requires fewer scopes"),
        WeakerAccess::NoRule => format!("under no rule within {path}, so no scope is required"),
        WeakerAccess::AnyLogin => {
            format!("under {path}, which does not compare that segment with the caller's login")
        }
    }
}

/// What to change, so that every spelling requires as much. There are more spellings than
/// rules could list, so the protection is to be general, and each path that may require
/// less is to be listed exactly.
fn cure(exposed: &ExposedRoute<'_>) -> String {
    let paths: Vec<&str> = exposed.weaker.iter().map(|it| it.path).collect();
    let paths = paths.join(" and ");
    let is_any_login = |it: &WeakerRoute<'_>| it.access == WeakerAccess::AnyLogin;
    if exposed.weaker.iter().all(is_any_login) {
        return format!(
            "write {{login}} in {paths} where {} has it, so that the paths below have it in any \
             spelling",
            exposed.path
        );
    }
    if exposed.scopes.is_empty() {
        return format!(
            "protect {paths} too, and list each public path below without `*` or `{{}}`"
        );
    }
    format!(
        "protect {paths} too with a rule that requires {}, and list each path below that needs \
         less without `*` or `{{}}`",
        scopes_named(exposed.scopes)
    )
}

fn scopes_named(scopes: &Scopes) -> String {
    let named: Vec<&str> = scopes.iter().collect();
    let noun = if named.len() == 1 { "scope" } else { "scopes" };
    format!("the {noun} {}", named.join(", "))
}
