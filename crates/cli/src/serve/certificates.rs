//! Certificates that are renewed while the process runs: their files are looked
//! at every few seconds, and read again when they changed.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use countersign_store::Store;
use countersign_transport::{ListenerTls, TlsFault};

use crate::config::TlsSection;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const A_DAY: Duration = Duration::from_secs(86_400);

/// Reads certificates again for as long as it runs, and warns once a day of one
/// whose time is over.
pub(super) async fn watch(sections: Vec<TlsSection>, clock: Store) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut warned = None;
    while !sections.is_empty() {
        ticks.tick().await;
        for section in &sections {
            look(section, ListenerTls::reload_if_changed);
        }
        let now = clock.now();
        if warned.is_none_or(|last| last + A_DAY <= now) {
            warned = Some(now);
            let micros = u64::try_from(now.as_micros()).unwrap_or(0);
            let now = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
            sections.iter().for_each(|it| it.tls.warn_if_expired(now));
        }
    }
}

/// Reads a certificate again, whether it changed or not.
pub(super) fn read_again(section: &TlsSection) {
    look(section, |tls| tls.reload().map(|()| true));
}

/// One that cannot be read stays as it was: what is served now is better than
/// nothing.
fn look(section: &TlsSection, read: impl FnOnce(&ListenerTls) -> Result<bool, TlsFault>) {
    let file = section.certificate.display();
    let outcome = match read(&section.tls) {
        Ok(false) => return,
        Ok(true) => {
            tracing::info!(%file, "the certificate was read again");
            warn_of_open_keys(std::slice::from_ref(section));
            "done"
        }
        Err(fault) => {
            let help = fault.help();
            tracing::error!(%file, %fault, help, "the certificate cannot be read: the old one stays in use");
            "failed"
        }
    };
    metrics::counter!("countersign_certificate_reloads_total", "outcome" => outcome).increment(1);
}

/// The keys of certificates are often read by a group of services on purpose, so one
/// that others can read is told and not refused.
pub(super) fn warn_of_open_keys(certificates: &[TlsSection]) {
    for section in certificates {
        let mode = std::fs::metadata(&section.key).map(|it| it.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            let key = section.key.display();
            tracing::warn!(
                %key,
                "others can read a certificate's private key: run `chmod 600` on it, or give it to \
                 this user alone"
            );
        }
    }
}
