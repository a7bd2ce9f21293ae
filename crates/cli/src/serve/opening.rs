//! Opens what a node needs before it can serve: the store, the keys of each api,
//! what verifiers know, and the demo's accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_admin::refusal_ring::{EventKind, RefusalRing, ServerEvent};
use countersign_domain::{ApiName, Timestamp};
use countersign_gateway::{GuardedApi, RevocationView};
use countersign_relay::Upstream;
use countersign_server::api::{ApiPlace, IssuingApi};
use countersign_server::password::PasswordPool;
use countersign_store::Store;
use countersign_store::clock::{ClockWatch, StoreClock};
use countersign_store::seal::MasterKey;

use super::data::DataDirectory;
use super::demo::{Demo, DemoAccounts};
use super::routing::MountedApi;
use super::serving::LoadedApis;
use crate::config::{ApiSection, GuardSection, ServerSection, StoreSection};
use crate::exit::Failure;

/// A node that is ready to serve.
pub(crate) struct OpenedNode {
    pub(crate) store: Store,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) view: Arc<RevocationView>,
    pub(crate) loaded: LoadedApis,
    pub(crate) passwords: PasswordPool,
    pub(crate) refusals: RefusalRing,
    pub(crate) clock_watch: Arc<ClockWatch>,
    pub(crate) demo: Option<Demo>,
}

/// What is to be opened.
pub(crate) struct NodeSetup<'a> {
    pub(crate) server: &'a ServerSection,
    pub(crate) store: &'a StoreSection,
    pub(crate) apis: Vec<ApiSection>,
    /// Whether it is a demo.
    pub(crate) demo: bool,
}

impl OpenedNode {
    /// Opens the data directory of a server or a demo.
    ///
    /// The store's clock is not stored, and nothing is swept, before all of it went
    /// well: a start that is refused leaves a store as it was.
    pub(crate) async fn open(
        directory: &DataDirectory,
        to_open: NodeSetup<'_>,
    ) -> Result<Self, Failure> {
        let NodeSetup {
            server,
            store: section,
            apis,
            demo,
        } = to_open;
        let planned = if demo {
            Some(DemoAccounts::find(directory, &apis)?)
        } else {
            None
        };
        let view = Arc::new(RevocationView::new());
        let clock = StoreClock::system(Timestamp::default());
        let (store, master, mark) = open_store(directory, &view, &clock).await?;
        let clock_watch = ClockWatch::system(clock, mark, section.clock_gap);
        clock_watch.look();
        let loaded = load_apis(apis, &BTreeMap::new(), &store, &master).await?;
        let demo = match planned {
            Some(planned) => Some(Demo::prepare(planned, &loaded.apis, &store).await?),
            None => None,
        };
        feed(&view, &store).await?;
        let passwords = PasswordPool::new(server.hashing, server.hashing_waiting)
            .map_err(Failure::bug)?
            .with_friends_waiting(server.hashing_waiting_known);
        store.begin_upkeep().map_err(Failure::failed)?;
        Ok(Self {
            clock_watch: Arc::new(clock_watch),
            master: Arc::new(master),
            view,
            loaded,
            passwords,
            refusals: open_refusals(directory, &store),
            store,
            demo,
        })
    }
}

/// Opens the store, whose every commit tells `view` before it is acknowledged. With
/// it its high-water mark from before, if it has one.
async fn open_store(
    directory: &DataDirectory,
    view: &Arc<RevocationView>,
    clock: &StoreClock,
) -> Result<(Store, MasterKey, Option<Timestamp>), Failure> {
    let locked = directory.proved_store()?;
    let mark = locked.head().map(|head| head.high_water);
    let mark = mark.filter(|mark| *mark > Timestamp::default());
    let (told, now) = (view.clone(), clock.clone());
    let store = locked.open(clock.clone(), move |notices| {
        for notice in notices {
            told.apply(notice, now.now());
        }
    });
    let store = store?;
    let master = directory.master_key(&store).await?;
    Ok((store, master, mark))
}

/// Opens the ring of refusals, and notes this start beside them.
fn open_refusals(directory: &DataDirectory, store: &Store) -> RefusalRing {
    let refusals = RefusalRing::open(&directory.refusals());
    refusals.note(ServerEvent {
        at: store.now(),
        kind: EventKind::ServerStarted,
        detail: format!("version {}", env!("CARGO_PKG_VERSION")),
    });
    refusals
}

/// Tells `view` all that was so before this start.
async fn feed(view: &RevocationView, store: &Store) -> Result<(), Failure> {
    for notice in store.snapshot().await.map_err(Failure::unavailable)? {
        view.apply(&notice, store.now());
    }
    Ok(())
}

