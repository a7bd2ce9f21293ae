//! Logs and metrics: set up once, at the start of `serve`.

use std::ffi::OsStr;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use super::json_lines::JsonLines;
use crate::config::LogFormat;
use crate::exit::Failure;
use crate::output::Verbosity;

/// Bounds of the duration histograms, in seconds: from a decision in memory to
/// a slow upstream.
const SECONDS: [f64; 12] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

/// What is written unless `RUST_LOG` says otherwise: what Countersign itself says
/// at `info`, and warnings of its libraries.
const FILTER: &str = "warn,countersign=info";

/// Libraries that log every frame, at `trace` or `debug`.
const TALKATIVE: [&str; 2] = ["h2", "hyper"];

/// Sends log lines to standard error: what the command line asks for, or else
/// `RUST_LOG`.
pub(crate) fn log(format: LogFormat, verbosity: Verbosity) -> Result<(), Failure> {
    let written = std::env::var_os(EnvFilter::DEFAULT_ENV);
    let written = written.as_deref().map(OsStr::to_string_lossy);
    let filter = wanted(verbosity, written.as_deref())?;
    let floods = filter.max_level_hint() == Some(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber in one process can only come from a test; the first
    // stays.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines
                .with_writer(|| JsonLines(std::io::stderr()))
                .try_init()
        }
    };
    if floods {
        tracing::warn!("RUST_LOG asks for trace: clients can fill the log, so do not leave it on");
    }
    Ok(())
}

/// What is logged: the command line goes before `RUST_LOG`.
fn wanted(verbosity: Verbosity, written: Option<&str>) -> Result<EnvFilter, Failure> {
    match verbosity {
        Verbosity::Quiet => Ok(EnvFilter::new("warn")),
        Verbosity::Verbose => Ok(EnvFilter::new(FILTER.replace("=info", "=debug"))),
        Verbosity::Normal => filter(written),
    }
}

/// What `RUST_LOG` says; of the libraries that would log every frame no more than
/// `info`, unless it names them.
fn filter(written: Option<&str>) -> Result<EnvFilter, Failure> {
    let Some(written) = written else {
        return Ok(EnvFilter::new(FILTER));
    };
    let unreadable =
        |error: ParseError| Failure::usage(format!("RUST_LOG cannot be read: {error}"));
    let mut filter = EnvFilter::builder().parse(written).map_err(unreadable)?;
    for library in TALKATIVE
        .iter()
        .filter(|library| !written.contains(*library))
    {
        let directive = format!("{library}=info").parse().map_err(unreadable)?;
        filter = filter.add_directive(directive);
    }
    Ok(filter)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_environment() {
        let level = |verbosity, written| {
            let filter = wanted(verbosity, written).ok().unwrap();
            filter.max_level_hint()
        };
        for written in [None, Some("error"), Some("trace")] {
            assert_eq!(level(Verbosity::Quiet, written), Some(LevelFilter::WARN));
            assert_eq!(level(Verbosity::Verbose, written), Some(LevelFilter::DEBUG));
        }
        assert_eq!(
            level(Verbosity::Normal, Some("error,h2=error,hyper=error")),
            Some(LevelFilter::ERROR)
        );
        assert_eq!(level(Verbosity::Normal, None), Some(LevelFilter::INFO));
    }

    #[test]
    fn frames_are_logged_only_where_their_library_is_named() {
        let said = |written: &str| filter(Some(written)).ok().unwrap().to_string();
        for all in ["trace", "debug", "countersign=trace"] {
            let said = said(all);
            assert!(
                said.contains("h2=info") && said.contains("hyper=info"),
                "{said}"
            );
        }
        let named = said("info,h2=trace");
        assert!(
            named.contains("h2=trace") && !named.contains("h2=info"),
            "{named}"
        );
    }
}
