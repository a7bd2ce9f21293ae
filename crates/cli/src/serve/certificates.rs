//! Certificates that are renewed while the process runs: their files are looked
//! at every few seconds, and read again when they changed.

use std::time::Duration;

use countersign_transport::Tls;

use crate::config::TlsSection;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reads certificates again for as long as it runs.
pub(super) async fn watch(sections: Vec<TlsSection>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while !sections.is_empty() {
        ticks.tick().await;
        for section in &sections {
            look(section, Tls::reload_if_changed);
        }
    }
}

/// Reads a certificate again, whether it changed or not.
pub(super) fn read_again(section: &TlsSection) {
    look(section, |tls| tls.reload().map(|()| true));
}

/// One that cannot be read stays as it was: what is served now is better than
/// nothing.
fn look<E: std::fmt::Display>(section: &TlsSection, read: impl FnOnce(&Tls) -> Result<bool, E>) {
    let file = section.certificate.display();
    let outcome = match read(&section.tls) {
        Ok(false) => return,
        Ok(true) => {
            tracing::info!(%file, "the certificate was read again");
            "done"
        }
        Err(fault) => {
            tracing::error!(%file, %fault, "the certificate cannot be read: the old one stays");
            "failed"
        }
    };
    metrics::counter!("countersign_certificate_reloads_total", "outcome" => outcome).increment(1);
}
