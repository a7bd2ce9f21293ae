//! The exit code of each error of the client.

use countersign_check::printable;
use countersign_client::{Error, ErrorKind, Timestamp};
use serde_json::json;

use crate::exit::Failure;

/// 77 if the vendor refuses, 69 if later may be better, 64 if something is set
/// up wrongly, and else 1.
pub(crate) fn failure(error: &Error) -> Failure {
    // The vendor's words are among them.
    let message = printable(&error.message);
    let pause = error.retry_at.map(|at| {
        let at = at.rfc3339_seconds();
        format!("wait: the vendor is not asked again before {at}")
    });
    let cure = error.help.as_deref().map(lines);
    let help = cure
        .into_iter()
        .chain(pause)
        .reduce(|cure, pause| format!("{cure}\n{pause}"));
    let failure = match error.kind {
        ErrorKind::Refused { .. } => Failure::refused(message),
        ErrorKind::Secret | ErrorKind::Setup => Failure::usage(message),
        _ if error.is_transient() => Failure::unavailable(message),
        _ => Failure::failed(message),
    };
    let mut details = json!({
        "kind": error.kind.name(),
        "transient": error.is_transient(),
        "retry_at": error.retry_at.map(Timestamp::rfc3339_seconds),
    });
    if let ErrorKind::Refused { operation, refusal } = error.kind {
        details["operation"] = operation.name().into();
        details["refusal"] = refusal.code().into();
    }
    failure.with_details(details).with_help_of(help)
}

/// The lines of a text, none of which can move the cursor.
fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_can_be_mended_also_says_how_long_the_vendor_is_left_alone() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let refused = Error::new(ErrorKind::Unavailable, "the port speaks TLS");
        let told = |error: &Error| failure(error).to_string();
        let both = told(&refused.clone().with_help("write https").until(at));
        assert!(both.contains("write https\nwait: the vendor is not asked again before 2027-"));
        assert!(told(&refused.clone().until(at)).contains("wait: the vendor"));
        assert!(!told(&refused.with_help("write https")).contains("wait"));
    }
}
