//! The integrator's commands: tokens of an API, for a shell and for programs.
//!
//! They decide nothing about tokens; the client library does. A secret is never an argument,
//! where other users could see it.

mod doctor;
mod exec;
mod failure;
mod login;
mod logout;
mod open;
mod path;
mod profiles;
mod prompt;
mod request;
mod stale;
mod status;
mod token;
mod transcript;

pub(crate) use doctor::DoctorArgs;
pub(crate) use exec::ExecArgs;
pub(crate) use failure::failure;
pub(crate) use login::LoginArgs;
pub(crate) use logout::LogoutArgs;
pub(crate) use profiles::{ProfilesArgs, one};
pub(crate) use request::RequestArgs;
pub(crate) use status::StatusArgs;
pub(crate) use token::TokenArgs;

use crate::exit::Failure;
use crate::output::Output;

/// Runs `countersign login`.
pub(crate) fn login(args: &LoginArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(login::run(args, output))
}

/// Runs `countersign token`.
pub(crate) fn token(args: &TokenArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(token::run(args, output))
}

/// Runs `countersign request`.
pub(crate) fn request(args: &RequestArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(request::run(args, output))
}

/// Runs `countersign exec`. If it goes well the command takes this process's
/// place.
pub(crate) fn exec(args: &ExecArgs, output: &Output) -> Result<(), Failure> {
    let environment = block_on(exec::environment(args, output))?;
    Err(exec::replace(args, environment))
}

/// Runs `countersign status`.
pub(crate) fn status(args: &StatusArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(status::run(args, output))
}

/// Runs `countersign logout`.
pub(crate) fn logout(args: &LogoutArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(logout::run(args, output))
}

/// Runs `countersign doctor`.
pub(crate) fn doctor(args: &DoctorArgs, output: &mut Output) -> Result<(), Failure> {
    block_on(doctor::run(args, output))
}

fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(Failure::failed)?.block_on(command)
}
