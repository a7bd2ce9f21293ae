//! `countersign token`: an access token, for a program that asks for one.

use countersign_client::{AccessToken, Profile};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::failure::failure;
use super::open;
use super::profiles::ProfilesArgs;
use super::transcript::Transcript;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token that is still fresh is printed without asking the vendor. If the vendor limits the requests \
of a token, say with --uses how many you will make: they are reserved for you.

With -v it shows the exchanges with the vendor, if there were any, without secrets.

Examples:
  curl -H \"Authorization: Bearer $(countersign token shop)\" https://api.shop/
  countersign token b2binpay --uses 20
  countersign token b2binpay --json")]
pub(crate) struct TokenArgs {
    /// The profile
    profile: String,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// How many requests will be made with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
}

/// Prints a fresh token.
pub(super) async fn run(args: &TokenArgs, output: &mut Output) -> Result<(), Failure> {
    let profile = args.profiles.named(&args.profile)?;
    let transcript = Transcript::new(output);
    let source = open::source(&profile, &transcript)?;
    let token = open::reserve(&source, args.uses).await;
    let token = token.map_err(|it| transcript.failed(failure(&it)))?;
    let document = transcript.added_to(document(&profile, &token));
    output.document(&document, token.expose())
}

/// The token, and the headers that present it, since not every vendor takes a
/// bearer.
fn document(profile: &Profile, token: &AccessToken) -> Value {
    let mut headers = HeaderMap::new();
    token.present(&mut headers);
    let shown = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), Value::from(value))
    });
    let bearer = headers.get(http::header::AUTHORIZATION);
    let bearer = bearer.is_some_and(|it| it.as_bytes().starts_with(b"Bearer "));
    json!({
        "profile": profile.name,
        "token": token.expose(),
        "type": bearer.then_some("Bearer"),
        "expires_at": token.stated_expires_at().rfc3339_seconds(),
        "used_until": token.expires_at().rfc3339_seconds(),
        "headers": shown.collect::<Map<_, _>>(),
    })
}
