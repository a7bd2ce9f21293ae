//! Reads certificates and keys from PEM files (RFC 7468).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::fault::TlsFault;

const MAX_BYTES: u64 = 1024 * 1024;

/// The certificates in a file, in its order; at least one.
pub(super) fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let text = read(file)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|_| TlsFault::Malformed(file.to_owned()))?;
    if chain.is_empty() {
        return Err(TlsFault::NoCertificate(file.to_owned()));
    }
    Ok(chain)
}

/// The first private key in a file.
pub(super) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let text = read(file)?;
    if is_encrypted(&text) {
        return Err(TlsFault::EncryptedKey(file.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsFault::NoKey(file.to_owned()),
        _ => TlsFault::Malformed(file.to_owned()),
    })
}

/// PKCS #8 (RFC 5958) says so in its label, older files in a header (RFC 1421).
fn is_encrypted(text: &[u8]) -> bool {
    let has = |mark: &[u8]| memchr::memmem::find(text, mark).is_some();
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFault> {
    let unreadable = |error| TlsFault::Unreadable {
        file: file.to_owned(),
        error,
    };
    let text = read_some(file).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(TlsFault::TooLong(file.to_owned()));
    }
    Ok(text)
}

/// The file, or as much of it as shows that it is too long.
fn read_some(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opening a pipe would wait for whoever writes to it.
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut opened = File::open(file)?;
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let length = opened.metadata()?.len().min(MAX_BYTES);
    let room = usize::try_from(length).unwrap_or_default() + 64;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    opened.by_ref().take(MAX_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}
