//! What the guarded API is told of who calls.

use countersign_testing::recording::ReceivedRequest;

/// The headers that an API could take for one of Countersign's, in any spelling with
/// hyphens and underscores.
pub(crate) fn identity(reached: &ReceivedRequest) -> Vec<(String, String)> {
    let text = |it: &http::HeaderValue| it.to_str().unwrap().to_owned();
    let all = reached.headers.iter();
    let all = all.map(|(name, value)| (name.as_str().replace('_', "-"), text(value)));
    let mut own: Vec<_> = all
        .filter(|(name, value)| name.starts_with("x-countersign") && !value.is_empty())
        .collect();
    own.sort();
    own
}
