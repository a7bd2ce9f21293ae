//! `countersign key`: what signs the tokens of an api, and the master key under
//! which that is stored.

use countersign_dialect::percent_encoded;
use serde_json::{Value, json};

use super::address::{FINDING, ServerArgs};
use super::admin::Admin;
use super::{reply, rewrap};
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign key`.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDING)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: KeyCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// List keys, without their secret material
    #[command(after_help = "Examples:
  countersign key list
  countersign key list --api b2binpay --json")]
    List {
        /// Only those of this api
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
    },
    /// Show a key
    #[command(after_help = "Example:\n  countersign key show 4f1f6c2a9d3e5b70")]
    Show {
        /// Its id
        kid: String,
    },
    /// Publish a new key, which signs nothing until `rotate` makes it active
    #[command(after_help = "Examples:
  countersign key publish --api b2binpay --algorithm RS256")]
    Publish(WhichKeys),
    /// Make the pending key active; the old one verifies until its last token has expired
    #[command(after_help = "Examples:
  countersign key rotate --api mypopup
  countersign key rotate --api b2binpay --algorithm RS256 --now")]
    Rotate {
        #[command(flatten)]
        which: WhichKeys,
        /// Rotate even if other verifiers of tokens may not know the new key yet
        #[arg(long)]
        now: bool,
    },
    /// Retire the active key: another takes its place
    #[command(after_help = "Example:\n  countersign key retire 4f1f6c2a9d3e5b70")]
    Retire {
        /// Its id
        kid: String,
        /// Retire it even if other verifiers of tokens may not know the next key yet
        #[arg(long)]
        now: bool,
    },
    /// Kill a key, and revoke everything that it signed
    #[command(after_help = "Example:\n  countersign key kill 4f1f6c2a9d3e5b70 --yes")]
    Kill {
        /// Its id
        kid: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Replace the master key and seal everything again; the server must be stopped
    #[command(
        after_help = "The old master key is kept as master.key.old, for earlier backups. \
Delete it with them.

Example:
  countersign key rewrap --data /var/lib/countersign --yes"
    )]
    Rewrap {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct WhichKeys {
    /// The api
    #[arg(long, value_name = "NAME")]
    api: String,
    /// The algorithm, where the api has several
    #[arg(long)]
    algorithm: Option<String>,
}

pub(super) fn run(args: &KeyArgs, output: &mut Output) -> Result<(), Failure> {
    if let KeyCommand::Rewrap { yes } = &args.command {
        return rewrap::run(args.server.directory(), *yes, output);
    }
    let admin = Admin::find(&args.server)?;
    match &args.command {
        KeyCommand::List { api } => list(api.clone(), &admin, output),
        KeyCommand::Show { kid } => reply::one(&admin.get(&path(kid))?, output),
        KeyCommand::Publish(which) => {
            let published = admin.post("/keys", &which.body(None))?;
            reply::one(&published, output)
        }
        KeyCommand::Rotate { which, now } => {
            let changed = admin.post("/keys/rotate", &which.body(Some(*now)))?;
            changed_keys(&changed, output)
        }
        KeyCommand::Retire { kid, now } => {
            let body = json!({ "state": "retiring", "now": now });
            changed_keys(&admin.patch(&path(kid), &body)?, output)
        }
        KeyCommand::Kill { kid, yes } => kill(kid, *yes, &admin, output),
        KeyCommand::Rewrap { .. } => Ok(()),
    }
}

impl WhichKeys {
    fn body(&self, now: Option<bool>) -> Value {
        reply::body(vec![
            ("api", Some(json!(self.api))),
            ("algorithm", self.algorithm.clone().map(Value::from)),
            ("now", now.map(Value::from)),
        ])
    }
}

const COLUMNS: [&str; 7] = [
    "ID",
    "API",
    "ALGORITHM",
    "PURPOSE",
    "STATE",
    "CREATED",
    "RETIRES",
];
const NAMES: [&str; 7] = [
    "kid",
    "api",
    "algorithm",
    "purpose",
    "state",
    "created_at",
    "retires_at",
];

fn list(api: Option<String>, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let query = reply::query(&[("api", api)]);
    let page = admin.get(&format!("/keys{query}"))?;
    reply::page(&page, COLUMNS, NAMES, output)
}

fn kill(kid: &str, yes: bool, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let path = path(kid);
    let key = admin.get(&path)?;
    let (state, api) = (&key["state"], &key["api"]);
    let question = format!(
        "Kill this {} key of {}? Every token that it signed is refused from then on.",
        state.as_str().unwrap_or_default(),
        api.as_str().unwrap_or_default()
    );
    confirm(&question, yes)?;
    let changed = admin.patch(&path, &json!({ "state": "killed" }))?;
    let said = "The key is killed: every token that it signed is refused from now on.\n";
    keys_with(said, &changed, output)
}

fn changed_keys(changed: &Value, output: &mut Output) -> Result<(), Failure> {
    keys_with("", changed, output)
}

fn keys_with(said: &str, changed: &Value, output: &mut Output) -> Result<(), Failure> {
    let table = reply::table(&changed["keys"], COLUMNS, NAMES);
    let active = changed["active"].as_str().unwrap_or_default();
    let text = format!("{said}New tokens are signed with {active}.\n\n{table}");
    reply::done(changed, &text, output)
}

fn path(kid: &str) -> String {
    format!("/keys/{}", percent_encoded(kid))
}
