//! `countersign dialect show`: a dialect on one page.

use countersign_dialect::document::duration_text;
use countersign_dialect::{Dialect, OperationInfo, TokenRefusal, VendorPreset};
use countersign_domain::{Refusal, TokenOperation};
use serde_json::{Value, json};

use super::{load, operations, serves, source_of};
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// Prints the dialect with this name or in this file, or its source.
pub(super) fn run(name: &str, source: bool, output: &mut Output) -> Result<(), Failure> {
    if source {
        let (text, _) = source_of(name)?;
        return output.text(&text);
    }
    let dialect = load(name)?;
    output.document(&document(&dialect), &page(&dialect))
}

fn page(dialect: &Dialect) -> String {
    let sections = [
        format!("{} ({})\n", dialect.title(), dialect.name()),
        settings(dialect),
        operation_table(dialect),
        refusals(dialect),
    ];
    sections.join("\n")
}

/// All of them; for a file that only clients use, those that it spells.
fn refusals(dialect: &Dialect) -> String {
    let refusals = spelled_refusals(dialect);
    match (dialect.serves().issuer, refusals.is_empty()) {
        (true, _) => format!(
            "Refusals, with the HTTP status of each\n\n{}",
            refusal_table(dialect, &refusals)
        ),
        (false, false) => format!(
            "Refusals that the file spells, with the HTTP status of each\n\n{}",
            refusal_table(dialect, &refusals)
        ),
        (false, true) if dialect.has_standard_errors() => {
            "Refusals are those of RFC 6749 section 5.2: the file spells none\n".to_owned()
        }
        (false, true) => {
            "Refusals are recognized by their HTTP status: the file spells none\n".to_owned()
        }
    }
}

fn settings(dialect: &Dialect) -> String {
    let mut table = Table::headless();
    for (name, value) in facts(dialect) {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        table.row([name, &text]);
    }
    for (variant, preset) in dialect.variant_presets() {
        let name = dialect.variant_name(variant);
        for (key, value) in variant_facts(dialect.preset(), preset) {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            table.row([&format!("{key} ({name})"), &text]);
        }
    }
    for (name, line) in dialect.stated_ends() {
        table.row([name, &line]);
    }
    table.row(["serves", &serves(dialect).join(", ")]);
    table.text()
}

/// The vendor's lifetimes and limits, those that the file states.
fn facts(dialect: &Dialect) -> Vec<(&'static str, Value)> {
    let preset = dialect.preset();
    let number = |name, number: Option<u32>| number.map(|number| (name, json!(number)));
    let lives = dialect.stated_lives();
    let lives = [
        ("access", lives.access),
        ("refresh", lives.refresh),
        ("absolute", lives.absolute),
    ];
    let lives = lives.into_iter();
    let mut facts: Vec<_> = lives
        .filter_map(|(name, life)| Some((name, json!(duration_text(life?)))))
        .collect();
    facts.extend(number("budget", preset.budget));
    facts.extend(number("anonymous_per_minute", preset.anonymous_per_minute));
    facts.extend(number("logins_per_minute", preset.logins_per_minute));
    facts.extend(number("lock_after", preset.lock_after));
    facts
}

/// What the preset of a variant says that the usual one does not.
fn variant_facts(usual: &VendorPreset, own: &VendorPreset) -> Vec<(&'static str, Value)> {
    let mut facts = Vec::new();
    for (name, usual, own) in [
        ("access", usual.access, own.access),
        ("refresh", usual.refresh, own.refresh),
        ("absolute", usual.absolute, own.absolute),
    ] {
        if usual != own {
            facts.push((name, json!(duration_text(own))));
        }
    }
    if usual.budget != own.budget {
        let budget = own.budget.map_or(json!("unlimited"), |it| json!(it));
        facts.push(("budget", budget));
    }
    facts
}

fn operation_table(dialect: &Dialect) -> String {
    let mut table = Table::new(["OPERATION", "VARIANT", "METHOD", "PATH", ""]);
    for info in dialect.operations() {
        let slash = if info.slash_optional {
            "slash optional"
        } else {
            ""
        };
        table.row([
            info.operation.name(),
            dialect.variant_name(info.variant),
            info.method.as_str(),
            &info.path,
            slash,
        ]);
    }
    table.text()
}

fn refusal_table(dialect: &Dialect, refusals: &[Refusal]) -> String {
    let mut table = Table::new(["REFUSAL", "LOGIN", "REFRESH", "GUARD", "LOGOUT"]);
    for refusal in refusals {
        let [login, refresh, guard, logout] = TokenOperation::ALL.map(|operation| {
            let status = status(dialect, operation, *refusal);
            status.map(|it| it.to_string()).unwrap_or_default()
        });
        table.row([refusal.code(), &login, &refresh, &guard, &logout]);
    }
    table.text()
}

/// The refusals with a status on some operation.
fn spelled_refusals(dialect: &Dialect) -> Vec<Refusal> {
    let is_told = |refusal: &Refusal| {
        let mut operations = TokenOperation::ALL.into_iter();
        operations.any(|operation| status(dialect, operation, *refusal).is_some())
    };
    Refusal::ALL.iter().copied().filter(is_told).collect()
}

fn document(dialect: &Dialect) -> Value {
    let refusals = spelled_refusals(dialect).into_iter().map(|refusal| {
        let statuses = TokenOperation::ALL.into_iter().filter_map(|operation| {
            let status = status(dialect, operation, refusal)?;
            Some((operation.name().to_owned(), json!(status)))
        });
        let statuses = Value::Object(statuses.collect());
        (refusal.code().to_owned(), statuses)
    });
    let object = |facts: Vec<(&str, Value)>| {
        let facts = facts.into_iter();
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        Value::Object(facts.collect())
    };
    let variants = dialect.variant_presets().map(|(variant, preset)| {
        let own = object(variant_facts(dialect.preset(), preset));
        (dialect.variant_name(variant).to_owned(), own)
    });
    json!({
        "name": dialect.name(),
        "title": dialect.title(),
        "serves": serves(dialect),
        "operations": operations(dialect),
        "endpoints": dialect.operations().map(|info| endpoint(dialect, &info)).collect::<Vec<_>>(),
        "preset": object(facts(dialect)),
        "variant_presets": Value::Object(variants.collect()),
        "refusals": Value::Object(refusals.collect()),
    })
}

fn endpoint(dialect: &Dialect, info: &OperationInfo) -> Value {
    json!({
        "operation": info.operation.name(),
        "variant": dialect.variant_name(info.variant),
        "method": info.method.as_str(),
        "path": info.path,
        "slash_optional": info.slash_optional,
    })
}

/// The HTTP status that a peer of an issuer gets; of a file for clients, what it
/// says itself.
fn status(dialect: &Dialect, operation: TokenOperation, refusal: Refusal) -> Option<u16> {
    if !dialect.serves().issuer {
        return dialect.stated_refusal(operation, refusal);
    }
    let refused = TokenRefusal::new(operation, refusal);
    Some(dialect.write_refusal(&refused).status().as_u16())
}
