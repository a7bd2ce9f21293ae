//! The card: leads a client through a story of expiries, lost replies and refusals, and reports
//! what it handles well, what it does not, and why that matters.
//!
//! The story is data ([`story`]); the judgement is pure ([`judge`]): it sees the requests that
//! reached the vendor and what the client reported of its calls. The client's clock is the real
//! one while the vendor's jumps, so after a jump the only demand is that a 401 is recovered
//! from. That no expired token is sent is demanded with tokens that live for some seconds of
//! real time.

mod client;
mod demand;
mod evidence;
mod json;
mod junit;
mod play;
mod played;
mod process;
mod scene;
mod step;
mod story;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub use client::{CardClient, ClientSituation};
pub use demand::{DemandCheck, StepDemand};
pub use evidence::{ClientAnswer, EvidenceScope, StepEvent, StepEvidence};
pub use play::{CardPlan, PlayError, StartClient, play};
pub use played::PlayedStep;
pub use process::{ClientProcess, StartError};
pub use step::{ClockLeap, RETRY_AFTER, SHORT, StepAction, StepNeed, StepSetup, StoryStep};
pub use story::story;
pub use verdict::{DialectTerms, StepVerdict, judge};

/// The card of a client: every step of the story and what became of it.
#[derive(Clone, Debug)]
pub struct ClientCard {
    /// The dialect and variant that was played.
    pub terms: DialectTerms,
    /// The steps, in the order of the story.
    pub steps: Vec<PlayedStep>,
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTally {
    /// Steps whose demands are all satisfied.
    pub passed: usize,
    /// Steps with a demand that is not.
    pub failed: usize,
    /// Steps that were not played.
    pub skipped: usize,
}

impl ClientCard {
    /// How many steps ended how.
    pub fn tally(&self) -> StepTally {
        self.steps
            .iter()
            .fold(StepTally::default(), |tally, played| {
                let StepTally {
                    passed,
                    failed,
                    skipped,
                } = tally;
                match played.verdict {
                    StepVerdict::Passed { .. } => StepTally {
                        passed: passed + 1,
                        ..tally
                    },
                    StepVerdict::Failed { .. } => StepTally {
                        failed: failed + 1,
                        ..tally
                    },
                    StepVerdict::Skipped { .. } => StepTally {
                        skipped: skipped + 1,
                        ..tally
                    },
                }
            })
    }

    /// Whether no step failed.
    pub fn passes(&self) -> bool {
        self.tally().failed == 0
    }

    /// The dialect, and the variant where that tells something.
    pub fn subject(&self) -> String {
        let DialectTerms {
            dialect, variant, ..
        } = &self.terms;
        match variant.as_str() {
            "main" | "" => dialect.clone(),
            variant => format!("{dialect} {variant}"),
        }
    }
}
