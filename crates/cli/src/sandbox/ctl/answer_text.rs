//! What the control endpoints answer, for people.

use countersign_check::printable;
use serde_json::Value;

use crate::table::Table;
use crate::text::to_second;

/// What the clock shows.
pub(super) fn clock(clock: &Value) -> String {
    format!(
        "the sandbox's clock shows {}\n",
        to_second(&cell(&clock["now"]))
    )
}

/// The faults that are armed.
pub(super) fn faults(armed: &Value) -> String {
    let mut table = Table::new(["FAULT", "ON", "OFTEN", "WITH"]);
    let armed = armed.as_array().map_or(&[][..], Vec::as_slice);
    if armed.is_empty() {
        return "no fault is armed\n".to_owned();
    }
    for fault in armed {
        let often = match (fault["count"].as_u64(), fault["rate"].as_f64()) {
            (Some(count), _) => format!("{count} x"),
            (_, rate) => format!("{} of all", rate.unwrap_or_default()),
        };
        let with = ["status", "retry_after", "delay", "by", "what"];
        let with = with.iter().filter(|name| !fault[**name].is_null());
        let with: Vec<_> = with
            .map(|name| format!("{name} {}", cell(&fault[*name])))
            .collect();
        table.row([
            &cell(&fault["fault"]),
            &cell(&fault["on"]),
            &often,
            &with.join(", "),
        ]);
    }
    table.text()
}

/// What was asked.
pub(super) fn requests(requests: &Value) -> String {
    let requests = requests.as_array().map_or(&[][..], Vec::as_slice);
    if requests.is_empty() {
        return "the sandbox was asked nothing\n".to_owned();
    }
    let mut table = Table::new(["AT", "OPERATION", "REQUEST", "STATUS", "WHAT", "FAULTS"]);
    for request in requests {
        let what = match request["refusal"].is_null() {
            true => cell(&request["change"]),
            false => cell(&request["refusal"]),
        };
        let faults = request["faults"].as_array().map_or(&[][..], Vec::as_slice);
        let faults: Vec<_> = faults.iter().map(cell).collect();
        table.row([
            &to_second(&cell(&request["at"])),
            &cell(&request["operation"]),
            &format!("{} {}", cell(&request["method"]), cell(&request["path"])),
            &cell(&request["status"]),
            &what,
            &faults.join(", "),
        ]);
    }
    table.text()
}

/// That all is as expected, with what it was.
///
/// Bounds from above hold of a client that never called, so that is said.
pub(crate) fn passed(verdict: &Value) -> String {
    if verdict["asked"]["requests"] == 0 {
        return "as expected, but no request was made: --min-requests 1 would fail\n".to_owned();
    }
    let counts = [
        "logins",
        "refreshes",
        "logouts",
        "guarded",
        "refused",
        "expired",
    ];
    let counts = counts.map(|name| format!("{name} {}", cell(&verdict["asked"][name])));
    format!("as expected: {}\n", counts.join(", "))
}

/// What is not as expected.
pub(crate) fn failed(verdict: &Value) -> String {
    let failures = verdict["failures"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let failures: Vec<_> = failures.iter().map(cell).collect();
    format!("not as expected: {}", failures.join("; "))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}
