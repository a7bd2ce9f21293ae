//! Which certificates are trusted, and what a failed handshake means.

use std::io;
use std::sync::Arc;

use http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};

use crate::ServerStream;
use crate::wrong_scheme::answers_plain_http;

/// The authorities that may certify a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustedRoots {
    /// The authorities of the system.
    #[default]
    System,
    /// The authorities in a PEM file, and no others.
    Pem(Vec<u8>),
}

/// There are no authorities to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsFault {
    /// The PEM cannot be read.
    #[error("this is not a PEM file with certificates: {0}")]
    Unreadable(String),
    /// There is no certificate in the PEM.
    #[error("there is no certificate in this PEM file")]
    Empty,
    /// The PEM contains something that is not a certificate.
    #[error("a certificate in this PEM file cannot be used: {0}")]
    Certificate(String),
    /// The system has no certificates.
    #[error("the system has no certificates of authorities: {0}")]
    System(String),
}

/// A failed handshake, in words for people.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeDistrust {
    /// The certificate is for another server.
    #[error("its certificate is for another name")]
    Name(#[source] io::Error),
    /// The certificate is from an issuer that is not trusted.
    #[error("its certificate was issued by an authority that is not trusted")]
    Issuer(#[source] io::Error),
    /// The certificate has expired, or is not valid yet.
    #[error("its certificate has expired or is not valid yet")]
    Time(#[source] io::Error),
    /// The certificate is not valid for another reason.
    #[error("its certificate is not valid")]
    Certificate(#[source] io::Error),
    /// The certificate may only be used to certify others.
    #[error("its certificate is that of an authority, which a server must not present")]
    Authority(#[source] io::Error),
    /// The server does not speak TLS.
    #[error("this port does not speak TLS")]
    NoTls(#[source] io::Error),
    /// It closed the connection after it had begun to answer, or it is not known whether it had.
    #[error("it closed the connection during the TLS handshake")]
    Cut(#[source] io::Error),
    /// It closed the connection without an answer.
    #[error("it closed the connection during the TLS handshake")]
    Silent(#[source] io::Error),
    /// Another failure.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

/// The client's side of TLS, which offers these protocols (RFC 7301).
///
/// # Errors
///
/// The certificates of `roots` cannot be used, or there are none.
pub fn client_config(
    roots: &TrustedRoots,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, RootsFault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions
        .map_err(|error| RootsFault::System(error.to_string()))?
        .with_root_certificates(store(roots)?)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Ok(Arc::new(config))
}

fn store(roots: &TrustedRoots) -> Result<RootCertStore, RootsFault> {
    match roots {
        TrustedRoots::System => system(),
        TrustedRoots::Pem(pem) => from_pem(pem),
    }
}

/// If one of the system's certificates cannot be read, the others are still used.
fn system() -> Result<RootCertStore, RootsFault> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(RootsFault::System(errors.join(", ")));
    }
    Ok(store)
}

fn from_pem(pem: &[u8]) -> Result<RootCertStore, RootsFault> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|it| RootsFault::Unreadable(it.to_string()))?;
        let added = store.add(certificate);
        added.map_err(|it| RootsFault::Certificate(it.to_string()))?;
    }
    if store.is_empty() {
        return Err(RootsFault::Empty);
    }
    Ok(store)
}

impl HandshakeDistrust {
    /// The cause of a failed handshake.
    pub fn from_error(error: io::Error) -> Self {
        use CertificateError as Bad;
        match certificate_fault(&error) {
            Some(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => Self::Name(error),
            Some(Bad::UnknownIssuer) => Self::Issuer(error),
            Some(
                Bad::Expired
                | Bad::ExpiredContext { .. }
                | Bad::NotValidYet
                | Bad::NotValidYetContext { .. },
            ) => Self::Time(error),
            Some(fault) if is_of_an_authority(fault) => Self::Authority(error),
            Some(_) => Self::Certificate(error),
            None if is_plain(&error) => Self::NoTls(error),
            None if is_cut(&error) => Self::Cut(error),
            None => Self::Handshake(error),
        }
    }

    /// What to do about it, if that does not depend on who connects.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Authority(_) => Some(
                "make it with basicConstraints CA:FALSE, as `openssl req -x509 -addext \
                 basicConstraints=CA:FALSE` does",
            ),
            Self::NoTls(_) => Some("write http, or name the port that does"),
            _ => None,
        }
    }

    /// Whether its text says everything, so that the cause need not be added.
    pub fn is_explained(&self) -> bool {
        !matches!(
            self,
            Self::Certificate(_) | Self::Cut(_) | Self::Silent(_) | Self::Handshake(_)
        )
    }

    /// Whether the server could be reached, but is not the right one.
    pub fn is_of_the_certificate(&self) -> bool {
        !matches!(
            self,
            Self::NoTls(_) | Self::Cut(_) | Self::Silent(_) | Self::Handshake(_)
        )
    }

    /// The same, or [`HandshakeDistrust::NoTls`] if it met with silence and plain HTTP is
    /// answered on another connection, which the caller makes. That takes two seconds at
    /// most.
    #[must_use]
    pub async fn or_plain<E>(
        self,
        target: &Uri,
        again: impl Future<Output = Result<ServerStream, E>>,
    ) -> Self {
        match self {
            Self::Silent(error) if answers_plain_http(target, again).await => Self::NoTls(error),
            other => other,
        }
    }
}

/// rustls has no error of its own for this, and passes on that of webpki.
fn is_of_an_authority(fault: &CertificateError) -> bool {
    matches!(fault, CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity"))
}

/// The data is not TLS: its first byte is not a type of content (RFC 8446 section 5.1).
fn is_plain(error: &io::Error) -> bool {
    let why = error.get_ref().and_then(|it| it.downcast_ref());
    let unknown = InvalidMessage::InvalidContentType;
    matches!(why, Some(rustls::Error::InvalidMessage(found)) if *found == unknown)
}

fn certificate_fault(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(fault) => Some(fault),
        _ => None,
    }
}

fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}
