//! `serve --demo`: three of the shipped dialects with ready accounts, an echo server behind the
//! guard, and `demo.json` for scripts.
//!
//! Secrets are kept in `demo-accounts.json`, which is written before the accounts are created: a
//! demo that is killed in between finishes at its next start.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign_check::{SecretPlaceholders, curl_call, curl_line, shell_word};
use countersign_dialect::{ClientValues, Dialect, Secret, TokenGrant, Variant};
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::{AccountLimits, ApiName, Timestamp, TokenOperation};
use countersign_server::api::IssuingApi;
use countersign_server::generated_key;
use countersign_store::{AuditActor, CreateError, NewAccount, NewCredential, Store};
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{DataDirectory, write_private};
use crate::config::ApiSection;
use crate::exit::Failure;

/// The demo's configuration.
pub(crate) const CONFIGURATION: &str = include_str!("demo.toml");

/// What is said of a demo before its `curl` lines.
pub(crate) const NOTICE: &str = "\
A demo to try things out, not for production: its secrets stand below and in demo.json, and its
limits are far above the vendors' so that nobody trips them by hand. A token makes 1,000,000
requests, where B2BINPAY documents 40; `countersign sandbox` has the vendors' own limits.
Each block below logs in and calls the guarded API: paste it into a shell.
";

/// What `demo.json` says.
#[derive(Serialize)]
pub(crate) struct Manifest<'a> {
    /// The API's URL.
    pub(crate) listen: &'a str,
    /// The admin API's URL.
    pub(crate) admin: &'a str,
    /// The admin API's key.
    pub(crate) admin_key: &'a str,
    /// The accounts, plain ones first.
    pub(crate) accounts: Vec<ManifestAccount<'a>>,
}

/// An account in `demo.json`.
#[derive(Serialize)]
pub(crate) struct ManifestAccount<'a> {
    api: &'a str,
    login: &'a str,
    secret: &'a str,
    client_id: u64,
    allow: &'a [String],
    state: AccountState,
}

/// An account of the demo, with its secret in plaintext.
#[derive(Serialize, Deserialize)]
pub(crate) struct DemoAccount {
    api: String,
    login: String,
    secret: String,
    allow: Vec<String>,
    state: AccountState,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AccountState {
    Active,
    Disabled,
}

/// An account to be planned: api, login (`None`: in the dialect's form that
/// begins with the prefix), prefix, networks and state.
struct PlannedAccount {
    api: &'static str,
    login: Option<&'static str>,
    prefix: Option<&'static str>,
    allow: &'static [&'static str],
    state: AccountState,
}

const fn plain(api: &'static str, login: Option<&'static str>) -> PlannedAccount {
    PlannedAccount {
        api,
        login,
        prefix: None,
        allow: &[],
        state: AccountState::Active,
    }
}

const PLANS: [PlannedAccount; 6] = [
    plain("b2binpay", Some("demo")),
    plain("mypopup", Some("demo")),
    plain("apirone", None),
    PlannedAccount {
        prefix: Some("btc"),
        ..plain("apirone", None)
    },
    PlannedAccount {
        state: AccountState::Disabled,
        ..plain("mypopup", Some("demo-disabled"))
    },
    PlannedAccount {
        allow: &["127.0.0.2/32"],
        ..plain("mypopup", Some("demo-allowlisted"))
    },
];

/// The demo's accounts.
pub(crate) struct Demo {
    accounts: Vec<DemoAccount>,
    ids: Vec<u64>,
}

/// The accounts that a demo is to have, durable before there is a store: their
/// file also marks the directory as a demo's.
pub(crate) struct DemoAccounts(Vec<DemoAccount>);

