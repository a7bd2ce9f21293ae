//! The operator commands: they speak to a server's admin API and decide
//! nothing themselves.

mod account;
mod address;
mod admin;
mod admin_key;
mod api;
mod audit;
mod connection;
mod credential;
mod explain;
mod key;
mod reply;
mod rewrap;
mod secret_file;
mod session;
mod store;

use crate::exit::Failure;
use crate::output::Output;
use admin::Admin;

pub(crate) use account::AccountArgs;
pub(crate) use address::environment;
pub(crate) use admin_key::AdminKeyArgs;
pub(crate) use api::ApiArgs;
pub(crate) use audit::AuditArgs;
pub(crate) use connection::speak;
pub(crate) use credential::CredentialArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use key::KeyArgs;
pub(crate) use session::SessionArgs;
pub(crate) use store::StoreArgs;

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

/// Runs `countersign api …`.
pub(crate) fn api(args: &ApiArgs, output: &mut Output) -> Result<(), Failure> {
    api::run(&args.command, &Admin::find(&args.server)?, output)
}

/// Runs `countersign key …`.
pub(crate) fn key(args: &KeyArgs, output: &mut Output) -> Result<(), Failure> {
    key::run(args, output)
}

/// Runs `countersign store …`.
pub(crate) fn store(args: &StoreArgs, output: &mut Output) -> Result<(), Failure> {
    store::run(args, output)
}

/// Runs `countersign admin-key …`.
pub(crate) fn admin_key(args: &AdminKeyArgs, output: &mut Output) -> Result<(), Failure> {
    admin_key::run(&args.command, &Admin::find(&args.server)?, output)
}

/// Runs `countersign audit …`.
pub(crate) fn audit(args: &AuditArgs, output: &mut Output) -> Result<(), Failure> {
    audit::run(&args.command, &Admin::find(&args.server)?, output)
}
