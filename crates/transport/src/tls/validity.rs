//! When a certificate expires (RFC 5280 section 4.1.2.5). Parses only as much of the DER
//! as that needs, and checks nothing that a client must check.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the validity of an X.509 certificate; none if it is not to be found.
pub fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let mut outer = DerValues(certificate);
    let mut signed = DerValues(DerValues(outer.take(SEQUENCE)?).take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.next()?;
    }
    let (_serial, _algorithm, _issuer) = (signed.next()?, signed.next()?, signed.next()?);
    let mut validity = DerValues(signed.take(SEQUENCE)?);
    validity.next()?;
    match validity.next()? {
        (UTC_TIME, text) => time(&[century(text)?, text].concat()),
        (GENERALIZED_TIME, text) => time(text),
        _ => None,
    }
}

/// Years from 50 on are of the last century.
fn century(text: &[u8]) -> Option<&'static [u8]> {
    let later = *text.first()? < b'5';
    Some(if later { b"20" } else { b"19" })
}

/// `YYYYMMDDHHMMSSZ`.
fn time(text: &[u8]) -> Option<SystemTime> {
    let text = str::from_utf8(text).ok()?;
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

/// A run of DER values.
struct DerValues<'a>(&'a [u8]);

impl<'a> DerValues<'a> {
    /// The next value, with its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => long(rest, usize::from(first & 0x7f))?,
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }
}

/// A length of so many bytes.
fn long(bytes: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(count)?;
    let length = digits
        .iter()
        .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
    Some((length, rest))
}
