//! What the gateway returns: a response to send, and the outcome to log.

use countersign_relay::AnswerBody;
use http::Response;

use crate::denial::GuardDenial;
use crate::permit::Permit;

/// The result of a guarded request.
#[derive(Debug)]
pub struct GuardAnswer {
    /// The response for the client.
    pub response: Response<AnswerBody>,
    /// The outcome for the log: the permit if the upstream answered, or else the cause.
    pub outcome: Result<Permit, GuardDenial>,
}
