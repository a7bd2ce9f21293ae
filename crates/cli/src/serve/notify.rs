//! Notifies systemd of the state of the service (sd_notify(3), `Type=notify-reload`). Does nothing
//! if systemd did not start us.

use sd_notify::NotifyState;

/// It serves.
pub(crate) fn ready() {
    notify_systemd(&[NotifyState::Ready]);
}

/// It reads its configuration again; [`ready`] follows.
pub(crate) fn reloading() {
    // Without the time a `Type=notify-reload` service is held to be still loading.
    match NotifyState::monotonic_usec_now() {
        Ok(time) => notify_systemd(&[NotifyState::Reloading, time]),
        Err(error) => tracing::warn!(%error, "systemd could not be notified of the reload"),
    }
}

/// It finishes what runs.
pub(crate) fn stopping() {
    notify_systemd(&[NotifyState::Stopping]);
}

fn notify_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