impl DemoAccounts {
    /// Finds the accounts of an earlier start, or plans them.
    pub(crate) fn find(directory: &DataDirectory, apis: &[ApiSection]) -> Result<Self, Failure> {
        let path = directory.demo_accounts();
        match std::fs::read_to_string(&path) {
            Ok(text) => return parse_accounts(&path, &text).map(Self),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::usage(format!(
                    "{} cannot be read: {error}",
                    path.display()
                )));
            }
        }
        let planned = PLANS.iter().map(|plan| plan.account(apis));
        let planned = planned.collect::<Result<Vec<_>, _>>()?;
        let text = serde_json::to_string_pretty(&planned).map_err(Failure::bug)?;
        write_private(&path, &text)?;
        Ok(Self(planned))
    }
}

impl Demo {
    /// Makes the planned accounts that are missing.
    pub(crate) async fn prepare(
        DemoAccounts(accounts): DemoAccounts,
        apis: &BTreeMap<ApiName, Arc<IssuingApi>>,
        store: &Store,
    ) -> Result<Self, Failure> {
        let mut ids = Vec::new();
        for account in &accounts {
            ids.push(account.ensure(apis, store).await?);
        }
        Ok(Self { accounts, ids })
    }

    /// What `demo.json` is to say.
    pub(crate) fn manifest<'a>(
        &'a self,
        listen: &'a str,
        admin: &'a str,
        admin_key: &'a Secret,
    ) -> Manifest<'a> {
        let accounts = self.accounts.iter().zip(&self.ids);
        let accounts = accounts
            .map(|(account, id)| ManifestAccount {
                api: &account.api,
                login: &account.login,
                secret: &account.secret,
                client_id: *id,
                allow: &account.allow,
                state: account.state,
            })
            .collect();
        Manifest {
            listen,
            admin,
            admin_key: admin_key.expose(),
            accounts,
        }
    }

    /// Ready `curl` lines for each plain account.
    pub(crate) fn curl_lines(
        &self,
        url: &str,
        apis: &BTreeMap<ApiName, Arc<IssuingApi>>,
    ) -> String {
        let plain = self
            .accounts
            .iter()
            .filter(|it| it.state == AccountState::Active && it.allow.is_empty());
        let blocks = plain.filter_map(|account| account.curl_lines(url, apis));
        blocks.collect::<Vec<_>>().join("\n")
    }
}

impl PlannedAccount {
    fn account(&self, apis: &[ApiSection]) -> Result<DemoAccount, Failure> {
        let api = apis.iter().find(|api| api.name().as_str() == self.api);
        let dialect = &api.ok_or_else(|| no_api(self.api))?.issuing.dialect;
        let login = match self.login {
            Some(login) => login.to_owned(),
            None => generated_key::login(dialect, self.prefix).map_err(Failure::bug)?,
        };
        let secret = generated_key::key(dialect).map_err(Failure::bug)?;
        Ok(DemoAccount {
            api: self.api.to_owned(),
            login,
            secret: secret.expose().to_owned(),
            allow: self.allow.iter().map(|it| (*it).to_owned()).collect(),
            state: self.state,
        })
    }
}

impl DemoAccount {
    /// The id of the account, which is made if it is missing.
    async fn ensure(
        &self,
        apis: &BTreeMap<ApiName, Arc<IssuingApi>>,
        store: &Store,
    ) -> Result<u64, Failure> {
        let api = find(apis, &self.api)?;
        let known = store.credential_by_login(api.name(), &self.login).await;
        if let Some((account, credential)) = known.map_err(Failure::unavailable)? {
            return match &credential.secret {
                StoredSecret::Key(hash) if api.pepper.matches(&self.secret, hash) => {
                    Ok(account.id.number())
                }
                _ => Err(Failure::usage(format!(
                    "the secret of {} in the demo's file differs from the one in its store",
                    self.login
                ))
                .with_help(BEGIN_ANEW)),
            };
        }
        let account = NewAccount {
            api: api.name().clone(),
            id: None,
            credential: NewCredential::new(
                self.login.as_str(),
                StoredSecret::Key(api.pepper.hash(&self.secret)),
            ),
            limits: AccountLimits::default(),
            allow: Allowlist::parse(&self.allow).map_err(Failure::bug)?,
            active: self.state == AccountState::Active,
        };
        let created = store.create_account(account, AuditActor::System).await;
        let (account, _) =
            created.map_err(|error: CreateError| Failure::failed(error.to_string()))?;
        Ok(account.id.number())
    }

