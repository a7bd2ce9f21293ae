//! `countersign config example`: a configuration file with every key, and comments.

use std::path::Path;

use countersign_dialect::Mistakes;
use countersign_domain::{RouteAccess, RouteRule};
use serde_json::{Value, json};

use super::api::{ApiSection, api_settings};
use super::guard::{GuardSection, guard_settings};
use super::limits::limits_settings;
use super::read::read;
use super::routes::route_settings;
use super::server::{ServerSection, server_settings};
use super::setting::{DeclaredSetting, SettingsTable};
use super::store::store_settings;
use super::upstream::upstream_settings;

/// Where the comments of settings begin.
const COLUMN: usize = 36;

/// What the api of the example sets; all else in it is the default.
const GIVEN: &str = r#"
[apis.pay]
dialect = "b2binpay"
guards = ["/deposit/*", "/payout/*"]
upstream = "http://127.0.0.1:9000"
"#;

/// The example.
///
/// # Errors
///
/// What is wrong with the values that are given for it.
pub(super) fn example() -> Result<String, Mistakes> {
    let settings = read(GIVEN, "the example", Path::new("."))?;
    let server = lines(&server_settings(), &ServerSection::default());
    let store = lines(&store_settings(), &settings.store);
    let apis = settings.apis.iter().map(api).collect::<String>();
    Ok(format!(
        "\
# Countersign's configuration. Every key is here with its default or, where there
# is none, with an example in a comment. Unknown keys are mistakes.

[server]
{server}
[store]
{store}
{apis}"
    ))
}

fn api(api: &ApiSection) -> String {
    let (own, limits) = (lines(&api_settings(), api), lines(&limits_settings(), api));
    let guard = api.guard.as_ref().map(guarded).unwrap_or_default();
    let routes = rules();
    format!(
        "\
# One table for each api. Its name appears in log lines and headers.
[apis.pay]
{own}
# Without `guards` the api only issues tokens. With it, these paths are guarded and
# forwarded; any other path belongs to another api or is answered with 404.
{guard}
# These limits hold for each account that has none of its own.
[apis.pay.limits]
{limits}
# Of the rules that match a request, the one with the most specific path decides; a
# path without a rule is protected. `{{login}}` matches the caller's login, `{{name}}`
# any one segment, and `*` at the end any number of segments.
{routes}"
    )
}

fn guarded(guard: &GuardSection) -> String {
    let upstream = guard.upstream.as_ref();
    let upstream = upstream.map(|it| lines(&upstream_settings(), it));
    lines(&guard_settings(), guard) + &upstream.unwrap_or_default()
}

/// Two rules that together have every key; a key that one leaves out is not shown.
fn rules() -> String {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let public = RouteRule {
        methods: texts(&["GET"]),
        path: "/deposit/rates".to_owned(),
        access: RouteAccess::Public,
        scopes: Vec::new(),
    };
    let protected = RouteRule {
        methods: Vec::new(),
        path: "/payout/*".to_owned(),
        access: RouteAccess::Protected,
        scopes: texts(&["payout:write"]),
    };
    let tables = [public, protected].map(|rule| {
        let settings = route_settings().0.into_iter();
        let said = settings.filter(|it| it.value(&rule) != json!([]));
        format!(
            "[[apis.pay.routes]]\n{}",
            lines(&SettingsTable(said.collect()), &rule)
        )
    });
    tables.join("\n")
}

/// The settings of a table, with the values of this section.
fn lines<S>(table: &SettingsTable<S>, section: &S) -> String {
    let shown = table.0.iter().filter(|it| !it.in_tables);
    shown.map(|setting| line(setting, section)).collect()
}

fn line<S>(setting: &DeclaredSetting<S>, section: &S) -> String {
    let key = setting.key;
    let written = match setting.sample {
        Some(sample) => format!("# {key} = {sample}"),
        None => format!("{key} = {}", toml_literal(&setting.value(section))),
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

/// A value as TOML writes it: texts, numbers and lists as JSON does, but for the
/// character U+007F, which stands in no text of TOML.
pub(crate) fn toml_literal(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml_literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_whatever_its_characters() {
        let value = json!(["a\u{7f}\"\\\n\u{1}\u{85}\u{2028}é", 7, true]);
        let document = format!("key = {}", toml_literal(&value));
        let read: toml::Table = document.parse().unwrap();
        assert_eq!(json!(read["key"]), value, "{document}");
    }
}
