//! Checks: whether a token can be had from a vendor, what the vendor really does with
//! tokens, and what went to it and came back, without a secret.
//!
//! It finds and says; it prints nothing and asks nobody. What is found about a profile
//! ([`machine_findings`], [`way_findings`]) changes nothing with the vendor. A probe
//! ([`ProbeScope`]) does, in a session of its own.

mod curl;
mod finding;
mod machine;
mod placeholders;
mod probe;
mod reach;
mod redactor;
mod shown_exchange;
mod vendor_clock;

pub use curl::{curl_call, curl_line};
pub use finding::{CheckFinding, CheckVerdict};
pub use machine::machine_findings;
pub use placeholders::{SecretPlaceholders, request_values, shell_word};
pub use probe::{ProbeReport, ProbeScope};
pub use reach::way_findings;
pub use redactor::{Redactor, printable};
pub use shown_exchange::{ShownCurl, ShownExchange, ShownMessage};
