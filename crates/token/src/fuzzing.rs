//! What the fuzz targets reach of this crate. No part of its interface: it changes
//! without notice.

use crate::compact::{CompactJws, decode, encode};

/// Splits a compact JWS and decodes its parts; gives the token that they spell.
pub fn respelled(token: &str) -> Option<String> {
    let compact = CompactJws::split(token)?;
    let parts = [compact.header, compact.claims, compact.signature];
    let [header, claims, signature] = parts.map(|part| decode(part).map(encode));
    Some(format!("{}.{}.{}", header?, claims?, signature?))
}