/// Loads the apis with their keys, and makes the keys that are missing. Those of
/// `before` go on under the same names.
pub(super) async fn load_apis(
    sections: Vec<ApiSection>,
    before: &BTreeMap<ApiName, Arc<IssuingApi>>,
    store: &Store,
    master: &MasterKey,
) -> Result<LoadedApis, Failure> {
    let mut held = Vec::new();
    for api in before.values() {
        held.push(api.hold_keys().await);
    }
    let mut read = Vec::new();
    for section in sections {
        let upstream = upstream(&section)?;
        let api = IssuingApi::load(section.issuing.clone(), store, master).await?;
        let api = api.at(place(&section));
        read.push((section, api, upstream));
    }
    // From here on nothing fails: a reload changes every api or none.
    let mut loaded = LoadedApis::default();
    for (section, api, upstream) in read {
        let api = Arc::new(match before.get(api.name()) {
            Some(before) => api.in_place_of(before),
            None => api,
        });
        let guarded = section.guard.map(|guard| guarded(&api, guard, upstream));
        loaded.apis.insert(api.name().clone(), api.clone());
        loaded.served.push(MountedApi {
            guarded: guarded.map(|guarded| guarded.at(&section.site)),
            site: section.site,
            cors: section.cors,
            api,
        });
    }
    Ok(loaded)
}

/// Where it is met, as an operator is shown it.
fn place(section: &ApiSection) -> ApiPlace {
    let guard = section.guard.as_ref();
    let guards = guard.map(|it| it.routes.guarded_paths().map(str::to_owned).collect());
    let upstream = guard.and_then(|it| it.upstream.as_ref());
    let family = guard.and_then(|it| it.forward_auth);
    ApiPlace {
        hosts: section.site.hosts().to_vec(),
        prefix: section.site.prefix().to_owned(),
        guards: guards.unwrap_or_default(),
        upstream: upstream.map(|it| it.settings.url.to_string()),
        forward_auth: family.map(|it| it.name().to_owned()),
    }
}

/// The guarded API to which the built-in proxy forwards, if it does.
fn upstream(section: &ApiSection) -> Result<Option<Upstream>, Failure> {
    let guard = section.guard.as_ref();
    let upstream = guard.and_then(|guard| guard.upstream.as_ref());
    let made = upstream.map(|it| Upstream::new(section.name().as_str(), it.settings.clone()));
    made.transpose().map_err(Failure::bug)
}

fn guarded(api: &IssuingApi, section: GuardSection, upstream: Option<Upstream>) -> GuardedApi {
    let (name, dialect) = (api.name().clone(), api.dialect().clone());
    let keychain = api.keychain().clone();
    let mut guarded = GuardedApi::new(name, dialect, keychain, section.routes)
        .with_limits(api.settings.limits)
        .with_access_lifetime(api.settings.lifetimes.access)
        .with_static_keys(api.pepper.clone());
    for own in &api.settings.variants {
        guarded = guarded.with_variant(own.variant, own.budget, own.lifetimes.access);
    }
    if let Some(upstream) = upstream {
        guarded = guarded.with_upstream(upstream);
    }
    if let Some(family) = section.forward_auth {
        guarded = guarded.with_forward_auth(family);
    }
    if section.forward_authorization {
        guarded = guarded.forwarding_authorization();
    }
    guarded
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sections(health_path: &str) -> Vec<ApiSection> {
        let text = "[apis.one]\ndialect = 'mypopup'\n\
                    [apis.two]\ndialect = 'mypopup'\nprefix = '/two'\nguards = ['/*']\n\
                    upstream = 'http://127.0.0.1:1'\nhealth_path = '/'\n";
        let mut apis = crate::config::read(text, "test.toml", Path::new("."))
            .unwrap()
            .apis;
        for guard in apis.iter_mut().filter_map(|api| api.guard.as_mut()) {
            let settings = &mut guard.upstream.as_mut().unwrap().settings;
            settings.health.as_mut().unwrap().path = health_path.to_owned();
        }
        apis
    }

    #[test]
    fn operators_are_shown_where_an_api_is_met() {
        let sections = sections("/");
        let told = |index: usize| serde_json::to_value(place(&sections[index])).unwrap();
        let two = serde_json::json!({
            "hosts": [],
            "prefix": "/two",
            "guards": ["/*"],
            "upstream": "http://127.0.0.1:1",
            "forward_auth": null,
        });
        assert_eq!(told(1), two);
        assert_eq!(told(0)["upstream"], serde_json::Value::Null);
    }

    #[tokio::test]
    async fn an_upstream_that_cannot_be_made_leaves_every_api_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(&directory.path().join("data")).unwrap();
        let clock = StoreClock::system(Timestamp::default());
        let opened = open_store(&directory, &Arc::default(), &clock).await;
        let (store, master, mark) = opened.unwrap();
        assert_eq!(mark, None, "it is new");
        let none = BTreeMap::new();
        let before = load_apis(sections("/"), &none, &store, &master).await;
        let before = before.unwrap().apis;
        let tokens: Vec<_> = before.values().map(|api| api.tokens()).collect();
        let failed = load_apis(sections("none"), &before, &store, &master).await;
        assert!(failed.is_err());
        for (api, tokens) in before.values().zip(&tokens) {
            assert!(Arc::ptr_eq(&api.tokens(), tokens), "{}", api.name());
        }
        load_apis(sections("/"), &before, &store, &master)
            .await
            .unwrap();
        for (api, tokens) in before.values().zip(&tokens) {
            assert!(!Arc::ptr_eq(&api.tokens(), tokens), "{}", api.name());
        }
    }
}
