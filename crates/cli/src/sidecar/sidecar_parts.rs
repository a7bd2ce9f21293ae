//! What a sidecar is made of, read from a profile and the files that it names. Two
//! that are equal make the same sidecar, so a reload keeps it, with its session.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::{NamedFile, Profile};
use countersign_dialect::Secret;
use countersign_outbound::TrustedRoots;
use countersign_relay::{UpstreamSettings, UpstreamTimeouts};
use countersign_sidecar::{Sidecar, SidecarSetup};

use super::CarryingArgs;
use crate::client::failure;
use crate::exit::Failure;

/// What a sidecar is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SidecarParts {
    pub(super) profile: Profile,
    key: Option<Secret>,
    roots: TrustedRoots,
}

/// The shortest key that is one.
const SHORTEST_KEY: usize = 16;

/// How long a vendor, far away, may take to be connected to.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

impl SidecarParts {
    /// Reads the files that a profile names.
    pub(super) fn load(profile: &Profile) -> Result<Self, Failure> {
        let named = |fault: PartFault| {
            let said = format!("profile {}: {}", profile.name, fault.said);
            Failure::usage(said).with_help_of(fault.help)
        };
        let key = profile.key_file.as_deref().map(key).transpose();
        let roots = profile.roots.as_deref().map(roots).transpose();
        Ok(Self {
            profile: profile.clone(),
            key: key.map_err(named)?,
            roots: roots.map_err(named)?.unwrap_or_default(),
        })
    }

    /// The sidecar. To be made within a runtime.
    pub(super) fn sidecar(&self, carrying: CarryingArgs) -> Result<Sidecar, Failure> {
        let profile = &self.profile;
        let source = profile.source().and_then(|builder| builder.build());
        let timeouts = UpstreamTimeouts {
            connect: CONNECT_WITHIN,
            response_head: carrying.vendor_timeout,
            keep_alive: carrying.vendor_idle_timeout,
            ..UpstreamTimeouts::default()
        };
        let proxy = profile.proxies().proxy_for(&profile.url);
        let proxy = proxy.map_err(|fault| {
            let said = format!("profile {}: {fault}", profile.name);
            Failure::usage(said).with_help_of(fault.help())
        })?;
        let setup = SidecarSetup {
            name: profile.name.parse().map_err(Failure::bug)?,
            source: source.map_err(|error| failure(&error))?,
            dialect: profile.dialect.clone(),
            upstream: UpstreamSettings {
                timeouts,
                roots: self.roots.clone(),
                proxy,
                ..UpstreamSettings::new(profile.url.clone())
            },
            allow: profile.allow.clone(),
            key: self.key.clone(),
            access_log: carrying.access_log,
        };
        Sidecar::new(setup)
            .map_err(|fault| Failure::usage(format!("profile {}: {fault}", profile.name)))
    }

    /// The files that were read, beside the profiles'.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let named = [&self.profile.key_file, &self.profile.roots];
        named.into_iter().filter_map(Clone::clone)
    }
}

/// What is wrong with a file, and what to do about it.
struct PartFault {
    said: String,
    help: Option<String>,
}

impl PartFault {
    fn new(said: String) -> Self {
        Self { said, help: None }
    }

    fn with_help(self, help: String) -> Self {
        Self {
            help: Some(help),
            ..self
        }
    }
}

/// The key in a file that not everybody can read.
fn key(path: &Path) -> Result<Secret, PartFault> {
    let shown = path.display();
    let cannot =
        |error: std::io::Error| PartFault::new(format!("key_file {shown} cannot be read: {error}"));
    let file = NamedFile::key(path).map_err(cannot)?;
    if file.metadata().permissions().mode() & 0o007 != 0 {
        let fault = PartFault::new(format!("everybody can read key_file {shown}"));
        return Err(fault.with_help(format!("run `chmod o= {shown}`")));
    }
    let text = file.text(NamedFile::LARGEST_SECRET).map_err(cannot)?;
    let key = Secret::from(text.trim_end_matches(['\n', '\r']));
    let fits = key.expose().len() >= SHORTEST_KEY
        && key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(key).ok_or_else(|| {
        PartFault::new(format!("key_file {shown} contains no key")).with_help(format!(
            "write one of at least {SHORTEST_KEY} letters and digits"
        ))
    })
}

fn roots(path: &Path) -> Result<TrustedRoots, PartFault> {
    let read = NamedFile::open(path).and_then(|it| it.bytes(NamedFile::LARGEST_TEXT));
    read.map(|it| TrustedRoots::Pem(it.to_vec()))
        .map_err(|error| {
            PartFault::new(format!("roots {} cannot be read: {error}", path.display()))
        })
}
