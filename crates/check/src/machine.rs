//! The checks on this machine: the profile, its secret, the stored session.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use countersign_client::profile::{ExtraPart, SecretPlace};
use countersign_client::{Error, Profile, SessionStatus};
use countersign_dialect::Secret;
use countersign_domain::span_text;

use crate::{CheckFinding, CheckVerdict};

/// Looks at them. Nothing leaves the machine but what a secret's command sends.
pub async fn machine_findings(profile: &Profile) -> Vec<CheckFinding> {
    let variant = profile.dialect.variant_name(profile.variant);
    let mut said = format!("{} {variant} at {}", profile.dialect.name(), profile.url);
    if profile.auth_url != profile.url {
        said.push_str(&format!(", tokens from {}", profile.auth_url));
    }
    let mut checks = vec![
        CheckFinding::new("profile", CheckVerdict::Good, said),
        secret(profile).await,
    ];
    checks.extend(extra(profile).await);
    match status(profile).await {
        Ok(status) => {
            checks.push(match &status.damage {
                Some(damage) => CheckFinding::new("store", CheckVerdict::Doubtful, damage),
                None => CheckFinding::new("store", CheckVerdict::Good, session(&status)),
            });
            checks.extend(lifetime(profile, &status));
            checks.extend(failure(&status));
        }
        Err(error) => checks.push(CheckFinding::of_error("store", CheckVerdict::Bad, &error)),
    }
    checks
}

async fn status(profile: &Profile) -> Result<SessionStatus, Error> {
    // Nothing is asked for here, so that the secret is not needed.
    let source = profile.source()?.secret(Secret::from("")).build()?;
    source.status().await
}

async fn secret(profile: &Profile) -> CheckFinding {
    if profile.secret == SecretPlace::Asked {
        let said = "the profile names none: a login asks for it";
        return CheckFinding::new("secret", CheckVerdict::Skipped, said);
    }
    match profile.secret_source().secret().await {
        Ok(secret) => judge(profile, &secret),
        Err(error) => CheckFinding::of_error("secret", CheckVerdict::Bad, &error),
    }
}

/// Each further part of the credential, and those that the vendor wants and nobody
/// gives.
async fn extra(profile: &Profile) -> Vec<CheckFinding> {
    let mut checks = Vec::new();
    for (name, source) in profile.extra_sources() {
        let place = match profile.extra.get(name) {
            Some(ExtraPart::Kept(place)) => place,
            _ => &SecretPlace::Asked,
        };
        let check = match source.secret().await {
            Err(error) => CheckFinding::of_error("extra", CheckVerdict::Bad, &error),
            Ok(part) => doubtful("extra", place, &part)
                .unwrap_or_else(|| CheckFinding::new("extra", CheckVerdict::Good, READABLE)),
        };
        checks.push(CheckFinding {
            said: format!("{name}: {}", check.said),
            ..check
        });
    }
    let presented = profile.dialect.presented_extra(profile.variant);
    let lacking = presented
        .into_iter()
        .filter(|(name, is_replied)| !is_replied && !profile.extra.contains_key(*name));
    let mut names: Vec<_> = lacking.map(|(name, _)| name).collect();
    names.dedup();
    checks.extend(names.into_iter().map(|name| {
        let said = format!(
            "{name}: it is missing, and {} presents it with each token",
            profile.dialect.name(),
        );
        CheckFinding::new("extra", CheckVerdict::Bad, said)
            .with_help(format!("give it under [{}.extra]", profile.name))
    }));
    checks
}

/// What is said of a secret with which nothing is wrong.
const READABLE: &str = "it can be read";

/// What may be wrong with a secret: others can read its file, or something came into it by
/// mistake, as a second line of its file does.
fn doubtful(name: &'static str, place: &SecretPlace, secret: &Secret) -> Option<CheckFinding> {
    let found = |said: String, help: String| {
        Some(CheckFinding::new(name, CheckVerdict::Doubtful, said).with_help(help))
    };
    if let SecretPlace::File(path) = place
        && is_open_to_others(path)
    {
        let help = format!("run `chmod 600 {}`", path.display());
        return found(format!("others can read {}", path.display()), help);
    }
    if let Some(odd) = secret.oddity() {
        return found(format!("it {odd}"), "is that part of it?".to_owned());
    }
    None
}

fn judge(profile: &Profile, secret: &Secret) -> CheckFinding {
    if let Some(doubtful) = doubtful("secret", &profile.secret, secret) {
        return doubtful;
    }
    let form = profile.dialect.credential();
    let odd = form.and_then(|form| {
        if !form.login_matches(&profile.login) {
            Some("login")
        } else if !form.secret_matches(secret.expose()) {
            Some("secret")
        } else {
            None
        }
    });
    match odd {
        Some(part) => {
            let said = format!("the {part} does not look like one of this vendor's");
            CheckFinding::new("secret", CheckVerdict::Doubtful, said)
        }
        None => CheckFinding::new("secret", CheckVerdict::Good, READABLE),
    }
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0)
}

fn session(status: &SessionStatus) -> String {
    match &status.tokens {
        Some(tokens) => {
            let since = tokens.logged_in_at.relative_to(status.now);
            let until = tokens.stated_expires_at.relative_to(status.now);
            let used = tokens.expires_at.rfc3339_seconds();
            format!("logged in {since}; the access token's end is {until}; it is used until {used}")
        }
        None => "nobody is logged in".to_owned(),
    }
}

/// What the vendor's documents promise, beside what the last reply told.
fn lifetime(profile: &Profile, status: &SessionStatus) -> Option<CheckFinding> {
    let tokens = status.tokens.as_ref()?;
    let lives = span_text(tokens.stated_expires_at.since(tokens.asked_at));
    let mut said = format!("the access token lives {lives}");
    if let Some(promised) = profile.dialect.stated_lives_of(profile.variant).access {
        let promised = span_text(promised);
        said.push_str(&format!(
            "; the dialect states {promised}, but the reply counts"
        ));
    }
    Some(CheckFinding::new("kept token", CheckVerdict::Good, said))
}

fn failure(status: &SessionStatus) -> Option<CheckFinding> {
    let failure = status.failure.as_ref()?;
    let at = failure.at.relative_to(status.now);
    let said = format!(
        "the last {} failed {at}: {}",
        failure.operation, failure.detail
    );
    let check = CheckFinding::new("last error", CheckVerdict::Doubtful, said);
    Some(check.with_help_of(failure.help.as_deref()))
}
