//! The settings of a sandbox, and how it is opened.

mod error;
mod opening;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, Secret};
use countersign_domain::Timestamp;
use countersign_domain::session::DEFAULT_WINDOW;
use countersign_relay::UpstreamSettings;
use countersign_store::clock::StoreClock;

pub use self::error::SetupError;

/// A free port of this machine.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a sandbox is to be. All that is not said is as the dialect presets it.
#[derive(Clone, Debug)]
#[must_use]
pub struct SandboxSetup {
    dialect: Result<Arc<Dialect>, String>,
    listen: SocketAddr,
    control: Option<SocketAddr>,
    clock: SetupStart,
    access: Option<Duration>,
    refresh: Option<Duration>,
    window: Duration,
    budget: Option<Option<u32>>,
    anonymous: Option<Option<u32>>,
    login: Option<String>,
    secret: Option<Secret>,
    latency: Duration,
    seed: u64,
    upstream: Option<UpstreamSettings>,
}

#[derive(Clone, Copy, Debug)]
enum SetupStart {
    Running,
    Still,
    StillAt(Timestamp),
}

impl SandboxSetup {
    pub(crate) fn shipped(name: &str) -> Self {
        let compiled = match Dialect::shipped(name) {
            Some(source) => Dialect::compile(source, name).map_err(|mistakes| mistakes.to_string()),
            None => Err(unknown(name)),
        };
        Self::new(compiled.map(Arc::new))
    }

    pub(crate) fn speaking(dialect: Arc<Dialect>) -> Self {
        Self::new(Ok(dialect))
    }

    fn new(dialect: Result<Arc<Dialect>, String>) -> Self {
        Self {
            dialect,
            listen: HERE,
            control: None,
            clock: SetupStart::Running,
            access: None,
            refresh: None,
            window: DEFAULT_WINDOW,
            budget: None,
            anonymous: None,
            login: None,
            secret: None,
            latency: Duration::ZERO,
            seed: 0,
            upstream: None,
        }
    }

    /// On this address, instead of a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// With control endpoints for tests in other languages, on a free port of
    /// 127.0.0.1 or on this address.
    pub fn controlled(mut self, address: Option<SocketAddr>) -> Self {
        self.control = Some(address.unwrap_or(HERE));
        self
    }

    /// With a clock that stays at the current time until it is moved.
    pub fn still(mut self) -> Self {
        self.clock = SetupStart::Still;
        self
    }

    /// With a clock that stands still at this instant until it is moved.
    pub fn still_at(mut self, instant: Timestamp) -> Self {
        self.clock = SetupStart::StillAt(instant);
        self
    }

    /// With these lives of access and refresh tokens.
    pub fn lifetimes(self, access: Duration, refresh: Duration) -> Self {
        self.access(access).refresh(refresh)
    }

    /// With this life of an access token, in whole seconds.
    pub fn access(mut self, life: Duration) -> Self {
        self.access = Some(life);
        self
    }

    /// With this life of a refresh token, in whole seconds.
    pub fn refresh(mut self, life: Duration) -> Self {
        self.refresh = Some(life);
        self
    }

    /// With this window in which a refresh may be repeated with the same token, as
    /// after a lost reply; with zero the second use is punished once time has passed.
    pub fn replay_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// With so many logins a minute from one address, right ones too; `None` for
    /// any number.
    pub fn anonymous_per_minute(mut self, logins: Option<u32>) -> Self {
        self.anonymous = Some(logins);
        self
    }

    /// With so many requests for each access token; `None` for any number.
    pub fn budget(mut self, requests: Option<u32>) -> Self {
        self.budget = Some(requests);
        self
    }

    /// With this login.
    pub fn login(mut self, login: impl Into<String>) -> Self {
        self.login = Some(login.into());
        self
    }

    /// With this secret, instead of a generated one.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// With every reply so much later, by the real clock.
    pub fn latency(mut self, by: Duration) -> Self {
        self.latency = by;
        self
    }

    /// With this server behind the guard, instead of the echo.
    pub fn upstream(mut self, upstream: UpstreamSettings) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// With other requests struck by faults that have a rate.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl SetupStart {
    fn clock(self) -> StoreClock {
        let running = StoreClock::movable();
        match self {
            Self::Running => running,
            Self::Still => StoreClock::manual(running.now()),
            Self::StillAt(instant) => StoreClock::manual(instant),
        }
    }
}

fn unknown(name: &str) -> String {
    let names = Dialect::SHIPPED.iter().map(|(known, _)| *known);
    let all = names.clone().collect::<Vec<_>>().join(", ");
    let meant = did_you_mean(name, names);
    let meant = meant.map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{name:?} is not a dialect that comes with the program{meant}: there are {all}")
}
