//! Warnings to a person about what works and should be corrected anyway.

/// The target of the log events with which the client warns a person of something
/// that works and should be corrected: a session file that was set aside, a session that
/// could not be ended, a file with a secret that others can read, or a secret in which
/// nobody can see all. Each is one whole sentence without secrets.
pub const WARNINGS: &str = "countersign_client::warning";

/// Logs a warning for a person.
pub(crate) fn warn(sentence: &str) {
    tracing::warn!(target: WARNINGS, "{sentence}");
}
