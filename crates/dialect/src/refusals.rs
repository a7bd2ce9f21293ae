//! The table of refusals: from a refusal and an operation to bytes, and back.

use countersign_domain::{Refusal, TokenOperation};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::pattern::TextPattern;
use crate::template::JsonTemplate;

/// Every refusal on every operation, both ways.
#[derive(Debug, Default)]
pub(crate) struct RefusalTable {
    /// One entry for each operation and refusal, as [`slot`] says.
    pub(crate) spelled: Vec<SpelledRefusal>,
    /// The shape of errors, with holes for the fields.
    pub(crate) shape: Option<JsonTemplate>,
    /// What the file spells itself, for reading.
    pub(crate) known: Vec<KnownRefusal>,
    /// Whether the errors are those of RFC 6749, because the file says none.
    pub(crate) standard: bool,
}

/// A refusal, ready to be written: what is fixed about it is filled in.
#[derive(Debug)]
pub(crate) struct SpelledRefusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, TextPattern)>,
    pub(crate) media: Option<HeaderValue>,
    pub(crate) body: Option<JsonTemplate>,
    /// The pointer where the request gives none.
    pub(crate) pointer: Option<String>,
}

/// A refusal as it is recognised.
#[derive(Debug)]
pub(crate) struct KnownRefusal {
    pub(crate) operation: TokenOperation,
    pub(crate) refusal: Refusal,
    pub(crate) status: StatusCode,
    /// The file has a line for it.
    pub(crate) stated: bool,
    /// Its fixed fields as text.
    pub(crate) fields: Vec<(Box<str>, String)>,
    /// Its own shape, if it has one.
    pub(crate) shape: Option<JsonTemplate>,
}

impl RefusalTable {
    /// Whether the file has a line for a refusal of an operation.
    pub(crate) fn is_stated(&self, operation: TokenOperation, refusal: Refusal) -> bool {
        let mut known = self.known.iter();
        known.any(|it| it.operation == operation && it.refusal == refusal && it.stated)
    }

    pub(crate) fn spelled(
        &self,
        operation: TokenOperation,
        refusal: Refusal,
    ) -> Option<&SpelledRefusal> {
        self.spelled.get(slot(operation, refusal))
    }
}

/// The place of a refusal on an operation in [`RefusalTable::spelled`].
pub(crate) fn slot(operation: TokenOperation, refusal: Refusal) -> usize {
    let place = |found: Option<usize>| found.unwrap_or_default();
    let row = place(
        TokenOperation::ALL
            .iter()
            .position(|known| *known == operation),
    );
    let column = place(Refusal::ALL.iter().position(|known| *known == refusal));
    row * Refusal::ALL.len() + column
}

/// The refusal that says no to the credential of an operation itself.
pub(crate) const fn own(operation: TokenOperation) -> Refusal {
    match operation {
        TokenOperation::Login => Refusal::BadLogin,
        TokenOperation::Refresh => Refusal::BadRefresh,
        TokenOperation::Logout | TokenOperation::Guard => Refusal::BadBearer,
    }
}

/// Whether a refusal can be the answer to an operation.
pub(crate) const fn answers(operation: TokenOperation, refusal: Refusal) -> bool {
    match refusal {
        Refusal::BadLogin => matches!(operation, TokenOperation::Login),
        Refusal::BadRefresh => matches!(operation, TokenOperation::Refresh),
        Refusal::BadBearer
        | Refusal::MissingBearer
        | Refusal::ExpiredBearer
        | Refusal::BudgetSpent => {
            matches!(operation, TokenOperation::Logout | TokenOperation::Guard)
        }
        _ => true,
    }
}
