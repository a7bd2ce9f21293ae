//! `countersign logout`: ends the session at the vendor, and deletes it here.

use countersign_check::printable;
use countersign_client::{Error, LogoutOutcome, SessionStore, StoreError};
use serde_json::json;

use super::failure::failure;
use super::open;
use super::profiles::ProfilesArgs;
use super::stale::StaleSessions;
use super::transcript::Transcript;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
If the vendor cannot be told, for example because it cannot be reached, the tokens are kept, so that \
they can be ended later; with --forget they are deleted here nevertheless.

With --stale it ends the sessions that are stored for an earlier url or login of a profile; \
`countersign status` lists them. With --forget it also removes files that are damaged or sealed with \
another key.

The exit code is 69 if it may help to try again later.

Examples:
  countersign logout b2binpay
  countersign logout --stale
  countersign logout --stale --forget
  countersign logout b2binpay --json")]
pub(crate) struct LogoutArgs {
    /// The profile
    #[arg(required_unless_present = "stale")]
    profile: Option<String>,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// End only the sessions that are stored for an earlier url or login of the profile, or of
    /// all profiles
    #[arg(long)]
    stale: bool,
    /// Delete sessions here even if the vendor cannot be told
    #[arg(long)]
    forget: bool,
}

/// Logs out.
pub(super) async fn run(args: &LogoutArgs, output: &mut Output) -> Result<(), Failure> {
    let transcript = Transcript::new(output);
    let names: Vec<_> = args.profile.iter().cloned().collect();
    if args.stale {
        let selected = args.profiles.some(&names)?;
        return StaleSessions::find(&selected)?
            .end(args.forget, &transcript, output)
            .await;
    }
    let name = args.profile.as_deref().unwrap_or_default();
    let profile = args.profiles.named(name)?;
    let source = open::source(&profile, &transcript)?;
    let outcome = source.logout().await;
    let (name, said) = match outcome {
        Ok(outcome) => name_and_sentence(outcome),
        Err(error) if args.forget => {
            let store = profile.store().map_err(unusable)?;
            clear(&*store).await?;
            ("forgotten", untold(&error))
        }
        Err(error) => {
            let failure = failure(&error)
                .with_help("use --forget to forget the tokens here without telling the vendor");
            return Err(transcript.failed(failure));
        }
    };
    let document = json!({ "profile": profile.name, "outcome": name });
    let document = transcript.added_to(document);
    output.document(&document, &format!("{}: {said}", profile.name))
}

/// Removes the stored session.
pub(super) async fn clear(store: &dyn SessionStore) -> Result<(), Failure> {
    let mut locked = store.lock().await.map_err(unusable)?;
    locked.clear().await.map_err(unusable)
}

/// The failure of a command because the store cannot be read or written.
pub(super) fn unusable(error: StoreError) -> Failure {
    let help = error.help();
    Failure::failed(error).with_help_of(help)
}

/// The sentence about a session that was forgotten without telling its vendor.
pub(super) fn untold(error: &Error) -> String {
    let why = printable(&error.message);
    format!("forgotten here; the vendor could not be told: {why}")
}

/// The name of an outcome, and a sentence of it.
pub(super) fn name_and_sentence(outcome: LogoutOutcome) -> (&'static str, String) {
    let (name, said) = match outcome {
        LogoutOutcome::Done => ("done", "logged out; the vendor has ended the session"),
        LogoutOutcome::Dead => ("dead", "the vendor had ended the session already"),
        LogoutOutcome::Forgotten => (
            "forgotten",
            "the tokens are forgotten here; the vendor cannot end the session, so they stay valid \
             there until they expire",
        ),
        LogoutOutcome::NotLoggedIn => ("not_logged_in", "nobody was logged in"),
    };
    (name, said.to_owned())
}
