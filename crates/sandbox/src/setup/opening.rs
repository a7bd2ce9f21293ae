//! Opens a sandbox: the store, the api with its account, the guard with the echo
//! behind it, and the listeners.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, PresetLifetimes, Secret, VendorPreset};
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{
    AccountId, AccountLimits, Algorithm, ApiLimits, ApiName, Routes, TrailingSlash,
};
use countersign_gateway::{
    FirstUses, Gateway, GuardedApi, RequestAllowances, RevocationView, TokenBudgets,
};
use countersign_relay::{Upstream, UpstreamSettings};
use countersign_server::api::{ApiSettings, IssuingApi, VariantSettings};
use countersign_server::generated_key;
use countersign_server::issuer::Issuer;
use countersign_server::password::PasswordPool;
use countersign_server::throttle::ThrottleSettings;
use countersign_store::random::random;
use countersign_store::seal::MasterKey;
use countersign_store::{AuditActor, NewAccount, NewCredential, Store};
use countersign_transport::{Listener, ListenerLimits as Bounds, serve};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use super::{HERE, SandboxSetup, SetupError};
use crate::armed_faults::ArmedFaults;
use crate::control::SandboxControl;
use crate::echo::echo;
use crate::record::RequestRecorder;
use crate::sandbox::{ControlHandle, Sandbox};
use crate::store_budget_lender::StoreBudgetLender;
use crate::vendor::{PruneSchedule, SandboxVendor, WrittenGenerations};

/// How many tokens with a budget may be in use at once.
const MOST: usize = 100_000;

/// How long requests that run may go on after the end.
const DRAIN: Duration = Duration::from_secs(5);

impl SandboxSetup {
    /// Starts it. It ends when what is given is dropped, or with the runtime.
    ///
    /// # Errors
    ///
    /// What was said does not fit together, or this machine does not let it.
    pub async fn start(self) -> Result<Sandbox, SetupError> {
        let given = self.dialect.clone().map_err(SetupError::NoDialect)?;
        let playable = given.playable();
        let playable = playable.map_err(|error| SetupError::Bug(error.to_string()))?;
        let dialect = Arc::new(playable.dialect);
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
        let told = stopped.clone();
        let serving = tokio::spawn(async move {
            serve(listener, bounds(), answer, until(told)).await;
        });
        let mut listening = vec![serving];
        listening.extend(echoing);
        let control = match self.control {
            Some(address) => {
                let (handle, controlling) = control(address, &vendor, stopped).await?;
                listening.push(controlling);
                Some(handle)
            }
            None => None,
        };
        Ok(Sandbox {
            vendor,
            given,
            made_up: playable.made_up,
            not_played: playable.not_played,
            url,
            control,
            stop,
            listening,
        })
    }

    async fn open(
        &self,
        dialect: Arc<Dialect>,
        lifetimes: SessionLifetimes,
        stopped: watch::Receiver<bool>,
    ) -> Result<(SandboxVendor, Option<JoinHandle<()>>), SetupError> {
        let clock = self.clock.clock();
        let view = Arc::new(RevocationView::new());
        let (told, time) = (Arc::clone(&view), clock.clone());
        let store = Store::in_memory(clock.clone(), move |notices| {
            let now = time.now();
            notices.iter().for_each(|notice| told.apply(notice, now));
        })?;
        let master = MasterKey::unkept()?;
        let settings = self.settings(dialect, lifetimes)?;
        // The others take long, and few clients ever need them.
        let quick = BTreeSet::from([Algorithm::Hs256]);
        let api = IssuingApi::load_of(settings, &quick, &store, &master).await?;
        let login = self.login_of(api.dialect())?;
        let secret = self.secret_of(api.dialect())?;
        let account = create_account(&store, &api, &login, &secret).await?;
        let (upstream, echoing) = match &self.upstream {
            Some(settings) => (Upstream::new(api.name().as_str(), settings.clone())?, None),
            None => {
                let (upstream, echoing) = start_echo(api.name(), stopped).await?;
                (upstream, Some(echoing))
            }
        };
        let allowances = allowances(&store, &view);
        let vendor = SandboxVendor {
            guarded: guarded(&api, upstream)?,
            issuer: Issuer::new(store.clone(), PasswordPool::none()),
            gateway: gateway(&view, &allowances),
            allowances,
            used: WrittenGenerations::default(),
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
            armed: ArmedFaults::new(self.seed),
            requests: RequestRecorder::default(),
            latency: self.latency,
            pruning: PruneSchedule::default(),
        };
        Ok((vendor, echoing))
    }

