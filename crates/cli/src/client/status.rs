//! `countersign status`: where each secret and token is, and how it stands with
//! them. Nothing secret is shown, and the vendor is not asked.

mod view;

use serde_json::json;

use self::view::View;
use super::profiles::ProfilesArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  countersign status
  countersign status b2binpay mypopup --json")]
pub(crate) struct StatusArgs {
    /// The profiles [default: all]
    #[arg(value_name = "PROFILE")]
    names: Vec<String>,
    #[command(flatten)]
    profiles: ProfilesArgs,
}

/// Shows how it stands.
pub(super) async fn run(args: &StatusArgs, output: &mut Output) -> Result<(), Failure> {
    let mut views = Vec::new();
    let profiles = args.profiles.some(&args.names)?;
    for profile in &profiles {
        views.push(View::of(profile).await);
    }
    let items: Vec<_> = views.iter().map(View::document).collect();
    let texts: Vec<_> = views.iter().map(View::text).collect();
    output.document(&json!({ "items": items }), &texts.join("\n"))?;
    match views.iter().find_map(|view| view.unreadable()) {
        Some(why) => Err(Failure::failed(why)),
        None => Ok(()),
    }
}
