//! Finds out which refusal a reply is, if the dialect knows it.

use countersign_domain::{Refusal, TokenOperation};
use http::StatusCode;

use super::received::ReceivedReply;
use crate::hole_word::{HoleBindings, HoleWord};
use crate::refusals::{KnownRefusal, own};
use crate::template::reply_bindings;
use crate::{Dialect, RefusedBy};

impl Dialect {
    /// The refusal in the reply; `None` if it is a success, or an unknown reply.
    pub(super) fn refused(
        &self,
        reply: &ReceivedReply<'_>,
        succeeded: ReplySuccess,
    ) -> Option<FoundRefusal> {
        let status = reply.response.status();
        // A vendor whose every status is a success may still have words of its own.
        let words_alone = status.is_success() && succeeded == ReplySuccess::No;
        let here = self.refusals.known.iter().filter(|known| {
            known.operation == reply.operation && (known.status == status || words_alone)
        });
        let judged = here.filter_map(|known| {
            let (score, bindings) = self.likeness(known, reply)?;
            let told = score.fields > 0 || (words_alone && score.detail);
            let score = (known.status == status, score);
            (told || !status.is_success()).then_some((score, known.refusal, bindings))
        });
        // The first of several equals in the order of the vocabulary, which begins
        // with the refusals of the operations' own credentials.
        let best = judged.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let (recognised, refusal, bindings) = match best {
            Some(((_, score), refusal, bindings)) => {
                (score.fields > 0 || score.detail, refusal, bindings)
            }
            None if status.is_success() => return None,
            None => {
                let refusal = by_status(reply.operation, status)?;
                (false, refusal, self.errors(reply))
            }
        };
        Some(FoundRefusal {
            by: reply.refusal(refusal, bindings.as_ref()),
            recognised,
            passes: passes_by_itself(status),
        })
    }

    /// How well a reply matches a refusal; `None` if a field contradicts it.
    pub(super) fn likeness(
        &self,
        known: &KnownRefusal,
        reply: &ReceivedReply<'_>,
    ) -> Option<(MatchQuality, Option<HoleBindings>)> {
        let shape = known.shape.as_ref().or(self.refusals.shape.as_ref());
        let tree = reply.tree.as_ref();
        let read = shape
            .zip(tree)
            .map(|(shape, tree)| reply_bindings(shape, tree, reply.now));
        let bindings = read.and_then(Result::ok);
        let mut score = MatchQuality {
            fields: 0,
            detail: false,
        };
        for (name, value) in &known.fields {
            let found = bindings
                .as_ref()
                .and_then(|b| b.text(&HoleWord::Field(name.clone())));
            match found {
                Some(found) if &**name == "detail" => score.detail = found == value,
                Some(found) if found == value => score.fields += 1,
                Some(_) => return None,
                None => (),
            }
        }
        if known.shape.is_some() && bindings.is_none() {
            return None;
        }
        Some((score, bindings))
    }

    pub(super) fn errors(&self, reply: &ReceivedReply<'_>) -> Option<HoleBindings> {
        let (shape, tree) = self.refusals.shape.as_ref().zip(reply.tree.as_ref())?;
        reply_bindings(shape, tree, reply.now).ok()
    }
}

/// Whether a reply is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplySuccess {
    /// It fails the test for success.
    No,
    /// It passes the test, unless it contains a refusal.
    AsFarAsIsKnown,
}

/// A refusal that was found in a reply.
pub(super) struct FoundRefusal {
    pub(super) by: RefusedBy,
    /// Whether the file's own fields or words say so, and not only the status.
    pub(super) recognised: bool,
    /// Whether a gateway may write this refusal in a format of its own.
    pub(super) passes: bool,
}

/// How well a reply matches, the most significant part first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MatchQuality {
    fields: usize,
    detail: bool,
}

/// Whether a status is one of a temporary failure, which a server in front of the vendor
/// writes in its own format.
fn passes_by_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What a status means without a body (RFC 9110 section 15).
fn by_status(operation: TokenOperation, status: StatusCode) -> Option<Refusal> {
    Some(match status.as_u16() {
        401 => own(operation),
        403 => Refusal::Forbidden,
        404 => Refusal::NotFound,
        405 => Refusal::MethodNotAllowed,
        413 => Refusal::TooLarge,
        429 => Refusal::Throttled,
        502 => Refusal::BadGateway,
        503 => Refusal::Unavailable,
        504 => Refusal::GatewayTimeout,
        400..=499 => Refusal::Malformed,
        500..=599 => Refusal::Internal,
        _ => return None,
    })
}
