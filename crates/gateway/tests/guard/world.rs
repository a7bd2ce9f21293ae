//! One api behind the gateway, on real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_dialect::{Dialect, Secret};
use countersign_domain::account::StoredSecret;
use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::revocation::RevocationNotice;
use countersign_domain::session::SessionState;
use countersign_domain::{
    Account, AccountId, AccountLimits, Allowlist, ApiLimits, ApiName, Credential, CredentialId,
    Epoch, Kid, RouteAccess, RouteRule, Routes, Scopes, Session, SessionId, Timestamp,
    TrailingSlash,
};
use countersign_gateway::{
    ApiSite, BudgetLender, FirstUses, Gateway, GuardDenial, GuardedApi, Permit, ProxyFamily,
    RequestAllowances, RevocationView, TokenBudgets,
};
use countersign_relay::{Upstream, UpstreamSettings, UpstreamTimeouts};
use countersign_testing::listening::listen;
use countersign_testing::recording::{RecordingServer, ServerProtocol};
use countersign_testing::replies::{Reply, request, send};
use countersign_token::{KeyMaterial, Keychain, Pepper, RefreshSeed, Tokens, tokens};
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// When all stories happen.
pub const NOW: Timestamp = Timestamp::from_seconds(1_750_000_000);
/// The account of the stories, its name and its key.
pub const ACCOUNT: u64 = 123_456;
pub const LOGIN: &str = "apr-0123456789abcdef0123456789abcdef";
pub const SECOND_LOGIN: &str = "btc-0123456789abcdef0123456789abcdef";
pub const KEY: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz012345";
pub const SECOND_KEY: &str = "ZbCdEfGhIjKlMnOpQrStUvWxYz012345";
/// The account of somebody else.
pub const OTHER_ACCOUNT: u64 = 654_321;
pub const OTHER_LOGIN: &str = "apr-ffffffffffffffffffffffffffffffff";
pub const OTHER_KEY: &str = "0bCdEfGhIjKlMnOpQrStUvWxYz012345";
pub const SESSION: SessionId = SessionId([0xab; 16]);
pub const SCOPE: &str = "payout:write";
pub const REQUEST_ID: &str = "req-7f3a";

pub const B2BINPAY: &str = "b2binpay";
pub const MYPOPUP: &str = "mypopup";
pub const APIRONE: &str = "apirone";

pub fn id(number: u64) -> AccountId {
    AccountId::new(number).unwrap()
}

/// How a world differs from the usual one.
pub struct Plan {
    pub dialect: &'static str,
    pub settings: UpstreamSettings,
    pub client: countersign_gateway::ClientConnection,
    pub forward_authorization: bool,
    pub forward_auth: Option<ProxyFamily>,
    pub site: ApiSite,
    pub limits: ApiLimits,
    pub lender: Option<Box<dyn BudgetLender>>,
}

impl Plan {
    pub fn new(dialect: &'static str, upstream: &str) -> Self {
        let short = Duration::from_secs(5);
        Self {
            dialect,
            settings: UpstreamSettings {
                timeouts: UpstreamTimeouts {
                    connect: short,
                    response_head: short,
                    body_idle: short,
                    keep_alive: short,
                    ..UpstreamTimeouts::default()
                },
                ..UpstreamSettings::new(upstream.parse().unwrap())
            },
            client: countersign_gateway::ClientConnection {
                address: "127.0.0.9".parse().unwrap(),
                tls: false,
            },
            forward_authorization: false,
            forward_auth: None,
            site: ApiSite::default(),
            limits: ApiLimits::default(),
            lender: None,
        }
    }

    pub fn build(self) -> World {
        let dialect = Arc::new(
            Dialect::compile(Dialect::shipped(self.dialect).unwrap(), self.dialect).unwrap(),
        );
        let keychain = Keychain::new(fresh_tokens(&dialect));
        let name: ApiName = self.dialect.parse().unwrap();
        let upstream = Upstream::new(name.as_str(), self.settings).unwrap();
        let routes = routes(self.dialect);
        let pepper = Arc::new(Pepper::new(&[7; 32]));
        let api = GuardedApi::new(name, Arc::clone(&dialect), keychain.clone(), routes)
            .with_upstream(upstream)
            .at(&self.site)
            .with_static_keys(Arc::clone(&pepper))
            .with_limits(self.limits)
            .with_access_lifetime(Duration::from_secs(110));
        let api = if self.forward_authorization {
            api.forwarding_authorization()
        } else {
            api
        };
        let api = match self.forward_auth {
            Some(family) => api.with_forward_auth(family),
            None => api,
        };
        let view = Arc::new(RevocationView::new());
        let used = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&used);
        let uses = FirstUses::new(100, move |session, generation| {
            report.lock().unwrap().push((session, generation));
        });
        let allowances = RequestAllowances::new(Arc::clone(&view));
        let allowances = match self.lender {
            Some(lender) => allowances.with_budgets(TokenBudgets::new(100, lender)),
            None => allowances,
        };
        let gateway =
            Gateway::new(Arc::clone(&view), Arc::new(uses)).with_allowances(Arc::new(allowances));
        let world = World {
            api: Arc::new(api),
            gateway: Arc::new(gateway),
            view,
            dialect,
            keychain,
            client: self.client,
            outcomes: Arc::default(),
            used,
        };
        world.populate(&pepper);
        world
    }
}

