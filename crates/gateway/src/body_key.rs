//! A static key in a JSON body: found, and taken off before the body goes on.
//!
//! Only bodies of up to 64 KiB are looked into, of apis whose dialect has such a
//! key, and whose media type is JSON without a content coding. A longer one
//! streams through as it is where something else lets the request pass, and is
//! refused where only a key in it could. A body that says it is JSON and is not
//! is refused: what cannot be read cannot be stripped.

use bytes::{Bytes, BytesMut};
use countersign_dialect::{Presented, Secret, StaticKeyPlace, Unread};
use countersign_domain::Reason;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body;
use http_body_util::BodyExt;

use crate::api::GuardedApi;
use crate::body::Upload;
use crate::permit::Denied;

/// The longest body that is looked into.
const LONGEST: usize = 64 * 1024;

/// Where in this body a key may stand; `None` if the body is none of ours to
/// look into.
pub(crate) fn place<'a>(
    api: &'a GuardedApi,
    headers: &HeaderMap,
    body: &Upload,
) -> Option<&'a StaticKeyPlace> {
    let place = api.dialect().static_key()?;
    let readable = place.body_name().is_some() && is_plain_json(headers) && !body.is_end_stream();
    readable.then_some(place)
}

/// The key in a body on which the request depends, and the body without it.
pub(crate) async fn take(
    place: &StaticKeyPlace,
    body: Upload,
) -> Result<(Option<Secret>, Upload), Denied> {
    let Read::Whole(bytes) = read(body).await? else {
        return Err(Reason::RequestTooLarge.into());
    };
    match place.take_from_body(&bytes)? {
        Some((key, rest)) => Ok((Some(key), Upload::whole(rest))),
        None => Ok((None, Upload::whole(bytes))),
    }
}

/// The body of a request that may pass, without any key. One that differs from
/// the key in the query is refused: two readers would read two callers.
pub(crate) async fn strip(
    place: &StaticKeyPlace,
    body: Upload,
    presented: &Presented<'_>,
) -> Result<Upload, Denied> {
    let bytes = match read(body).await? {
        Read::Whole(bytes) => bytes,
        Read::TooLong(body) => return Ok(body),
    };
    if let Presented::StaticKey(in_query) = presented {
        let in_body = place.take_from_body(&bytes)?.map(|(key, _)| key);
        StaticKeyPlace::one_key(Some(in_query.clone()), in_body)?;
    }
    Ok(Upload::whole(place.strip_body(&bytes)?))
}

enum Read {
    Whole(Bytes),
    TooLong(Upload),
}

/// Reads the body up to the limit; beyond it the body is put together again.
async fn read(mut body: Upload) -> Result<Read, Denied> {
    if body.size_hint().lower() > LONGEST as u64 {
        return Ok(Read::TooLong(body));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Reason::RequestCutOff)?;
        whole.extend_from_slice(&frame.into_data().unwrap_or_default());
        if whole.len() > LONGEST {
            return Ok(Read::TooLong(body.after(whole.freeze())));
        }
    }
    Ok(Read::Whole(whole.freeze()))
}

/// Whether any `Content-Type` is JSON (RFC 8259, or RFC 6839 `+json`) and no
/// content coding hides it.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let coded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    !headers.get_all(header::CONTENT_ENCODING).iter().any(coded) && types.any(is_json)
}

fn is_json(value: &HeaderValue) -> bool {
    let essence = value
        .as_bytes()
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence == b"text/json" || essence.ends_with(b"+json")
}

impl From<Unread> for Denied {
    fn from(unread: Unread) -> Self {
        Self {
            detail: Some(unread.detail),
            ..Self::from(unread.reason)
        }
    }
}
