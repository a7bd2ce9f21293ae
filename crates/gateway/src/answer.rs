//! What the gateway returns: a response to send, and the outcome to log.

use countersign_relay::AnswerBody;
use http::Response;

use crate::denial::GuardDenial;
use crate::permit::Permit;

/// The end of a guarded request.
#[derive(Debug)]
pub struct GuardAnswer {
    /// What the client gets.
    pub response: Response<AnswerBody>,
    /// What the log gets: the permit if the upstream answered, else the cause.
    pub outcome: Result<Permit, GuardDenial>,
}
