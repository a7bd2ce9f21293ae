//! The card as one JSON document.

use countersign_domain::Timestamp;
use serde_json::{Value, json};

use super::evidence::StepEvent;
use super::{ClientCard, PlayedStep, StepTally};

impl ClientCard {
    /// The card for programs.
    pub fn document(&self) -> Value {
        let StepTally {
            passed,
            failed,
            skipped,
        } = self.tally();
        json!({
            "dialect": self.terms.dialect,
            "variant": self.terms.variant,
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }
}

fn step(played: &PlayedStep) -> Value {
    let begun = played.evidence.begun().unwrap_or_default();
    let events = played.evidence.events();
    json!({
        "name": played.step.name,
        "title": played.step.title,
        "verdict": played.verdict.word(),
        "reasons": played.verdict.reasons(),
        "notes": played.verdict.notes(),
        "seconds": played.took.as_secs_f64(),
        "events": events.iter().map(|it| event(it, begun)).collect::<Vec<_>>(),
        "printed": played.said,
    })
}

fn event(event: &StepEvent, begun: Timestamp) -> Value {
    match event {
        StepEvent::Request(request) => json!({
            "at": request.at.since(begun).as_secs_f64(),
            "request": request.operation.name(),
            "status": request.status,
            "refusal": request.refusal.map(|reason| reason.code()),
            "change": request.change,
            "faults": request.faults,
        }),
        StepEvent::Answer { call, answer } => json!({ "call": call, "answer": answer.to_string() }),
        StepEvent::Incident(text) => json!({ "incident": text }),
    }
}
