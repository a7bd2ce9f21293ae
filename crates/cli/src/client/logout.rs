//! `countersign logout`: ends the session at the vendor, and deletes it here.

use countersign_client::LogoutOutcome;
use serde_json::json;

use super::failure::failure;
use super::open;
use super::profiles::ProfilesArgs;
use super::stale::Stale;
use super::transcript::Transcript;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
If the vendor cannot be reached the tokens are kept, so that they can be ended later.

With --stale it ends what is kept for a former url or login of a profile, which `countersign status` \
lists: at the vendor where that is possible, and here in any case.

Examples:
  countersign logout b2binpay
  countersign logout --stale
  countersign logout b2binpay --json")]
pub(crate) struct LogoutArgs {
    /// The profile
    #[arg(required_unless_present = "stale")]
    profile: Option<String>,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// End only the sessions that are stored for a former url or login, of the profile or of
    /// all profiles
    #[arg(long)]
    stale: bool,
}

/// Logs out.
pub(super) async fn run(args: &LogoutArgs, output: &mut Output) -> Result<(), Failure> {
    let transcript = Transcript::of(output);
    let names: Vec<_> = args.profile.iter().cloned().collect();
    if args.stale {
        let selected = args.profiles.some(&names)?;
        return Stale::find(&selected)?.end(&transcript, output).await;
    }
    let name = args.profile.as_deref().unwrap_or_default();
    let profile = args.profiles.named(name)?;
    let source = open::source(&profile, &transcript)?;
    let outcome = source.logout().await;
    let outcome = outcome.map_err(|it| transcript.failed(failure(&it)))?;
    let (name, said) = name_and_sentence(outcome);
    let document = json!({ "profile": profile.name, "outcome": name });
    let document = transcript.added_to(document);
    output.document(&document, &format!("{}: {said}", profile.name))
}

/// The name of an outcome, and a sentence of it.
pub(super) fn name_and_sentence(outcome: LogoutOutcome) -> (&'static str, &'static str) {
    match outcome {
        LogoutOutcome::Done => ("done", "logged out; the vendor has ended the session"),
        LogoutOutcome::Dead => ("dead", "the vendor had ended the session already"),
        LogoutOutcome::Forgotten => (
            "forgotten",
            "the tokens are forgotten here; the vendor cannot be told, so that they live there \
             until they run out",
        ),
        LogoutOutcome::NotLoggedIn => ("not_logged_in", "nobody was logged in"),
    }
}
