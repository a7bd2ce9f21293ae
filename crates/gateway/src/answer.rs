//! What the gateway answers: a response to send, and the outcome to log.

use countersign_relay::AnswerBody;
use http::Response;

use crate::permit::{Denied, Permit};

/// The end of a guarded request.
#[derive(Debug)]
pub struct Answer {
    /// What the client gets.
    pub response: Response<AnswerBody>,
    /// What the log gets: the permit if the upstream answered, else the cause.
    pub outcome: Result<Permit, Denied>,
}
