//! `countersign store`: the store itself, in the data directory, while no server has
//! it open.

use std::path::Path;

use countersign_store::clock::plausible_wall;
use countersign_store::{ClockMend, ClockMending};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::address::ServerArgs;
use super::reply;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::data::DataDirectory;

/// Arguments of `countersign store`.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: StoreCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum StoreCommand {
    /// Set the store's clock back to the system clock, after a wrong one moved it forward
    #[command(
        after_help = "The server must be stopped. Correct the system clock first. Every session ends, so \
partners log in again: what was issued under the wrong clock would otherwise live too \
long. What will end is listed first.\n\nExamples:\n  \
countersign store mend-clock --data /var/lib/countersign\n  \
countersign store mend-clock --data /var/lib/countersign --yes --json"
    )]
    MendClock {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(args: &StoreArgs, output: &mut Output) -> Result<(), Failure> {
    let StoreCommand::MendClock { yes } = args.command;
    let directory = args.server.directory();
    let database = directory.join("countersign.db");
    if !database.exists() {
        return Err(
            Failure::usage(format!("there is no store {}", database.display()))
                .with_help("name the server's data directory with --data"),
        );
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(Failure::failed)?
        .block_on(mend_clock(directory, yes, output))
}

async fn mend_clock(directory: &Path, yes: bool, output: &mut Output) -> Result<(), Failure> {
    let now = plausible_wall()?;
    let locked = DataDirectory::open(directory)?.proved_store()?;
    let mark = locked.head().map_or(now, |head| head.high_water);
    if mark <= now {
        let text = "The store's clock is not ahead of the system's: nothing was changed.";
        let document = json!({ "mended": false, "clock": mark.rfc3339_seconds(), "system": now.rfc3339_seconds() });
        return reply::done(&document, text, output);
    }
    let mending = ClockMending::plan(locked, now).await?;
    output.aside(&listed(mending.planned()));
    if let Err(left) = confirm("Set the store's clock back?", yes) {
        mending.leave().await;
        return Err(left);
    }
    let done = mending.mend().await.map_err(Failure::unavailable)?;
    let text = format!(
        "The store's clock is set back to {}.",
        done.to.rfc3339_seconds()
    );
    reply::done(&document(&done), &text, output)
}

/// What mending does, in lines.
fn listed(plan: &ClockMend) -> String {
    let names = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    format!(
        "The store's clock shows {}, and the system's {}.\n\
         sessions that end                   {} of {} accounts: each logs in anew\n\
         retiring keys that are gone         {}\n\
         admin keys that end                 {} (made while the clock was ahead)\n\
         admin keys that live again          {} (their ends have not come yet)\n\
         Entries of the audit log keep the times that they were written with.",
        plan.from.rfc3339_seconds(),
        plan.to.rfc3339_seconds(),
        plan.sessions,
        plan.accounts,
        names(&plan.retired_keys),
        names(&plan.ended_admin_keys),
        names(&plan.revived_admin_keys),
    )
}

fn document(done: &ClockMend) -> Value {
    json!({
        "mended": true,
        "from": done.from.rfc3339_seconds(),
        "to": done.to.rfc3339_seconds(),
        "accounts": done.accounts,
        "sessions": done.sessions,
        "retired_keys": done.retired_keys,
        "ended_admin_keys": done.ended_admin_keys,
        "revived_admin_keys": done.revived_admin_keys,
    })
}
