//! `countersign sandbox DIALECT --card -- COMMAND…`: tests your client with the card.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, Variant};
use countersign_sandbox::card::{
    CardClient, CardPlan, ClientCard, ClientProcess, ClientSituation, PlayError, StartClient,
    StartError, story,
};

use super::play::{self, runtime};
use super::play_args::{CardArgs, PlayArgs};
use crate::dialect;
use crate::exit::Failure;
use crate::output::Output;
use crate::output_file;

/// How long a client may take to answer a call.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays the card and prints it.
pub(super) fn run(args: &PlayArgs, output: &mut Output) -> Result<(), Failure> {
    let dialect = dialect::load(args.dialect.as_deref().unwrap_or_default())?;
    let command = args.program.clone();
    let args = &args.card;
    let plan = plan(args, &Arc::new(dialect))?;
    let patience = args.step_timeout.unwrap_or(PATIENCE);
    let card = runtime()?.block_on(countersign_sandbox::card::play(
        &plan,
        starting(command, patience),
    ));
    let card = card.map_err(failure)?;
    let written = args.junit.as_ref().map(|file| write(file, &card));
    output.document(&card.document(), &card.to_string())?;
    written.transpose()?;
    match card.tally().failed {
        0 => Ok(()),
        1 => Err(Failure::failed("1 step of the card failed")),
        failed => Err(Failure::failed(format!(
            "{failed} steps of the card failed"
        ))),
    }
}

fn failure(error: PlayError<StartError>) -> Failure {
    match error {
        PlayError::Client(error) => Failure::usage(error),
        PlayError::Vendor(error) => play::failure(error),
        broken @ PlayError::Broken(_) => Failure::bug(broken),
    }
}

fn plan(args: &CardArgs, dialect: &Arc<Dialect>) -> Result<CardPlan, Failure> {
    let plan = CardPlan::new(dialect.clone()).at_once(args.jobs.unwrap_or(1));
    let plan = match &args.variant {
        Some(name) => plan.variant(variant(dialect, name)?),
        None => plan,
    };
    for name in &args.steps {
        let names = || story().map(|step| step.name);
        if !names().any(|known| known == name) {
            let known = || format!("it has {}", names().collect::<Vec<_>>().join(", "));
            let help = did_you_mean(name, names()).unwrap_or_else(known);
            return Err(Failure::usage(format!("the card has no step {name}")).with_help(help));
        }
    }
    Ok(plan.only(args.steps.clone()))
}

fn variant(dialect: &Dialect, name: &str) -> Result<Variant, Failure> {
    dialect.variant(name).ok_or_else(|| {
        let names: Vec<_> = dialect
            .variants()
            .map(|it| dialect.variant_name(it))
            .collect();
        let known = names.join(", ");
        Failure::usage(format!("{} has no variant {name}", dialect.name()))
            .with_help(format!("it has {known}"))
    })
}

fn starting(command: Vec<OsString>, patience: Duration) -> Arc<StartClient<StartError>> {
    Arc::new(move |situation: &ClientSituation| {
        let client = ClientProcess::start(&command, situation, patience)?;
        Ok(Arc::new(client) as Arc<dyn CardClient>)
    })
}

fn write(file: &Path, card: &ClientCard) -> Result<(), Failure> {
    let written = output_file::open(file).and_then(|mut opened| {
        output_file::clear(&opened)?;
        opened.write_all(card.junit().as_bytes())
    });
    written
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", file.display())))
}
