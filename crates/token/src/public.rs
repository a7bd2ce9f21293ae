//! The public halves of an api's keys, for programs that verify its tokens (RFC 7517).
//! Symmetric keys have none.

use countersign_domain::{Algorithm, Kid};

/// The public half of an RSA key (RFC 7518 section 6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The id of the key.
    pub kid: Kid,
    /// The one algorithm that it is for.
    pub algorithm: Algorithm,
    /// `n`, big-endian without leading zeros, in base64url.
    pub modulus: String,
    /// `e`, the same.
    pub exponent: String,
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1).
pub(crate) fn modulus_and_exponent(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (sequence, []) = element(der, SEQUENCE)? else {
        return None;
    };
    let (modulus, rest) = element(sequence, INTEGER)?;
    let (exponent, []) = element(rest, INTEGER)? else {
        return None;
    };
    Some((unsigned(modulus), unsigned(exponent)))
}

/// The content of the element with this tag at the beginning, and what follows.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let short = usize::from(first);
    if short < 0x80 {
        return rest.split_at_checked(short);
    }
    let (length, rest) = rest.split_at_checked(short & 0x7f)?;
    let length = length.iter().try_fold(0_usize, |length, byte| {
        length.checked_mul(256)?.checked_add(usize::from(*byte))
    })?;
    rest.split_at_checked(length)
}

/// A positive INTEGER without the zero that keeps its sign.
fn unsigned(integer: &[u8]) -> Vec<u8> {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    integer[zeros..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_only_the_end_tells_is_no_length() {
        // Those who take it for the length 128 find two numbers in what follows.
        let numbers = [&[0x02, 122][..], &[1; 122], &[0x02, 2, 1, 1]].concat();
        assert_eq!(numbers.len(), 0x80);
        let der = [&[0x30, 0x80][..], &numbers].concat();
        assert_eq!(modulus_and_exponent(&der), None);
        let der = [&[0x30, 0x81, 0x80][..], &numbers].concat();
        assert_eq!(modulus_and_exponent(&der), Some((vec![1; 122], vec![1, 1])));
    }

    #[test]
    fn the_two_numbers_are_read_and_nothing_else_is() {
        let der = [0x30, 8, 0x02, 3, 0, 0x81, 7, 0x02, 1, 3];
        let numbers = modulus_and_exponent(&der);
        assert_eq!(numbers, Some((vec![0x81, 7], vec![3])));
        for cut in 0..der.len() {
            assert_eq!(modulus_and_exponent(&der[..cut]), None, "cut at {cut}");
        }
        for bad in [&[0x30, 0x82][..], &[0x30, 0x88, 0xff, 0xff], &[0x31, 0]] {
            assert_eq!(modulus_and_exponent(bad), None, "{bad:?}");
        }
    }
}
