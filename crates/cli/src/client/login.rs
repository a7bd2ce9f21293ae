//! `countersign login`: logs in now, and stores the tokens.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_check::printable;
use countersign_client::profile::SessionStorage;
use countersign_client::{Profile, SessionStatus, Timestamp, TokenEventKind, TokenOperation};
use serde_json::{Value, json};

use super::failure::failure;
use super::open;
use super::profiles::ProfilesArgs;
use super::transcript::Transcript;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign login`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The secret comes from where the profile says: secret_file, secret_env or secret_command. If it names \
none, the secret is asked for on the terminal; it is not kept. A session that is there already is \
ended with the vendor once the new one is, where a logout ends one session only.

With -v it shows what was asked and answered, without secrets, and how to log in with curl.

Examples:
  countersign login b2binpay
  countersign login b2binpay -v
  countersign login b2binpay --json")]
pub(crate) struct LoginArgs {
    /// The profile
    profile: String,
    #[command(flatten)]
    profiles: ProfilesArgs,
}

/// Logs in.
pub(super) async fn run(args: &LoginArgs, output: &mut Output) -> Result<(), Failure> {
    let profile = args.profiles.named(&args.profile)?;
    let transcript = Transcript::new(output);
    let secret = open::secret(&profile).await?;
    let left = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&left);
    let source = open::source_with(&profile, secret, &transcript, move |event| {
        if let TokenEventKind::FormerSessionLeft(error) = &event.kind {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
    })?;
    let outcome = source.login().await;
    let login = transcript.last(TokenOperation::Login);
    match outcome {
        Ok(_) => {
            let status = source.status().await.map_err(|it| failure(&it))?;
            let left = left.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut document = transcript.added_to(document(&profile, &status));
            document["former_session_error"] = left.map(|it| failure(&it).document()).into();
            if let Some(login) = login {
                document["exchange"] = login;
            }
            succeed(&profile, &status, &document, output)
        }
        Err(error) => {
            let failure = transcript.failed(failure(&error));
            Err(match login {
                Some(login) => failure.with_detail("exchange", login),
                None => failure,
            })
        }
    }
}

fn succeed(
    profile: &Profile,
    status: &SessionStatus,
    document: &Value,
    output: &mut Output,
) -> Result<(), Failure> {
    output.document(document, &sentence(profile, status))?;
    if profile.storage == SessionStorage::Memory {
        output.aside("Nothing is kept: the profile's store is \"memory\".");
    }
    Ok(())
}

fn sentence(profile: &Profile, status: &SessionStatus) -> String {
    let mut said = format!(
        "Logged in to {} as {}.",
        profile.name,
        printable(&profile.login)
    );
    if let Some(tokens) = &status.tokens {
        let access = tokens.stated_expires_at.relative_to(status.now);
        said.push_str(&format!(" The access token ends {access}"));
        if let Some(refresh) = tokens.stated_refresh_expires_at {
            said.push_str(&format!(
                ", the refresh token {}",
                refresh.relative_to(status.now)
            ));
        }
        let until = tokens.expires_at.rfc3339_seconds();
        said.push_str(&format!(". The access token is used until {until}."));
    }
    said
}

fn document(profile: &Profile, status: &SessionStatus) -> Value {
    let tokens = status.tokens.as_ref();
    json!({
        "profile": profile.name,
        "login": profile.login,
        "client_id": tokens.and_then(|it| it.client_id),
        "expires_at": tokens.map(|it| it.stated_expires_at.rfc3339_seconds()),
        "used_until": tokens.map(|it| it.expires_at.rfc3339_seconds()),
        "refresh_expires_at": tokens.and_then(|it| it.stated_refresh_expires_at).map(Timestamp::rfc3339_seconds),
    })
}
