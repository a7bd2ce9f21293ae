//! The table of refusals: from a refusal and an operation to a reply, and back.

use countersign_domain::{Refusal, TokenOperation};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::pattern::TextPattern;
use crate::template::JsonTemplate;

/// Every refusal of every operation, for both directions.
#[derive(Debug, Default)]
pub(crate) struct RefusalTable {
    /// One entry for each operation and refusal, as [`slot`] says.
    pub(crate) spelled: Vec<SpelledRefusal>,
    /// The template of errors, with holes for the fields.
    pub(crate) shape: Option<JsonTemplate>,
    /// The lines of the file, for reading.
    pub(crate) known: Vec<KnownRefusal>,
    /// Whether the errors are those of RFC 6749, because the file does not describe any.
    pub(crate) standard: bool,
}

/// A refusal that is ready to be written, with its fixed parts filled in.
#[derive(Debug)]
pub(crate) struct SpelledRefusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, TextPattern)>,
    pub(crate) media: Option<HeaderValue>,
    pub(crate) body: Option<JsonTemplate>,
    /// The pointer to write if the request does not have one.
    pub(crate) pointer: Option<String>,
}

/// How a refusal is recognized.
#[derive(Debug)]
pub(crate) struct KnownRefusal {
    pub(crate) operation: TokenOperation,
    pub(crate) refusal: Refusal,
    pub(crate) status: StatusCode,
    /// The file has a line for it.
    pub(crate) stated: bool,
    /// Its fixed fields, as text.
    pub(crate) fields: Vec<(Box<str>, String)>,
    /// Its own template, if it has one.
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

/// The index of a refusal of an operation in [`RefusalTable::spelled`].
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

/// The refusal of the credential that an operation presents.
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
