//! The status of one profile.

use countersign_client::profile::{KeyPlace, SecretPlace, SessionStorage};
use countersign_client::{Error, Profile, RenewalFailure, SessionStatus, Timestamp};
use serde_json::{Value, json};

use crate::client::failure;
use crate::client::open;
use crate::table::Table;

/// A profile, and its session if that can be read.
pub(super) struct ProfileStatus<'p> {
    profile: &'p Profile,
    status: Result<SessionStatus, Error>,
}

impl<'p> ProfileStatus<'p> {
    /// Looks at what is kept.
    pub(super) async fn load(profile: &'p Profile) -> Self {
        let status = open::status(profile).await;
        Self { profile, status }
    }

    /// Why what is kept cannot be read.
    pub(super) fn unreadable(&self) -> Option<&Error> {
        self.status.as_ref().err()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let profile = self.profile;
        let variant = profile.dialect.variant_name(profile.variant);
        let mut table = Table::headless();
        table.row(["profile", &profile.name]);
        table.row([
            "api",
            &format!("{}, {} {variant}", profile.url, profile.dialect.name()),
        ]);
        if profile.auth_url != profile.url {
            table.row(["tokens from", &profile.auth_url.to_string()]);
        }
        table.row(["login", &profile.login]);
        table.row(["secret", &secret(&profile.secret)]);
        table.row(["tokens", &storage(&profile.storage)]);
        match &self.status {
            Ok(status) => rows(status, &mut table),
            Err(error) => table.row(["session", &error.to_string()]),
        }
        table.text()
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let profile = self.profile;
        let mut document = json!({
            "profile": profile.name,
            "dialect": profile.dialect.name(),
            "variant": profile.dialect.variant_name(profile.variant),
            "url": profile.url.to_string(),
            "auth_url": profile.auth_url.to_string(),
            "login": profile.login,
            "secret": secret_document(&profile.secret),
            "extra": profile.extra.keys().collect::<Vec<_>>(),
            "store": store_document(&profile.storage),
            "budget": profile.budget,
        });
        match &self.status {
            Ok(status) => add(status, &mut document),
            Err(error) => document["error"] = failure::failure(error).document(),
        }
        document
    }
}

fn rows(status: &SessionStatus, table: &mut Table) {
    let now = status.now;
    if let Some(damage) = &status.damage {
        return table.row(["session", damage]);
    }
    let Some(tokens) = &status.tokens else {
        table.row(["session", "none: the next use logs in"]);
        return trouble_row(status, table);
    };
    table.row([
        "session",
        &format!("logged in {}", tokens.logged_in_at.relative_to(now)),
    ]);
    table.row(["access token", &end(tokens.stated_expires_at, status)]);
    let used = match tokens.expires_at <= tokens.asked_at {
        true => "no more: the vendor refused it".to_owned(),
        false => tokens.expires_at.relative_to(now),
    };
    table.row(["used until", &used]);
    let refresh = match (tokens.refreshes, tokens.stated_refresh_expires_at) {
        (false, _) => "none: a new login replaces the token".to_owned(),
        (true, _) if tokens.refreshed_by_access => {
            "none: the access token itself is presented to refresh it, before it expires".to_owned()
        }
        (true, Some(at)) => end(at, status),
        (true, None) => "there is one; the vendor does not say when it expires".to_owned(),
    };
    table.row(["refresh token", &refresh]);
    if let Some(budget) = status.budget {
        let left = budget.saturating_sub(tokens.spent);
        table.row([
            "budget",
            &format!("{left} of {budget} requests are not reserved"),
        ]);
    }
    if let Some(attempt) = &status.attempt {
        let said = format!(
            "{} asked {}, no answer yet",
            attempt.operation,
            attempt.asked_at.relative_to(now)
        );
        table.row(["under way", &said]);
    }
    trouble_row(status, table);
}

fn end(at: countersign_domain::Timestamp, status: &SessionStatus) -> String {
    let verb = if at > status.now { "ends" } else { "ended" };
    format!("{verb} {}", at.relative_to(status.now))
}

