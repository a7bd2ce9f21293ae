//! What a step demands of a client, and whether it was met: a pure function of the evidence.

use std::time::Duration;

use countersign_domain::{Reason, TokenOperation};

use super::evidence::{EvidenceScope, StepEvent, StepEvidence, answers, requests, requests_for};
use crate::RecordedRequest;

/// One demand of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepDemand {
    /// What must hold.
    pub check: DemandCheck,
    /// Of which part of the step.
    pub scope: EvidenceScope,
    /// Why, in the words of somebody who has to repair it.
    pub because: &'static str,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemandCheck {
    /// Every call is done.
    AllSucceed,
    /// The last call is done; those before may have failed with a clear error.
    Recovers,
    /// Every call ends with a clear error, and none is done.
    AllFail,
    /// The vendor is asked for this no more often than so.
    AtMost(TokenOperation, usize),
    /// The vendor is asked for this at least so often.
    AtLeast(TokenOperation, usize),
    /// No request is refused for this reason.
    Never(Reason),
    /// After a refusal with `Retry-After` this is not asked for so long.
    Waits(TokenOperation, Duration),
    /// This is not asked for thrice in a row without a pause.
    Unhurried(TokenOperation),
    /// The request after a refresh whose reply was lost is not a refresh: this
    /// vendor punishes a second use of its token.
    NoSecondUse,
}

/// Three requests within this are a hot loop.
const HURRY: Duration = Duration::from_millis(200);

/// Clocks and timers are this exact: who waits a second may be so much early.
const SLACK: Duration = Duration::from_millis(50);

impl StepDemand {
    /// Why the evidence does not satisfy the demand; `None` if it does.
    pub fn misses(&self, evidence: &StepEvidence) -> Option<String> {
        let events = evidence.within(self.scope);
        let seen = match self.check {
            DemandCheck::AllSucceed => not_done(events),
            DemandCheck::Recovers => not_recovered(events).or_else(|| unclear(events)),
            DemandCheck::AllFail => done(events).or_else(|| unclear(events)),
            DemandCheck::AtMost(operation, most) => too_often(events, operation, most),
            DemandCheck::AtLeast(operation, least) => too_seldom(events, operation, least),
            DemandCheck::Never(reason) => refused_for(events, reason),
            DemandCheck::Waits(operation, span) => impatient(events, operation, span),
            DemandCheck::Unhurried(operation) => hurried(events, operation),
            DemandCheck::NoSecondUse => used_twice(events),
        }?;
        Some(format!("{seen}: {}", self.because))
    }
}

fn not_done(events: &[StepEvent]) -> Option<String> {
    let (call, answer) = answers(events).find(|(_, answer)| !answer.is_success())?;
    Some(format!("call {call} was not done ({answer})"))
}

fn not_recovered(events: &[StepEvent]) -> Option<String> {
    match answers(events).last() {
        Some((_, answer)) if answer.is_success() => None,
        Some((call, answer)) => {
            let tries = answers(events).count();
            Some(format!(
                "no success after {}: call {call} ended with \"{answer}\"",
                times(tries, "call")
            ))
        }
        None => Some("no call was made".to_owned()),
    }
}

fn done(events: &[StepEvent]) -> Option<String> {
    let (call, answer) = answers(events).find(|(_, answer)| answer.is_success())?;
    Some(format!("call {call} is reported as successful ({answer})"))
}

fn unclear(events: &[StepEvent]) -> Option<String> {
    let (call, answer) =
        answers(events).find(|(_, answer)| !answer.is_success() && !answer.is_clear_failure())?;
    Some(format!("call {call} has no clear error ({answer})"))
}

fn too_often(events: &[StepEvent], operation: TokenOperation, most: usize) -> Option<String> {
    let count = requests_for(events, operation).count();
    let calls = answers(events).count();
    (count > most).then(|| {
        format!(
            "{} for {}, where {} is the most",
            times(count, noun(operation)),
            times(calls, "call"),
            most
        )
    })
}

fn too_seldom(events: &[StepEvent], operation: TokenOperation, least: usize) -> Option<String> {
    let count = requests_for(events, operation).count();
    (count < least).then(|| {
        format!(
            "{}, where at least {least} are expected",
            times(count, noun(operation))
        )
    })
}

fn refused_for(events: &[StepEvent], reason: Reason) -> Option<String> {
    let refused: Vec<_> = requests(events)
        .filter(|request| request.refusal == Some(reason))
        .collect();
    let first = refused.first()?;
    Some(format!(
        "{} refused ({reason})",
        times(refused.len(), noun(first.operation)),
    ))
}

/// The pairs of a request that met a fault and the next of its operation.
fn impatient(events: &[StepEvent], operation: TokenOperation, span: Duration) -> Option<String> {
    let all: Vec<_> = requests_for(events, operation).collect();
    let throttled = all.iter().position(|it| it.status == 429)?;
    let (first, next) = (all.get(throttled)?, all.get(throttled + 1)?);
    let waited = next.at.since(first.at);
    (waited + SLACK < span).then(|| {
        format!(
            "{} again {} after a 429 with Retry-After: {}",
            noun(operation),
            seconds(waited),
            span.as_secs()
        )
    })
}

fn hurried(events: &[StepEvent], operation: TokenOperation) -> Option<String> {
    let all: Vec<_> = requests_for(events, operation).collect();
    let hasty = |three: &[&RecordedRequest]| match three {
        [first, .., last] => last.at.since(first.at) < HURRY,
        _ => false,
    };
    let three = all.windows(3).find(|three| hasty(three))?;
    let within = three.last()?.at.since(three.first()?.at);
    Some(format!("3 {}s within {}", noun(operation), seconds(within)))
}

fn used_twice(events: &[StepEvent]) -> Option<String> {
    let mut all = requests(events).filter(|it| it.operation != TokenOperation::Guard);
    all.find(|it| it.operation == TokenOperation::Refresh && it.faults.contains(&"lost_reply"))?;
    let next = all.next()?;
    (next.operation == TokenOperation::Refresh)
        .then(|| "the refresh token of the lost reply was sent again".to_owned())
}

/// The word for a request of this operation.
pub(super) fn noun(operation: TokenOperation) -> &'static str {
    match operation {
        TokenOperation::Login => "login",
        TokenOperation::Refresh => "refresh",
        TokenOperation::Logout => "logout",
        TokenOperation::Guard => "guarded request",
    }
}

fn times(count: usize, noun: &str) -> String {
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "refresh") => format!("{count} refreshes"),
        _ => format!("{count} {noun}s"),
    }
}

fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}
