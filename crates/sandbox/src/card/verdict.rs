//! The judgement of a step.

use countersign_domain::TokenOperation;

use super::evidence::{EvidenceScope, StepEvidence, answers, requests_for};
use super::step::{StepNeed, StoryStep};
use crate::RecordedRequest;

/// What the dialect and its variant have, as far as the card asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectTerms {
    /// The dialect's name.
    pub dialect: String,
    /// The variant's name.
    pub variant: String,
    /// Whether sessions can be refreshed.
    pub refreshes: bool,
    /// Whether a lost refresh is to be followed by a login.
    pub login_after_loss: bool,
    /// How many requests an access token makes.
    pub budget: Option<u32>,
    /// How many logins a minute the vendor takes from one address.
    pub anonymous_per_minute: Option<u32>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepVerdict {
    /// All demands are satisfied.
    Passed {
        /// What is worth knowing all the same.
        notes: Vec<String>,
    },
    /// Some are not.
    Failed {
        /// Why, one text for each.
        reasons: Vec<String>,
    },
    /// The step could not be played.
    Skipped {
        /// Why.
        why: String,
    },
}

impl StepVerdict {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "pass",
            Self::Failed { .. } => "fail",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Why it failed or was skipped.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Passed { .. } => &[],
            Self::Failed { reasons } => reasons,
            Self::Skipped { why } => std::slice::from_ref(why),
        }
    }

    /// What is worth knowing of a step that passed.
    pub fn notes(&self) -> &[String] {
        match self {
            Self::Passed { notes } => notes,
            Self::Failed { .. } | Self::Skipped { .. } => &[],
        }
    }
}

impl StepVerdict {
    fn from_reasons(reasons: Vec<String>, evidence: &StepEvidence) -> Self {
        if reasons.is_empty() {
            let notes = restless(evidence).into_iter().collect();
            return Self::Passed { notes };
        }
        Self::Failed { reasons }
    }

    /// The same, with one more reason against it.
    pub(super) fn and(self, reason: String) -> Self {
        let mut reasons = match self {
            Self::Failed { reasons } => reasons,
            Self::Passed { .. } | Self::Skipped { .. } => Vec::new(),
        };
        reasons.push(reason);
        Self::Failed { reasons }
    }

    pub(super) fn skipped_for(need: StepNeed) -> Self {
        let why = match need {
            StepNeed::Refresh => "sessions of this dialect cannot be refreshed",
            StepNeed::NoRefresh => "sessions of this dialect can be refreshed",
            StepNeed::LoginAfterLoss => "this dialect lets a refresh be sent again",
            StepNeed::Budget => "an access token of this dialect makes any number of calls",
            StepNeed::AnonymousLimit => "the vendor is not known to bound the logins of an address",
            StepNeed::Parallel => {
                "the client did not say that it makes calls at once (\"can parallel\")"
            }
        };
        Self::Skipped {
            why: why.to_owned(),
        }
    }
}

impl DialectTerms {
    /// Whether the step has a meaning here: a story with refreshes leaves out
    /// the steps that stand for those without.
    pub(super) fn concern(&self, step: &StoryStep) -> bool {
        step.needs.iter().all(|need| match need {
            StepNeed::NoRefresh => !self.refreshes,
            StepNeed::LoginAfterLoss => self.login_after_loss,
            StepNeed::Refresh => self.refreshes,
            // Beyond what a person waits for, nobody could play it.
            StepNeed::AnonymousLimit => self.anonymous_per_minute.is_some_and(|it| it <= 60),
            StepNeed::Budget | StepNeed::Parallel => true,
        })
    }

    /// What the step needs and this dialect does not have.
    pub(super) fn lacks(&self, step: &StoryStep) -> Option<StepNeed> {
        let unlimited = step.needs.contains(&StepNeed::Budget) && self.budget.is_none();
        unlimited.then_some(StepNeed::Budget)
    }
}

/// Judges what was seen in a step.
pub fn judge(step: &StoryStep, evidence: &StepEvidence) -> StepVerdict {
    let missed = step.demands.iter().filter_map(|it| it.misses(evidence));
    StepVerdict::from_reasons(missed.chain(made_up(evidence)).collect(), evidence)
}

/// An adapter that reports more successes than the vendor saw proves nothing about the
/// client behind it.
fn made_up(evidence: &StepEvidence) -> Option<String> {
    let events = evidence.events();
    let told = answers(events).filter(|(_, it)| it.is_success()).count();
    let done = |it: &&RecordedRequest| (200..300).contains(&it.status);
    let seen = requests_for(events, TokenOperation::Guard)
        .filter(done)
        .count();
    (told > seen).then(|| {
        format!("{told} reported as successful, but the vendor answered {seen} with success: `ok` must pass on a status of the vendor")
    })
}

/// Many renewals are not a failure where a life is as short as in the card, and
/// worth a look.
fn restless(evidence: &StepEvidence) -> Option<String> {
    let events = evidence.within(EvidenceScope::Whole);
    let calls = answers(events).count();
    let renewals = requests_for(events, TokenOperation::Refresh).count()
        + requests_for(events, TokenOperation::Login).count();
    (calls > 10 && renewals * 2 > calls).then(|| {
        format!("it asked for {renewals} tokens for {calls} calls: its margin before the end is longer than the token's life")
    })
}
