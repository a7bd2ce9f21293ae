//! The card as JUnit XML, in the form that CI systems read (the elements of
//! Maven Surefire's schema): each step is a test case.

use std::fmt::Write;
use std::time::Duration;

use super::{ClientCard, PlayedStep, StepTally, StepVerdict, text};

impl ClientCard {
    /// The card for a CI system.
    pub fn junit(&self) -> String {
        let StepTally {
            failed, skipped, ..
        } = self.tally();
        let tests = self.steps.len();
        let suite = format!("countersign.card.{}", self.subject().replace(' ', "."));
        let time = seconds(self.steps.iter().map(|played| played.took).sum());
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites>\n\
             <testsuite name=\"{0}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{time}\">\n",
            escape(&suite)
        );
        for played in &self.steps {
            // Writing to a string cannot fail.
            let _ = write_case(&mut xml, &suite, played);
        }
        xml.push_str("</testsuite>\n</testsuites>\n");
        xml
    }
}

fn write_case(xml: &mut String, suite: &str, played: &PlayedStep) -> std::fmt::Result {
    let (suite, name) = (escape(suite), escape(played.step.name));
    let time = seconds(played.took);
    writeln!(
        xml,
        "<testcase classname=\"{suite}\" name=\"{name}\" time=\"{time}\">"
    )?;
    match &played.verdict {
        StepVerdict::Passed { .. } => {}
        StepVerdict::Failed { reasons } => writeln!(
            xml,
            "<failure type=\"demand\" message=\"{}\">{}</failure>",
            escape(reasons.first().map_or("", String::as_str)),
            escape(&reasons.join("\n")),
        )?,
        StepVerdict::Skipped { why } => writeln!(xml, "<skipped message=\"{}\"/>", escape(why))?,
    }
    let seen = text::lines(played).join("\n");
    writeln!(xml, "<system-out>{}</system-out>", escape(&seen))?;
    writeln!(xml, "</testcase>")
}

fn seconds(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64())
}

/// A text as it may stand in an element or between quotes. What XML 1.0 cannot
/// say at all (section 2.2: most control characters) becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => escaped.push(character),
            _ => escaped.push('\u{fffd}'),
        }
    }
    escaped
}
