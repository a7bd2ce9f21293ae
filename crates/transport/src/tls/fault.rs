//! What can be wrong with certificate files, told to the operator: which file, what is
//! wrong, and apart from that what to do.

use std::io;
use std::path::{Path, PathBuf};

use rustls::{Error, InconsistentKeys};

/// Why a certificate or its key cannot be used. Says nothing of what a key
/// file holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is longer than any chain or key.
    #[error("{} is larger than 1 MiB", .0.display())]
    TooLong(PathBuf),
    /// There is no certificate in the file.
    #[error("{} has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    #[error("{} has no private key", .0.display())]
    NoKey(PathBuf),
    /// The key asks for a passphrase.
    #[error("the private key in {} is encrypted", .0.display())]
    EncryptedKey(PathBuf),
    /// A block has no end, or is not base64.
    #[error("{} is not well-formed PEM, or only half written", .0.display())]
    Malformed(PathBuf),
    /// Certificate and key are not a pair.
    #[error(
        "the private key in {} does not belong to the first certificate in {}",
        .key.display(),
        .certificate.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate is not X.509.
    #[error("the first certificate in {} cannot be read: {error}", .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: Error,
    },
    /// The key is of a kind that TLS has no use for, or damaged.
    #[error("the private key in {} cannot be used", .0.display())]
    Key(PathBuf),
    /// The cryptographic provider cannot speak TLS.
    #[error("this build cannot use TLS: {0}")]
    Provider(Error),
}

impl TlsFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => Some("name a PEM file that this process may read"),
            Self::TooLong(_) => Some("name a PEM file of one certificate chain or key"),
            Self::NoCertificate(_) => {
                Some("write BEGIN CERTIFICATE blocks into it, that of this server first")
            }
            Self::NoKey(_) => Some("write a BEGIN PRIVATE KEY block into it"),
            Self::EncryptedKey(_) => {
                Some("decrypt it with `openssl pkey -in FILE -out FILE` and protect it by its mode")
            }
            Self::Malformed(_) => Some("write it again and rename it into place"),
            Self::Mismatch { .. } => Some("use files that were issued together"),
            Self::Certificate { .. } => Some("have it issued again"),
            Self::Key(_) => {
                Some("make an ECDSA P-256 or P-384, Ed25519 or RSA key of at least 2048 bits")
            }
            Self::Provider(_) => None,
        }
    }

    /// Of the two, whose fault it is.
    pub(super) fn of_pair(error: Error, certificate: &Path, key: &Path) -> Self {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Self::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            Error::InvalidCertificate(_) => Self::Certificate {
                file: certificate.to_owned(),
                error,
            },
            _ => Self::Key(key.to_owned()),
        }
    }
}