pub fn fresh_tokens(dialect: &Arc<Dialect>) -> Tokens {
    let keys: Vec<_> = tokens::algorithms(dialect)
        .into_iter()
        .map(|algorithm| {
            let key = KeyRecord {
                kid: Kid(format!("kid-{algorithm}")),
                algorithm,
                state: KeyState::Active,
                created_at: Timestamp::default(),
            };
            (key, KeyMaterial::generate(algorithm).unwrap())
        })
        .collect();
    Tokens::new(Arc::clone(dialect), &keys, NOW).unwrap()
}

/// The routes of `serve --demo`, and one that asks for [`SCOPE`].
fn routes(dialect: &str) -> Routes {
    let rule = |method: &str, path: &str, access| RouteRule {
        methods: vec![method.to_owned()],
        path: path.to_owned(),
        access,
        scopes: Vec::new(),
    };
    let transfer = "/api/v2/accounts/{login}/transfer";
    let (guards, rules, slash): (&[&str], _, _) = match dialect {
        MYPOPUP => (
            &["/api/v1/*"][..],
            vec![rule("GET", "/api/v1/public", RouteAccess::Public)],
            TrailingSlash::Exact,
        ),
        B2BINPAY => (
            &["/deposit/*", "/payout/*", "/public/*"][..],
            vec![rule("GET", "/public/*", RouteAccess::Public)],
            TrailingSlash::Optional,
        ),
        _ => (
            &["/api/v2/accounts/{login}/*", "/api/v2/wallets/{login}/*"][..],
            vec![
                rule("GET", transfer, RouteAccess::Public),
                rule("POST", transfer, RouteAccess::Protected),
                rule("PUT", transfer, RouteAccess::Public),
                RouteRule {
                    scopes: vec![SCOPE.to_owned()],
                    ..rule(
                        "POST",
                        "/api/v2/accounts/{login}/payouts",
                        RouteAccess::Protected,
                    )
                },
            ],
            TrailingSlash::Exact,
        ),
    };
    Routes::new(guards, rules, slash).unwrap()
}

pub struct World {
    pub api: Arc<GuardedApi>,
    pub gateway: Arc<Gateway>,
    pub view: Arc<RevocationView>,
    pub dialect: Arc<Dialect>,
    pub keychain: Keychain,
    pub client: countersign_gateway::ClientConnection,
    pub outcomes: Arc<Mutex<Vec<Result<Permit, GuardDenial>>>>,
    pub used: Arc<Mutex<Vec<(SessionId, u32)>>>,
}

impl World {
    fn populate(&self, pepper: &Pepper) {
        self.tell(&[
            RevocationNotice::Account(self.account(ACCOUNT, LOGIN)),
            RevocationNotice::Account(self.account(OTHER_ACCOUNT, OTHER_LOGIN)),
            RevocationNotice::Credential(credential(
                1,
                ACCOUNT,
                LOGIN,
                StoredSecret::Key(pepper.hash(KEY)),
            )),
            RevocationNotice::Credential(credential(
                2,
                OTHER_ACCOUNT,
                OTHER_LOGIN,
                StoredSecret::Key(pepper.hash(OTHER_KEY)),
            )),
            RevocationNotice::Credential(credential(
                3,
                ACCOUNT,
                SECOND_LOGIN,
                StoredSecret::Key(pepper.hash(SECOND_KEY)),
            )),
        ]);
    }

    pub fn account(&self, number: u64, name: &str) -> Account {
        Account {
            id: id(number),
            api: self.api.name().clone(),
            name: name.to_owned(),
            active: true,
            epoch: Epoch(0),
            allow: Allowlist::default(),
            limits: AccountLimits::default(),
            created_at: Timestamp::default(),
        }
    }

    pub fn tell(&self, notices: &[RevocationNotice]) {
        for notice in notices {
            self.view.apply(notice, NOW);
        }
    }

