//! `countersign exec`: runs a command with a token in its environment.
//!
//! The command replaces this process, so signals, the terminal and the exit code are its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use countersign_client::profile::{ExtraPart, KeyPlace, SecretPlace, SessionStorage};
use countersign_client::{AccessToken, Profile};

use super::failure::failure;
use super::open;
use super::profiles::ProfilesArgs;
use super::transcript::Transcript;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign exec`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The command finds the token in COUNTERSIGN_TOKEN, its end in COUNTERSIGN_TOKEN_EXPIRES_AT and the \
API in COUNTERSIGN_URL. A variable that holds a secret of the profile is not passed on. The token is not \
renewed while the command runs: for a long run use a sidecar.

With -v it shows first what was asked of the vendor for the token, and the answers, without secrets.

Examples:
  countersign exec b2binpay -- ./sync.sh
  countersign exec b2binpay --env API_TOKEN --uses 20 -- python3 report.py")]
pub(crate) struct ExecArgs {
    /// The profile
    profile: String,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// Also put the token into this variable
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env: Option<String>,
    /// How many requests the command will make
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What changes in the environment of the command.
pub(super) struct Environment {
    set: Vec<(String, String)>,
    removed: Vec<String>,
}

/// A fresh token as variables.
pub(super) async fn environment(args: &ExecArgs, output: &Output) -> Result<Environment, Failure> {
    let profile = args.profiles.named(&args.profile)?;
    let transcript = Transcript::new(output);
    let source = open::source(&profile, &transcript)?;
    let token = open::reserve(&source, args.uses).await;
    let token = token.map_err(|it| transcript.failed(failure(&it)))?;
    Ok(Environment {
        set: variables(args, &profile, &token),
        removed: secrets(&profile),
    })
}

fn variables(args: &ExecArgs, profile: &Profile, token: &AccessToken) -> Vec<(String, String)> {
    let own = args
        .env
        .clone()
        .map(|name| (name, token.expose().to_owned()));
    let told = [
        ("COUNTERSIGN_TOKEN", token.expose().to_owned()),
        (
            "COUNTERSIGN_TOKEN_EXPIRES_AT",
            token.stated_expires_at().rfc3339_seconds(),
        ),
        ("COUNTERSIGN_URL", profile.url.to_string()),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), value));
    told.into_iter().chain(own).collect()
}

/// The variables that the command has no business with.
fn secrets(profile: &Profile) -> Vec<String> {
    let extra = profile.extra.values().filter_map(|part| match part {
        ExtraPart::Kept(place) => Some(place),
        ExtraPart::Literal(_) => None,
    });
    let variable = |place: &SecretPlace| match place {
        SecretPlace::Env(name) => Some(name.clone()),
        _ => None,
    };
    let places = extra.chain([&profile.secret]);
    let mut names: Vec<_> = places.filter_map(variable).collect();
    if let SessionStorage::File {
        key: KeyPlace::Env(name),
        ..
    } = &profile.storage
    {
        names.push(name.clone());
    }
    names
}

/// Gives this process to the command; comes back only if that fails.
pub(super) fn replace(args: &ExecArgs, environment: Environment) -> Failure {
    let Some((program, arguments)) = args.command.split_first() else {
        return Failure::usage("there is no command to run");
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for name in environment.removed {
        command.env_remove(name);
    }
    command.envs(environment.set);
    let error = command.exec();
    Failure::usage(format!("{} cannot be run: {error}", program.display()))
}

fn variable(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = text.chars().next();
    let begins = first.is_some_and(|c| !c.is_ascii_digit());
    if begins && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err("the name of a variable has letters, digits and _ only".to_owned())
}