    fn curl_lines(&self, url: &str, apis: &BTreeMap<ApiName, Arc<IssuingApi>>) -> Option<String> {
        let dialect = find(apis, &self.api).ok()?.dialect();
        let secret = Secret::from(self.secret.as_str());
        let asking = ClientValues {
            login: Some(&self.login),
            secret: Some(&secret),
            ..ClientValues::default()
        };
        let target = format!("{url}{}", self.guarded_path()?);
        let call = curl_call(&target, dialect, "'\"$TOKEN\"'");
        let blocks = dialect.variants().filter_map(|variant| {
            let request = dialect.request(TokenOperation::Login, variant, &asking)?;
            let name = match dialect.variant_name(variant) {
                "main" => String::new(),
                name => format!(" {name}"),
            };
            let title = format!("# {}{name} ({})\n", dialect.title(), self.login);
            let member = access_token_member(dialect, variant)?;
            let login = login_line(url, &request, &member);
            Some(format!("{title}{login}{call}\n"))
        });
        Some(blocks.collect())
    }

    /// A path of the demo that this account may call.
    fn guarded_path(&self) -> Option<String> {
        Some(match self.api.as_str() {
            "b2binpay" => "/deposit/".to_owned(),
            "mypopup" => "/api/v1/products".to_owned(),
            "apirone" if self.login.starts_with("apr-") => {
                format!("/api/v2/accounts/{}/callback?currency=tbtc", self.login)
            }
            "apirone" => format!("/api/v2/wallets/{}/callback", self.login),
            _ => return None,
        })
    }
}

/// The line that sends a login and keeps the access token, which the reply has
/// under this name, in the shell's variable `TOKEN`.
fn login_line(url: &str, request: &Request<Bytes>, member: &str) -> String {
    let target = format!("{url}{}", request.uri());
    let line = curl_line(request, &target, &SecretPlaceholders::none());
    let line = line.replacen("curl ", "curl -s ", 1);
    let pick = shell_word(&format!(r#"s/.*"{member}": *"\([^"]*\)".*/\1/p"#));
    format!("TOKEN=$({line} | sed -n {pick})\n")
}

/// The member of a reply to a login in which the access token stands.
fn access_token_member(dialect: &Dialect, variant: Variant) -> Option<String> {
    const TOKEN: &str = "the access token";
    let grant = TokenGrant {
        login: "",
        client_id: 0,
        access_token: TOKEN,
        refresh_token: Some(""),
        access_expires_at: Timestamp::default(),
        refresh_expires_at: Timestamp::default(),
        now: Timestamp::default(),
        secret: None,
    };
    let asked = dialect.asked_form(TokenOperation::Login, variant)?;
    let reply = dialect.write_grant(&asked, &grant);
    let reply: Value = serde_json::from_slice(reply.body()).ok()?;
    member_with(&reply, TOKEN)
}

/// The name of the member whose value is this text, at any depth.
fn member_with(value: &Value, text: &str) -> Option<String> {
    let members = value.as_object()?.iter();
    members
        .filter_map(|(name, value)| match value.as_str() {
            Some(found) if found == text => Some(name.clone()),
            _ => member_with(value, text),
        })
        .next()
}

const BEGIN_ANEW: &str = "delete the demo's data directory to begin anew";

fn parse_accounts(path: &Path, text: &str) -> Result<Vec<DemoAccount>, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("{} cannot be read ({error})", path.display())).with_help(BEGIN_ANEW)
    })
}

fn find<'a>(
    apis: &'a BTreeMap<ApiName, Arc<IssuingApi>>,
    name: &str,
) -> Result<&'a Arc<IssuingApi>, Failure> {
    apis.iter()
        .find(|(known, _)| known.as_str() == name)
        .map(|(_, api)| api)
        .ok_or_else(|| no_api(name))
}

fn no_api(name: &str) -> Failure {
    Failure::bug(format!("the demo has no api {name}"))
}
