//! Content codings of replies (RFC 9110 section 8.4). Clients do not ask for one, but
//! some servers use one all the same.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The decoded body. Encoded and decoded, it may have at most `largest` bytes.
///
/// # Errors
///
/// A sentence about why it cannot be decoded.
pub(crate) fn decoded<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    largest: usize,
) -> Result<Cow<'b, [u8]>, String> {
    if body.len() > largest {
        return Err(too_large());
    }
    let codings = codings(headers);
    match codings.as_slice() {
        _ if body.is_empty() => Ok(Cow::Borrowed(body)),
        [] => Ok(Cow::Borrowed(body)),
        [one] => match one.as_str() {
            "gzip" | "x-gzip" => decode_all(MultiGzDecoder::new(body), "gzip", largest),
            "deflate" => deflated(body, largest),
            other => Err(format!(
                "its body has the content coding {other:?}, which is not read here"
            )),
        },
        several => Err(format!(
            "its body has the content codings {:?} one over the other, which are not read here",
            several.join(", ")
        )),
    }
}

/// The codings in lower case, in the order in which they were applied.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONTENT_ENCODING).iter();
    let text = lines.map(|it| String::from_utf8_lossy(it.as_bytes()).to_ascii_lowercase());
    let all: Vec<String> = text.collect();
    let each = all.iter().flat_map(|line| line.split(',')).map(str::trim);
    let each = each.filter(|coding| !["", "identity"].contains(coding));
    each.map(|coding| coding.chars().take(40).collect())
        .collect()
}

/// In the format of zlib, as it should be, or without it, as some servers send it
/// (RFC 9110 section 8.4.1.2).
fn deflated(body: &[u8], largest: usize) -> Result<Cow<'static, [u8]>, String> {
    let zlib = decode_all(ZlibDecoder::new(body), "deflate", largest);
    zlib.or_else(|why| {
        let raw = decode_all(DeflateDecoder::new(body), "deflate", largest);
        raw.map_err(|_| why)
    })
}

fn decode_all(
    decoder: impl Read,
    coding: &str,
    largest: usize,
) -> Result<Cow<'static, [u8]>, String> {
    let mut body = Vec::new();
    let bound = largest as u64 + 1;
    match decoder.take(bound).read_to_end(&mut body) {
        Ok(_) if body.len() > largest => Err(too_large()),
        Ok(_) => Ok(Cow::Owned(body)),
        Err(_) => Err(format!(
            "its body is not of the content coding {coding} that it names"
        )),
    }
}

fn too_large() -> String {
    "its body is too large to be one".to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const LARGEST: usize = 1 << 16;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(codings: &[&str], body: &[u8]) -> Result<Vec<u8>, String> {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        decoded(&headers, body, LARGEST).map(Cow::into_owned)
    }

    #[test]
    fn what_is_coded_once_is_read() {
        let text = b"{\"token\": \"abc\"}";
        for (codings, body) in [
            (&[][..], text.to_vec()),
            (&["identity"], text.to_vec()),
            (&["gzip"], gzip(text)),
            (&["X-GZip"], gzip(text)),
            (&["identity, GZIP"], gzip(text)),
            (&["gzip"], [gzip(&text[..4]), gzip(&text[4..])].concat()),
            (&["deflate"], zlib(text)),
            (&["deflate"], raw(text)),
            (&["identity", "deflate"], zlib(text)),
        ] {
            assert_eq!(decode(codings, &body), Ok(text.to_vec()), "{codings:?}");
        }
        assert_eq!(decode(&["br"], b""), Ok(Vec::new()), "nothing is not coded");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (codings, words) in [
            (&["br"][..], "\"br\""),
            (&["zstd"], "\"zstd\""),
            (&["x-own\t"], "\"x-own\""),
            (&["gzip, br"], "\"gzip, br\""),
            (&["gzip", "gzip"], "\"gzip, gzip\""),
            (&["gzip"], "gzip"),
            (&["deflate"], "deflate"),
        ] {
            let why = decode(codings, b"{\"token\": 1}").unwrap_err();
            assert!(why.contains(words), "{codings:?}: {why}");
        }
        let half = gzip(b"abcdefgh");
        assert!(decode(&["gzip"], &half[..half.len() - 9]).is_err());
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_not_read() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() <= LARGEST, "{}", bomb.len());
        assert!(decode(&["gzip"], &bomb).unwrap_err().contains("too large"));
        for (coding, body) in [
            ("deflate", zlib(&vec![b' '; LARGEST + 1])),
            ("gzip", gzip(&vec![b' '; LARGEST + 1])),
        ] {
            assert!(decode(&[coding], &body).unwrap_err().contains("too large"));
        }
        assert!(decode(&["gzip"], &gzip(&vec![b' '; LARGEST])).is_ok());
    }
}
