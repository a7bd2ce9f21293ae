//! SIGHUP, and changes of the files: the profiles are read again, checked, and put
//! in place; one that is wrong stays as it is, and stops no other.
//!
//! Requests that run are finished as they began. A profile that did not change
//! keeps its sidecar, with its session. Where a profile is listened for stays until
//! a restart. A login secret is read for each login anyway.

use std::sync::Arc;
use std::time::Duration;

use countersign_client::Profiles;
use countersign_sidecar::Sidecar;
use countersign_transport::FileStamp;
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use super::CarryingArgs;
use super::probes::OutdatedProfiles;
use super::profile_sidecar::RunningSidecar;
use super::sidecar_parts::SidecarParts;
use crate::client::{ProfilesArgs, one};
use crate::exit::Failure;
use crate::serve::notify;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where profiles are, and what the command line says of all.
#[derive(Clone)]
pub(super) struct ProfilesOrigin {
    pub(super) file: ProfilesArgs,
    pub(super) carrying: CarryingArgs,
}

/// Reads profiles again when it is told to, or they changed.
pub(super) struct ProfileReload {
    pub(super) origin: ProfilesOrigin,
    pub(super) posts: Vec<RunningSidecar>,
    /// Reported by the health check.
    pub(super) outdated: OutdatedProfiles,
}

impl ProfileReload {
    /// Reloads for as long as it runs.
    pub(super) async fn run(mut self, mut hangups: Signal) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.stamps();
        loop {
            tokio::select! {
                signal = hangups.recv() => if signal.is_none() { return },
                _ = ticks.tick() => if seen == self.stamps() { continue },
            }
            seen = self.stamps();
            notify::reloading();
            let outcome = match self.reload() {
                Ok(()) => "done",
                Err(failure) => {
                    tracing::error!("profiles with mistakes stay as they were: {failure}");
                    "refused"
                }
            };
            metrics::counter!("countersign_reloads_total", "outcome" => outcome).increment(1);
            notify::ready();
        }
    }

    /// The files as they are now.
    fn stamps(&self) -> Vec<Option<FileStamp>> {
        let of_posts = self.posts.iter().flat_map(|post| post.made.files());
        let files = self.origin.file.file().into_iter().chain(of_posts);
        files.map(|file| FileStamp::take(&file)).collect()
    }

    fn reload(&mut self) -> Result<(), Failure> {
        let profiles = self.origin.file.all().inspect_err(|_| {
            let all = self.posts.iter().map(|post| post.name().to_owned());
            self.outdated.store(Arc::new(all.collect()));
        })?;
        let next = self.posts.iter().map(|post| self.next(post, &profiles));
        let next: Vec<_> = next.collect();
        let (mut changed, mut failed) = (Vec::new(), None);
        let mut outdated = Vec::new();
        for (post, next) in self.posts.iter_mut().zip(next) {
            match next {
                Ok(Some((made, sidecar))) => {
                    post.made = made;
                    post.current.store(Arc::new(sidecar));
                    changed.push(post.name());
                }
                Ok(None) => {}
                Err(failure) => {
                    let profile = post.name();
                    tracing::error!(profile, "this profile stays as it was: {failure}");
                    outdated.push(profile.to_owned());
                    failed = Some(failure);
                }
            }
        }
        self.outdated.store(Arc::new(outdated));
        let changed = changed.join(" ");
        tracing::info!(changed, "the profiles were read again");
        failed.map_or(Ok(()), Err)
    }

    /// What takes a sidecar's place, if it is to be another.
    fn next(
        &self,
        post: &RunningSidecar,
        profiles: &Profiles,
    ) -> Result<Option<(SidecarParts, Sidecar)>, Failure> {
        let made = SidecarParts::load(one(profiles, post.name())?)?;
        if made == post.made {
            return Ok(None);
        }
        if post.target.address.is_none() && made.profile.listen != post.made.profile.listen {
            let profile = post.name();
            tracing::warn!(profile, "a change of `listen` needs a restart");
        }
        let sidecar = made.sidecar(self.origin.carrying)?;
        Ok(Some((made, sidecar)))
    }
}
