//! `countersign status`: where each secret and token is stored, and the state of the tokens.
//! Nothing secret is shown, and the vendor is not asked.

mod view;

use serde_json::json;

use self::view::ProfileStatus;
use super::failure::failure;
use super::profiles::ProfilesArgs;
use super::stale::StaleSessions;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It also lists the sessions that are stored for a profile's former url or login; `countersign logout \
--stale` ends them.

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
    let selected = args.profiles.some(&args.names)?;
    for profile in &selected.profiles {
        views.push(ProfileStatus::load(profile).await);
    }
    let stale = StaleSessions::find(&selected)?;
    let mut items: Vec<_> = views.iter().map(ProfileStatus::document).collect();
    let mut texts: Vec<_> = views.iter().map(ProfileStatus::text).collect();
    for (name, mistakes) in &selected.faults {
        let failure = Failure::mistakes(mistakes, &format!("the profile {name}"));
        items.push(json!({ "profile": name, "error": failure.document() }));
        texts.push(format!(
            "profile  {name}: cannot be used as it is written\n"
        ));
    }
    texts.extend(stale.text());
    if texts.is_empty() {
        texts.push("none yet\n".to_owned());
    }
    let document = json!({ "items": items, "stale": stale.document() });
    output.document(&document, &texts.join("\n"))?;
    match views.iter().find_map(|view| view.unreadable()) {
        Some(why) => Err(failure(why)),
        None => selected.verdict(),
    }
}
