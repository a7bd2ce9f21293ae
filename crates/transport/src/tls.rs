//! The certificate of a listener: read from PEM files, and read again when they
//! change, so that a renewed one is served without a restart.
//!
//! It speaks TLS 1.2 and 1.3 (RFC 8446) with the suites of one provider, which
//! it names itself: nothing here depends on a default of the process. It asks no
//! client for a certificate, and refuses a key that is not that of the
//! certificate before a handshake could find out.

mod fault;
mod pem;
mod validity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use self::fault::TlsFault;
pub use self::validity::not_after;
use crate::FileStamp;

/// RFC 7301 section 6 and RFC 9113 section 3.2.
pub(crate) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// A certificate with its key, and how to speak TLS with them. Clones share
/// both, so that a reload reaches every listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    certificates: Arc<CertificateResolver>,
    config: Arc<ServerConfig>,
}

impl ListenerTls {
    /// Reads the chain of certificates, that of the server first, and its
    /// private key, both PEM (RFC 7468). Blocks for the time of two small reads.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsFault> {
        let files = CertificateFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = files.stamp();
        let certificates = Arc::new(CertificateResolver {
            current: RwLock::new(CurrentCertificate::read(&files, &provider)?),
            seen: Mutex::new(seen),
            provider: Arc::clone(&provider),
            files,
        });
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsFault::Provider)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        Ok(Self {
            certificates,
            config: Arc::new(config),
        })
    }

    /// Reads the files again; handshakes that begin from now on use what they
    /// hold. On a fault all stays as it was.
    pub fn reload(&self) -> Result<(), TlsFault> {
        let certificates = &self.certificates;
        let seen = certificates.files.stamp();
        let read = CurrentCertificate::read(&certificates.files, &certificates.provider);
        // A file that changed while it was read is seen as changed next time.
        *lock(&certificates.seen) = seen;
        *certificates
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = read?;
        Ok(())
    }

    /// As [`ListenerTls::reload`], if a file is another than when it was last read, in
    /// place, by a rename or behind a symbolic link. Whether it was.
    ///
    /// A fault is told once, and again after the next change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsFault> {
        if self.certificates.files.stamp() == *lock(&self.certificates.seen) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// The end of the certificate's validity; none if it cannot be read.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.certificates.read().not_after
    }

    /// Warns in the log of a certificate whose time is over.
    pub fn warn_if_expired(&self, now: SystemTime) {
        if self.not_after().is_some_and(|end| end < now) {
            let file = self.certificates.files.certificate.display();
            tracing::warn!(%file, "the TLS certificate has expired: clients refuse it until it is renewed");
        }
    }

    /// Offers HTTP/2 only where it is served.
    pub(crate) fn offering(&self, http2: bool) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = match http2 {
            true => vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()],
            false => vec![HTTP_1_1.to_vec()],
        };
        Arc::new(config)
    }
}

/// What a handshake is answered with.
struct CertificateResolver {
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<CurrentCertificate>,
    /// The files when they were last read.
    seen: Mutex<[Option<FileStamp>; 2]>,
}

#[derive(Debug)]
struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl CertificateFiles {
    fn stamp(&self) -> [Option<FileStamp>; 2] {
        [
            FileStamp::take(&self.certificate),
            FileStamp::take(&self.key),
        ]
    }
}

#[derive(Clone)]
struct CurrentCertificate {
    certified: Arc<CertifiedKey>,
    not_after: Option<SystemTime>,
}

impl CurrentCertificate {
    fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Self, TlsFault> {
        let chain = pem::chain(&files.certificate)?;
        let key = pem::key(&files.key)?;
        let not_after = chain.first().and_then(|first| validity::not_after(first));
        let certified = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| TlsFault::of_pair(error, &files.certificate, &files.key))?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after,
        })
    }
}

impl CertificateResolver {
    fn read(&self) -> CurrentCertificate {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read().certified)
    }
}

/// The files only: the key is nobody's to see.
impl fmt::Debug for CertificateResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