    /// The row of the usual session.
    pub fn session(&self) -> Session {
        let end = NOW + Duration::from_secs(100);
        let variant = self.dialect.variants().next().unwrap();
        Session {
            id: SESSION,
            account: id(ACCOUNT),
            credential: CredentialId(1),
            epoch: Epoch(0),
            variant: self.dialect.variant_name(variant).to_owned(),
            seed_hash: RefreshSeed::new([9; 32]).hash(),
            state: SessionState::Active,
            generation: 4,
            started_at: NOW - Duration::from_secs(10),
            rotated_at: NOW - Duration::from_secs(10),
            access_expires_at: end,
            refresh_expires_at: end,
            absolute_expires_at: end,
            kid: self.keychain.current().active_kid(variant).unwrap().clone(),
            previous_kid: None,
            replays: 0,
            used: false,
            address: self.client.address,
            user_agent: String::new(),
        }
    }

    pub fn tokens_of(&self, session: &Session) -> (String, String) {
        let pair = self
            .keychain
            .current()
            .mint(session, &RefreshSeed::new([9; 32]), LOGIN)
            .unwrap();
        let refresh = pair.refresh_token.as_ref().map_or("", Secret::expose);
        (pair.access_token.expose().to_owned(), refresh.to_owned())
    }

    /// The access token of the usual session.
    pub fn token(&self) -> String {
        self.tokens_of(&self.session()).0
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token())
    }

    /// Serves the gateway on a socket of its own.
    pub fn serve(&self) -> Front {
        let (gateway, api) = (Arc::clone(&self.gateway), Arc::clone(&self.api));
        let (outcomes, client) = (Arc::clone(&self.outcomes), self.client);
        let listener = listen(move |stream| {
            let (gateway, api, outcomes) = (
                Arc::clone(&gateway),
                Arc::clone(&api),
                Arc::clone(&outcomes),
            );
            async move {
                let answer = service_fn(async |request: Request<Incoming>| {
                    let answer = gateway
                        .forward(&api, request, client, REQUEST_ID, NOW)
                        .await;
                    outcomes.lock().unwrap().push(answer.outcome);
                    Ok::<_, Infallible>(answer.response)
                });
                let served = hyper::server::conn::http1::Builder::new();
                let connection = served.serve_connection(TokioIo::new(stream), answer);
                let _ = connection.with_upgrades().await;
            }
        });
        Front {
            address: listener.address,
        }
    }

    /// Serves the gateway as the program does, over HTTP/1.1 and HTTP/2.
    pub async fn serve_as_listeners_do(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gateway, api, client) = (
            Arc::clone(&self.gateway),
            Arc::clone(&self.api),
            self.client,
        );
        let answer = move |request: countersign_transport::Request, _| {
            let (gateway, api) = (Arc::clone(&gateway), Arc::clone(&api));
            async move {
                let answer = gateway.forward(&api, request, client, REQUEST_ID, NOW);
                answer.await.response
            }
        };
        let limits = countersign_transport::ListenerLimits::default();
        let served = async move {
            countersign_transport::serve(listener, limits, answer, std::future::pending()).await
        };
        tokio::spawn(served);
        address
    }

    pub fn last_outcome(&self) -> Result<Permit, GuardDenial> {
        self.outcomes.lock().unwrap().last().unwrap().clone()
    }
}

pub fn credential(number: u64, account: u64, login: &str, secret: StoredSecret) -> Credential {
    Credential {
        id: CredentialId(number),
        account: id(account),
        login: login.to_owned(),
        secret,
        scopes: Scopes::default(),
        active: true,
        created_at: Timestamp::default(),
    }
}

/// The gateway as its clients see it.
pub struct Front {
    pub address: SocketAddr,
}

impl Front {
    /// Sends a request and reads the whole reply.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let request = request(method, target, fields, body.to_owned());
        send(self.address, request).await
    }

    pub async fn get(&self, target: &str, fields: &[(&str, &str)]) -> Reply {
        self.send("GET", target, fields, "").await
    }
}

/// An upstream that answers each request with what it received.
pub fn echo_upstream() -> RecordingServer {
    echo_speaking(ServerProtocol::Http1)
}

/// One that tells the client who it is, too, which is not for an upstream to say.
pub fn echo_speaking(protocol: ServerProtocol) -> RecordingServer {
    RecordingServer::speaking(protocol, |request| {
        let mut answer = request.echo();
        for (name, value) in [
            ("x-countersign-account", "forged by the upstream"),
            ("x-upstream", "echo"),
        ] {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
        }
        answer
    })
}
