//! The card: leads somebody's client through a story of expiries, lost replies
//! and refusals, and tells what it does well, what it does not, and why that
//! matters.
//!
//! The story is data ([`story`]); the judgement is pure ([`judge`]): it sees the
//! requests that reached the vendor and what the client told of its calls. The
//! client's clock is the real one while the vendor's jumps, so after a jump
//! nothing is demanded but that a 401 is cured; that no ended token is sent is
//! demanded of tokens that live for some seconds of real time.

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

pub use client::{Client, Situation};
pub use demand::{Check, Demand};
pub use evidence::{Answer, Event, Evidence, Scope};
pub use play::{Plan, PlayError, Start, play};
pub use played::Played;
pub use process::{Process, StartError};
pub use step::{Act, Leap, Need, RETRY_AFTER, SHORT, Stage, Step};
pub use story::story;
pub use verdict::{Terms, Verdict, judge};

/// The card of a client: every step of the story and what became of it.
#[derive(Clone, Debug)]
pub struct Card {
    /// The dialect and variant that was played.
    pub terms: Terms,
    /// The steps, in the order of the story.
    pub steps: Vec<Played>,
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps whose demands are all satisfied.
    pub passed: usize,
    /// Steps with a demand that is not.
    pub failed: usize,
    /// Steps that were not played.
    pub skipped: usize,
}

impl Card {
    /// How many steps ended how.
    pub fn tally(&self) -> Tally {
        self.steps.iter().fold(Tally::default(), |tally, played| {
            let Tally {
                passed,
                failed,
                skipped,
            } = tally;
            match played.verdict {
                Verdict::Passed { .. } => Tally {
                    passed: passed + 1,
                    ..tally
                },
                Verdict::Failed { .. } => Tally {
                    failed: failed + 1,
                    ..tally
                },
                Verdict::Skipped { .. } => Tally {
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
        let Terms {
            dialect, variant, ..
        } = &self.terms;
        match variant.as_str() {
            "main" | "" => dialect.clone(),
            variant => format!("{dialect} {variant}"),
        }
    }
}
