//! `countersign audit`: who changed what, and when.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::reply;
use crate::exit::Failure;
use crate::output::Output;

/// How often it is asked for more.
const EVERY: Duration = Duration::from_secs(1);

const COLUMNS: [&str; 7] = ["NUMBER", "AT", "ACTION", "API", "ACCOUNT", "BY", "DETAIL"];
const MEMBERS: [&str; 7] = [
    "number", "at", "action", "api", "account", "actor", "detail",
];

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
    /// List the last entries of the audit log, or those since a given time, newest last
    #[command(after_help = "Examples:
  countersign audit list
  countersign audit list --account acme
  countersign audit list --api mypopup --since 2h
  countersign audit list --action account_disabled --json
  countersign audit list --since 10m --follow")]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only entries about this account: its id, or one of its logins
    #[arg(long)]
    account: Option<String>,
    /// Only entries about this api
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Only entries with this action, such as account_disabled
    #[arg(long)]
    action: Option<String>,
    /// Only entries since this time: RFC 3339, or how long ago (90s, 30m, 2h, 1d)
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Only entries before this time
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Only entries after this number; 0 lists all, oldest first
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// How many at most (1 to 1000) [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Newest first
    #[arg(long, conflicts_with = "follow")]
    newest: bool,
    /// Keep printing new entries until interrupted; with --json one line for each
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
    if args.starts_at_the_end() {
        return last(args, account, admin, output);
    }
    list(args, account, args.after, admin, output)
}

impl ListArgs {
    /// Whether nothing says where the list begins: then it is its end that
    /// matters.
    fn starts_at_the_end(&self) -> bool {
        self.after.is_none() && self.since.is_none() && !self.newest
    }
}

/// The last entries, in the order of the log.
fn last(
    args: &ListArgs,
    account: Option<u64>,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut page = admin.get(&format!("/audit{}", query(args, account, None, true)))?;
    if let Some(items) = page["items"].as_array_mut() {
        items.reverse();
    }
    let newest = number_of_last(&page);
    if args.follow {
        let after = Some(newest.unwrap_or(0));
        let heading = match newest {
            Some(_) => {
                print_lines(&page["items"], TableHeading::Due, output)?;
                TableHeading::Done
            }
            None => TableHeading::Due,
        };
        return follow(args, account, after, heading, admin, output);
    }
    let hint = "There are older ones: continue with --newest --after";
    print(&page, hint, output)
}

/// A page from `after` on; with `--follow` what comes later too.
fn list(
    args: &ListArgs,
    account: Option<u64>,
    after: Option<u64>,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    if args.follow {
        return follow(args, account, after, TableHeading::Due, admin, output);
    }
    let query = query(args, account, after, args.newest);
    print(&admin.get(&format!("/audit{query}"))?, reply::MORE, output)
}

/// Prints what comes after `after`, until it is interrupted.
fn follow(
    args: &ListArgs,
    account: Option<u64>,
    mut after: Option<u64>,
    mut heading: TableHeading,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    loop {
        let query = query(args, account, after, args.newest);
        let page = admin.get(&format!("/audit{query}"))?;
        after = number_of_last(&page).or(after);
        if page["items"] != json!([]) {
            print_lines(&page["items"], heading, output)?;
            heading = TableHeading::Done;
        }
        if page["next"].is_null() {
            sleep(EVERY);
        }
    }
}

/// Whether the names of the columns stand over the lines to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableHeading {
    Due,
    Done,
}

/// A line for each entry: with `--json` a document each.
fn print_lines(items: &Value, heading: TableHeading, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        let items = items.as_array().map_or(&[][..], Vec::as_slice);
        return items.iter().try_for_each(|item| output.line(item));
    }
    let table = reply::table(items, COLUMNS, MEMBERS);
    match heading {
        TableHeading::Due => output.text(&table),
        // The table's first line is its heading.
        TableHeading::Done => output.text(table.split_once('\n').map_or("", |(_, rows)| rows)),
    }
}

fn number_of_last(page: &Value) -> Option<u64> {
    let items = page["items"].as_array()?;
    items.last()?["number"].as_u64()
}

fn query(args: &ListArgs, account: Option<u64>, after: Option<u64>, newest: bool) -> String {
    // Entries are numbered from 1: after none is from the beginning.
    let after = after.filter(|number| *number > 0);
    reply::query(&[
        ("account", account.map(|id| id.to_string())),
        ("api", args.api.clone()),
        ("action", args.action.clone()),
        ("since", args.since.clone()),
        ("until", args.until.clone()),
        ("after", after.map(|number| number.to_string())),
        ("limit", args.limit.map(|n| n.to_string())),
        ("order", newest.then(|| "desc".to_owned())),
    ])
}

fn print(page: &Value, hint: &str, output: &mut Output) -> Result<(), Failure> {
    reply::page_with(page, COLUMNS, MEMBERS, hint, output)
}
