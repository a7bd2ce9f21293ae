//! Builds a source of tokens.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, Secret, Variant};
use countersign_domain::TokenOperation;
use countersign_outbound::{ProxyRules, ServerUrl, ServerUrlFault, TrustedRoots};

use super::TokenSource;
use super::events::EventHook;
use super::setup::{ExtraSources, SourceSetup};
use super::state::SourceState;
use crate::{
    Clock, Error, ErrorKind, HttpTransport, MemoryStore, SecretSource, SessionStore, SessionTerms,
    SystemClock, TokenEvent, Transport, environment,
};

/// How long a caller waits for a token.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds a source of tokens. A login and a secret are required; everything else has a
/// default.
#[must_use]
pub struct TokenSourceBuilder {
    dialect: Arc<Dialect>,
    url: String,
    auth_url: Option<String>,
    name: Option<String>,
    variant: Option<String>,
    login: Option<String>,
    secret: Option<Box<dyn SecretSource>>,
    extra: ExtraSources,
    static_key: bool,
    store: Box<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    transport: Option<Box<dyn Transport>>,
    roots: TrustedRoots,
    proxies: Option<ProxyRules>,
    danger_plain: bool,
    budget: BudgetChoice,
    patience: Duration,
    hook: Option<EventHook>,
}

enum BudgetChoice {
    OfDialect,
    Own(Option<u32>),
}

impl TokenSourceBuilder {
    pub(super) fn new(dialect: Arc<Dialect>, url: &str) -> Self {
        Self {
            budget: BudgetChoice::OfDialect,
            dialect,
            url: url.to_owned(),
            auth_url: None,
            name: None,
            variant: None,
            login: None,
            secret: None,
            extra: ExtraSources::new(),
            static_key: false,
            store: Box::new(MemoryStore::default()),
            clock: Arc::new(SystemClock),
            transport: None,
            roots: TrustedRoots::System,
            proxies: None,
            danger_plain: false,
            patience: PATIENCE,
            hook: None,
        }
    }

    /// Sets the name in logs, metrics and errors; the dialect's by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the variant of the dialect; its first by default.
    pub fn variant(mut self, name: impl Into<String>) -> Self {
        self.variant = Some(name.into());
        self
    }

    /// Sets the login.
    pub fn login(mut self, login: impl Into<String>) -> Self {
        self.login = Some(login.into());
        self
    }

    /// Sets the source of the login's secret.
    pub fn secret(mut self, secret: impl SecretSource) -> Self {
        self.secret = Some(Box::new(secret));
        self
    }

    /// Adds an extra part of the credential, by the name that the dialect gives it.
    pub fn extra(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.extra_from(name, value.into())
    }

    /// Adds the source of an extra part of the credential. It is read again whenever
    /// tokens are requested.
    pub fn extra_from(mut self, name: impl Into<String>, source: impl SecretSource) -> Self {
        self.extra.insert(name.into(), Box::new(source));
        self
    }

    /// Sets where the token endpoints are, if not at the API's URL. A transport of your
    /// own must be able to reach them.
    pub fn auth_url(mut self, url: impl Into<String>) -> Self {
        self.auth_url = Some(url.into());
        self
    }

    /// Sets whether the secret is also a static key, to be sent with requests while
    /// no token can be obtained ([`TokenSource::credential`]).
    pub fn static_key(mut self, is_one: bool) -> Self {
        self.static_key = is_one;
        self
    }

