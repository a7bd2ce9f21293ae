//! `countersign key rewrap`: a new master key. It works on the data directory
//! itself, while no server has it open.

use std::path::Path;

use countersign_server::rewrap;
use countersign_store::clock::{StoreClock, plausible_wall};
use serde_json::json;
use tokio::runtime::Builder;

use super::reply;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;
use crate::serve::data::DataDirectory;

pub(super) fn run(directory: &Path, yes: bool, output: &mut Output) -> Result<(), Failure> {
    let database = directory.join("countersign.db");
    if !database.exists() {
        return Err(
            Failure::usage(format!("there is no store {}", database.display()))
                .with_help("name the server's data directory with --data"),
        );
    }
    let directory = DataDirectory::open(directory)?;
    confirm("Replace the master key and seal everything anew?", yes)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let sealed = runtime
        .map_err(Failure::failed)?
        .block_on(replace(&directory))?;
    let master = directory.master_key_file();
    let kept = format!("{}.old", master.display());
    let text = format!(
        "The master key {} is new, and sealed records are sealed anew: {sealed}.\n\
         The old key is kept in {kept}: delete it together with the backups from before.",
        master.display()
    );
    let document = json!({ "records": sealed, "master_key": master, "old_master_key": kept });
    reply::done(&document, &text, output)
}

async fn replace(directory: &DataDirectory) -> Result<usize, Failure> {
    let locked = directory.proved_store()?;
    let clock = StoreClock::system(plausible_wall()?);
    let store = locked.open(clock, |_| {})?;
    let replaced = rewrap::rewrap(&directory.master_key_file(), &store).await;
    store.close().await;
    Ok(replaced?)
}
