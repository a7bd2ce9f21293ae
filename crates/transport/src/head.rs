//! The strict reading of a request head (RFC 9112 sections 2 to 6): where it
//! ends, whether it is well formed, and how its body is framed.
//!
//! hyper takes a missing, repeated or invalid Host, stacked transfer codings,
//! `Content-Length` beside `Transfer-Encoding`, bare line feeds and repeated
//! equal lengths; here all of these are refused. It decides nothing about
//! methods, paths or percent-encoding: those belong to whoever routes.

use std::net::Ipv6Addr;

use memchr::memchr;

use crate::ListenerLimits;
use crate::refusal::TransportRefusal;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// `Content-Length`; zero where there is no body.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the rest of a connection must know of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) framing: BodyFraming,
    /// It asks to go on in another protocol.
    pub(crate) upgrade: bool,
}

/// Looks for the end of a head that may arrive in pieces, each byte once.
#[derive(Debug, Default)]
pub(crate) struct HeadEnd {
    line: usize,
    scanned: usize,
}

impl HeadEnd {
    /// The length of the head at the start of `bytes`, if it is complete.
    /// `bytes` must be those of the call before, and more.
    ///
    /// One empty line before the request line is skipped (section 2.2).
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, TransportRefusal> {
        while let Some(found) = memchr(b'\n', &bytes[self.scanned..]) {
            let end = self.scanned + found;
            // A line feed alone may be taken for a line end (RFC 9112 section 2.2), but need
            // not, and those behind us may read it otherwise.
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(TransportRefusal::LineEnd);
            }
            let empty = end - 1 == self.line;
            if empty && self.line > 0 {
                return Ok(Some(end + 1));
            }
            self.line = end + 1;
            self.scanned = end + 1;
        }
        self.scanned = bytes.len();
        Ok(None)
    }

    /// Whether a head of which `length` bytes have come may still go on.
    pub(crate) fn may_grow(
        &self,
        length: usize,
        limits: &ListenerLimits,
    ) -> Result<(), TransportRefusal> {
        let in_request_line = self.line <= 2;
        match length >= limits.max_header_bytes {
            true if in_request_line => Err(TransportRefusal::TargetTooLong),
            true => Err(TransportRefusal::HeadTooLarge),
            // A target that is too long is refused when the head is complete: the fields
            // say which page or proxy sent it.
            false => Ok(()),
        }
    }
}

/// Name and value of each complete field line of a head that may be malformed.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let rest = head.strip_prefix(b"\r\n").unwrap_or(head);
    HeadLines { rest }.skip(1).filter_map(|line| {
        let colon = memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// The method of such a head, and its path up to the first byte that is not valid in
/// one; `/` if it has no path.
pub(crate) fn method_and_path(head: &[u8]) -> (&[u8], &[u8]) {
    let line = head.strip_prefix(b"\r\n").unwrap_or(head);
    let mut words = line.splitn(3, |byte| matches!(byte, b' ' | b'\r'));
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let target = target.unwrap_or_default();
    let authority = split_absolute(target).map_or(0, |it| {
        let scheme = memchr(b'/', target).map_or(0, |slash| slash + 2);
        scheme + it.len()
    });
    let path = &target[authority..];
    let end = path
        .iter()
        .position(|byte| CLASSES[usize::from(*byte)] & PATH == 0);
    match &path[..end.unwrap_or(path.len())] {
        path @ [b'/', ..] => (method, path),
        _ => (method, b"/"),
    }
}

/// Judges a complete head, from the request line to the empty line.
pub(crate) fn judge(head: &[u8], limits: &ListenerLimits) -> Result<RequestHead, TransportRefusal> {
    let mut lines = HeadLines {
        rest: head.strip_prefix(b"\r\n").unwrap_or(head),
    };
    let line = RequestLine::parse(lines.next().unwrap_or_default())?;
    let authority = line.authority(limits)?;
    if head.len() > limits.max_header_bytes {
        return Err(TransportRefusal::HeadTooLarge);
    }
    let mut fields = FramingFields::default();
    for (count, field) in lines.enumerate() {
        if count >= limits.max_headers {
            return Err(TransportRefusal::TooManyFields);
        }
        fields.admit(field)?;
    }
    fields.check_host(authority, line.old)?;
    let framing = fields.framing(line.old)?;
    // RFC 9110 section 7.8: "A server that receives an Upgrade header field in an HTTP/1.0
    // request MUST ignore that Upgrade field."
    let may_upgrade = line.method == b"GET" && !line.old && framing == BodyFraming::Length(0);
    Ok(RequestHead {
        framing,
        upgrade: may_upgrade && fields.asks_to_upgrade(),
    })
}

/// The lines of a head whose line ends have been checked, without the last and
/// empty one.
struct HeadLines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for HeadLines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.rest)?;
        let line = &self.rest[..end.saturating_sub(1)];
        self.rest = &self.rest[end + 1..];
        (!line.is_empty()).then_some(line)
    }
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// HTTP/1.0, which may come without Host and has no transfer codings.
    old: bool,
}

