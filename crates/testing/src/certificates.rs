//! Certificates that `openssl` makes, and both ends of TLS with them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// A certificate that signs itself, and its key, in files.
#[derive(Clone, Debug)]
pub struct MadeCertificate {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

impl MadeCertificate {
    /// Makes `NAME.pem` and `NAME.key`, for `h` and 127.0.0.1, valid for so many days.
    pub fn make(directory: &Path, name: &str, days: u32) -> Self {
        let files = Self {
            certificate: directory.join(name).with_extension("pem"),
            key: directory.join(name).with_extension("key"),
        };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=h"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-addext", "subjectAltName=DNS:h,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-days", &days.to_string(), "-keyout"])
            .args([&files.key, Path::new("-out"), &files.certificate])
            .output()
            .expect("openssl is needed: scripts/test installs it");
        assert!(made.status.success(), "{made:?}");
        files
    }

    /// Puts what is in the files of `other` into these.
    pub fn become_like(&self, other: &Self) {
        std::fs::copy(&other.certificate, &self.certificate).unwrap();
        std::fs::copy(&other.key, &self.key).unwrap();
    }

    /// A client that trusts this certificate and no other.
    #[must_use]
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let only = CertificateDer::from_pem_file(&self.certificate).unwrap();
        roots.add(only).unwrap();
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// What shows this certificate, and agrees on one of these protocols.
    #[must_use]
    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let [certificate, key] =
            [&self.certificate, &self.key].map(|it| std::fs::read(it).unwrap());
        acceptor(&certificate, &key, protocols)
    }
}

/// What shows a certificate, in PEM as its key, and agrees on one of these protocols.
#[must_use]
pub fn acceptor(certificate: &[u8], key: &[u8], protocols: &[&str]) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key).unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
