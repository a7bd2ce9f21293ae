//! What a sandbox says once it serves: where it is, and lines to try it with.

use std::path::Path;

use countersign_dialect::Asking;
use countersign_domain::Operation;
use countersign_sandbox::Sandbox;

use crate::curl;
use crate::table::Table;

/// The text for people.
pub(super) fn text(sandbox: &Sandbox, manifest: Option<&Path>) -> String {
    let mut text = facts(sandbox, manifest);
    text.push_str("\n# log in\n");
    text.push_str(&logins(sandbox));
    text.push_str("\n# call: every other path echoes what it got\n");
    let dialect = sandbox.dialect();
    text.push_str(&curl::call(
        sandbox.url(),
        "/anything",
        dialect,
        "ACCESS_TOKEN",
    ));
    text.push_str("\n# six hours later\n");
    text.push_str(&six_hours(sandbox, manifest));
    text
}

fn facts(sandbox: &Sandbox, manifest: Option<&Path>) -> String {
    let dialect = sandbox.dialect();
    let mut table = Table::headless();
    table.row(["sandbox", sandbox.url()]);
    table.row([
        "dialect",
        &format!("{} ({})", dialect.title(), dialect.name()),
    ]);
    table.row(["login", sandbox.login()]);
    table.row(["secret", sandbox.secret().expose()]);
    table.row(["control", sandbox.control().unwrap_or("none")]);
    match manifest {
        Some(file) => table.row(["manifest", &file.display().to_string()]),
        None => table.row([
            "manifest",
            "none: name a file with --manifest for `ctl` and scripts",
        ]),
    }
    table.text()
}

fn logins(sandbox: &Sandbox) -> String {
    let dialect = sandbox.dialect();
    let asking = Asking {
        login: Some(sandbox.login()),
        secret: Some(sandbox.secret()),
        ..Asking::default()
    };
    let requests = dialect
        .variants()
        .filter_map(|variant| dialect.request(Operation::Login, variant, &asking));
    requests.map(|it| curl::line(sandbox.url(), &it)).collect()
}

fn six_hours(sandbox: &Sandbox, manifest: Option<&Path>) -> String {
    let manifest = manifest.map(|file| file.display().to_string());
    if let Some(file) = manifest {
        let file = curl::quoted(&file);
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