impl<'a> RequestLine<'a> {
    /// Exactly `method SP target SP version` (section 3).
    fn parse(line: &'a [u8]) -> Result<Self, TransportRefusal> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(method), Some(target), Some(version)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(TransportRefusal::RequestLine);
        };
        if !is_token(method) {
            return Err(TransportRefusal::RequestLine);
        }
        let old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ if is_version(version) => return Err(TransportRefusal::Version),
            _ => return Err(TransportRefusal::RequestLine),
        };
        Ok(Self {
            method,
            target,
            old,
        })
    }

    /// Checks the target (section 3.2); yields the authority of one in
    /// absolute form.
    fn authority(&self, limits: &ListenerLimits) -> Result<Option<&'a [u8]>, TransportRefusal> {
        if self.target.len() > limits.max_uri_bytes {
            return Err(TransportRefusal::TargetTooLong);
        }
        if self.method == b"CONNECT" {
            return Err(TransportRefusal::Tunnel);
        }
        match self.target {
            [b'/', ..] => is_path_and_query(self.target)
                .then_some(None)
                .ok_or(TransportRefusal::Target),
            b"*" if self.method == b"OPTIONS" => Err(TransportRefusal::ServerTarget),
            absolute => split_absolute(absolute)
                .map(Some)
                .ok_or(TransportRefusal::Target),
        }
    }
}

fn is_version(version: &[u8]) -> bool {
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// The authority of `http://authority/path?query` or the same with `https`, if
/// all of it is valid.
fn split_absolute(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at(memchr(b':', target)?);
    // RFC 9112 section 3.2.2: "a server MUST accept the absolute-form in requests".
    let rest = rest.strip_prefix(b"://")?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    (is_host(authority) && is_path_and_query(path_and_query)).then_some(authority)
}

/// What the field lines say about the message itself.
#[derive(Default)]
struct FramingFields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    /// Whether `Upgrade` names a protocol that is none of HTTP, and `Connection` names
    /// `Upgrade`.
    protocol: bool,
    upgrade: bool,
}

