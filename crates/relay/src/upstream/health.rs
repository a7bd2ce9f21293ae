//! Whether an upstream is up.
//!
//! Two indicators are kept apart. A health check, if one is configured, marks the upstream
//! down after two failures in a row and up after one success. Independently, three failed
//! attempts to connect in a row open a circuit breaker: for a while nobody tries, then one
//! request may, and so on until one succeeds or a health check passes. While either
//! indicator says that the upstream is down, requests are refused with 503 at once instead
//! of waiting for a connection.
//!
//! An untrusted certificate does not count as down: the upstream is there, and each request
//! tells the operator what is wrong with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, Uri, header};
use metrics::Gauge;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::{HttpClient, UpstreamFault, chain};
use crate::error::RelayError;
use crate::upload::Upload;
use crate::upstream_metrics;
use countersign_outbound::ServerUrl;

/// After this many failed checks in a row, the upstream counts as down.
const CHECKS: u32 = 2;
/// After this many failed connections in a row, the circuit breaker opens.
const CONNECTIONS: u32 = 3;
/// How long no request is tried while it is open.
const PAUSE: Duration = Duration::from_secs(1);

/// A GET that the upstream answers with 2xx as long as it is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path, below the upstream's base path; it may have a query.
    pub path: String,
    /// The time from one check to the next, and the longest that an answer may take.
    pub interval: Duration,
}

/// Whether requests are sent to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamState {
    /// Requests are sent.
    Up,
    /// Requests are refused, except for one now and then.
    Down,
}

/// What is known about an upstream's health, shared by its requests and its check.
pub(crate) struct UpstreamHealth {
    name: Box<str>,
    up: Gauge,
    /// Whether the record has any entry, so that requests to a healthy upstream take no
    /// lock.
    suspect: AtomicBool,
    record: Mutex<HealthRecord>,
}

/// Recent failures.
#[derive(Debug, Default)]
struct HealthRecord {
    checks: u32,
    connections: u32,
    /// When the next request may be tried, while the circuit breaker is open.
    trial_at: Option<Instant>,
}

/// The task of the check, which ends when this is dropped.
pub(crate) struct HealthCheckTask(AbortHandle);

impl UpstreamHealth {
    pub(crate) fn new(name: &str) -> Self {
        let up = upstream_metrics::upstream_up(name);
        up.set(1.0);
        Self {
            name: name.into(),
            up,
            suspect: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> UpstreamState {
        if !self.suspect.load(Ordering::Acquire) {
            return UpstreamState::Up;
        }
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .state()
    }

    /// Lets a request through, unless the upstream is down.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), RelayError> {
        if !self.suspect.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record
            .admit(now)
            .map_err(|retry_after| RelayError::Down { retry_after })
    }

    /// The upstream answered a request.
    pub(crate) fn reached(&self) {
        if self.suspect.load(Ordering::Acquire) {
            self.note("it answered", HealthRecord::connected);
        }
    }

    /// No connection could be made.
    pub(crate) fn unreachable(&self, why: &str, now: Instant) {
        self.note(why, |record| record.unreachable(now));
    }

    fn passed(&self) {
        if self.suspect.load(Ordering::Acquire) {
            self.note("its check passed", |record| {
                *record = HealthRecord::default();
            });
        }
    }

    fn failed(&self, why: &str) {
        self.note(why, HealthRecord::failed_check);
    }

    /// Changes the record, and reports if the upstream went up or down.
    fn note(&self, why: &str, change: impl FnOnce(&mut HealthRecord)) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let before = record.state();
        change(&mut record);
        self.suspect.store(record.is_suspect(), Ordering::Release);
        let api = &*self.name;
        match (before, record.state()) {
            (UpstreamState::Up, UpstreamState::Down) => {
                self.up.set(0.0);
                tracing::warn!(api, why, "the upstream is down");
            }
            (UpstreamState::Down, UpstreamState::Up) => {
                self.up.set(1.0);
                tracing::info!(api, why, "the upstream is up again");
            }
            _ => {}
        }
    }
}

impl HealthRecord {
    fn state(&self) -> UpstreamState {
        if self.checks >= CHECKS || self.trial_at.is_some() {
            UpstreamState::Down
        } else {
            UpstreamState::Up
        }
    }

    fn is_suspect(&self) -> bool {
        self.checks > 0 || self.connections > 0
    }

