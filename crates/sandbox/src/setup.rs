//! What a sandbox is to be, and how it is opened.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::document::did_you_mean;
use countersign_dialect::{Dialect, Mistakes, Secret};
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::session::{DEFAULT_WINDOW, Lifetimes};
use countersign_domain::{AccountId, AccountLimits, Algorithm, ApiName, Limits, Timestamp};
use countersign_gateway::{
    Allowances, Budgets, Gateway, GuardedApi, Routes, Slash, Upstream, UpstreamFault,
    UpstreamSettings, Uses, View,
};
use countersign_server::api::{Api, ApiFault, ApiSettings};
use countersign_server::clock::Clock;
use countersign_server::generated_key;
use countersign_server::issuer::Issuer;
use countersign_server::password::Passwords;
use countersign_server::random::NoRandomness;
use countersign_server::seal::{MasterKey, MasterKeyError};
use countersign_server::store::{
    Actor, CreateError, NewAccount, NewCredential, OpenError, Store, Unavailable,
};
use countersign_server::throttle::ThrottleSettings;
use countersign_transport::{Limits as Bounds, Listener, serve};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};

use crate::armed::Armed;
use crate::echo::echo;
use crate::lending::StoreLends;
use crate::record::Requests;
use crate::sandbox::Sandbox;
use crate::vendor::Vendor;

/// How many sessions are remembered as used, and tokens with a budget.
const MOST: usize = 100_000;

