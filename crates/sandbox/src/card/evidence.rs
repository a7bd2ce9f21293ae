//! The evidence of a step: the calls and their answers, the requests that reached the vendor,
//! and what the card did in between, in order of time.

use std::fmt;

use countersign_domain::{Timestamp, TokenOperation};

use crate::RecordedRequest;

/// Something that happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepEvent {
    /// A request reached the vendor.
    Request(RecordedRequest),
    /// The client told how a call ended.
    Answer {
        /// Which call, counted from 1.
        call: u32,
        /// What it told.
        answer: ClientAnswer,
    },
    /// The card changed something: the clock, a fault, a revoked session.
    Incident(String),
}

/// What a client told of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAnswer {
    /// The vendor answered with this status, and the client passed it on.
    Status(u16),
    /// The client could not do it, and said why.
    Error(String),
    /// It told nothing in time.
    Silence,
    /// It ended instead.
    Ended(String),
}

impl ClientAnswer {
    /// Whether the call was done.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// Whether the client said clearly that the call was not done.
    pub fn is_clear_failure(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 400,
            Self::Error(text) => !text.trim().is_empty(),
            Self::Silence | Self::Ended(_) => false,
        }
    }
}

impl fmt::Display for ClientAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "ok {status}"),
            Self::Error(text) => write!(f, "error {text}"),
            Self::Silence => f.write_str("no answer in time"),
            Self::Ended(how) => write!(f, "no answer: {how}"),
        }
    }
}

/// All that a step saw, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepEvidence {
    events: Vec<StepEvent>,
}

/// Which part of the evidence a demand looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceScope {
    /// All of it.
    Whole,
    /// What came after the first incident.
    After,
}

impl StepEvidence {
    /// Adds what happened next.
    pub fn push(&mut self, event: StepEvent) {
        self.events.push(event);
    }

    /// Everything, in order.
    pub fn events(&self) -> &[StepEvent] {
        &self.events
    }

    /// The events of a part of it.
    pub fn within(&self, scope: EvidenceScope) -> &[StepEvent] {
        let incident = |event: &StepEvent| matches!(event, StepEvent::Incident(_));
        match scope {
            EvidenceScope::Whole => &self.events,
            EvidenceScope::After => {
                let first = self.events.iter().position(incident).unwrap_or(0);
                self.events.get(first..).unwrap_or_default()
            }
        }
    }

    /// When the first request came: times are told from here.
    pub fn begun(&self) -> Option<Timestamp> {
        requests(&self.events).map(|request| request.at).next()
    }
}

impl IntoIterator for StepEvidence {
    type Item = StepEvent;
    type IntoIter = std::vec::IntoIter<StepEvent>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}

impl FromIterator<StepEvent> for StepEvidence {
    fn from_iter<I: IntoIterator<Item = StepEvent>>(events: I) -> Self {
        Self {
            events: events.into_iter().collect(),
        }
    }
}

/// The requests among these events.
pub(super) fn requests(events: &[StepEvent]) -> impl Iterator<Item = &RecordedRequest> {
    events.iter().filter_map(|event| match event {
        StepEvent::Request(request) => Some(request),
        _ => None,
    })
}

/// The requests of one operation among these events.
pub(super) fn requests_for(
    events: &[StepEvent],
    operation: TokenOperation,
) -> impl Iterator<Item = &RecordedRequest> {
    requests(events).filter(move |request| request.operation == operation)
}

/// The answers among these events, with the numbers of their calls.
pub(super) fn answers(events: &[StepEvent]) -> impl Iterator<Item = (u32, &ClientAnswer)> {
    events.iter().filter_map(|event| match event {
        StepEvent::Answer { call, answer } => Some((*call, answer)),
        _ => None,
    })
}
