//! `countersign doctor`: checks everything on the way to a token, and says what is wrong.

use countersign_check::{CheckFinding, CheckVerdict, ProbeScope, machine_findings, way_findings};
use countersign_client::Profile;
use http::uri::PathAndQuery;
use serde_json::{Value, json};

use super::profiles::ProfilesArgs;
use super::{failure, open, path};
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// Arguments of `countersign doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It looks at the profile, its secret, what is kept, the way to the vendor (DNS, TCP, TLS, whether \
somebody answers at the login's path, and at the API if that is elsewhere) and the vendor's clock. \
It does not log in.

With --probe it logs in, in a session of its own, and measures what the vendor really does: how long \
tokens live, whether a refresh token works twice, what a logout ends. A vendor may take the second \
use of a refresh token for theft.

Examples:
  countersign doctor
  countersign doctor b2binpay --json
  countersign doctor b2binpay --probe --path /deposit/")]
pub(crate) struct DoctorArgs {
    /// The profile [default: all]
    #[arg(required_if_eq("probe", "true"))]
    profile: Option<String>,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// Measure how the vendor treats tokens
    #[arg(long)]
    probe: bool,
    /// A path to GET with the probe's access tokens
    #[arg(long, requires = "probe", value_parser = path::parse)]
    path: Option<PathAndQuery>,
    /// Let the probe log out even if that ends every session of the account
    #[arg(long, requires = "probe")]
    end_all: bool,
    /// Do not ask before a probe
    #[arg(long, requires = "probe")]
    yes: bool,
}

impl DoctorArgs {
    fn probe(&self) -> Option<ProbeScope> {
        self.probe.then(|| ProbeScope {
            guarded: self.path.clone(),
            end_all: self.end_all,
        })
    }
}

/// What was found about one profile.
struct Findings {
    profile: String,
    checks: Vec<CheckFinding>,
    measured: Option<Value>,
}

/// Looks at each profile.
pub(super) async fn run(args: &DoctorArgs, output: &mut Output) -> Result<(), Failure> {
    let names: Vec<_> = args.profile.iter().cloned().collect();
    let selected = args.profiles.some(&names)?;
    let probe = args.probe();
    if let Some(probe) = &probe {
        for profile in &selected.profiles {
            confirm(&format!("{} Continue?", probe.warning(profile)), args.yes)?;
        }
    }
    let mut all = Vec::new();
    for profile in &selected.profiles {
        all.push(examine(profile, probe.as_ref()).await?);
    }
    for (name, mistakes) in &selected.faults {
        let mistakes = mistakes.0.iter();
        all.push(Findings {
            profile: name.clone(),
            checks: mistakes
                .map(|it| {
                    CheckFinding::new("profile", CheckVerdict::Bad, it.wrong())
                        .with_help_of(it.help.as_deref())
                })
                .collect(),
            measured: None,
        });
    }
    let items: Vec<_> = all.iter().map(Findings::document).collect();
    let texts: Vec<_> = all.iter().map(Findings::text).collect();
    output.document(&json!({ "items": items }), &texts.join("\n"))?;
    verdict(&all)
}

async fn examine(profile: &Profile, probe: Option<&ProbeScope>) -> Result<Findings, Failure> {
    let mut checks = machine_findings(profile).await;
    checks.extend(way_findings(profile).await.map_err(|it| failure(&it))?);
    let mut measured = None;
    if let Some(probe) = probe {
        let secret = open::secret(profile).await?;
        let extra = open::extra(profile).await.map_err(|it| failure(&it))?;
        let report = probe.probe(profile, secret, &extra).await;
        let report = report.map_err(|it| failure(&it))?;
        checks.extend(report.findings);
        measured = Some(report.measured);
    }
    Ok(Findings {
        profile: profile.name.clone(),
        checks,
        measured,
    })
}

/// The worst that was found decides.
fn verdict(all: &[Findings]) -> Result<(), Failure> {
    let checks = all.iter().flat_map(|it| &it.checks);
    let failed: Vec<_> = checks.filter(|it| it.found.fails()).collect();
    let said = match failed.len() {
        0 => return Ok(()),
        1 => "1 check failed".to_owned(),
        many => format!("{many} checks failed"),
    };
    let worst = failed.iter().map(|it| it.found).max();
    Err(match worst {
        Some(CheckVerdict::Unreachable) => Failure::unavailable(said),
        Some(CheckVerdict::Refused) => Failure::refused(said),
        _ => Failure::failed(said),
    })
}

impl Findings {
    fn text(&self) -> String {
        format!("{}\n{}", self.profile, table(&self.checks))
    }

    fn document(&self) -> Value {
        let checks: Vec<_> = self.checks.iter().map(CheckFinding::document).collect();
        json!({ "profile": self.profile, "checks": checks, "measured": self.measured })
    }
}

/// The checks for people, one to a line, and below it what to do about it.
fn table(checks: &[CheckFinding]) -> String {
    let mut table = Table::headless();
    for check in checks {
        let took = check.took.map(|it| format!(" ({} ms)", it.as_millis()));
        let said = format!("{}{}", check.said, took.unwrap_or_default());
        table.row([check.found.name(), check.name, &said]);
        if let Some(help) = &check.help {
            table.row(["", "", &format!("help: {help}")]);
        }
    }
    table.text()
}
