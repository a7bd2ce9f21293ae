//! Header fields of a message that is forwarded (RFC 9110 section 7.6).

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Fields that belong to one connection (RFC 9110 section 7.6.1), and two more that frame
/// a message or delay it: the message is framed again by the length of its body, and
/// whoever polls a body has already told the client to continue (section 10.1.1).
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields that neither belong to this connection alone nor frame the message, if
/// `keep` accepts them. `keep` gets their names with a hyphen for every character that is
/// not a letter or digit.
pub fn end_to_end(fields: &HeaderMap, keep: impl Fn(&str) -> bool) -> HeaderMap {
    // RFC 9110 section 7.6.1: "Intermediaries MUST parse a received Connection header field
    // before a message is forwarded and, for each connection-option in this field, remove any
    // header or trailer field(s) from the message with the same name as the
    // connection-option, and then remove the Connection header field itself".
    let options = connection_options(fields);
    let stays = |name: &HeaderName| {
        let folded = folded(name);
        !HOP_BY_HOP.contains(&&*folded)
            && !options.iter().any(|option| option == name.as_str())
            && keep(&folded)
    };
    fields
        .iter()
        .filter(|(name, _)| stays(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The fields that `Connection` names.
pub fn connection_options(fields: &HeaderMap) -> Vec<String> {
    let values = fields.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(|option| String::from_utf8_lossy(option).trim().to_ascii_lowercase())
        .collect()
}

/// Further fields that are not allowed among trailers: those that say whom a message is
/// for, whom it is from, or how its content must be read (RFC 9110 section 6.5.1).
const NEVER_TRAILING: [&str; 7] = [
    "authorization",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "set-cookie",
];

/// The trailers that are forwarded, if `keep` accepts them.
pub fn trailing(trailers: &HeaderMap, keep: impl Fn(&str) -> bool) -> HeaderMap {
    end_to_end(trailers, |name| {
        !NEVER_TRAILING.contains(&name) && keep(name)
    })
}

/// The length that an answer without a body states for the body that is not sent (RFC
/// 9110 section 8.6). Beside a transfer coding it means nothing (RFC 9112 section 6.3).
pub(crate) fn told_length(answered: &HeaderMap) -> Option<HeaderValue> {
    let coded = answered.contains_key(header::TRANSFER_ENCODING);
    let length = answered.get(header::CONTENT_LENGTH);
    length.filter(|_| !coded).cloned()
}

/// The name with a hyphen for every character that is not a letter or digit: an upstream
/// that turns fields into variables (RFC 3875 section 4.1.18) cannot tell names apart
/// that are equal in this form.
pub fn folded(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(|c| !is_plain(c), "-"))
}

/// A text as a field value that cannot end its field or be read in two ways: everything
/// that is not visible ASCII, and `%`, is percent-encoded as UTF-8.
pub fn visible(text: &str) -> HeaderValue {
    const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    let encoded = utf8_percent_encode(text, NOT_VISIBLE).to_string();
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}