impl<'a> FramingFields<'a> {
    fn admit(&mut self, line: &'a [u8]) -> Result<(), TransportRefusal> {
        let colon = memchr(b':', line).ok_or(TransportRefusal::Field)?;
        let name = &line[..colon];
        let value = &line[colon + 1..];
        // RFC 9112 section 5.1: "A server MUST reject, with a response status code of 400
        // (Bad Request), any received request message that contains whitespace between a
        // header field name and colon." A folded line begins with a space and so is not a
        // token either; section 5.2: "A server that receives an obs-fold in a request
        // message [...] MUST either reject the message by sending a 400 (Bad Request) [...]
        // or replace each received obs-fold".
        if !is_token(name) || !is_value(value) {
            return Err(TransportRefusal::Field);
        }
        let value = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                set(&mut self.host, value, TransportRefusal::HostRepeated)
            }
            6 if name.eq_ignore_ascii_case(b"expect") => expectation(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                let mut protocols = value.split(|byte| *byte == b',');
                self.protocol |= protocols.any(|it| is_foreign_protocol(it.trim_ascii()));
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                let mut options = value.split(|byte| *byte == b',');
                self.upgrade |= options.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                set(&mut self.length, value, TransportRefusal::LengthRepeated)
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                set(&mut self.coding, value, TransportRefusal::CodingRepeated)
            }
            _ => Ok(()),
        }
    }

    /// HTTP/1.0 may leave Host out, as the health checks of older proxies do.
    // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to
    // any HTTP/1.1 request message that lacks a Host header field and to any request message
    // that contains more than one Host header field line or a Host header field with an
    // invalid field value."
    fn check_host(&self, authority: Option<&[u8]>, old: bool) -> Result<(), TransportRefusal> {
        match (self.host, authority) {
            (None, _) if old => Ok(()),
            (None, _) => Err(TransportRefusal::HostMissing),
            (Some(host), _) if !is_host(host) => Err(TransportRefusal::HostInvalid),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                Err(TransportRefusal::HostDiffers)
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// RFC 9110 section 7.8. Among the protocols that are named there is one that is
    /// not HTTP/2, which would carry more requests past everything here. Whoever grants
    /// it chooses among them.
    fn asks_to_upgrade(&self) -> bool {
        self.upgrade && self.protocol
    }

    /// Section 6.3, without the leniencies that it leaves to the recipient.
    fn framing(&self, old: bool) -> Result<BodyFraming, TransportRefusal> {
        match (self.coding, self.length) {
            (None, None) => Ok(BodyFraming::Length(0)),
            (None, Some(length)) => parse_length(length).map(BodyFraming::Length),
            // RFC 9112 section 6.1: "A server or client that receives an HTTP/1.0 message
            // containing a Transfer-Encoding header field MUST treat the message as if the
            // framing is faulty, even if a Content-Length is present".
            (Some(_), _) if old => Err(TransportRefusal::CodingInOldVersion),
            // Section 6.3: "Such a message might indicate an attempt to perform request
            // smuggling (Section 11.2) or response splitting (Section 11.1) and ought to be
            // handled as an error."
            (Some(_), Some(_)) => Err(TransportRefusal::CodingWithLength),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(BodyFraming::Chunked)
            }
            // Section 6.3: "If a Transfer-Encoding header field is present in a request and
            // the chunked transfer coding is not the final encoding, the message body length
            // cannot be determined reliably; the server MUST respond with the 400 (Bad
            // Request) status code and then close the connection."
            (Some(_), None) => Err(TransportRefusal::CodingUnknown),
        }
    }
}

/// `name` or `name/version`.
fn is_foreign_protocol(value: &[u8]) -> bool {
    let http2 = value
        .get(..2)
        .is_some_and(|begin| begin.eq_ignore_ascii_case(b"h2"));
    let (name, version) = value.split_at(memchr(b'/', value).unwrap_or(value.len()));
    !http2 && is_token(name) && (version.is_empty() || is_token(&version[1..]))
}

fn set<'a>(
    slot: &mut Option<&'a [u8]>,
    value: &'a [u8],
    repeated: TransportRefusal,
) -> Result<(), TransportRefusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(repeated),
    }
}

/// RFC 9110 section 10.1.1: the only expectation there is.
pub(crate) fn expectation(value: &[u8]) -> Result<(), TransportRefusal> {
    if value.eq_ignore_ascii_case(b"100-continue") {
        Ok(())
    } else {
        Err(TransportRefusal::Expectation)
    }
}

