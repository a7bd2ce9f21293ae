//! `countersign sandbox ctl`: the control endpoints from a shell.

pub(super) mod answer_text;
mod connection;

use std::path::PathBuf;

use http::Method;
use serde_json::{Map, Value, json};

use self::connection::SandboxConnection;
use super::bounds::BoundArgs;
use super::manifest::Control;
use crate::exit::Failure;
use crate::operator::environment;
use crate::output::Output;

/// The manifest that is tried where none is named.
const USUAL: &str = "./sandbox.json";

/// Arguments of `countersign sandbox ctl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign sandbox ctl advance 6h
  countersign sandbox ctl fault status --status 429 --retry-after 30s --on login
  countersign sandbox ctl fault cut --rate 0.1
  countersign sandbox ctl requests
  countersign sandbox ctl assert --logins 1 --max-refreshes 3 --no-expired

The sandbox is found by its manifest: --manifest FILE, or COUNTERSIGN_SANDBOX=FILE, or \
./sandbox.json.")]
pub(super) struct CtlArgs {
    /// The manifest of the sandbox; takes precedence over COUNTERSIGN_SANDBOX
    #[arg(long, value_name = "FILE", global = true)]
    manifest: Option<PathBuf>,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CtlCommand {
    /// Move the clock forward
    Advance {
        /// By how much: 90s, 6h, 1d2h
        #[arg(required = true, value_name = "SPAN")]
        span: Vec<String>,
    },
    /// Set the clock to a later time
    Set {
        /// RFC 3339: 2027-01-15T12:00:00Z
        instant: String,
    },
    /// Show the clock
    Clock,
    /// Arm a fault, beside those that are armed
    Fault(FaultArgs),
    /// List the faults that are armed, or disarm them
    Faults {
        /// Disarm all
        #[arg(value_parser = ["clear"], hide_possible_values = true, value_name = "clear")]
        clear: Option<String>,
    },
    /// List the requests that the sandbox received, or forget them
    Requests {
        /// Forget them
        #[arg(value_parser = ["clear"], hide_possible_values = true, value_name = "clear")]
        clear: Option<String>,
    },
    /// Exit 1 unless the sandbox received what is expected
    Assert(BoundArgs),
}

/// A fault. What belongs to which is checked by the sandbox.
#[derive(Debug, clap::Args)]
struct FaultArgs {
    /// What goes wrong: lost_reply, status, delay, cut, skew, revoke, forbid
    fault: String,
    /// Which requests it affects: login, refresh, logout, guard, any [default: any]
    #[arg(long, value_name = "OPERATION")]
    on: Option<String>,
    /// How many requests it affects [default: 1]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Which share of the requests it affects, 0 to 1
    #[arg(long, value_name = "PART", conflicts_with = "count")]
    rate: Option<f64>,
    /// status: the HTTP status
    #[arg(long, value_name = "NUMBER")]
    status: Option<u64>,
    /// status: when to try again
    #[arg(long, value_name = "SPAN")]
    retry_after: Option<String>,
    /// delay: how much later the reply comes
    #[arg(long, value_name = "SPAN")]
    delay: Option<String>,
    /// skew: by how much the vendor's clock is wrong, such as 90s or -6h
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    by: Option<String>,
    /// revoke: session or account [default: session]
    #[arg(long, value_name = "WHAT")]
    what: Option<String>,
}

/// Runs `countersign sandbox ctl …`.
pub(super) fn run(args: &CtlArgs, output: &mut Output) -> Result<(), Failure> {
    let link = SandboxConnection::to(Control::read(&manifest(args)?)?)?;
    match &args.command {
        CtlCommand::Advance { span } => {
            move_clock(&link, &json!({ "advance": span.join(" ") }), output)
        }
        CtlCommand::Set { instant } => move_clock(&link, &json!({ "set": instant }), output),
        CtlCommand::Clock => {
            let clock = link.request(Method::GET, "clock", None)?;
            output.document(&clock, &answer_text::clock(&clock))
        }
        CtlCommand::Fault(args) => {
            let armed = link.request(Method::POST, "faults", Some(&args.document()))?;
            output.document(&armed, &answer_text::faults(&armed))
        }
        CtlCommand::Faults { clear } => {
            let armed = link.request(list_or(clear.as_ref()), "faults", None)?;
            output.document(&armed, &answer_text::faults(&armed))
        }
        CtlCommand::Requests { clear } => {
            let requests = link.request(list_or(clear.as_ref()), "requests", None)?;
            output.document(&requests, &answer_text::requests(&requests))
        }
        CtlCommand::Assert(args) => assert(&link, args, output),
    }
}

fn list_or(clear: Option<&String>) -> Method {
    match clear {
        Some(_) => Method::DELETE,
        None => Method::GET,
    }
}

fn move_clock(link: &SandboxConnection, to: &Value, output: &mut Output) -> Result<(), Failure> {
    let clock = link.request(Method::POST, "clock", Some(to))?;
    output.document(&clock, &answer_text::clock(&clock))
}

fn assert(link: &SandboxConnection, args: &BoundArgs, output: &mut Output) -> Result<(), Failure> {
    let verdict = link.request(Method::POST, "assert", Some(&args.document()))?;
    if verdict["passed"] == true {
        return output.document(&verdict, &answer_text::passed(&verdict));
    }
    Err(Failure::failed(answer_text::failed(&verdict)).with_details(verdict))
}

fn manifest(args: &CtlArgs) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.manifest {
        return Ok(file.clone());
    }
    let named = environment("COUNTERSIGN_SANDBOX")?.map(PathBuf::from);
    let usual = || Some(PathBuf::from(USUAL)).filter(|file| file.exists());
    named.or_else(usual).ok_or_else(|| {
        Failure::usage("no sandbox is named, and there is no ./sandbox.json").with_help(
            "start one with `countersign sandbox DIALECT --manifest FILE`, and name that file with \
             --manifest or COUNTERSIGN_SANDBOX",
        )
    })
}

impl FaultArgs {
    fn document(&self) -> Value {
        given([
            ("fault", Some(json!(self.fault))),
            ("on", self.on.as_ref().map(|it| json!(it))),
            ("count", self.count.map(|it| json!(it))),
            ("rate", self.rate.map(|it| json!(it))),
            ("status", self.status.map(|it| json!(it))),
            ("retry_after", self.retry_after.as_ref().map(|it| json!(it))),
            ("delay", self.delay.as_ref().map(|it| json!(it))),
            ("by", self.by.as_ref().map(|it| json!(it))),
            ("what", self.what.as_ref().map(|it| json!(it))),
        ])
    }
}

/// An object of the members that are there.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter();
    let there = there.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}
