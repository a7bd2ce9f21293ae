//! Header fields on their way through (RFC 9110 section 7.6).
//!
//! Everything that is ours to say is taken off first, in every spelling that an
//! upstream might read as ours, and set afterwards: so nothing that a client
//! sends, and no `Connection` option, can forge it or take it away.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::api::GuardedApi;
use crate::permit::Permit;

/// The support id of a refused request.
pub(crate) const REFUSAL: HeaderName = HeaderName::from_static("x-countersign-refusal");
const API: HeaderName = HeaderName::from_static("x-countersign-api");
const ACCOUNT: HeaderName = HeaderName::from_static("x-countersign-account");
const LOGIN: HeaderName = HeaderName::from_static("x-countersign-login");
const SESSION: HeaderName = HeaderName::from_static("x-countersign-session");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-countersign-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields for one connection (RFC 9110 section 7.6.1), and two more that frame
/// a message or delay it: the body's own length frames it anew, and who polls a
/// body has already told the client to go on (section 10.1.1).
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

/// Families that only we may speak in, in the spelling of [`folded`]: identity,
/// the way here, and what some frameworks let override the method or path that
/// the guard judged.
const OURS: [&str; 8] = [
    "x-countersign",
    "x-forwarded",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-original-ur",
    "x-real-ip",
    "x-rewrite-url",
];

/// What is added to a request that goes on.
pub(crate) struct Onward<'a> {
    pub(crate) api: &'a GuardedApi,
    pub(crate) permit: &'a Permit,
    pub(crate) request_id: &'a str,
    pub(crate) peer: IpAddr,
}

impl Onward<'_> {
    /// The fields that the upstream gets.
    pub(crate) fn fields(&self, inbound: &HeaderMap) -> HeaderMap {
        let secret = self.api.secret_headers();
        let mut fields = end_to_end(inbound, |name| {
            *name != header::HOST && !is_ours(name) && !secret.iter().any(|it| alike(it, name))
        });
        fields.insert(header::HOST, self.api.upstream().host().clone());
        self.say_whence(&mut fields, inbound);
        self.identify(&mut fields);
        fields
    }

    fn say_whence(&self, fields: &mut HeaderMap, inbound: &HeaderMap) {
        let peer = self.peer.to_canonical().to_string();
        fields.insert(FORWARDED_FOR, visible(&peer));
        fields.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        if let Some(host) = inbound.get(header::HOST) {
            fields.insert(FORWARDED_HOST, host.clone());
        }
    }

    fn identify(&self, fields: &mut HeaderMap) {
        fields.insert(API, visible(self.api.name().as_str()));
        fields.insert(REQUEST_ID, visible(self.request_id));
        let Some(caller) = self.permit.caller() else {
            return;
        };
        fields.insert(ACCOUNT, caller.account.number().into());
        fields.insert(LOGIN, visible(&caller.login));
        if let Some(session) = caller.session() {
            fields.insert(SESSION, visible(&session.to_string()));
        }
    }
}

/// The fields of an upstream's answer that the client gets, but for those that
/// frame it.
pub(crate) fn for_client(answered: &HeaderMap) -> HeaderMap {
    end_to_end(answered, |name| !folded(name).starts_with("x-countersign"))
}

/// The length that an answer without a body tells of the one that does not
/// follow (RFC 9110 section 8.6). Beside a transfer coding it means nothing
/// (RFC 9112 section 6.3).
pub(crate) fn told_length(answered: &HeaderMap) -> Option<HeaderValue> {
    let coded = answered.contains_key(header::TRANSFER_ENCODING);
    let length = answered.get(header::CONTENT_LENGTH);
    length.filter(|_| !coded).cloned()
}

/// A text as a field value that cannot end its field or be read in two ways:
/// what is not visible ASCII, and `%`, is percent-encoded as UTF-8.
pub(crate) fn visible(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

/// The fields that are not for this connection alone, as far as `keep` wants
/// them.
fn end_to_end(fields: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let options = connection_options(fields);
    let stays = |name: &HeaderName| {
        !HOP_BY_HOP.contains(&name.as_str())
            && !options.iter().any(|option| option == name.as_str())
            && keep(name)
    };
    fields
        .iter()
        .filter(|(name, _)| stays(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The fields that `Connection` names.
fn connection_options(fields: &HeaderMap) -> Vec<String> {
    let values = fields.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(|option| String::from_utf8_lossy(option).trim().to_ascii_lowercase())
        .collect()
}

fn is_ours(name: &HeaderName) -> bool {
    // Two families begin with these letters; nearly all other names need no
    // folding.
    match name.as_str().as_bytes().first() {
        Some(b'f') => name == header::FORWARDED,
        Some(b'x') => {
            let folded = folded(name);
            OURS.iter().any(|family| folded.starts_with(family))
        }
        _ => false,
    }
}

/// Whether an upstream that turns fields into variables (RFC 3875 section
/// 4.1.18) could take one name for the other.
fn alike(one: &HeaderName, other: &HeaderName) -> bool {
    one == other || (one.as_str().len() == other.as_str().len() && folded(one) == folded(other))
}

/// The name with every sign that is no letter or digit as a hyphen.
fn folded(name: &HeaderName) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.as_str().chars().map(fold).collect()
}