    /// How long to wait, if no request may be tried now. Whoever may try starts the next
    /// pause: a trial whose end nobody sees costs no more than that.
    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if self.checks >= CHECKS {
            return Err(PAUSE);
        }
        match self.trial_at {
            Some(at) if now < at => Err(at - now),
            Some(_) => {
                self.trial_at = Some(now + PAUSE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn failed_check(&mut self) {
        self.checks = self.checks.saturating_add(1);
    }

    fn connected(&mut self) {
        self.connections = 0;
        self.trial_at = None;
    }

    fn unreachable(&mut self, now: Instant) {
        self.connections = self.connections.saturating_add(1);
        if self.connections >= CONNECTIONS {
            self.trial_at = Some(now + PAUSE);
        }
    }
}

impl HealthCheck {
    /// The target of a health check.
    pub(super) fn target(&self, url: &ServerUrl) -> Result<Uri, UpstreamFault> {
        let target = Some(&self.path).filter(|path| path.starts_with('/'));
        let target = target.and_then(|path| url.target(path, None).ok());
        target.ok_or_else(|| UpstreamFault::HealthPath(self.path.clone()))
    }

    /// Checks the upstream for as long as the returned value is kept.
    pub(super) fn start(
        self,
        url: &ServerUrl,
        client: &HttpClient,
        health: &Arc<UpstreamHealth>,
    ) -> Result<HealthCheckTask, UpstreamFault> {
        let target = self.target(url)?;
        let (client, health, host) = (client.clone(), Arc::clone(health), url.host().clone());
        let interval = self.interval;
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let asked = check(&client, target.clone(), host.clone());
                match tokio::time::timeout(interval, asked).await {
                    Ok(Ok(())) => health.passed(),
                    Ok(Err(why)) => health.failed(&why),
                    Err(_) => health.failed("its check was not answered in time"),
                }
            }
        });
        Ok(HealthCheckTask(task.abort_handle()))
    }
}

impl Drop for HealthCheckTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn check(client: &HttpClient, target: Uri, host: HeaderValue) -> Result<(), String> {
    let mut request = Request::new(Upload::whole(bytes::Bytes::new()));
    *request.uri_mut() = target;
    request.headers_mut().insert(header::HOST, host);
    let answer = client.request(request).await;
    let status = answer.map_err(|error| chain(&error))?.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("its check answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> (HealthRecord, Instant) {
        (HealthRecord::default(), Instant::now())
    }

    #[test]
    fn three_connections_in_a_row_open_the_circuit() {
        let (mut record, now) = record();
        for _ in 0..10 {
            record.unreachable(now);
            record.unreachable(now);
            assert_eq!(record.state(), UpstreamState::Up);
            record.connected();
            assert!(!record.is_suspect());
        }
        for _ in 0..CONNECTIONS {
            assert_eq!(record.admit(now), Ok(()));
            record.unreachable(now);
        }
        assert_eq!(record.state(), UpstreamState::Down);
        assert_eq!(record.admit(now), Err(PAUSE));
    }

    #[test]
    fn after_each_pause_one_request_may_try() {
        let (mut record, mut now) = record();
        for _ in 0..CONNECTIONS {
            record.unreachable(now);
        }
        for _ in 0..3 {
            now += PAUSE;
            assert_eq!(record.admit(now), Ok(()));
            for _ in 0..5 {
                assert_eq!(record.admit(now), Err(PAUSE), "the others wait");
            }
            record.unreachable(now);
        }
        now += PAUSE;
        assert_eq!(record.admit(now), Ok(()));
        record.connected();
        assert_eq!(
            (record.state(), record.admit(now)),
            (UpstreamState::Up, Ok(()))
        );
    }

    #[test]
    fn a_trial_that_never_ends_does_not_keep_the_circuit_open() {
        let (mut record, now) = record();
        for _ in 0..CONNECTIONS {
            record.unreachable(now);
        }
        assert_eq!(record.admit(now + PAUSE), Ok(()));
        assert_eq!(record.admit(now + PAUSE * 2), Ok(()));
    }

    #[test]
    fn two_failed_checks_are_down_whatever_requests_do() {
        let (mut record, now) = record();
        record.failed_check();
        assert_eq!(
            (record.state(), record.is_suspect()),
            (UpstreamState::Up, true)
        );
        record.failed_check();
        record.connected();
        assert_eq!(record.state(), UpstreamState::Down);
        assert_eq!(record.admit(now + PAUSE * 100), Err(PAUSE));
    }
}