fn trouble_row(status: &SessionStatus, table: &mut Table) {
    let Some(failure) = &status.failure else {
        return;
    };
    let times = match failure.times {
        0 | 1 => String::new(),
        times => format!(", {times} times in a row"),
    };
    let said = format!(
        "{}: {} ({}{times})",
        failure.operation,
        failure.detail,
        failure.at.relative_to(status.now)
    );
    table.row(["last error", &said]);
    if let Some(help) = &failure.help {
        table.row(["", &format!("help: {help}")]);
    }
    if failure.retry_at > status.now {
        table.row([
            "paused",
            &format!(
                "it is tried again {}",
                failure.retry_at.relative_to(status.now)
            ),
        ]);
    }
}

fn add(status: &SessionStatus, document: &mut Value) {
    let tokens = status.tokens.as_ref();
    document["session"] = tokens.map_or(Value::Null, |it| {
        json!({
            "logged_in_at": it.logged_in_at.rfc3339_seconds(),
            "access_expires_at": it.stated_expires_at.rfc3339_seconds(),
            "access_used_until": it.expires_at.rfc3339_seconds(),
            "access_seconds_left": it.expires_at.since(status.now).as_secs(),
            "refreshes": it.refreshes,
            "refresh_expires_at": it.stated_refresh_expires_at.map(Timestamp::rfc3339_seconds),
            "refresh_used_until": it.refresh_expires_at.map(Timestamp::rfc3339_seconds),
            "refresh_seconds_left": it.refresh_expires_at.map(|at| at.since(status.now).as_secs()),
            "spent": it.spent,
            "client_id": it.client_id,
            "login": it.login,
        })
    });
    document["damage"] = status.damage.as_deref().into();
    document["under_way"] = status.attempt.as_ref().map_or(
        Value::Null,
        |it| json!({ "operation": it.operation.name(), "asked_at": it.asked_at.rfc3339_seconds() }),
    );
    document["trouble"] = status
        .failure
        .as_ref()
        .map_or(Value::Null, trouble_document);
    let paused = status
        .failure
        .as_ref()
        .is_some_and(|it| it.retry_at > status.now);
    document["paused"] = paused.into();
}

fn trouble_document(failure: &RenewalFailure) -> Value {
    json!({
        "operation": failure.operation.name(),
        "refusal": failure.refusal.map(|it| it.code()),
        "status": failure.status,
        "message": failure.detail,
        "help": failure.help,
        "at": failure.at.rfc3339_seconds(),
        "times": failure.times,
        "retry_at": failure.retry_at.rfc3339_seconds(),
    })
}

fn secret(place: &SecretPlace) -> String {
    match place {
        SecretPlace::File(path) => format!("in the file {}", path.display()),
        SecretPlace::Env(name) => format!("in the variable {name}"),
        SecretPlace::Command(words) => {
            let program = words.first().map_or("", String::as_str);
            format!("printed by the command {program}")
        }
        SecretPlace::Asked => "not kept: a login asks for it".to_owned(),
    }
}

fn secret_document(place: &SecretPlace) -> Value {
    match place {
        SecretPlace::File(path) => json!({ "file": path }),
        SecretPlace::Env(name) => json!({ "env": name }),
        // Its arguments may be nobody's business.
        SecretPlace::Command(words) => json!({ "command": words.first() }),
        SecretPlace::Asked => json!({ "asked": true }),
    }
}

fn storage(storage: &SessionStorage) -> String {
    match storage {
        SessionStorage::Memory => "in memory, as long as a process runs".to_owned(),
        SessionStorage::File { path, key } => {
            let key = match key {
                KeyPlace::Own(path) | KeyPlace::File(path) => {
                    format!("the key in {}", path.display())
                }
                KeyPlace::Env(name) => format!("the key in the variable {name}"),
                KeyPlace::Keyring => "a key in the keyring".to_owned(),
            };
            format!("in {}, encrypted under {key}", path.display())
        }
    }
}

fn store_document(storage: &SessionStorage) -> Value {
    let SessionStorage::File { path, key } = storage else {
        return json!({ "kind": "memory" });
    };
    let key = match key {
        KeyPlace::Own(path) | KeyPlace::File(path) => json!({ "file": path }),
        KeyPlace::Env(name) => json!({ "env": name }),
        KeyPlace::Keyring => json!({ "keyring": true }),
    };
    json!({ "kind": "file", "file": path, "encrypted": true, "key": key })
}
