//! `countersign account`: the partners of an api.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::{reply, secret_file};
use crate::argument_fault::ArgumentFault;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign account`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: AccountCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountCommand {
    /// List accounts
    #[command(after_help = "Examples:
  countersign account list --api mypopup
  countersign account list --login acme --json")]
    List(ListArgs),
    /// Show an account
    #[command(after_help = "Examples:
  countersign account show 100001
  countersign account show acme --json")]
    Show {
        /// Its id, or one of its logins
        account: String,
    },
    /// Create an account with a first credential
    #[command(after_help = "Examples:
  countersign account create --api mypopup --login acme
  countersign account create --api mypopup --allow 192.0.2.0/24 --allow ::1
  countersign account create --api apirone --login-prefix btc
  countersign account create --api mypopup --budget 40 --scope payout:write
  pass show acme | countersign account create --api mypopup --secret-file -")]
    Create(CreateArgs),
    /// Disable an account: ends its sessions, and it cannot log in
    #[command(after_help = "Example:\n  countersign account disable acme")]
    Disable {
        /// Its id, or one of its logins
        account: String,
    },
    /// Enable an account again
    #[command(after_help = "Example:\n  countersign account enable acme")]
    Enable {
        /// Its id, or one of its logins
        account: String,
    },
    /// Replace the networks that an account may call from
    #[command(after_help = "Examples:
  countersign account allow acme 192.0.2.0/24 2001:db8::/32
  countersign account allow acme --everywhere")]
    Allow {
        /// Its id, or one of its logins
        account: String,
        /// The networks, or single addresses
        #[arg(value_name = "NETWORK", required_unless_present = "everywhere")]
        networks: Vec<String>,
        /// Let it call from everywhere
        #[arg(long, conflicts_with = "networks")]
        everywhere: bool,
    },
    /// Set limits of an account that differ from its api's
    #[command(after_help = "Examples:
  countersign account limits acme --budget 40 --sessions 5
  countersign account limits acme --budget default
  countersign account limits acme --default")]
    Limits {
        /// Its id, or one of its logins
        account: String,
        #[command(flatten)]
        limits: LimitArgs,
        /// Use the api's limit for everything that is not given
        #[arg(long)]
        default: bool,
    },
    /// Delete an account with its credentials and sessions
    #[command(after_help = "Example:\n  countersign account delete acme --yes")]
    Delete {
        /// Its id, or one of its logins
        account: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Each a number, or `default` for the api's.
#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// Guarded requests that one access token may make
    #[arg(long, value_name = "N", value_parser = limit)]
    budget: Option<Limit>,
    /// Sessions at the same time
    #[arg(long, value_name = "N", value_parser = limit)]
    sessions: Option<Limit>,
    /// Logins and refreshes per minute
    #[arg(long, value_name = "N", value_parser = limit)]
    mints_per_minute: Option<Limit>,
    /// Guarded requests per second
    #[arg(long, value_name = "N", value_parser = limit)]
    requests_per_second: Option<Limit>,
}

/// A number, or the api's.
type Limit = Value;

fn limit(text: &str) -> Result<Limit, ArgumentFault> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number.into()),
        _ if text == "default" => Ok(Value::Null),
        _ => Err(ArgumentFault::new("it is not a limit")
            .with_help("write a whole number from 1, or default for the api's")),
    }
}

impl LimitArgs {
    /// These over `before`; `None` if none is given.
    fn over(&self, mut before: Value) -> Option<Value> {
        let given = [
            ("budget", &self.budget),
            ("sessions", &self.sessions),
            ("mints_per_minute", &self.mints_per_minute),
            ("requests_per_second", &self.requests_per_second),
        ];
        let mut any = false;
        for (name, limit) in given {
            if let Some(limit) = limit {
                before[name] = limit.clone();
                any = true;
            }
        }
        any.then_some(before)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those of this api
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Only those that have a credential with this login
    #[arg(long)]
    login: Option<String>,
    /// Only those after this id
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// How many at most (1 to 1000) [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Its api
    #[arg(long, value_name = "NAME")]
    api: String,
    /// The login of its first credential, and its name; generated if not given
    #[arg(long)]
    login: Option<String>,
    /// Generate a login with this prefix, if the dialect has several forms
    #[arg(long, value_name = "PREFIX", conflicts_with = "login")]
    login_prefix: Option<String>,
    /// Take the secret from this file, or from standard input for `-`; generated if not given
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Its number; the next free one if not given
    #[arg(long)]
    id: Option<u64>,
    /// A network that it may call from; all if none is given
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
    /// A scope of its first credential
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Create it disabled
    #[arg(long)]
    disabled: bool,
}

pub(super) fn run(
    command: &AccountCommand,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        AccountCommand::List(args) => list(args, admin, output),
        AccountCommand::Show { account } => {
            let account = reply::account_id(admin, account)?;
            show(account, admin, output)
        }
        AccountCommand::Create(args) => create(args, admin, output),
        AccountCommand::Disable { account } => {
            change(account, &json!({ "state": "disabled" }), admin, output)
        }
        AccountCommand::Enable { account } => {
            change(account, &json!({ "state": "active" }), admin, output)
        }
        AccountCommand::Allow {
            account, networks, ..
        } => change(account, &json!({ "allow": networks }), admin, output),
        AccountCommand::Limits {
            account,
            limits,
            default,
        } => change_limits(account, limits, *default, admin, output),
        AccountCommand::Delete { account, yes } => delete(account, *yes, admin, output),
    }
}

fn list(args: &ListArgs, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let query = reply::query(&[
        ("api", args.api.clone()),
        ("login", args.login.clone()),
        ("after", args.after.map(|id| id.to_string())),
        ("limit", args.limit.map(|n| n.to_string())),
    ]);
    let page = admin.get(&format!("/accounts{query}"))?;
    let columns = ["ID", "API", "LOGIN", "STATE", "ALLOWED FROM", "CREATED"];
    let names = ["id", "api", "login", "state", "allow", "created_at"];
    reply::page(&page, columns, names, output)
}

/// An account with what an operator asks next: how it can log in, what is open, and
/// when it logged in last.
fn show(id: u64, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = format!("/accounts/{id}");
    let mut shown = admin.get(&path)?;
    let credentials = admin.get(&format!("{path}/credentials"))?["items"].take();
    let sessions = admin.get(&format!("{path}/sessions?limit=10"))?["items"].take();
    let login = reply::query(&[
        ("account", Some(id.to_string())),
        ("action", Some("login".to_owned())),
        ("order", Some("desc".to_owned())),
        ("limit", Some("1".to_owned())),
    ]);
    let logins = admin.get(&format!("/audit{login}"))?;
    shown["last_login_at"] = logins["items"][0]["at"].clone();
    let text = format!(
        "{}\nCredentials\n{}\nSessions (the ten newest; all: countersign session list)\n{}",
        reply::lines(&shown),
        super::credential::table(&credentials),
        super::session::table(&sessions),
    );
    shown["credentials"] = credentials;
    shown["sessions"] = sessions;
    output.document(&shown, &text)
}

fn create(args: &CreateArgs, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let secret = args.secret_file.as_deref().map(secret_file::read);
    let secret = secret.transpose()?;
    let body = reply::body(vec![
        ("api", Some(json!(args.api))),
        ("login", args.login.as_ref().map(|it| json!(it))),
        (
            "login_prefix",
            args.login_prefix.as_ref().map(|it| json!(it)),
        ),
        ("secret", secret.map(|it| json!(it.expose()))),
        ("id", args.id.map(Value::from)),
        ("allow", Some(json!(args.allow))),
        (
            "scopes",
            (!args.scope.is_empty()).then(|| json!(args.scope)),
        ),
        ("limits", args.limits.over(json!({}))),
        ("state", args.disabled.then(|| json!("disabled"))),
    ]);
    reply::created("The account", &admin.post("/accounts", &body)?, output)
}

fn change(account: &str, body: &Value, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = reply::account_path(admin, account)?;
    reply::one(&admin.patch(&path, body)?, output)
}

fn change_limits(
    account: &str,
    limits: &LimitArgs,
    default: bool,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let path = reply::account_path(admin, account)?;
    let before = match default {
        true => json!({}),
        false => admin.get(&path)?["limits"].take(),
    };
    let limits = match limits.over(before) {
        Some(limits) => limits,
        None if default => json!({}),
        None => {
            return Err(Failure::usage("no limit to change is named")
                .with_help("name one, such as --sessions 5, or say --default"));
        }
    };
    reply::one(&admin.patch(&path, &json!({ "limits": limits }))?, output)
}

fn delete(account: &str, yes: bool, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let id = reply::account_id(admin, account)?;
    let path = format!("/accounts/{id}");
    confirm(
        &format!("Delete account {id} with its credentials and sessions?"),
        yes,
    )?;
    admin.delete(&path)?;
    let document = json!({ "account": id, "deleted": true });
    reply::done(&document, &format!("Account {id} is deleted."), output)
}