/// Digits and nothing else: no sign, no list, no overflow (RFC 9110 section 8.6).
pub(crate) fn parse_length(value: &[u8]) -> Result<u64, TransportRefusal> {
    // RFC 9110 section 8.6: "a recipient MUST anticipate potentially large decimal numerals
    // and prevent parsing errors due to integer conversion overflows". 18 digits are an
    // exabyte, and cannot overflow. RFC 9112 section 6.3: with an invalid Content-Length
    // "the message framing is invalid and the recipient MUST treat it as an unrecoverable
    // error".
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(TransportRefusal::LengthInvalid);
    }
    Ok(value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// `host[:port]` with a DNS name, an IPv4 or a bracketed IPv6 address.
///
/// RFC 3986 lets a name hold sub-delimiters and percent escapes too; no host
/// on the internet does, and a comma or semicolon there confuses those who read it
/// as a list.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.first() {
        Some(b'[') => split_behind(value, b']'),
        _ => value.split_at(memchr(b':', value).unwrap_or(value.len())),
    };
    (is_name(host) || is_bracketed_v6(host)) && (port.is_empty() || is_port(port))
}

fn split_behind(value: &[u8], mark: u8) -> (&[u8], &[u8]) {
    value.split_at(memchr(mark, value).map_or(0, |at| at + 1))
}

/// `:` and a number.
fn is_port(port: &[u8]) -> bool {
    port.len() > 1
        && port[1..].iter().all(u8::is_ascii_digit)
        && str::from_utf8(&port[1..]).is_ok_and(|digits| digits.parse::<u16>().is_ok())
}

/// Labels of letters, digits, `-` and `_`; a dot may follow the last.
fn is_name(host: &[u8]) -> bool {
    // A label is empty where a dot follows a dot or the beginning.
    let mut dot = true;
    host.len() <= 255
        && !host.is_empty()
        && host.iter().all(|byte| {
            let label = byte.is_ascii_alphanumeric() || b"-_".contains(byte);
            let allowed = label || (*byte == b'.' && !dot);
            dot = *byte == b'.';
            allowed
        })
}

fn is_bracketed_v6(host: &[u8]) -> bool {
    host.strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .and_then(|address| str::from_utf8(address).ok())
        .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

pub(crate) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && all(name, TOKEN)
}

/// Anything but control characters; a tab is allowed. Without a branch, so that
/// the compiler makes vectors of it: a bearer can be long.
// RFC 9110 section 5.5: "a recipient of CR, LF, or NUL within a field value MUST either
// reject the message or replace each of those characters with SP before further processing
// or forwarding of that message."
fn is_value(value: &[u8]) -> bool {
    let control = |byte: u8| (byte < 0x20 && byte != b'\t') || byte == 0x7f;
    !value
        .iter()
        .fold(false, |found, byte| found | control(*byte))
}

/// RFC 3986 in the path. The query may also hold what clients leave unescaped
/// there, as in `filter[asset]=BTC`.
pub(crate) fn is_path_and_query(target: &[u8]) -> bool {
    match memchr(b'?', target) {
        None => all(target, PATH),
        Some(mark) => all(&target[..mark], PATH) && all(&target[mark + 1..], PATH | QUERY),
    }
}

/// Whether each byte belongs to one of the `classes`.
fn all(bytes: &[u8], classes: u8) -> bool {
    bytes
        .iter()
        .all(|byte| CLASSES[usize::from(*byte)] & classes != 0)
}

const TOKEN: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() {
            classes[byte] |= TOKEN | PATH;
        }
        byte += 1;
    }
    classes = mark(classes, b"!#$%&'*+-.^_`|~", TOKEN);
    classes = mark(classes, b"/-._~!$&'()*+,;=:@%", PATH);
    mark(classes, b"?[]{}|", QUERY)
}

const fn mark(mut classes: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut at = 0;
    while at < bytes.len() {
        classes[bytes[at] as usize] |= class;
        at += 1;
    }
    classes
}
