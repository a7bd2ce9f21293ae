//! Bounds on what a sandbox was asked: the options of `ctl assert`, and the short form for
//! `--assert`.

use clap::Parser;
use countersign_sandbox::RequestExpectations;
use serde_json::{Map, Value, json};

use crate::exit::Failure;

/// Bounds on what was asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BoundArgs {
    /// At least this many requests of any kind: a client that makes no request meets all other bounds
    #[arg(long, value_name = "N")]
    min_requests: Option<u64>,
    /// Exactly this many logins
    #[arg(long, value_name = "N")]
    logins: Option<u64>,
    /// At most this many logins
    #[arg(long, value_name = "N")]
    max_logins: Option<u64>,
    /// Exactly this many refreshes; repeated ones count once
    #[arg(long, value_name = "N")]
    refreshes: Option<u64>,
    /// At most this many refreshes
    #[arg(long, value_name = "N")]
    max_refreshes: Option<u64>,
    /// Exactly this many logouts
    #[arg(long, value_name = "N")]
    logouts: Option<u64>,
    /// At most this many requests that were refused, other than by a fault
    #[arg(long, value_name = "N")]
    max_refused: Option<u64>,
    /// At most this many requests with an expired access token
    #[arg(long, value_name = "N", conflicts_with = "no_expired")]
    max_expired: Option<u64>,
    /// No request with an expired access token
    #[arg(long)]
    no_expired: bool,
}

/// The bounds alone, as a command line of their own.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct BoundCommand {
    #[command(flatten)]
    bounds: BoundArgs,
}

impl BoundArgs {
    /// For the control endpoint.
    pub(super) fn document(&self) -> Value {
        let counts = [
            ("min_requests", self.min_requests),
            ("logins", self.logins),
            ("max_logins", self.max_logins),
            ("refreshes", self.refreshes),
            ("max_refreshes", self.max_refreshes),
            ("logouts", self.logouts),
            ("max_refused", self.max_refused),
            ("max_expired", self.max_expired),
        ];
        let counts = counts.into_iter();
        let counts = counts.filter_map(|(name, count)| Some((name.to_owned(), json!(count?))));
        let flag = self
            .no_expired
            .then(|| ("no_expired".to_owned(), json!(true)));
        Value::Object(counts.chain(flag).collect::<Map<_, _>>())
    }

    /// Reads the values of `--assert`: `max-logins=2`, `--max-logins 2`, or several
    /// with blanks or commas between them.
    pub(super) fn read(values: &[String]) -> Result<RequestExpectations, Failure> {
        let words = values
            .iter()
            .flat_map(|value| value.split([' ', ',', '\t', '\n']));
        let words = words.filter(|word| !word.is_empty()).map(option);
        let alone = BoundCommand::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let told = text.trim_start_matches("error: ");
            let told = told.split("\n\nUsage").next().unwrap_or_default();
            let told = told.lines().filter(|line| !line.trim().is_empty());
            let told = told.map(str::trim).collect::<Vec<_>>().join("; ");
            Failure::usage(format!("--assert: {told}"))
        })?;
        let bounds = alone.bounds;
        let expected = RequestExpectations {
            min_requests: bounds.min_requests,
            logins: bounds.logins,
            max_logins: bounds.max_logins,
            refreshes: bounds.refreshes,
            max_refreshes: bounds.max_refreshes,
            logouts: bounds.logouts,
            max_refused: bounds.max_refused,
            max_expired: bounds.max_expired.or(bounds.no_expired.then_some(0)),
        };
        match expected == RequestExpectations::new() {
            true => Err(Failure::usage("--assert has no condition")
                .with_help("give a bound, such as max-logins=1 or no-expired")),
            false => Ok(expected),
        }
    }
}

/// A word as an option of `ctl assert`; a number stays what it is.
fn option(word: &str) -> String {
    let bare = word.trim_start_matches('-');
    if bare.starts_with(|c: char| c.is_ascii_digit()) {
        return word.to_owned();
    }
    match bare.split_once('=') {
        Some((name, value)) => format!("--{}={value}", name.replace('_', "-")),
        None => format!("--{}", bare.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<RequestExpectations, String> {
        let values: Vec<_> = values.iter().map(|it| (*it).to_owned()).collect();
        BoundArgs::read(&values).map_err(|failure| failure.to_string())
    }

    #[test]
    fn bounds_are_written_as_options_or_as_pairs() {
        let expected = RequestExpectations {
            max_logins: Some(2),
            ..RequestExpectations::new().min_requests(1).no_expired()
        };
        for values in [
            &["--max-logins 2 --min-requests 1 --no-expired"][..],
            &["max-logins=2,min_requests=1,no-expired"],
            &["--max-logins=2", "min-requests 1", "no_expired"],
        ] {
            assert_eq!(read(values).as_ref(), Ok(&expected), "{values:?}");
        }
    }

    #[test]
    fn a_bound_that_is_none_is_told() {
        for (values, told) in [
            (&["max-logns=2"][..], "--max-logins"),
            (&["max-logins=many"], "invalid value"),
            (&["max-logins"], "a value is required"),
            (&["2"], "unexpected argument"),
            (&[" "], "has no condition"),
            (&["no-expired max-expired=1"], "cannot be used with"),
        ] {
            let error = read(values).unwrap_err();
            assert!(error.contains(told) && !error.contains('\n'), "{error}");
        }
    }
}