    /// Sets where tokens are stored; in memory by default.
    pub fn store(mut self, store: impl SessionStore) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Sets the clock; the system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how requests reach the vendor; HTTP/1.1 by default.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Sets the certificate authorities to trust; the system's by default. A
    /// transport of your own does not use them.
    pub fn roots(mut self, roots: TrustedRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Sets the proxies to the vendor; by default those that the environment names. A
    /// transport of your own does not use them.
    pub fn proxies(mut self, proxies: ProxyRules) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Allows secrets and tokens to be sent over plain HTTP to another machine, where
    /// anyone on the way can read them.
    pub fn danger_plain_http(mut self) -> Self {
        self.danger_plain = true;
        self
    }

    /// Sets how many requests one access token may make, `None` for any number; by
    /// default what the dialect says.
    pub fn budget(mut self, budget: Option<u32>) -> Self {
        self.budget = BudgetChoice::Own(budget);
        self
    }

    /// Sets how long a caller waits for a token; a minute by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets a hook that is called with each event, in the task that caused it: it
    /// should be quick. A panic in it changes nothing here.
    pub fn on_event(mut self, hook: impl Fn(&TokenEvent) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Builds the source. It sends no request before the first token is needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setup`]: something is missing, or does not fit the dialect.
    pub fn build(self) -> Result<TokenSource, Error> {
        let url = self.server_url(&self.url)?;
        let auth_url = match &self.auth_url {
            Some(auth_url) => self.server_url(auth_url)?,
            None => url.clone(),
        };
        let variant = variant(&self.dialect, self.variant.as_deref())?;
        if self.static_key && self.dialect.static_key().is_none() {
            return Err(setup(format!(
                "the dialect {} has no static key",
                self.dialect.name()
            )));
        }
        let budget = match self.budget {
            BudgetChoice::OfDialect => self.dialect.preset_of(variant).budget,
            BudgetChoice::Own(budget) => budget,
        };
        if budget.is_some_and(|budget| budget < 2) {
            return Err(setup(
                "a budget is at least 2: the last request of a token is never handed out",
            ));
        }
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let proxies = self.proxies.unwrap_or_else(environment::proxies);
                Box::new(HttpTransport::through(&proxies, &auth_url, &self.roots)?)
            }
        };
        let name = self.name.unwrap_or_else(|| self.dialect.name().to_owned());
        let setup = SourceSetup {
            name: name.into(),
            variant,
            url,
            auth_url,
            login: self.login.ok_or_else(|| setup("there is no login"))?,
            secret: self.secret.ok_or_else(|| setup("there is no secret"))?,
            extra: self.extra,
            static_key: self.static_key,
            store: self.store,
            clock: self.clock,
            transport,
            terms: SessionTerms::for_dialect(&self.dialect, variant)
                .with_budget(budget)
                .with_jitter(jitter()),
            budget,
            patience: self.patience,
            dialect: self.dialect,
        };
        Ok(TokenSource(Arc::new(SourceState::new(setup, self.hook))))
    }
}

impl TokenSourceBuilder {
    fn server_url(&self, text: &str) -> Result<ServerUrl, Error> {
        let parsed = text.parse();
        let url: ServerUrl = parsed
            .map_err(|fault: ServerUrlFault| setup(fault.to_string()).with_help(fault.help()))?;
        // RFC 6750 section 5.3: "Clients MUST always use TLS [RFC5246] (https) or
        // equivalent transport security when making requests with bearer tokens."
        if !url.is_https() && !self.danger_plain && !url.is_loopback() {
            let message = format!("secrets would be sent to {url} over plain HTTP");
            return Err(setup(message).with_help("use https://"));
        }
        Ok(url)
    }
}

fn variant(dialect: &Dialect, name: Option<&str>) -> Result<Variant, Error> {
    let found = match name {
        Some(name) => dialect.variant(name),
        None => dialect.variants().next(),
    };
    let known = |variant: &Variant| {
        dialect
            .asked_form(TokenOperation::Login, *variant)
            .is_some()
    };
    found.filter(known).ok_or_else(|| {
        setup(format!(
            "the dialect {} has no variant {} with a login",
            dialect.name(),
            name.unwrap_or_default()
        ))
    })
}

fn setup(message: impl Into<Arc<str>>) -> Error {
    Error::new(ErrorKind::Setup, message)
}

/// A number between 0 and 1 that differs from one source to the next. It need not be
/// hard to guess: the keys of a hash map are random enough.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(random as u32) / f64::from(u32::MAX)
}
