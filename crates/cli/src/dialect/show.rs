//! `countersign dialect show`: a dialect on one page.

use countersign_dialect::document::duration_text;
use countersign_dialect::{Dialect, OperationInfo, Refused};
use countersign_domain::{Operation, Refusal};
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
        format!(
            "Refusals, with the HTTP status of each\n\n{}",
            refusal_table(dialect)
        ),
    ];
    sections.join("\n")
}

fn settings(dialect: &Dialect) -> String {
    let mut table = Table::headless();
    for (name, value) in facts(dialect) {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        table.row([name, &text]);
    }
    table.row(["serves", &serves(dialect).join(", ")]);
    table.text()
}

/// The vendor's lifetimes and limits, those that it has.
fn facts(dialect: &Dialect) -> Vec<(&'static str, Value)> {
    let preset = dialect.preset();
    let number = |name, number: Option<u32>| number.map(|number| (name, json!(number)));
    let mut facts = vec![
        ("access", json!(duration_text(preset.access))),
        ("refresh", json!(duration_text(preset.refresh))),
        ("absolute", json!(duration_text(preset.absolute))),
    ];
    facts.extend(number("budget", preset.budget));
    facts.extend(number("anonymous_per_minute", preset.anonymous_per_minute));
    facts.extend(number("logins_per_minute", preset.logins_per_minute));
    facts.extend(number("lock_after", preset.lock_after));
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

fn refusal_table(dialect: &Dialect) -> String {
    let mut table = Table::new(["REFUSAL", "LOGIN", "REFRESH", "GUARD", "LOGOUT"]);
    for refusal in Refusal::ALL {
        let [login, refresh, guard, logout] =
            Operation::ALL.map(|operation| status(dialect, operation, *refusal).to_string());
        table.row([refusal.code(), &login, &refresh, &guard, &logout]);
    }
    table.text()
}

fn document(dialect: &Dialect) -> Value {
    let refusals = Refusal::ALL.iter().map(|refusal| {
        let statuses = Operation::ALL.map(|operation| {
            let status = status(dialect, operation, *refusal);
            (operation.name().to_owned(), json!(status))
        });
        let statuses = Value::Object(statuses.into_iter().collect());
        (refusal.code().to_owned(), statuses)
    });
    let preset = facts(dialect).into_iter();
    let preset = preset.map(|(name, value)| (name.to_owned(), value));
    json!({
        "name": dialect.name(),
        "title": dialect.title(),
        "serves": serves(dialect),
        "operations": operations(dialect),
        "endpoints": dialect.operations().map(|info| endpoint(dialect, &info)).collect::<Vec<_>>(),
        "preset": Value::Object(preset.collect()),
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

/// The HTTP status that a peer gets.
fn status(dialect: &Dialect, operation: Operation, refusal: Refusal) -> u16 {
    let refused = Refused::new(operation, refusal);
    dialect.refuse(&refused).status().as_u16()
}
