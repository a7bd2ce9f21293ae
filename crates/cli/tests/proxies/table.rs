//! The results of all proxies, case by case.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::programs::Proxy;

static ALL: Mutex<BTreeMap<Proxy, Results>> = Mutex::new(BTreeMap::new());

/// What happened with one proxy.
#[derive(Clone)]
pub(crate) struct Results {
    proxy: Proxy,
    cases: Vec<(&'static str, String)>,
}

impl Results {
    pub(crate) fn new(proxy: Proxy) -> Self {
        let cases = Vec::new();
        Self { proxy, cases }
    }

    pub(crate) fn add(&mut self, case: &'static str, result: impl Into<String>) {
        self.cases.push((case, result.into()));
    }

    /// Tells the others; the last one prints the table.
    pub(crate) fn tell(self) {
        let mut all = ALL.lock().unwrap();
        all.insert(self.proxy, self);
        if all.len() == Proxy::ALL.len() {
            println!("{}", table(&all));
        }
    }
}

fn table(all: &BTreeMap<Proxy, Results>) -> String {
    let mut lines = vec![String::from("| case |"), String::from("| --- |")];
    for proxy in all.keys() {
        lines[0] += &format!(" {} |", proxy.name());
        lines[1] += " --- |";
    }
    let cases = &all.values().next().unwrap().cases;
    for (case, _) in cases {
        let found = all.values().map(|results| {
            let of_case = results.cases.iter().find(|(name, _)| name == case);
            of_case.map_or("", |(_, result)| result)
        });
        let cells: Vec<&str> = found.collect();
        lines.push(format!("| {case} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}
