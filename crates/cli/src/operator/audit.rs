//! `countersign audit`: who changed what, and when.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::reply;
use crate::exit::Failure;
use crate::output::Output;

/// How often it is asked for more.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `countersign audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum AuditCommand {
    /// List entries of the audit log, the newest last
    #[command(after_help = "Examples:
  countersign audit list --account acme
  countersign audit list --api mypopup --since 2h
  countersign audit list --action account_disabled --json
  countersign audit list --since 10m --follow")]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Those about this account: its id, or a login of it
    #[arg(long)]
    account: Option<String>,
    /// Those about this api
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Those that say this, such as account_disabled
    #[arg(long)]
    action: Option<String>,
    /// Those from this instant on: RFC 3339, or how long ago (90s, 30m, 2h, 1d)
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Those before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Those after this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// How many at most (1 to 1000) [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The newest first
    #[arg(long, conflicts_with = "follow")]
    newest: bool,
    /// Go on with what is written from now on, until it is interrupted
    #[arg(long, conflicts_with = "until")]
    follow: bool,
}

pub(super) fn run(
    command: &AuditCommand,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let AuditCommand::List(args) = command;
    let account = args.account.as_deref();
    let account = account.map(|text| reply::account_id(admin, text));
    let account = account.transpose()?;
    let mut after = args.after;
    loop {
        let page = admin.get(&format!("/audit{}", query(args, account, after)))?;
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        let last = items.last().and_then(|entry| entry["number"].as_u64());
        after = last.or(after);
        if !args.follow {
            return print(&page, output);
        }
        if !items.is_empty() {
            // What follows is printed on its own, not pointed to.
            print(&serde_json::json!({ "items": items }), output)?;
        }
        if page["next"].is_null() {
            sleep(EVERY);
        }
    }
}

fn query(args: &ListArgs, account: Option<u64>, after: Option<u64>) -> String {
    reply::query(&[
        ("account", account.map(|id| id.to_string())),
        ("api", args.api.clone()),
        ("action", args.action.clone()),
        ("since", args.since.clone()),
        ("until", args.until.clone()),
        ("after", after.map(|number| number.to_string())),
        ("limit", args.limit.map(|n| n.to_string())),
        ("order", args.newest.then(|| "desc".to_owned())),
    ])
}

fn print(page: &Value, output: &mut Output) -> Result<(), Failure> {
    let columns = ["NUMBER", "AT", "ACTION", "API", "ACCOUNT", "BY", "DETAIL"];
    let names = [
        "number", "at", "action", "api", "account", "actor", "detail",
    ];
    reply::page(page, columns, names, output)
}
