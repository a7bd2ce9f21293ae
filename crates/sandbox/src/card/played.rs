//! A step that was played, and what may be shown of it.

use std::time::Duration;

use super::step::{StepNeed, StoryStep};
use super::{ClientAnswer, StepEvent, StepEvidence, StepVerdict, judge};

/// The longest text of a client that is shown, in characters.
const LONGEST: usize = 400;

/// A step that was played, or skipped.
#[derive(Clone, Debug)]
pub struct PlayedStep {
    /// The step.
    pub step: &'static StoryStep,
    /// What became of it.
    pub verdict: StepVerdict,
    /// What was seen.
    pub evidence: StepEvidence,
    /// What the client printed beside its answers, the last lines of it.
    pub said: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl PlayedStep {
    /// Judges what was seen. What the client told is shown without the secret
    /// that it was given, and without what a terminal would obey.
    pub(super) fn judged(
        step: &'static StoryStep,
        seen: StepEvidence,
        said: &[String],
        secret: &str,
        took: Duration,
    ) -> Self {
        let mut told = false;
        let mut clean = |text: &str| {
            told |= text.contains(secret);
            cleaned(text, secret)
        };
        let said = said.iter().map(|line| clean(line)).collect();
        let evidence: StepEvidence = seen.into_iter().map(|it| shown(it, &mut clean)).collect();
        let verdict = match judge(step, &evidence) {
            verdict if told => {
                verdict.and("it printed the login secret: what is printed ends in a log".to_owned())
            }
            verdict => verdict,
        };
        Self {
            step,
            verdict,
            evidence,
            said,
            took,
        }
    }

    /// A step that was not played.
    pub(super) fn skipped(step: &'static StoryStep, need: StepNeed) -> Self {
        Self {
            step,
            verdict: StepVerdict::skipped_for(need),
            evidence: StepEvidence::default(),
            said: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

fn shown(event: StepEvent, clean: &mut impl FnMut(&str) -> String) -> StepEvent {
    match event {
        StepEvent::Answer {
            call,
            answer: ClientAnswer::Error(text),
        } => StepEvent::Answer {
            call,
            answer: ClientAnswer::Error(clean(&text)),
        },
        event => event,
    }
}

fn cleaned(text: &str, secret: &str) -> String {
    let text = text.replace(secret, "(the secret)");
    let mut characters = text.chars();
    let shown = characters.by_ref().take(LONGEST);
    let mut shown: String = shown
        .map(|it| if it.is_control() { '\u{fffd}' } else { it })
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
