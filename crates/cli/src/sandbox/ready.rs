//! What a sandbox prints once it serves: its address, and commands to try it with.

use bytes::Bytes;
use countersign_check::{SecretPlaceholders, curl_call, curl_line, shell_word};
use countersign_dialect::ClientValues;
use countersign_domain::TokenOperation;
use countersign_sandbox::Sandbox;
use http::Request;

use super::files::{Files, profile_name};
use crate::table::Table;

/// The text for people.
pub(super) fn text(sandbox: &Sandbox, files: &Files) -> String {
    let mut text = facts(sandbox, files);
    for sentence in open_questions(sandbox) {
        text.push_str(&format!("\n# {sentence}"));
    }
    text.push_str("\n# log in\n");
    text.push_str(&logins(sandbox));
    text.push_str("\n# call: every other path is guarded\n");
    let dialect = sandbox.dialect();
    let target = format!("{}/anything", sandbox.url());
    text.push_str(&curl_call(&target, dialect, "ACCESS_TOKEN"));
    text.push('\n');
    if let Some(file) = &files.profiles {
        text.push_str("\n# call with a fresh token\n");
        text.push_str(&requests(sandbox, &file.display().to_string()));
    }
    text.push_str("\n# six hours later\n");
    text.push_str(&six_hours(sandbox, files));
    text
}

/// What the file of a dialect for clients leaves open, in sentences.
pub(super) fn open_questions(sandbox: &Sandbox) -> Vec<String> {
    let made_up = sandbox.made_up().iter();
    let made_up = made_up.map(|it| format!("made up: {it}"));
    let not_played = sandbox.not_played().iter();
    made_up
        .chain(not_played.map(|it| format!("not played: {it}")))
        .collect()
}

fn requests(sandbox: &Sandbox, file: &str) -> String {
    let file = shell_word(file);
    let variants = sandbox.dialect().variants();
    let line = |variant| {
        let name = profile_name(sandbox, variant);
        format!("countersign request --profiles {file} {name} GET /anything\n")
    };
    variants.map(line).collect()
}

fn facts(sandbox: &Sandbox, files: &Files) -> String {
    let dialect = sandbox.dialect();
    let mut table = Table::headless();
    table.row(["sandbox", sandbox.url()]);
    table.row([
        "dialect",
        &format!("{} ({})", dialect.title(), dialect.name()),
    ]);
    table.row(["login", sandbox.login()]);
    table.row(["secret", sandbox.secret().expose()]);
    for (name, part) in &sandbox.extra() {
        table.row([&format!("extra.{name}"), part.expose()]);
    }
    table.row(["control", sandbox.control().unwrap_or("none")]);
    match &files.manifest {
        Some(file) => table.row(["manifest", &file.display().to_string()]),
        None => table.row([
            "manifest",
            "none: name a file with --manifest for `ctl` and scripts",
        ]),
    }
    match &files.profiles {
        Some(file) => table.row(["profiles", &file.display().to_string()]),
        None => table.row(["profiles", "none: name a file with --profiles"]),
    }
    table.text()
}

fn logins(sandbox: &Sandbox) -> String {
    let dialect = sandbox.dialect();
    let extra = sandbox.extra();
    let asking = ClientValues {
        login: Some(sandbox.login()),
        secret: Some(sandbox.secret()),
        extra: Some(&extra),
        ..ClientValues::default()
    };
    let requests = dialect
        .variants()
        .filter_map(|variant| dialect.request(TokenOperation::Login, variant, &asking));
    let line = |request: Request<Bytes>| {
        let url = format!("{}{}", sandbox.url(), request.uri());
        curl_line(&request, &url, &SecretPlaceholders::none()) + "\n"
    };
    requests.map(line).collect()
}

fn six_hours(sandbox: &Sandbox, files: &Files) -> String {
    let manifest = files.manifest.as_ref();
    let manifest = manifest.map(|file| file.display().to_string());
    if let Some(file) = manifest {
        let file = shell_word(&file);
        return format!("countersign sandbox ctl --manifest {file} advance 6h\n");
    }
    let document = sandbox.manifest();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    format!(
        "curl '{}/sandbox/v1/clock' -H 'Authorization: Bearer {}' -d '{{\"advance\": \"6h\"}}'\n",
        text("control"),
        text("control_key")
    )
}
