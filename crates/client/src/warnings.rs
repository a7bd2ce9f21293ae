//! What works and should be mended all the same, for a person to read.

/// The target of the log events with which the client warns a person of something
/// that works and should be mended: a session file that was set aside, a file with
/// a secret that others can read. Each is one whole sentence without secrets.
pub const WARNINGS: &str = "countersign_client::warning";

/// Warns.
pub(crate) fn warn(sentence: &str) {
    tracing::warn!(target: WARNINGS, "{sentence}");
}
