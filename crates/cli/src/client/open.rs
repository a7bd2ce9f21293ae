//! From a profile to its source of tokens.

use std::time::Duration;

use countersign_check::printable;
use countersign_client::profile::SecretPlace;
use countersign_client::{
    AccessToken, Clock, Error, HttpTransport, Profile, SecretSource, SessionStatus, SystemClock,
    TokenEvent, TokenSource, TokenSourceBuilder,
};
use countersign_dialect::{ExtraParts, Secret};
use countersign_outbound::{ServerUrl, TrustedRoots};

use super::failure::failure;
use super::prompt;
use super::transcript::{Transcript, TranscriptContext};
use crate::exit::Failure;

/// How long a command that wants a token waits until the vendor may be asked again.
const PATIENCE: Duration = Duration::from_secs(3);

/// The source of a profile. What it asks of the vendor is written down.
pub(super) fn source(profile: &Profile, transcript: &Transcript) -> Result<TokenSource, Failure> {
    let built = builder(profile, transcript)?.build();
    built.map_err(|it| failure(&it))
}

/// The source of a profile whose secret is at hand, with a hook for its events. What it asks
/// of the vendor is written down.
pub(super) fn source_with(
    profile: &Profile,
    secret: Secret,
    transcript: &Transcript,
    hook: impl Fn(&TokenEvent) + Send + Sync + 'static,
) -> Result<TokenSource, Failure> {
    let builder = builder(profile, transcript)?.secret(secret).on_event(hook);
    builder.build().map_err(|it| failure(&it))
}

fn builder(profile: &Profile, transcript: &Transcript) -> Result<TokenSourceBuilder, Failure> {
    let builder = profile.source().map_err(|it| failure(&it))?;
    if !transcript.is_wanted() {
        return Ok(builder);
    }
    let transport = transport(profile, &profile.auth_url)?;
    Ok(builder.transport(transcript.listening(transport, TranscriptContext::for_profile(profile))))
}

/// How requests reach a server of a profile's vendor: its API, or its token
/// endpoints.
pub(super) fn transport(profile: &Profile, url: &ServerUrl) -> Result<HttpTransport, Failure> {
    profile.transport(url).map_err(|it| failure(&it))
}

/// The further parts of the credential, from where the profile says.
pub(super) async fn extra(profile: &Profile) -> Result<ExtraParts, Error> {
    let mut extra = ExtraParts::new();
    for (name, source) in profile.extra_sources() {
        let part = source.secret().await.map_err(|error| {
            let message = format!("{}: extra.{name}: {}", profile.name, error.message);
            Error {
                message: message.into(),
                ..error
            }
        })?;
        extra.insert(name.to_owned(), part);
    }
    Ok(extra)
}

/// Whose certificates the vendor may show.
pub(super) fn roots(profile: &Profile) -> Result<TrustedRoots, Failure> {
    profile.roots().map_err(|it| failure(&it))
}

/// A token of which so many requests are set aside. What passes within seconds, as
/// a lost reply does, is waited for.
pub(super) async fn reserve(source: &TokenSource, uses: u32) -> Result<AccessToken, Error> {
    let deadline = SystemClock.now() + PATIENCE;
    loop {
        let error = match source.reserve(uses).await {
            Err(error) if error.is_transient() => error,
            outcome => return outcome,
        };
        match error.retry_at.filter(|at| *at < deadline) {
            Some(at) => SystemClock.until(at).await,
            None => return Err(error),
        }
    }
}

/// How the session of a profile stands. The vendor is not asked.
pub(super) async fn status(profile: &Profile) -> Result<SessionStatus, Error> {
    // Nothing is asked for here, so that the secret is not needed.
    let source = profile.source()?.secret(Secret::from("")).build()?;
    source.status().await
}

/// The secret from where the profile says, or from a person.
pub(super) async fn secret(profile: &Profile) -> Result<Secret, Failure> {
    if profile.secret != SecretPlace::Asked {
        return stored_secret(profile).await.map_err(|it| failure(&it));
    }
    let terminal = prompt::terminal().ok_or_else(|| {
        Failure::usage(format!(
            "the profile {} does not say where the secret is, and there is no terminal to ask for it",
            profile.name
        ))
        .with_help("add one of secret_file, secret_env and secret_command to it")
    })?;
    let login = printable(&profile.login);
    prompt::secret(
        &terminal,
        &format!("Secret of {login} at {}", profile.auth_url),
    )
    .await
}

/// The secret from where the profile says.
pub(super) async fn stored_secret(profile: &Profile) -> Result<Secret, Error> {
    profile.secret_source().secret().await
}
