//! Faults, expectations and the record as JSON.

use std::time::Duration;

use countersign_dialect::document::duration_text;
use countersign_domain::{Timestamp, TokenOperation};
use serde_json::{Map, Value, json};

use super::fields::ControlFields;
use crate::duration_text::span;
use crate::expectations::{RequestCounts, RequestExpectations};
use crate::fault::{ClockSkew, FaultFrequency, FaultKind, RevocationTarget, VendorFault};
use crate::record::RecordedRequest;

/// What a clock is told.
pub(super) enum MovedClock {
    On(Duration),
    To(Timestamp),
}

/// `{"advance": "6h"}` or `{"set": RFC 3339}`.
pub(super) fn moved(fields: &mut ControlFields) -> Option<MovedClock> {
    let (advance, set) = (fields.has("advance"), fields.has("set"));
    if advance == set {
        let said = match advance {
            true => "advance and set exclude each other",
            false => "neither advance nor set is there",
        };
        let help = "give either advance, such as \"6h\", or set, an instant in RFC 3339";
        fields.blame_with_help::<()>(said, help);
    }
    let advance = fields.span("advance");
    let set = fields.text("set").and_then(|text| match text.parse() {
        Ok(instant) => Some(instant),
        Err(_) => fields.blame_with_help(
            "set is not an instant in RFC 3339",
            "write one such as 2027-01-15T12:00:00Z",
        ),
    });
    advance.map(MovedClock::On).or(set.map(MovedClock::To))
}

/// `{"fault": NAME, "on": OPERATION, "count": n | "rate": 0..1, …}`.
pub(super) fn fault(fields: &mut ControlFields) -> Option<VendorFault> {
    if !fields.has("fault") {
        fields.blame_with_help::<()>("fault is missing", "it says what goes wrong");
    }
    let fault = kind(fields);
    let operations = TokenOperation::ALL.map(|operation| (operation.name(), Some(operation)));
    let operations: Vec<_> = operations.into_iter().chain([("any", None)]).collect();
    let on = fields.one_of("on", &operations).flatten();
    if fields.has("count") && fields.has("rate") {
        let help = "give either count or rate";
        fields.blame_with_help::<()>("count and rate exclude each other", help);
    }
    let count = fields.number("count", 1).map(FaultFrequency::Times);
    let rate = fields.rate("rate").map(FaultFrequency::Rate);
    let mut fault = fault?;
    fault.on = on;
    fault.often = count.or(rate).unwrap_or(fault.often);
    Some(fault)
}

/// The name of a fault, and what belongs to it.
fn kind(fields: &mut ControlFields) -> Option<VendorFault> {
    const NAMES: [&str; 7] = [
        "lost_reply",
        "status",
        "delay",
        "cut",
        "skew",
        "revoke",
        "forbid",
    ];
    let name = fields.one_of("fault", &NAMES.map(|name| (name, name)))?;
    match name {
        "lost_reply" => Some(VendorFault::lost_reply()),
        "status" => status(fields),
        "delay" => needed(fields, "delay", "2s", ControlFields::span).map(VendorFault::delay),
        "cut" => Some(VendorFault::cut()),
        "skew" => needed(fields, "by", "-90s", skew).map(VendorFault::skew),
        "revoke" => {
            let choices = [
                ("session", RevocationTarget::Session),
                ("account", RevocationTarget::Account),
            ];
            let what = fields.one_of("what", &choices);
            Some(VendorFault::revoke(
                what.unwrap_or(RevocationTarget::Session),
            ))
        }
        _ => Some(VendorFault::forbid()),
    }
}

fn status(fields: &mut ControlFields) -> Option<VendorFault> {
    let number = |fields: &mut ControlFields, name| fields.number::<u16>(name, 400);
    let status = needed(fields, "status", "503", number)?;
    if status > 599 {
        let help = "write a number from 400 to 599";
        return fields.blame_with_help("status is not one of a failure", help);
    }
    let fault = VendorFault::status(status);
    Some(match fields.span("retry_after") {
        Some(wait) => fault.retry_after(wait),
        None => fault,
    })
}