/// How long requests that run may go on after the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What a sandbox is to be. All that is not said is as the dialect presets it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Setup {
    dialect: Result<Arc<Dialect>, String>,
    listen: SocketAddr,
    clock: Start,
    access: Option<Duration>,
    refresh: Option<Duration>,
    window: Duration,
    budget: Option<Option<u32>>,
    login: Option<String>,
    secret: Option<Secret>,
    latency: Duration,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Running,
    Still,
    StillAt(Timestamp),
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No dialect with this name comes with the program.
    #[error("{0}")]
    NoDialect(String),
    /// The dialect is wrong.
    #[error(transparent)]
    Dialect(#[from] Mistakes),
    /// The dialect is for clients only.
    #[error("the dialect {0} is for clients only: it cannot issue")]
    NotForIssuers(String),
    /// The lifetimes do not fit together, or into tokens.
    #[error("{0}")]
    Lifetimes(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The store in memory could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store in memory failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] MasterKeyError),
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The api could not be opened.
    #[error(transparent)]
    Api(#[from] ApiFault),
    /// The account could not be made.
    #[error("the account could not be made: {0}")]
    Account(#[from] CreateError),
    /// The echo could not be reached.
    #[error(transparent)]
    Upstream(#[from] UpstreamFault),
    /// Something is wrong with the sandbox itself.
    #[error("this is a mistake of the sandbox, please report it: {0}")]
    Bug(String),
}

impl Setup {
    pub(crate) fn shipped(name: &str) -> Self {
        let compiled = match Dialect::shipped(name) {
            Some(source) => Dialect::compile(source, name).map_err(|mistakes| mistakes.to_string()),
            None => Err(unknown(name)),
        };
        Self::of(compiled.map(Arc::new))
    }

    pub(crate) fn speaking(dialect: Arc<Dialect>) -> Self {
        Self::of(Ok(dialect))
    }

    fn of(dialect: Result<Arc<Dialect>, String>) -> Self {
        Self {
            dialect,
            listen: ([127, 0, 0, 1], 0).into(),
            clock: Start::Running,
            access: None,
            refresh: None,
            window: DEFAULT_WINDOW,
            budget: None,
            login: None,
            secret: None,
            latency: Duration::ZERO,
            seed: 0,
        }
    }

    /// On this address, instead of a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// With a clock that stands still, at the time of now, until it is moved.
    pub fn still(mut self) -> Self {
        self.clock = Start::Still;
        self
    }

    /// With a clock that stands still at this instant until it is moved.
    pub fn still_at(mut self, instant: Timestamp) -> Self {
        self.clock = Start::StillAt(instant);
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

    /// With other requests struck by faults that have a rate.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts it. It ends when what is given is dropped, or with the runtime.
    ///
    /// # Errors
    ///
    /// What was said does not fit together, or this machine does not let it.
    pub async fn start(self) -> Result<Sandbox, SetupError> {
        let dialect = self.dialect.clone().map_err(SetupError::NoDialect)?;
        if !dialect.serves().issuer {
            return Err(SetupError::NotForIssuers(dialect.name().to_owned()));
        }
        let lifetimes = self.lives(&dialect)?;
        let (stop, stopped) = watch::channel(false);
        let (vendor, echoing) = self.open(dialect, lifetimes, stopped.clone()).await?;
        let listener = bind(self.listen).await?;
        let url = url(&listener)?;
        let vendor = Arc::new(vendor);
        let answering = Arc::clone(&vendor);
        let answer = move |request, peer| Arc::clone(&answering).answer(request, peer);
        // A request over HTTP/2 shares its connection: none could be cut alone.
        let listener = Listener::new(listener).without_http2();
        let serving = tokio::spawn(async move {
            serve(listener, bounds(), answer, until(stopped)).await;
        });
        Ok(Sandbox {
            vendor,
            url,
            stop,
            listening: vec![serving, echoing],
        })
    }

    async fn open(
        &self,
        dialect: Arc<Dialect>,
        lifetimes: Lifetimes,
        stopped: watch::Receiver<bool>,
    ) -> Result<(Vendor, tokio::task::JoinHandle<()>), SetupError> {
        let clock = self.clock.clock();
        let view = Arc::new(View::new());
        let (told, time) = (Arc::clone(&view), clock.clone());
        let store = Store::in_memory(clock.clone(), move |notices| {
            let now = time.now();
            notices.iter().for_each(|notice| told.apply(notice, now));
        })?;
        let master = MasterKey::unkept()?;
        let settings = self.settings(dialect, lifetimes)?;
        // The others take long, and few clients ever need them.
        let quick = BTreeSet::from([Algorithm::Hs256]);
        let api = Api::load_of(settings, &quick, &store, &master).await?;
        let login = self.login_of(api.dialect())?;
        let secret = self.secret_of(api.dialect())?;
        let account = create_account(&store, &api, &login, &secret).await?;
        let (upstream, echoing) = start_echo(api.name(), stopped).await?;
        let vendor = Vendor {
            guarded: guarded(&api, upstream)?,
            issuer: Issuer::new(store.clone(), Passwords::none()),
            gateway: gateway(&store, &view),
            api,
            master,
            keys: OnceCell::new(),
            moves: watch::Sender::new(clock.now()),
            clock,
            store,
            view,
            account,
            login,
            secret,
            armed: Armed::new(self.seed),
            requests: Requests::default(),
            latency: self.latency,
        };
        Ok((vendor, echoing))
    }

    fn settings(
        &self,
        dialect: Arc<Dialect>,
        lifetimes: Lifetimes,
    ) -> Result<ApiSettings, SetupError> {
        let preset = dialect.preset();
        let name: Result<ApiName, _> = dialect.name().parse();
        Ok(ApiSettings {
            name: name.map_err(|error| SetupError::Bug(error.to_string()))?,
            limits: Limits {
                budget: self.budget.unwrap_or(preset.budget),
                ..Limits::default()
            },
            throttle: ThrottleSettings::of(preset),
            lifetimes,
            passwords: false,
            dialect,
        })
    }

    fn lives(&self, dialect: &Dialect) -> Result<Lifetimes, SetupError> {
        let preset = dialect.preset();
        let access = self.access.unwrap_or(preset.access);
        let refresh = self.refresh.unwrap_or(preset.refresh);
        let is_whole = |life: Duration| life >= Duration::from_secs(1) && life.subsec_nanos() == 0;
        if !is_whole(access) || !is_whole(refresh) {
            return Err(SetupError::Lifetimes(
                "a token lives for whole seconds, which is how it says it".to_owned(),
            ));
        }
        if access > refresh {
            return Err(SetupError::Lifetimes(format!(
                "an access token would live for {access:?}, longer than the refresh token with \
                 {refresh:?}: give both"
            )));
        }
        Ok(Lifetimes {
            access,
            refresh,
            absolute: preset.absolute.max(refresh),
            window: self.window,
        })
    }

    fn login_of(&self, dialect: &Dialect) -> Result<String, SetupError> {
        match &self.login {
            Some(login) => Ok(dialect.fold_login(login)),
            None if dialect.credential().is_some() => Ok(generated_key::login(dialect, None)?),
            None => Ok("sandbox".to_owned()),
        }
    }

    fn secret_of(&self, dialect: &Dialect) -> Result<Secret, SetupError> {
        match &self.secret {
            Some(secret) => Ok(secret.clone()),
            None => Ok(generated_key::key(dialect)?),
        }
    }
}

impl Start {
    fn clock(self) -> Clock {
        let running = Clock::movable();
        match self {
            Self::Running => running,
            Self::Still => Clock::manual(running.now()),
            Self::StillAt(instant) => Clock::manual(instant),
        }
    }
}

fn unknown(name: &str) -> String {
    let names = Dialect::SHIPPED.iter().map(|(known, _)| *known);
    let all = names.clone().collect::<Vec<_>>().join(", ");
    let meant = did_you_mean(name, names);
    let meant = meant.map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{name:?} is no dialect that comes with the program{meant}: there are {all}")
}

async fn create_account(
    store: &Store,
    api: &Api,
    login: &str,
    secret: &Secret,
) -> Result<AccountId, SetupError> {
    let hash = StoredSecret::Key(api.pepper.hash(secret.expose()));
    let account = NewAccount {
        api: api.name().clone(),
        id: None,
        credential: NewCredential::new(login, hash),
        limits: AccountLimits::default(),
        allow: Allowlist::default(),
        active: true,
    };
    let (account, _) = store.create_account(account, Actor::System).await?;
    Ok(account.id)
}

async fn start_echo(
    api: &ApiName,
    stopped: watch::Receiver<bool>,
) -> Result<(Upstream, tokio::task::JoinHandle<()>), SetupError> {
    let listener = bind(([127, 0, 0, 1], 0).into()).await?;
    let url = url(&listener)?
        .parse()
        .map_err(|error| SetupError::Bug(format!("{error}")))?;
    let echoing = tokio::spawn(async move {
        serve(
            listener,
            bounds(),
            |request, _| echo(request),
            until(stopped),
        )
        .await;
    });
    Ok((Upstream::new(api, UpstreamSettings::new(url))?, echoing))
}

/// Every path that is no token endpoint.
fn guarded(api: &Api, upstream: Upstream) -> Result<GuardedApi, SetupError> {
    let routes = Routes::new(&["/*"], Vec::new(), Slash::Exact);
    let routes = routes.map_err(|faults| SetupError::Bug(format!("{faults:?}")))?;
    let (name, dialect) = (api.name().clone(), api.dialect().clone());
    Ok(
        GuardedApi::new(name, dialect, api.keychain().clone(), routes)
            .with_limits(api.settings.limits)
            .with_access_lifetime(api.settings.lifetimes.access)
            .with_static_keys(Arc::clone(&api.pepper))
            .with_upstream(upstream),
    )
}

fn gateway(store: &Store, view: &Arc<View>) -> Gateway {
    let marks = store.clone();
    let uses = Uses::new(MOST, move |session, generation| {
        marks.mark_used(session, generation);
    });
    let budgets = Budgets::new(MOST, Box::new(StoreLends(store.clone())));
    let allowances = Allowances::new(Arc::clone(view)).with_budgets(budgets);
    Gateway::new(Arc::clone(view), Arc::new(uses)).with_allowances(Arc::new(allowances))
}

fn bounds() -> Bounds {
    Bounds {
        drain_timeout: DRAIN,
        ..Bounds::default()
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, SetupError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| SetupError::Listen { address, source })
}

fn url(listener: &TcpListener) -> Result<String, SetupError> {
    let address = listener.local_addr();
    let address = address.map_err(|error| SetupError::Bug(error.to_string()))?;
    Ok(format!("http://{address}"))
}

/// Waits for `true`, or for the sender to go.
async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}
