//! The table of refusals: from a refusal and an operation to bytes, and back.

use countersign_domain::{Operation, Refusal};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::pattern::Pattern;
use crate::template::Template;

/// Every refusal on every operation, both ways.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// One entry for each operation and refusal, as [`slot`] says.
    pub(crate) spelled: Vec<Spelled>,
    /// The shape of errors, with holes for the fields.
    pub(crate) shape: Option<Template>,
    /// What the file spells itself, for reading.
    pub(crate) known: Vec<Known>,
    /// Whether the errors are those of RFC 6749, because the file says none.
    pub(crate) standard: bool,
}

/// A refusal, ready to be written: what is fixed about it is filled in.
#[derive(Debug)]
pub(crate) struct Spelled {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, Pattern)>,
    pub(crate) media: Option<HeaderValue>,
    pub(crate) body: Option<Template>,
    /// The pointer where the request gives none.
    pub(crate) pointer: Option<String>,
}

/// A refusal as it is recognised.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) operation: Operation,
    pub(crate) refusal: Refusal,
    pub(crate) status: StatusCode,
    /// The file has a line for it.
    pub(crate) stated: bool,
    /// Its fixed fields as text.
    pub(crate) fields: Vec<(Box<str>, String)>,
    /// Its own shape, if it has one.
    pub(crate) shape: Option<Template>,
}

impl Refusals {
    /// Whether the file has a line for a refusal of an operation.
    pub(crate) fn is_stated(&self, operation: Operation, refusal: Refusal) -> bool {
        let mut known = self.known.iter();
        known.any(|it| it.operation == operation && it.refusal == refusal && it.stated)
    }

    pub(crate) fn spelled(&self, operation: Operation, refusal: Refusal) -> Option<&Spelled> {
        self.spelled.get(slot(operation, refusal))
    }
}

/// The place of a refusal on an operation in [`Refusals::spelled`].
pub(crate) fn slot(operation: Operation, refusal: Refusal) -> usize {
    let place = |found: Option<usize>| found.unwrap_or_default();
    let row = place(Operation::ALL.iter().position(|known| *known == operation));
    let column = place(Refusal::ALL.iter().position(|known| *known == refusal));
    row * Refusal::ALL.len() + column
}

/// The refusal that says no to the credential of an operation itself.
pub(crate) const fn own(operation: Operation) -> Refusal {
    match operation {
        Operation::Login => Refusal::BadLogin,
        Operation::Refresh => Refusal::BadRefresh,
        Operation::Logout | Operation::Guard => Refusal::BadBearer,
    }
}

/// Whether a refusal can be the answer to an operation.
pub(crate) const fn answers(operation: Operation, refusal: Refusal) -> bool {
    match refusal {
        Refusal::BadLogin => matches!(operation, Operation::Login),
        Refusal::BadRefresh => matches!(operation, Operation::Refresh),
        Refusal::BadBearer
        | Refusal::MissingBearer
        | Refusal::ExpiredBearer
        | Refusal::BudgetSpent => matches!(operation, Operation::Logout | Operation::Guard),
        _ => true,
    }
}
