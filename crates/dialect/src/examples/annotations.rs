//! The lines `# @NAME VALUE` of an exchange: which ones exist, and what is wrong with
//! one.

use countersign_domain::{Refusal, Timestamp};

use super::ExampleExchange;
use super::values::NAMES;
use crate::Dialect;
use crate::document::did_you_mean;
use crate::instant::{ZoneSpelling, instant, rfc3339};

/// The annotations, apart from those that state what a client must read.
pub(crate) const ANNOTATIONS: [&str; 8] = [
    "refusal",
    "understood",
    "now",
    "operation",
    "variant",
    "lenient",
    "only",
    "refused_by_client",
];

/// What is wrong, and what to write instead, if that is known.
pub(super) type FlawAndHelp = (String, Option<String>);

/// What is wrong with the annotations of an exchange.
pub(super) fn mistakes(dialect: &Dialect, exchange: &ExampleExchange) -> Vec<FlawAndHelp> {
    let wrong = exchange.annotations.iter().filter_map(|(name, value)| {
        let (flaw, help) = flaw(dialect, name, value)?;
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" {value}")
        };
        Some((format!("`# @{name}{value}` {flaw}"), help))
    });
    wrong.collect()
}

fn flaw(dialect: &Dialect, name: &str, value: &str) -> Option<(&'static str, Option<String>)> {
    let (flaw, help) = match name {
        "refusal" | "understood" if Refusal::from_code(value).is_none() => {
            let codes = || Refusal::ALL.iter().map(|refusal| refusal.code());
            let help = did_you_mean(value, codes()).unwrap_or_else(|| one_of(codes()));
            ("names no refusal", Some(help))
        }
        "operation" if value != "guard" => {
            let help = "leave it out: other operations are recognized by their path";
            ("is not `guard`", Some(help.to_owned()))
        }
        "only" if !["issuer", "client"].contains(&value) => {
            ("is neither `issuer` nor `client`", None)
        }
        "variant" if dialect.variant(value).is_none() => {
            let names = dialect.variants().map(|it| dialect.variant_name(it));
            ("names no variant of the dialect", Some(one_of(names)))
        }
        _ if is_time(name) && !is_none(name, value) && instant(value, false).is_none() => {
            let help = "write one such as 2024-01-15T09:30:00Z";
            ("is not an instant in RFC 3339", Some(help.to_owned()))
        }
        _ if ANNOTATIONS.contains(&name) || NAMES.contains(&name) || name.starts_with("extra.") => {
            return None;
        }
        _ => {
            let known = ANNOTATIONS.into_iter().chain(NAMES).chain(["extra.NAME"]);
            let help = did_you_mean(name, known.clone()).unwrap_or_else(|| one_of(known));
            ("is not an annotation", Some(help))
        }
    };
    Some((flaw, help))
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    format!("write one of {}", names.collect::<Vec<_>>().join(", "))
}

/// Whether an annotation states that the reply does not have something.
fn is_none(name: &str, value: &str) -> bool {
    NAMES.contains(&name) && value.is_empty()
}

/// Whether an annotation states a time.
pub(super) fn is_time(name: &str) -> bool {
    name == "now" || name.ends_with("_at")
}

/// A time, as an annotation states it.
pub(super) fn shown(time: Timestamp) -> String {
    let digits = if time.as_micros() % 1_000_000 == 0 {
        0
    } else {
        6
    };
    rfc3339(time, digits, ZoneSpelling::Z, false)
}
