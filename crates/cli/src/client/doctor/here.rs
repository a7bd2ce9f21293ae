//! What can be looked at on this machine: the profile, its secret, what is kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use countersign_client::profile::SecretPlace;
use countersign_client::{Profile, Standing};
use countersign_dialect::Secret;

use super::check::{Check, Found};
use crate::client::instant::{span, told};
use crate::client::open;

/// Looks at them.
pub(super) async fn checks(profile: &Profile) -> Vec<Check> {
    let variant = profile.dialect.variant_name(profile.variant);
    let said = format!("{} {variant} at {}", profile.dialect.name(), profile.url);
    let mut checks = vec![
        Check::new("profile", Found::Good, said),
        secret(profile).await,
    ];
    match open::standing(profile).await {
        Ok(standing) => {
            checks.push(Check::new("store", Found::Good, session(&standing)));
            checks.extend(lifetime(profile, &standing));
            checks.extend(trouble(&standing));
        }
        Err(error) => checks.push(Check::new("store", Found::Bad, &*error.message)),
    }
    checks
}

async fn secret(profile: &Profile) -> Check {
    if profile.secret == SecretPlace::Asked {
        let said = "the profile names none: a login asks for it";
        return Check::new("secret", Found::Skipped, said);
    }
    match open::stored_secret(profile).await {
        Ok(secret) => judge(profile, &secret),
        Err(error) => Check::new("secret", Found::Bad, &*error.message),
    }
}

fn judge(profile: &Profile, secret: &Secret) -> Check {
    if let SecretPlace::File(path) = &profile.secret
        && is_open_to_others(path)
    {
        let said = format!("others can read {0}: run `chmod 600 {0}`", path.display());
        return Check::new("secret", Found::Doubtful, said);
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
            Check::new("secret", Found::Doubtful, said)
        }
        None => Check::new("secret", Found::Good, "it can be read"),
    }
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0)
}

fn session(standing: &Standing) -> String {
    match &standing.tokens {
        Some(tokens) => {
            let since = told(tokens.logged_in_at, standing.now);
            let until = told(tokens.expires_at, standing.now);
            format!("logged in {since}; the access token's end is {until}")
        }
        None => "nobody is logged in".to_owned(),
    }
}

/// What the vendor's documents promise, beside what the last reply told.
fn lifetime(profile: &Profile, standing: &Standing) -> Option<Check> {
    let tokens = standing.tokens.as_ref()?;
    let (lives, promised) = (
        tokens.expires_at.since(tokens.asked_at),
        profile.dialect.preset().access,
    );
    let said = format!(
        "the access token lives {}; the dialect speaks of {}, and the reply counts",
        span(lives),
        span(promised)
    );
    Some(Check::new("kept token", Found::Good, said))
}

fn trouble(standing: &Standing) -> Option<Check> {
    let trouble = standing.trouble.as_ref()?;
    let at = told(trouble.at, standing.now);
    let said = format!(
        "the last {} failed {at}: {}",
        trouble.operation, trouble.detail
    );
    Some(Check::new("last error", Found::Doubtful, said))
}
