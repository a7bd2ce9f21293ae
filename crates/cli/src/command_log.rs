//! What a short-lived command writes to standard error beside its output: the client's warnings,
//! and with `--verbose` the log of all parts of the program.
//!
//! `serve` and `sidecar` write a log instead (`serve/telemetry.rs`).

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use countersign_check::printable;
use countersign_client::WARNINGS;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::output::{Output, Verbosity};

/// What all crates of the program log under: their names begin so.
const OURS: &str = "countersign";

/// Shows from now on what the command line asks for. By default these are the warnings:
/// the other log lines repeat what a command says anyway. With `--json` they would stand
/// in the way of the document that tells a failure.
pub(crate) fn show(output: &Output) {
    let wanted = match output.verbosity() {
        Verbosity::Quiet => return,
        Verbosity::Verbose if !output.is_json() => Targets::new().with_target(OURS, Level::DEBUG),
        _ => Targets::new().with_target(WARNINGS, Level::WARN),
    };
    let subscriber = tracing_subscriber::registry().with(OnStandardError.with_filter(wanted));
    // There is another already only where a test runs in this process.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Warns of something that works and should be mended all the same.
pub(crate) fn warn(sentence: &str) {
    tracing::warn!(target: WARNINGS, "{sentence}");
}

struct OnStandardError;

impl<S: Subscriber> Layer<S> for OnStandardError {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = EventText::default();
        event.record(&mut said);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        let sentence = printable(&format!("{}{}", said.message, said.fields));
        // If that fails there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{level}: {sentence}");
    }
}

/// An event as a line: its sentence, and ` name=value` for each field.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
