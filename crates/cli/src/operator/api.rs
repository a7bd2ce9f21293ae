//! `countersign api`: the apis that a server serves.

use countersign_dialect::percent_encoded;
use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::reply;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign api`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: ApiCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ApiCommand {
    /// List the apis
    #[command(after_help = "Example:\n  countersign api list")]
    List,
    /// Show an api
    #[command(after_help = "Example:\n  countersign api show mypopup")]
    Show {
        /// Its name
        api: String,
    },
    /// Revoke everything of every account of an api: all its partners must log in again
    #[command(after_help = "Example:\n  countersign api revoke-all mypopup --yes")]
    RevokeAll {
        /// Its name
        api: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(command: &ApiCommand, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    match command {
        ApiCommand::List => {
            let columns = ["NAME", "DIALECT", "TITLE", "PASSWORDS"];
            let names = ["name", "dialect", "title", "passwords"];
            reply::page(&admin.get("/apis")?, columns, names, output)
        }
        ApiCommand::Show { api } => {
            let api = admin.get(&path(api))?;
            output.document(&api, &reply::lines(&unlimited(&api)))
        }
        ApiCommand::RevokeAll { api, yes } => revoke_all(api, *yes, admin, output),
    }
}

/// For people: an api without a limit sets none.
fn unlimited(api: &Value) -> Value {
    let mut said = api.clone();
    let limits = said["limits"].as_object_mut().into_iter().flatten();
    for (_, limit) in limits.filter(|(_, limit)| limit.is_null()) {
        *limit = "unlimited".into();
    }
    said
}

fn revoke_all(api: &str, yes: bool, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = path(api);
    let shown = admin.get(&path)?;
    let name = shown["name"].as_str().unwrap_or(api);
    let question = format!("End everything of every account of {name}?");
    confirm(&question, yes)?;
    let ended = admin.post(&format!("{path}/revoke-all"), &json!({}))?;
    reply::done(&ended, &sentence(&ended), output)
}

fn sentence(ended: &Value) -> String {
    let (accounts, sessions) = (&ended["accounts"], &ended["sessions"]);
    format!("Accounts revoked: {accounts}. Sessions ended: {sessions}.")
}

fn path(api: &str) -> String {
    format!("/apis/{}", percent_encoded(api))
}