fn skew(fields: &mut ControlFields, name: &'static str) -> Option<ClockSkew> {
    let text = fields.text(name)?;
    let behind = text.strip_prefix('-').and_then(span).map(ClockSkew::Behind);
    let ahead = || span(text.strip_prefix('+').unwrap_or(&text)).map(ClockSkew::Ahead);
    match behind.or_else(ahead) {
        Some(skew) => Some(skew),
        None => fields.blame_with_help(
            format!("{name} is not a span of time"),
            "write one such as 90s or -6h",
        ),
    }
}

fn needed<T>(
    fields: &mut ControlFields,
    name: &'static str,
    example: &str,
    read: impl FnOnce(&mut ControlFields, &'static str) -> Option<T>,
) -> Option<T> {
    if !fields.has(name) {
        let help = format!("give one, such as {example}");
        fields.blame_with_help::<()>(format!("{name} is missing"), help);
    }
    read(fields, name)
}

/// A fault that is armed still.
pub(super) fn fault_document(fault: &VendorFault) -> Value {
    let mut document = json!({ "fault": fault.name() });
    document["on"] = json!(fault.on.map_or("any", TokenOperation::name));
    match fault.often {
        FaultFrequency::Times(count) => document["count"] = json!(count),
        FaultFrequency::Rate(rate) => document["rate"] = json!(rate),
    }
    match fault.kind {
        FaultKind::Status {
            status,
            retry_after,
        } => {
            document["status"] = json!(status);
            if let Some(wait) = retry_after {
                document["retry_after"] = json!(duration_text(wait));
            }
        }
        FaultKind::Delay(by) => document["delay"] = json!(duration_text(by)),
        FaultKind::Skew(ClockSkew::Ahead(by)) => document["by"] = json!(duration_text(by)),
        FaultKind::Skew(ClockSkew::Behind(by)) => {
            document["by"] = json!(format!("-{}", duration_text(by)));
        }
        FaultKind::Revoke(RevocationTarget::Session) => document["what"] = json!("session"),
        FaultKind::Revoke(RevocationTarget::Account) => document["what"] = json!("account"),
        FaultKind::LostReply | FaultKind::Cut | FaultKind::Forbid => {}
    }
    document
}

/// Bounds on what was asked.
pub(super) fn expected(fields: &mut ControlFields) -> Option<RequestExpectations> {
    if fields.has("no_expired") && fields.has("max_expired") {
        let help = "give either no_expired or max_expired";
        fields.blame_with_help::<()>("no_expired and max_expired exclude each other", help);
    }
    let none = fields.flag("no_expired").unwrap_or(false).then_some(0);
    let expected = RequestExpectations {
        min_requests: fields.number("min_requests", 0),
        logins: fields.number("logins", 0),
        max_logins: fields.number("max_logins", 0),
        refreshes: fields.number("refreshes", 0),
        max_refreshes: fields.number("max_refreshes", 0),
        logouts: fields.number("logouts", 0),
        max_refused: fields.number("max_refused", 0),
        max_expired: fields.number("max_expired", 0).or(none),
    };
    if expected == RequestExpectations::new() {
        // It would hold of every client.
        let help = "give a bound, such as logins or max_refreshes";
        return fields.blame_with_help("nothing is expected", help);
    }
    Some(expected)
}

impl RecordedRequest {
    /// The request as JSON; what is not known is left out.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "at": self.at.rfc3339(),
            "operation": self.operation.name(),
            "method": self.method,
            "path": self.path,
            "status": self.status,
        });
        let more: Map<_, _> = [
            ("refusal", self.refusal.map(|it| json!(it.code()))),
            ("change", self.change.map(|it| json!(it))),
            ("session", self.session.map(|it| json!(it.to_string()))),
            ("generation", self.generation.map(|it| json!(it))),
            (
                "faults",
                (!self.faults.is_empty()).then(|| json!(self.faults)),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        if let Some(members) = document.as_object_mut() {
            members.extend(more);
        }
        document
    }
}

impl RequestCounts {
    /// The counts as JSON.
    pub fn document(&self) -> Value {
        json!({
            "requests": self.requests,
            "logins": self.logins,
            "refreshes": self.refreshes,
            "repeated": self.repeated,
            "logouts": self.logouts,
            "guarded": self.guarded,
            "refused": self.refused,
            "expired": self.expired,
        })
    }
}
