//! `countersign config example`: a configuration file that says everything there is to
//! say, with comments.

use serde_json::Value;

use super::server::{ServerSection, server_settings};
use super::setting::{DeclaredSetting, SettingsTable};
use super::store::{StoreSection, store_settings};

/// Where the comments of settings begin.
const COLUMN: usize = 36;

/// The example.
pub(super) fn example() -> String {
    let server = lines(&server_settings(), &ServerSection::default());
    let store = lines(&store_settings(), &StoreSection::default());
    let apis = include_str!("example-apis.toml");
    format!(
        "\
# Countersign's configuration. Every key stands here with its default, or, where
# there is none, with an example. Unknown keys are mistakes.

[server]
{server}
[store]
{store}
{apis}"
    )
}

/// The settings of a table, with the values of this section.
fn lines<S>(table: &SettingsTable<S>, section: &S) -> String {
    let lines = table.0.iter().map(|setting| line(setting, section));
    lines.collect()
}

fn line<S>(setting: &DeclaredSetting<S>, section: &S) -> String {
    let key = setting.key;
    let written = match setting.sample {
        Some(sample) => format!("# {key} = {sample}"),
        None => format!("{key} = {}", literal(&setting.value(section))),
    };
    let mut meaning = setting.meaning.iter();
    let mut text = match meaning.next() {
        Some(first) => format!("{written:<COLUMN$} #{first}\n"),
        None => format!("{written}\n"),
    };
    for further in meaning {
        text.push_str(&format!("{:<COLUMN$} #{further}\n", "#"));
    }
    text
}

/// A value as TOML writes it: texts, numbers and lists as JSON does.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
