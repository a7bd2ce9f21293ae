//! Generated logins and keys for partners.
//!
//! A key is `cs_ID_SECRET_CHECK`: a prefix that secret scanners can find, a public id
//! that may be mentioned in a ticket, 43 alphanumeric characters (256 random bits), and a
//! checksum that distinguishes a key that was cut off or mistyped from a wrong one. A
//! dialect that prescribes the form (Apirone) has its own.

use aws_lc_rs::digest;
use countersign_dialect::{Dialect, Secret};

use countersign_store::random::{self, RandomnessUnavailable};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID: usize = 8;
const SECRET: usize = 43;
const CHECK: usize = 6;

/// A new key in the dialect's form, or in ours if it does not prescribe one. It is shown
/// to the partner once and never stored.
pub fn key(dialect: &Dialect) -> Result<Secret, RandomnessUnavailable> {
    if let Some(form) = dialect.credential()
        && let Some(secret) = in_form(|source| form.generate_secret(source))?
    {
        return Ok(Secret::from(secret));
    }
    let body = format!("cs_{}_{}", alphanumerics(ID)?, alphanumerics(SECRET)?);
    Ok(Secret::from(format!("{body}_{}", checksum(&body))))
}

/// A new login in the dialect's first form, or in the one that begins with `prefix`
/// (Apirone: `btc`). If the dialect does not prescribe a form: `partner-` and 12 hex
/// digits.
pub fn login(dialect: &Dialect, prefix: Option<&str>) -> Result<String, RandomnessUnavailable> {
    if let Some(forms) = dialect.credential()
        && let Some(login) = in_form(|source| forms.generate_login(prefix, source))?
    {
        return Ok(login);
    }
    Ok(format!("partner-{}", hex::encode(random::random::<6>()?)))
}

/// Runs a generator that cannot fail with a source that can.
fn in_form<T>(
    generate: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> Option<T>,
) -> Result<Option<T>, RandomnessUnavailable> {
    let mut failed = false;
    let made = generate(&mut |bytes| failed |= random::fill(bytes).is_err());
    if failed {
        Err(RandomnessUnavailable)
    } else {
        Ok(made)
    }
}

/// `length` characters, each of the 62 equally likely: bytes above the last multiple of
/// 62 are drawn again.
fn alphanumerics(length: usize) -> Result<String, RandomnessUnavailable> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let byte = usize::from(random::random::<1>()?[0]);
        if byte < 4 * ALPHABET.len() {
            text.push(char::from(ALPHABET[byte % ALPHABET.len()]));
        }
    }
    Ok(text)
}

fn checksum(body: &str) -> String {
    let digest = digest::digest(&digest::SHA256, body.as_bytes());
    hex::encode(&digest.as_ref()[..CHECK / 2])
}

/// The owner's key for the admin API: `csa_`, 43 alphanumeric characters and a checksum.
pub fn admin_key() -> Result<Secret, RandomnessUnavailable> {
    let body = format!("csa_{}", alphanumerics(SECRET)?);
    Ok(Secret::from(format!("{body}_{}", checksum(&body))))
}

/// A named key for the admin API, `csa_ID_SECRET_CHECK`, and its id.
pub fn named_admin_key() -> Result<(String, Secret), RandomnessUnavailable> {
    let id = alphanumerics(ID)?;
    let body = format!("csa_{id}_{}", alphanumerics(SECRET)?);
    Ok((id, Secret::from(format!("{body}_{}", checksum(&body)))))
}

/// The id in a text that has the form of a named admin key and is complete.
pub fn admin_key_id(text: &str) -> Option<&str> {
    let (body, check) = text.rsplit_once('_')?;
    let (id, secret) = body.strip_prefix("csa_")?.split_once('_')?;
    let is_whole = id.len() == ID && secret.len() == SECRET && checksum(body) == check;
    let plain = |part: &str| part.bytes().all(|byte| ALPHABET.contains(&byte));
    (is_whole && plain(id) && plain(secret)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_cut_off_has_another_checksum() {
        let key = admin_key().unwrap();
        let (body, check) = key.expose().rsplit_once('_').unwrap();
        assert_eq!(checksum(body), check);
        assert_ne!(checksum(&body[..body.len() - 1]), check);
        assert_eq!(key.expose().len(), 4 + SECRET + 1 + CHECK);
    }

    #[test]
    fn the_id_of_an_admin_key_is_read_from_a_whole_one_only() {
        let (id, key) = named_admin_key().unwrap();
        let key = key.expose();
        assert_eq!(admin_key_id(key), Some(id.as_str()));
        let owner = admin_key().unwrap();
        let cut = &key[..key.len() - 1];
        let other = key.replacen("csa_", "csb_", 1);
        for bad in ["", "csa_", "csa__", cut, &other, owner.expose()] {
            assert_eq!(admin_key_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_letters_of_a_key_are_drawn_evenly() {
        let text = alphanumerics(62_000).unwrap();
        for letter in ALPHABET {
            let drawn = text.bytes().filter(|byte| byte == letter).count();
            assert!(
                (800..1_200).contains(&drawn),
                "{} {drawn} times",
                char::from(*letter)
            );
        }
    }
}
