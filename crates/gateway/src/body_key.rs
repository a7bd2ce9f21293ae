//! A static key in a JSON body: found, and removed before the body is forwarded.
//!
//! Only bodies of up to 64 KiB are searched, and only if the api's dialect has such a key and
//! the media type is JSON or one under which the dialect accepts JSON. A longer body streams
//! through unchanged if another credential lets the request pass, and is refused if only a
//! key in it could.
//!
//! A body that claims to be JSON and is not is refused: what cannot be parsed cannot be
//! stripped. So is one with a content coding, which is never decoded here. Where the media
//! type leaves open what the body is (`curl -d` sends JSON as a form), it is JSON if it
//! begins with `{` and can be parsed; otherwise it is forwarded unchanged.
//!
//! On a public route no credential is needed, so nothing in a body refuses a request: a key
//! that can be found is removed all the same, and the rest is forwarded unchanged.

use bytes::{Bytes, BytesMut};
use countersign_dialect::{Dialect, PresentedCredential, RequestReadError, Secret, StaticKeyPlace};
use countersign_domain::Reason;
use countersign_relay::Upload;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body;
use http_body_util::BodyExt;

use crate::api::GuardedApi;
use crate::denial::GuardDenial;

/// The longest body that is searched.
const LONGEST: usize = 64 * 1024;

/// A body that may contain a key.
pub(crate) struct KeyedBody<'a> {
    place: &'a StaticKeyPlace,
    syntax: BodySyntax,
    coded: bool,
}

/// What the media type says about a body, in the order of certainty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum BodySyntax {
    /// It may be JSON.
    Open,
    /// It is JSON.
    Json,
}

impl<'a> KeyedBody<'a> {
    /// `None` if the body need not be searched.
    pub(crate) fn new(api: &'a GuardedApi, headers: &HeaderMap, body: &Upload) -> Option<Self> {
        let place = api.dialect().static_key()?;
        let syntax = syntax(api.dialect(), headers)?;
        (place.body_name().is_some() && !body.is_end_stream()).then_some(Self {
            place,
            syntax,
            coded: is_coded(headers),
        })
    }

    /// The key in the body of a request that needs it, and the body without it.
    pub(crate) async fn take(&self, body: Upload) -> Result<(Option<Secret>, Upload), GuardDenial> {
        if self.coded {
            return Ok((None, body));
        }
        let bytes = match self.read_body(body).await? {
            ReadBody::Whole(bytes) => bytes,
            ReadBody::TooLong(_) => return Err(Reason::RequestTooLarge.into()),
            ReadBody::Other(body) => return Ok((None, body)),
        };
        if self.is_something_else(&bytes) {
            return Ok((None, Upload::whole(bytes)));
        }
        match self.place.take_from_body(&bytes)? {
            Some((key, rest)) => Ok((Some(key), Upload::whole(rest))),
            None => Ok((None, Upload::whole(bytes))),
        }
    }

    /// The body of a request that needs no credential, without any key that can
    /// be found.
    pub(crate) async fn clean(&self, body: Upload) -> Result<Upload, GuardDenial> {
        if self.coded {
            return Ok(body);
        }
        Ok(match self.read_body(body).await? {
            ReadBody::Whole(bytes) => Upload::whole(self.place.strip_body(&bytes).unwrap_or(bytes)),
            ReadBody::TooLong(body) | ReadBody::Other(body) => body,
        })
    }

    /// The body of a request that another credential allows, without any key. A body key
    /// that differs from the key in the query is refused: two readers would see two
    /// callers.
    pub(crate) async fn strip(
        &self,
        body: Upload,
        presented: &PresentedCredential<'_>,
    ) -> Result<Upload, GuardDenial> {
        if self.coded {
            return Err(coded());
        }
        let bytes = match self.read_body(body).await? {
            ReadBody::Whole(bytes) => bytes,
            ReadBody::TooLong(body) | ReadBody::Other(body) => return Ok(body),
        };
        if self.is_something_else(&bytes) {
            return Ok(Upload::whole(bytes));
        }
        if let PresentedCredential::StaticKey(in_query) = presented {
            let in_body = self.place.take_from_body(&bytes)?.map(|(key, _)| key);
            StaticKeyPlace::agreed_key(Some(in_query.clone()), in_body)?;
        }
        Ok(Upload::whole(self.place.strip_body(&bytes)?))
    }

    /// Whether a body whose media type leaves its syntax open cannot be parsed as JSON.
    fn is_something_else(&self, bytes: &Bytes) -> bool {
        self.syntax == BodySyntax::Open && self.place.strip_body(bytes).is_err()
    }

    /// Reads the body up to the limit; a body that is longer is put together again.
    async fn read_body(&self, mut body: Upload) -> Result<ReadBody, GuardDenial> {
        if self.syntax == BodySyntax::Json && body.size_hint().lower() > LONGEST as u64 {
            return Ok(ReadBody::TooLong(body));
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Reason::RequestCutOff)?;
            whole.extend_from_slice(&frame.into_data().unwrap_or_default());
            if self.syntax == BodySyntax::Open && !may_be_object(&whole) {
                return Ok(ReadBody::Other(body.after(whole.freeze())));
            }
            if whole.len() > LONGEST {
                return Ok(ReadBody::TooLong(body.after(whole.freeze())));
            }
        }
        Ok(ReadBody::Whole(whole.freeze()))
    }
}

enum ReadBody {
    Whole(Bytes),
    TooLong(Upload),
    /// Its first bytes show that it is not JSON.
    Other(Upload),
}

/// What `Content-Type`, which may occur several times, says about the body; `None` if it
/// cannot contain a key.
fn syntax(dialect: &Dialect, headers: &HeaderMap) -> Option<BodySyntax> {
    let types = headers.get_all(header::CONTENT_TYPE).iter().map(essence);
    let types: Vec<String> = types.collect();
    if types.is_empty() {
        return dialect.takes_json_as("").then_some(BodySyntax::Open);
    }
    let syntaxes = types.iter().filter_map(|media| match media.as_str() {
        media if is_json(media) => Some(BodySyntax::Json),
        media => dialect.takes_json_as(media).then_some(BodySyntax::Open),
    });
    syntaxes.max()
}

/// The media type in lower case, without parameters.
fn essence(value: &HeaderValue) -> String {
    let mut parts = value.as_bytes().split(|byte| *byte == b';');
    let essence = parts.next().unwrap_or_default().trim_ascii();
    String::from_utf8_lossy(essence).to_ascii_lowercase()
}

/// RFC 8259, or RFC 6839 `+json`.
fn is_json(media: &str) -> bool {
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

/// Whether a content coding hides the body (RFC 9110 section 8.4).
fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the first byte that is not white space, if any, begins an object.
fn may_be_object(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), None | Some(b'{'))
}

fn coded() -> GuardDenial {
    GuardDenial {
        detail: Some(
            "the body has a content coding, so a static key in it could not be found".to_owned(),
        ),
        ..GuardDenial::from(Reason::RequestMalformed)
    }
}

impl From<RequestReadError> for GuardDenial {
    fn from(unread: RequestReadError) -> Self {
        Self {
            detail: Some(unread.detail),
            ..Self::from(unread.reason)
        }
    }
}
