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

/// What is wrong with the annotations of an exchange.
pub(super) fn mistakes(dialect: &Dialect, exchange: &ExampleExchange) -> Vec<String> {
    let wrong = exchange.annotations.iter().filter_map(|(name, value)| {
        let flaw = flaw(dialect, name, value)?;
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" {value}")
        };
        Some(format!("`# @{name}{value}` {flaw}"))
    });
    wrong.collect()
}

fn flaw(dialect: &Dialect, name: &str, value: &str) -> Option<String> {
    match name {
        "refusal" | "understood" if Refusal::from_code(value).is_none() => {
            let codes = || Refusal::ALL.iter().map(|refusal| refusal.code());
            let help = did_you_mean(value, codes())
                .unwrap_or_else(|| codes().collect::<Vec<_>>().join(", "));
            Some(format!("names no refusal ({help})"))
        }
        "operation" if value != "guard" => {
            Some("is not `guard`: other operations are told by their path".to_owned())
        }
        "only" if !["issuer", "client"].contains(&value) => {
            Some("is neither `issuer` nor `client`".to_owned())
        }
        "variant" if dialect.variant(value).is_none() => {
            let names = dialect.variants().map(|it| dialect.variant_name(it));
            let names = names.collect::<Vec<_>>().join(", ");
            Some(format!("names no variant of the dialect: it has {names}"))
        }
        _ if is_time(name) && !is_none(name, value) && instant(value, false).is_none() => {
            Some("is not an instant in RFC 3339, such as 2024-01-15T09:30:00Z".to_owned())
        }
        _ if ANNOTATIONS.contains(&name) || NAMES.contains(&name) || name.starts_with("extra.") => {
            None
        }
        _ => {
            let known = ANNOTATIONS.into_iter().chain(NAMES).chain(["extra.NAME"]);
            let help = did_you_mean(name, known.clone())
                .unwrap_or_else(|| format!("there are {}", known.collect::<Vec<_>>().join(", ")));
            Some(format!("is not an annotation ({help})"))
        }
    }
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
