//! `countersign session`: the sessions that began with a login.

use countersign_dialect::percent_encoded;
use serde_json::Value;

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::reply;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign session`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct SessionArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: SessionCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionCommand {
    /// List the sessions of an account, newest first
    #[command(after_help = "Examples:
  countersign session list acme
  countersign session list 100001 --limit 1000 --json")]
    List {
        /// The account's id, or one of its logins
        account: String,
        /// Only those after this session
        #[arg(long, value_name = "SESSION")]
        after: Option<String>,
        /// How many at most (1 to 1000) [default: 100]
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Show a session
    #[command(after_help = "Example:
  countersign session show 3f0f7d0f9f3e4f0a8f0e6d5c4b3a2910")]
    Show {
        /// Its id, 32 hex digits
        session: String,
    },
    /// End a session: its tokens are refused from now on
    #[command(after_help = "Example:
  countersign session end 3f0f7d0f9f3e4f0a8f0e6d5c4b3a2910")]
    End {
        /// Its id, 32 hex digits
        session: String,
    },
    /// End all sessions of an account
    #[command(after_help = "Example:\n  countersign session end-all acme")]
    EndAll {
        /// The account's id, or one of its logins
        account: String,
    },
}

pub(super) fn run(
    command: &SessionCommand,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        SessionCommand::List {
            account,
            after,
            limit,
        } => {
            let path = reply::account_path(admin, account)?;
            let limit = limit.map(|n| n.to_string());
            let query = reply::query(&[("after", after.clone()), ("limit", limit)]);
            let page = admin.get(&format!("{path}/sessions{query}"))?;
            reply::page(&page, COLUMNS, MEMBERS, output)
        }
        SessionCommand::Show { session } => reply::one(&admin.get(&path(session))?, output),
        SessionCommand::End { session } => reply::one(&admin.delete(&path(session))?, output),
        SessionCommand::EndAll { account } => {
            let path = reply::account_path(admin, account)?;
            let ended = admin.delete(&format!("{path}/sessions"))?;
            let sentence = format!("Sessions ended: {}.", ended["ended"]);
            reply::done(&ended, &sentence, output)
        }
    }
}

const COLUMNS: [&str; 7] = [
    "ID",
    "STATE",
    "VARIANT",
    "GENERATION",
    "STARTED",
    "ENDS",
    "FROM",
];
const MEMBERS: [&str; 7] = [
    "id",
    "state",
    "variant",
    "generation",
    "started_at",
    "refresh_expires_at",
    "address",
];

/// Sessions for people.
pub(super) fn table(items: &Value) -> String {
    reply::table(items, COLUMNS, MEMBERS)
}

fn path(session: &str) -> String {
    format!("/sessions/{}", percent_encoded(session))
}
