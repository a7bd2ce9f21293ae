//! `countersign credential`: the logins and secrets of an account. It may have
//! several, so that a secret is replaced without a gap: create the new one,
//! hand it over, delete the old one.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::{reply, secret_file};
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign credential`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct CredentialArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: CredentialCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum CredentialCommand {
    /// List the credentials of an account
    #[command(after_help = "Example:\n  countersign credential list acme")]
    List {
        /// The account's id, or one of its logins
        account: String,
    },
    /// Create a further credential of an account
    #[command(after_help = "Examples:
  countersign credential create acme
  countersign credential create 100001 --login acme-2 --secret-file secret.txt")]
    Create(CreateArgs),
    /// Disable a credential: ends the sessions that it opened
    #[command(after_help = "Example:\n  countersign credential disable acme 3")]
    Disable(CredentialRef),
    /// Enable a credential again
    #[command(after_help = "Example:\n  countersign credential enable acme 3")]
    Enable(CredentialRef),
    /// Replace the scopes of a credential
    #[command(after_help = "Examples:
  countersign credential scopes acme 3 payout:write read
  countersign credential scopes acme 3 --none")]
    Scopes {
        #[command(flatten)]
        which: CredentialRef,
        /// The scopes
        #[arg(value_name = "SCOPE", required_unless_present = "none")]
        scopes: Vec<String>,
        /// Remove all scopes
        #[arg(long, conflicts_with = "scopes")]
        none: bool,
    },
    /// Delete a credential and end the sessions that it opened
    #[command(after_help = "Example:\n  countersign credential delete acme 3 --yes")]
    Delete {
        #[command(flatten)]
        which: CredentialRef,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The account's id, or one of its logins
    account: String,
    /// The login; generated if not given
    #[arg(long)]
    login: Option<String>,
    /// Generate a login with this prefix, if the dialect has several forms
    #[arg(long, value_name = "PREFIX", conflicts_with = "login")]
    login_prefix: Option<String>,
    /// Take the secret from this file, or from standard input for `-`; generated if not given
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A scope that routes may require
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CredentialRef {
    /// The account's id, or one of its logins
    account: String,
    /// The credential's id
    credential: u64,
}

impl CredentialRef {
    fn path(&self, admin: &Admin) -> Result<String, Failure> {
        let account = reply::account_path(admin, &self.account)?;
        Ok(format!("{account}/credentials/{}", self.credential))
    }
}

pub(super) fn run(
    command: &CredentialCommand,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        CredentialCommand::List { account } => list(account, admin, output),
        CredentialCommand::Create(args) => create(args, admin, output),
        CredentialCommand::Disable(which) => {
            change(which, &json!({ "state": "disabled" }), admin, output)
        }
        CredentialCommand::Enable(which) => {
            change(which, &json!({ "state": "active" }), admin, output)
        }
        CredentialCommand::Scopes { which, scopes, .. } => {
            change(which, &json!({ "scopes": scopes }), admin, output)
        }
        CredentialCommand::Delete { which, yes } => delete(which, *yes, admin, output),
    }
}

fn list(account: &str, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = reply::account_path(admin, account)?;
    let page = admin.get(&format!("{path}/credentials"))?;
    reply::page(&page, COLUMNS, MEMBERS, output)
}

const COLUMNS: [&str; 6] = ["ID", "LOGIN", "KIND", "STATE", "SCOPES", "CREATED"];
const MEMBERS: [&str; 6] = ["id", "login", "kind", "state", "scopes", "created_at"];

/// Credentials for people.
pub(super) fn table(items: &Value) -> String {
    reply::table(items, COLUMNS, MEMBERS)
}

fn create(args: &CreateArgs, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let secret = args.secret_file.as_deref().map(secret_file::read);
    let secret = secret.transpose()?;
    let path = reply::account_path(admin, &args.account)?;
    let body = reply::body(vec![
        ("login", args.login.as_ref().map(|it| json!(it))),
        (
            "login_prefix",
            args.login_prefix.as_ref().map(|it| json!(it)),
        ),
        ("secret", secret.map(|it| json!(it.expose()))),
        (
            "scopes",
            (!args.scope.is_empty()).then(|| json!(args.scope)),
        ),
    ]);
    let created = admin.post(&format!("{path}/credentials"), &body)?;
    reply::created("The credential", &created, output)
}

fn change(
    which: &CredentialRef,
    body: &Value,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let path = which.path(admin)?;
    reply::one(&admin.patch(&path, body)?, output)
}

fn delete(
    which: &CredentialRef,
    yes: bool,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let id = which.credential;
    let path = which.path(admin)?;
    confirm(
        &format!("Delete credential {id} and end the sessions that it opened?"),
        yes,
    )?;
    admin.delete(&path)?;
    let document = json!({ "credential": id, "deleted": true });
    reply::done(&document, &format!("Credential {id} is deleted."), output)
}
