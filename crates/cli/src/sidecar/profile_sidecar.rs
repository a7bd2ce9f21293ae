//! The sidecar of one profile, at its address.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_client::Profiles;
use countersign_sidecar::{BoundSidecar, Sidecar, SidecarAddress};
use countersign_transport::{DrainOutcome, ListenerLimits};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::CarryingArgs;
use super::listen_target::ListenTarget;
use super::sidecar_parts::SidecarParts;
use crate::client::one;
use crate::exit::Failure;
use crate::serve::listeners::until;

/// A profile and its sidecar, which a reload replaces.
pub(super) struct RunningSidecar {
    pub(super) target: ListenTarget,
    /// Where it listens, which stays until a restart.
    pub(super) address: SidecarAddress,
    pub(super) made: SidecarParts,
    pub(super) current: Arc<ArcSwap<Sidecar>>,
}

/// What is made before anything listens.
pub(super) struct PlannedSidecar {
    target: ListenTarget,
    address: SidecarAddress,
    made: SidecarParts,
    sidecar: Sidecar,
}

impl PlannedSidecar {
    pub(super) fn new(
        target: &ListenTarget,
        profiles: &Profiles,
        carrying: CarryingArgs,
    ) -> Result<Self, Failure> {
        let made = SidecarParts::load(one(profiles, &target.profile)?)?;
        Ok(Self {
            target: target.clone(),
            address: target.address(&made.profile)?,
            sidecar: made.sidecar(carrying)?,
            made,
        })
    }

    /// Listens.
    pub(super) async fn bind(self) -> Result<(RunningSidecar, BoundSidecar), Failure> {
        let bound = self.address.bind().await.map_err(|fault| {
            Failure::unavailable(format!("profile {}: {fault}", self.made.profile.name))
        })?;
        let post = RunningSidecar {
            target: self.target,
            address: bound.address().clone(),
            made: self.made,
            current: Arc::new(ArcSwap::from_pointee(self.sidecar)),
        };
        Ok((post, bound))
    }
}

impl RunningSidecar {
    pub(super) fn name(&self) -> &str {
        &self.made.profile.name
    }

    /// What people are told of it.
    pub(super) fn line(&self) -> String {
        let (address, profile) = (&self.address, &self.made.profile);
        format!("{}  {address}  ->  {}\n", profile.name, profile.url)
    }

    /// The same for `--json`.
    pub(super) fn document(&self) -> Value {
        json!({
            "profile": self.name(),
            "listen": self.address.to_string(),
            "url": self.made.profile.url.to_string(),
        })
    }
}

/// Serves a post until `stop`, and drains.
pub(super) async fn serve(
    bound: BoundSidecar,
    current: Arc<ArcSwap<Sidecar>>,
    drain_timeout: Duration,
    stop: watch::Receiver<bool>,
) -> DrainOutcome {
    let limits = ListenerLimits {
        // A vendor that takes long is given up by its own limit.
        request_timeout: None,
        drain_timeout,
        ..ListenerLimits::default()
    };
    countersign_sidecar::serve(bound, current, limits, until(stop)).await
}