    fn settings(
        &self,
        dialect: Arc<Dialect>,
        lifetimes: SessionLifetimes,
    ) -> Result<ApiSettings, SetupError> {
        let preset = dialect.preset();
        let mut throttle = ThrottleSettings::from_preset(preset);
        let anonymous = self.anonymous.unwrap_or(preset.anonymous_per_minute);
        throttle.anonymous_per_minute = anonymous.and_then(NonZeroU32::new);
        let variants = dialect.variant_presets().map(|(variant, preset)| {
            Ok(VariantSettings {
                variant,
                lifetimes: self.lives_of(
                    preset,
                    dialect.stated_lives_of(variant),
                    dialect.refreshes(variant),
                )?,
                budget: self.budget.unwrap_or(preset.budget),
            })
        });
        let variants = variants.collect::<Result<_, SetupError>>()?;
        let name: Result<ApiName, _> = dialect.name().parse();
        Ok(ApiSettings {
            name: name.map_err(|error| SetupError::Bug(error.to_string()))?,
            limits: ApiLimits {
                budget: self.budget.unwrap_or(preset.budget),
                ..ApiLimits::default()
            },
            throttle,
            lifetimes,
            variants,
            passwords: false,
            dialect,
        })
    }

    fn lives(&self, dialect: &Dialect) -> Result<SessionLifetimes, SetupError> {
        self.lives_of(dialect.preset(), dialect.stated_lives(), true)
    }

    fn lives_of(
        &self,
        preset: &VendorPreset,
        stated: PresetLifetimes,
        refreshes: bool,
    ) -> Result<SessionLifetimes, SetupError> {
        let access = self.access.unwrap_or(preset.access);
        // A life that nobody stated gives way to one that somebody did.
        let refresh = self.refresh.unwrap_or(match stated.refresh {
            Some(refresh) => refresh,
            None => preset.refresh.max(access),
        });
        let is_whole = |life: Duration| life >= Duration::from_secs(1) && life.subsec_nanos() == 0;
        if !is_whole(access) || !is_whole(refresh) {
            return Err(SetupError::Lifetimes(
                "a token lives for whole seconds, which is how it says it".to_owned(),
            ));
        }
        if refreshes && access > refresh {
            return Err(SetupError::Lifetimes(format!(
                "an access token would live for {access:?}, longer than the refresh token with \
                 {refresh:?}: give both"
            )));
        }
        Ok(SessionLifetimes {
            access,
            refresh,
            absolute: preset.absolute.max(refresh).max(access),
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

async fn create_account(
    store: &Store,
    api: &IssuingApi,
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
    let (account, _) = store.create_account(account, AuditActor::System).await?;
    Ok(account.id)
}

async fn control(
    address: SocketAddr,
    vendor: &Arc<SandboxVendor>,
    stopped: watch::Receiver<bool>,
) -> Result<(ControlHandle, JoinHandle<()>), SetupError> {
    let listener = bind(address).await?;
    let key = Secret::from(hex::encode(random::<32>()?));
    let url = url(&listener)?;
    let control = Arc::new(SandboxControl {
        vendor: Arc::clone(vendor),
        key: key.clone(),
    });
    let answer = move |request, _| Arc::clone(&control).answer(request);
    let controlling = tokio::spawn(async move {
        serve(listener, bounds(), answer, until(stopped)).await;
    });
    Ok((ControlHandle { url, key }, controlling))
}

async fn start_echo(
    api: &ApiName,
    stopped: watch::Receiver<bool>,
) -> Result<(Upstream, JoinHandle<()>), SetupError> {
    let listener = bind(HERE).await?;
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
    Ok((
        Upstream::new(api.as_str(), UpstreamSettings::new(url))?,
        echoing,
    ))
}

/// Every path that is not a token endpoint.
fn guarded(api: &IssuingApi, upstream: Upstream) -> Result<GuardedApi, SetupError> {
    let routes = Routes::new(&["/*"], Vec::new(), TrailingSlash::Exact);
    let routes = routes.map_err(|faults| SetupError::Bug(format!("{faults:?}")))?;
    let (name, dialect) = (api.name().clone(), api.dialect().clone());
    let guarded = GuardedApi::new(name, dialect, api.keychain().clone(), routes)
        .with_limits(api.settings.limits)
        .with_access_lifetime(api.settings.lifetimes.access)
        .with_static_keys(Arc::clone(&api.pepper))
        .with_upstream(upstream);
    let variants = api.settings.variants.iter();
    Ok(variants.fold(guarded, |guarded, own| {
        guarded.with_variant(own.variant, own.budget, own.lifetimes.access)
    }))
}

fn allowances(store: &Store, view: &Arc<RevocationView>) -> Arc<RequestAllowances> {
    let budgets = TokenBudgets::new(MOST, Box::new(StoreBudgetLender(store.clone())));
    Arc::new(RequestAllowances::new(Arc::clone(view)).with_budgets(budgets))
}

/// The vendor notes uses itself, before it replies.
fn gateway(view: &Arc<RevocationView>, allowances: &Arc<RequestAllowances>) -> Gateway {
    let uses = Arc::new(FirstUses::new(0, |_, _| ()));
    Gateway::new(Arc::clone(view), uses).with_allowances(Arc::clone(allowances))
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
