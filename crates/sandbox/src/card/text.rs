//! The card for people.

use std::fmt::{self, Write};

use countersign_domain::Timestamp;

use super::evidence::StepEvent;
use super::{ClientCard, PlayedStep, StepTally, StepVerdict};
use crate::RecordedRequest;

/// At most so many events stand under a failed step.
const SHOWN: usize = 16;

/// So many of them are those before the first that is out of the ordinary.
const BEFORE: usize = 4;

/// At most so many lines of what the client printed.
const PRINTED: usize = 3;

impl fmt::Display for ClientCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "A client of {} on the card\n", self.subject())?;
        for played in &self.steps {
            write_step(f, played)?;
        }
        let StepTally {
            passed,
            failed,
            skipped,
        } = self.tally();
        write!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, played: &PlayedStep) -> fmt::Result {
    let word = match played.verdict {
        StepVerdict::Passed { .. } => "pass",
        StepVerdict::Failed { .. } => "FAIL",
        StepVerdict::Skipped { .. } => "skip",
    };
    writeln!(f, "{word}  {:<20} {}", played.step.name, played.step.title)?;
    match &played.verdict {
        StepVerdict::Passed { notes } => notes
            .iter()
            .try_for_each(|it| writeln!(f, "        note: {it}")),
        StepVerdict::Skipped { why } => writeln!(f, "        {why}"),
        StepVerdict::Failed { reasons } => {
            reasons
                .iter()
                .try_for_each(|it| writeln!(f, "      - {it}"))?;
            excerpt(played).try_for_each(|it| writeln!(f, "        {it}"))
        }
    }
}

/// What was seen in a step, one line each, and then what the client printed
/// beside its answers.
pub(super) fn lines(played: &PlayedStep) -> Vec<String> {
    let said = played.said.iter().map(|it| printed(it));
    seen(played).chain(said).collect()
}

/// The part of it that shows what went wrong.
fn excerpt(played: &PlayedStep) -> impl Iterator<Item = String> {
    let events = played.evidence.events();
    let odd = events.iter().position(is_odd);
    let incident = || {
        events
            .iter()
            .position(|it| matches!(it, StepEvent::Incident(_)))
    };
    let from = odd.or_else(incident).unwrap_or(0).saturating_sub(BEFORE);
    let after = events.len().saturating_sub(from + SHOWN);
    let said = played.said.len().saturating_sub(PRINTED);
    let said = played.said.iter().skip(said).map(|it| printed(it));
    more(from, "before")
        .into_iter()
        .chain(seen(played).skip(from).take(SHOWN))
        .chain(more(after, "after"))
        .chain(said)
}

fn more(count: usize, place: &str) -> Option<String> {
    (count > 0).then(|| format!("… {count} more {place}"))
}

fn is_odd(event: &StepEvent) -> bool {
    match event {
        StepEvent::Request(request) => request.refusal.is_some() || !request.faults.is_empty(),
        StepEvent::Answer { answer, .. } => !answer.is_success(),
        StepEvent::Incident(_) => false,
    }
}

fn printed(line: &str) -> String {
    format!("it printed: {line}")
}

fn seen(played: &PlayedStep) -> impl Iterator<Item = String> {
    let begun = played.evidence.begun().unwrap_or_default();
    let events = played.evidence.events().iter();
    events.map(move |event| line(event, begun))
}

fn line(event: &StepEvent, begun: Timestamp) -> String {
    match event {
        StepEvent::Request(request) => request_line(request, begun),
        StepEvent::Answer { call, answer } => format!("call {call}: {answer}"),
        StepEvent::Incident(text) => format!("-- {text}"),
    }
}

fn request_line(request: &RecordedRequest, begun: Timestamp) -> String {
    let at = request.at.since(begun).as_secs_f64();
    let name = request.operation.name();
    let mut line = format!("+{at:.3} s {name:<8} {}", request.status);
    let refusal = request.refusal.map(|reason| reason.code());
    for word in refusal.into_iter().chain(request.change) {
        // Writing to a string cannot fail.
        let _ = write!(line, " {word}");
    }
    if !request.faults.is_empty() {
        let _ = write!(line, " (fault: {})", request.faults.join(", "));
    }
    line
}
