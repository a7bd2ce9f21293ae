//! The operator commands: they speak to a server's admin API and decide
//! nothing themselves.

mod account;
mod address;
mod admin;
mod confirm;
mod credential;
mod explain;
mod reply;
mod secret_file;
mod session;

use crate::exit::Failure;
use crate::output::Output;
use admin::Admin;

pub(crate) use account::AccountArgs;
pub(crate) use credential::CredentialArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use session::SessionArgs;

/// Runs `countersign account …`.
pub(crate) fn account(args: &AccountArgs, output: &mut Output) -> Result<(), Failure> {
    account::run(&args.command, &Admin::find(&args.server)?, output)
}

/// Runs `countersign credential …`.
pub(crate) fn credential(args: &CredentialArgs, output: &mut Output) -> Result<(), Failure> {
    credential::run(&args.command, &Admin::find(&args.server)?, output)
}

/// Runs `countersign session …`.
pub(crate) fn session(args: &SessionArgs, output: &mut Output) -> Result<(), Failure> {
    session::run(&args.command, &Admin::find(&args.server)?, output)
}

/// Runs `countersign explain …`.
pub(crate) fn explain(args: &ExplainArgs, output: &mut Output) -> Result<(), Failure> {
    explain::run(args, &Admin::find(&args.server)?, output)
}
