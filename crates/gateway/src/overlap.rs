//! Two apis that could both answer a path: found before anything is served.

use countersign_dialect::Dialect;
use countersign_domain::ApiName;

use crate::pattern::Pattern;
use crate::routes::Routes;

/// What an api answers on a listener.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The api.
    pub api: &'a ApiName,
    /// Its dialect, whose operations have paths.
    pub dialect: &'a Dialect,
    /// The paths that it guards, if it guards any.
    pub routes: Option<&'a Routes>,
}

/// Two apis that could both answer a path.
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

/// Every pair of paths that two of these apis could both answer. An api's own
/// operations may lie within what it guards: they go first.
pub fn overlaps(claims: &[Claim<'_>]) -> Vec<Overlap> {
    let paths: Vec<Vec<Pattern>> = claims.iter().map(Claim::paths).collect();
    let mut found = Vec::new();
    for (at, first) in claims.iter().enumerate() {
        for (next, second) in claims.iter().enumerate().skip(at + 1) {
            let pairs = paths[at]
                .iter()
                .flat_map(|one| paths[next].iter().map(move |other| (one, other)));
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
        paths
    }
}
