//! `countersign admin-key`: who may operate the server, and how far.

use countersign_dialect::percent_encoded;
use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::reply;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign admin-key`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct AdminKeyArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: AdminKeyCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum AdminKeyCommand {
    /// List admin keys, including the owner's, which is in the data directory
    #[command(
        after_help = "The key `admin` is the owner's, in the file admin.key of the data directory. To \
replace it, delete that file and start the server again: the old key is refused from \
then on.\n\nExample:\n  countersign admin-key list"
    )]
    List {
        /// Only those after this name
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        /// How many at most (1 to 1000) [default: 100]
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Create an admin key, which is shown only once
    #[command(after_help = "Examples:
  countersign admin-key create support --role read
  countersign admin-key create onboarding --role operate --api mypopup
  countersign admin-key create audit --role read --expires 2027-12-31T00:00:00Z")]
    Create(CreateArgs),
    /// Delete an admin key: it is refused from then on
    #[command(after_help = "Example:\n  countersign admin-key delete support --yes")]
    Delete {
        /// Its name
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Its name, which the audit log shows for its holder
    name: String,
    /// What its holder may do
    #[arg(long, value_parser = ["read", "operate", "own"])]
    role: String,
    /// An api that it may manage; all if none is given
    #[arg(long, value_name = "NAME")]
    api: Vec<String>,
    /// When it expires, in RFC 3339; never if not given
    #[arg(long, value_name = "INSTANT")]
    expires: Option<String>,
}

pub(super) fn run(
    command: &AdminKeyCommand,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        AdminKeyCommand::List { after, limit } => {
            let limit = limit.map(|n| n.to_string());
            let query = reply::query(&[("after", after.clone()), ("limit", limit)]);
            let columns = ["NAME", "ROLE", "APIS", "STATE", "CREATED", "EXPIRES"];
            let names = ["name", "role", "apis", "state", "created_at", "expires_at"];
            let page = admin.get(&format!("/admin-keys{query}"))?;
            reply::page(&page, columns, names, output)
        }
        AdminKeyCommand::Create(args) => create(args, admin, output),
        AdminKeyCommand::Delete { name, yes } => delete(name, *yes, admin, output),
    }
}

fn create(args: &CreateArgs, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let apis = (!args.api.is_empty()).then(|| json!(args.api));
    let body = reply::body(vec![
        ("name", Some(json!(args.name))),
        ("role", Some(json!(args.role))),
        ("apis", apis),
        ("expires_at", args.expires.clone().map(Value::from)),
    ]);
    let created = admin.post("/admin-keys", &body)?;
    reply::created("The admin key", &created, output)
}

fn delete(name: &str, yes: bool, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = format!("/admin-keys/{}", percent_encoded(name));
    admin.get(&path)?;
    confirm(&format!("Delete the admin key {name}?"), yes)?;
    admin.delete(&path)?;
    let document = json!({ "name": name, "deleted": true });
    reply::done(
        &document,
        &format!("The admin key {name} is deleted."),
        output,
    )
}
