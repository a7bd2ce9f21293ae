//! `countersign doctor`: checks everything on the way to a token, and says what is wrong.

mod check;
mod date;
mod here;
mod probe;
mod reach;

use countersign_client::Profile;
use countersign_domain::TokenOperation;
use http::uri::PathAndQuery;
use serde_json::{Value, json};

use self::check::{Check, Found};
use self::reach::Target;
use super::profiles::ProfilesArgs;
use super::{open, path};
use crate::exit::Failure;
use crate::output::Output;

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

/// What was found about one profile.
struct Findings {
    profile: String,
    checks: Vec<Check>,
    measured: Option<Value>,
}

/// Looks at each profile.
pub(super) async fn run(args: &DoctorArgs, output: &mut Output) -> Result<(), Failure> {
    let names: Vec<_> = args.profile.iter().cloned().collect();
    let selected = args.profiles.some(&names)?;
    if args.probe {
        for profile in &selected.profiles {
            probe::ask_first(profile, args)?;
        }
    }
    let mut all = Vec::new();
    for profile in &selected.profiles {
        all.push(examine(profile, args).await?);
    }
    for (name, mistakes) in &selected.faults {
        let mistakes = mistakes.0.iter();
        all.push(Findings {
            profile: name.clone(),
            checks: mistakes
                .map(|it| Check::new("profile", Found::Bad, it.to_string()))
                .collect(),
            measured: None,
        });
    }
    let items: Vec<_> = all.iter().map(Findings::document).collect();
    let texts: Vec<_> = all.iter().map(Findings::text).collect();
    output.document(&json!({ "items": items }), &texts.join("\n"))?;
    verdict(&all)
}

async fn examine(profile: &Profile, args: &DoctorArgs) -> Result<Findings, Failure> {
    let mut checks = here::checks(profile).await;
    checks.extend(way(profile).await?);
    let mut measured = None;
    if args.probe {
        let (found, document) = probe::of(profile, args).await?;
        checks.extend(found);
        measured = Some(document);
    }
    Ok(Findings {
        profile: profile.name.clone(),
        checks,
        measured,
    })
}

async fn way(profile: &Profile) -> Result<Vec<Check>, Failure> {
    let mut operations = profile.dialect.operations();
    let login = operations
        .find(|it| it.operation == TokenOperation::Login && it.variant == profile.variant);
    let Some(login) = login else {
        return Ok(Vec::new());
    };
    let (roots, proxies) = (open::roots(profile)?, profile.proxies());
    let target = Target {
        url: &profile.auth_url,
        roots: &roots,
        proxies: &proxies,
        login: Some((&login.path, &login.method)),
    };
    let mut checks = reach::checks(&target).await;
    if profile.auth_url != profile.url {
        let api = Target {
            url: &profile.url,
            roots: &roots,
            proxies: &proxies,
            login: None,
        };
        checks.extend(reach::checks(&api).await);
    }
    Ok(checks)
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
        Some(Found::Unreachable) => Failure::unavailable(said),
        Some(Found::Refused) => Failure::refused(said),
        _ => Failure::failed(said),
    })
}

impl Findings {
    fn text(&self) -> String {
        format!("{}\n{}", self.profile, check::table(&self.checks))
    }

    fn document(&self) -> Value {
        let checks: Vec<_> = self.checks.iter().map(Check::document).collect();
        json!({ "profile": self.profile, "checks": checks, "measured": self.measured })
    }
}
