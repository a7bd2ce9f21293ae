use countersign_dialect::Dialect;
use countersign_sandbox::card::*;
use std::{ffi::OsString, sync::Arc, time::Duration};
#[tokio::main]
async fn main() {
    let mut args = std::env::args();
    args.next();
    let name = args.next().unwrap();
    let variant = args.next().unwrap();
    let only: Vec<String> = args
        .next()
        .unwrap()
        .split(',')
        .filter(|x| !x.is_empty())
        .map(str::to_owned)
        .collect();
    let command: Vec<OsString> = args.map(OsString::from).collect();
    let dialect = Arc::new(Dialect::compile(Dialect::shipped(&name).unwrap(), "x").unwrap());
    let v = dialect.variant(&variant).unwrap();
    let plan = Plan::new(dialect).variant(v).at_once(8).only(only);
    let start: Arc<Start<StartError>> = Arc::new(move |s: &Situation| {
        Process::start(&command, s, Duration::from_secs(10)).map(|p| Arc::new(p) as Arc<dyn Client>)
    });
    let card = play(&plan, start).await.unwrap();
    println!("{card}");
    std::fs::write("/tmp/card.xml", card.junit()).unwrap();
}
