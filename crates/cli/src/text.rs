//! Text that goes into a URL, or comes out of a document.

/// An instant (RFC 3339, UTC) without what is below a second.
pub(crate) fn to_second(instant: &str) -> String {
    let whole = instant.split_once('.').map(|(whole, _)| whole);
    whole.map_or_else(|| instant.to_owned(), |whole| format!("{whole}Z"))
}
