//! Logs and metrics: set up once, at the start of `serve`.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::exit::Failure;

/// Bounds of the duration histograms, in seconds: from a decision in memory to
/// a slow upstream.
const SECONDS: [f64; 12] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

/// What is written unless `RUST_LOG` says otherwise: what Countersign itself says
/// at `info`, and warnings of its libraries.
const FILTER: &str = "warn,countersign=info,countersign_server=info,countersign_gateway=info,\
                      countersign_transport=info,countersign_client=info,countersign_sidecar=info";

/// Sends log lines to standard error.
pub(crate) fn log(format: LogFormat) -> Result<(), Failure> {
    let filter = match std::env::var_os(EnvFilter::DEFAULT_ENV) {
        None => EnvFilter::new(FILTER),
        Some(written) => EnvFilter::builder()
            .parse(written.to_string_lossy())
            .map_err(|error| Failure::usage(format!("RUST_LOG cannot be read: {error}")))?,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber in one process can only come from a test; the first
    // stays.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Starts to count; the handle renders what was counted.
pub(crate) fn metrics() -> Result<PrometheusHandle, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("metrics: {error}"));
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| failed(&error))?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    Ok(handle)
}
