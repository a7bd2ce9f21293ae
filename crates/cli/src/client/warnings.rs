//! What the client warns a person of, on standard error.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use countersign_client::WARNINGS;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::table::printable;

/// Shows the client's warnings from now on. Its other log lines repeat what a
/// command says anyway.
pub(super) fn show() {
    let only_warnings = Targets::new().with_target(WARNINGS, tracing::Level::WARN);
    let subscriber =
        tracing_subscriber::registry().with(OnStandardError.with_filter(only_warnings));
    // There is another already only where a test runs in this process.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// One line.
pub(super) fn line(sentence: &str) {
    // If that fails there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "warning: {}", printable(sentence));
}

struct OnStandardError;

impl<S: Subscriber> Layer<S> for OnStandardError {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        line(&message.0);
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
