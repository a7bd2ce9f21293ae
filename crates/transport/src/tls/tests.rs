use std::fs;
use std::process::Command;

use tempfile::{TempDir, tempdir};

use countersign_testing::certificates::MadeCertificate;

use super::*;
use crate::ListenerLimits;
use crate::handshake::HandshakePolicy;
use crate::testing::{House, hello};

/// Two issues of a certificate, and files in which one of them is served.
struct Issues {
    directory: TempDir,
    old: MadeCertificate,
    new: MadeCertificate,
    served: MadeCertificate,
}

impl Issues {
    fn make() -> Self {
        let directory = tempdir().unwrap();
        let path = directory.path();
        let issues = Self {
            old: MadeCertificate::make(path, "old", 10),
            new: MadeCertificate::make(path, "new", 36_500),
            served: MadeCertificate {
                certificate: path.join("served.crt"),
                key: path.join("served.key"),
            },
            directory,
        };
        issues.served.become_like(&issues.old);
        issues
    }

    fn load(&self) -> Result<ListenerTls, TlsFault> {
        ListenerTls::load(&self.served.certificate, &self.served.key)
    }
}

fn house(tls: &ListenerTls) -> House {
    let policy = HandshakePolicy {
        tls: Some(tls.offering(false)),
        ..HandshakePolicy::default()
    };
    House::behind(policy, ListenerLimits::default(), hello)
}

/// Whether a new connection is shown the certificate of `pair`.
async fn shows(house: &House, pair: &MadeCertificate) -> bool {
    let config = pair.client(rustls::ALL_VERSIONS);
    match house.connect().secured(config).await {
        Ok(mut client) => client.get().await.body == "hello",
        Err(_) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_shown_to_the_next_and_disturbs_nobody() {
    let issues = Issues::make();
    let tls = issues.load().unwrap();
    let house = house(&tls);
    let config = issues.old.client(rustls::ALL_VERSIONS);
    let mut client = house.connect().secured(config).await.unwrap();
    assert!(!tls.reload_if_changed().unwrap());
    issues.served.become_like(&issues.new);
    assert!(tls.reload_if_changed().unwrap());
    assert!(!tls.reload_if_changed().unwrap());
    assert!(shows(&house, &issues.new).await && !shows(&house, &issues.old).await);
    assert_eq!(client.get().await.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_whole_leaves_the_old_certificate() {
    let issues = Issues::make();
    let tls = issues.load().unwrap();
    let house = house(&tls);
    let served = &issues.served;
    let whole = fs::read(&issues.new.certificate).unwrap();
    let half_written = &whole[..whole.len() / 2];
    for certificate in [&whole[..], half_written, b""] {
        fs::write(&served.certificate, certificate).unwrap();
        assert!(tls.reload_if_changed().is_err());
        assert!(!tls.reload_if_changed().unwrap(), "told once");
        assert!(shows(&house, &issues.old).await);
    }
    fs::remove_file(&served.key).unwrap();
    assert!(tls.reload_if_changed().is_err() && tls.reload().is_err());
    assert!(shows(&house, &issues.old).await);
    served.become_like(&issues.new);
    assert!(tls.reload_if_changed().unwrap());
    assert!(shows(&house, &issues.new).await);
}

#[test]
fn a_rename_and_a_switched_link_are_seen() {
    let issues = Issues::make();
    let path = issues.directory.path();
    let link = path.join("link");
    let switch = |to: &Path| {
        std::os::unix::fs::symlink(to, path.join("next")).unwrap();
        fs::rename(path.join("next"), &link).unwrap();
    };
    switch(&issues.old.certificate);
    fs::copy(&issues.old.certificate, path.join("same")).unwrap();
    let tls = ListenerTls::load(&link, &issues.served.key).unwrap();
    assert!(!tls.reload_if_changed().unwrap());
    switch(&path.join("same"));
    assert!(tls.reload_if_changed().unwrap());
    fs::copy(&issues.served.key, path.join("renamed")).unwrap();
    fs::rename(path.join("renamed"), &issues.served.key).unwrap();
    assert!(tls.reload_if_changed().unwrap());
}

#[test]
fn each_fault_of_a_file_is_told_with_its_name() {
    let issues = Issues::make();
    let (certificate, key) = (&issues.served.certificate, &issues.served.key);
    let good = fs::read(certificate).unwrap();
    let truncated = &good[..good.len() / 2];
    let not_der = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_a_key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let older = b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n";
    let long = vec![b'x'; 1024 * 1024 + 1];
    let other = fs::read(&issues.new.key).unwrap();
    let encrypted = encrypted(&issues.old.key);
    for (file, content, said) in [
        (certificate, &b""[..], "served.crt has no certificate"),
        (certificate, &other, "served.crt has no certificate"),
        (certificate, truncated, "served.crt is not well-formed PEM"),
        (certificate, not_der, "certificate in"),
        (certificate, &long, "served.crt is larger than 1 MiB"),
        (key, b"", "served.key has no private key"),
        (key, &good, "served.key has no private key"),
        (key, not_a_key, "served.key cannot be used"),
        (key, older, "served.key is encrypted"),
        (key, &encrypted, "served.key is encrypted"),
        (key, &other, "served.key does not belong to"),
    ] {
        issues.served.become_like(&issues.old);
        fs::write(file, content).unwrap();
        let fault = issues.load().unwrap_err();
        assert!(fault.to_string().contains(said), "{fault}");
        assert!(fault.help().is_some(), "{fault}");
    }
    fs::remove_file(key).unwrap();
    let told = issues.load().unwrap_err().to_string();
    assert!(told.contains("cannot read") && told.contains("served.key"));
    fs::create_dir(key).unwrap();
    let told = issues.load().unwrap_err().to_string();
    assert!(told.contains("not a regular file"), "{told}");
}

fn encrypted(key: &Path) -> Vec<u8> {
    let made = Command::new("openssl")
        .args(["pkey", "-aes256", "-passout", "pass:planted", "-in"])
        .arg(key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

#[test]
fn the_end_of_a_certificate_is_read_in_both_spellings() {
    let issues = Issues::make();
    // Until 2049 a certificate says its time with two digits of the year.
    for pair in [&issues.old, &issues.new] {
        let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
        let said = Command::new("openssl")
            .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
            .arg(&pair.certificate)
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let end: jiff::Timestamp = said.trim()["notAfter=".len()..].parse().unwrap();
        assert_eq!(tls.not_after(), Some(end.into()));
    }
}

#[test]
fn what_is_no_certificate_has_no_end_and_harms_nothing() {
    let issues = Issues::make();
    let chain = pem::chain(&issues.old.certificate).unwrap();
    for length in 0..200 {
        assert_eq!(validity::not_after(&chain[0][..length]), None);
    }
    for length in [0x80, 0x85, 0xff] {
        assert_eq!(validity::not_after(&[0x30, length, 0, 0, 0, 0]), None);
    }
}

#[test]
fn the_key_is_not_printed() {
    let issues = Issues::make();
    let printed = format!("{:?}", issues.load().unwrap());
    assert!(
        printed.contains("served.key") && !printed.contains("EcdsaSigningKey"),
        "{printed}"
    );
}
