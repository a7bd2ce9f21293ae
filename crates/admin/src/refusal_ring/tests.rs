//! The ring as an operator meets it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use countersign_domain::{AccountId, Reason, SessionId, TokenOperation};

use super::*;

const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Ring {
    refusals: RefusalRing,
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Ring {
    fn new() -> Self {
        Self::of(MOST)
    }

    fn of(most: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refusals.db");
        Self {
            refusals: RefusalRing::bounded(&path, most),
            _directory: directory,
            path,
        }
    }

    async fn all(&self) -> Vec<KeptRefusal> {
        self.refusals
            .list(RefusalFilter::default(), None, 1_000)
            .await
            .unwrap()
    }

    async fn ids(&self, asked: RefusalFilter) -> Vec<String> {
        let found = self.refusals.list(asked, None, 1_000).await.unwrap();
        found.into_iter().map(|it| it.id).collect()
    }
}

fn refused(id: &str, at: Timestamp) -> NewRefusal {
    NewRefusal {
        id: id.to_owned(),
        at,
        front: RefusingPart::BuiltIn,
        api: Some("pay".parse().unwrap()),
        operation: Some(TokenOperation::Guard),
        reason: Reason::TokenExpired,
        status: Some(401),
        account: AccountId::new(100_001),
        account_api: None,
        login: None,
        session: Some(SessionId([7; 16])),
        address: "192.0.2.7".parse().unwrap(),
        method: "GET".to_owned(),
        path: "/deposit".to_owned(),
        detail: "expired 42 s ago".to_owned(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_refusal_is_found_by_its_support_id_with_all_that_was_told() {
    let ring = Ring::new();
    ring.refusals.record(refused("a1", NOON));
    let kept = ring.refusals.find("a1").await.unwrap().unwrap();
    let told = (kept.refusal.as_str(), kept.reason.as_str(), kept.status);
    assert_eq!(told, ("expired_bearer", "token_expired", Some(401)));
    assert_eq!((kept.at, kept.repeated, kept.last_at), (NOON, 0, NOON));
    assert_eq!(kept.account, AccountId::new(100_001));
    assert_eq!(kept.session, Some(SessionId([7; 16])));
    assert_eq!(
        (kept.path.as_str(), kept.detail.as_str()),
        ("/deposit", "expired 42 s ago")
    );
    assert_eq!(ring.refusals.find("a2").await, Ok(None));
}

#[tokio::test]
async fn a_listing_narrows_by_each_field_and_is_newest_first() {
    let ring = Ring::new();
    let login = NewRefusal {
        api: Some("gift".parse().unwrap()),
        operation: Some(TokenOperation::Login),
        reason: Reason::WrongSecret,
        account: None,
        login: Some("acme".to_owned()),
        address: "::ffff:198.51.100.2".parse().unwrap(),
        ..refused("login", NOON + seconds(10))
    };
    ring.refusals.record(refused("use", NOON));
    ring.refusals.record(login);
    let asked = RefusalFilter::default;
    assert_eq!(ring.ids(asked()).await, ["login", "use"]);
    let only_use = [
        RefusalFilter {
            account: AccountId::new(100_001),
            ..asked()
        },
        RefusalFilter {
            code: Some("token_expired".to_owned()),
            ..asked()
        },
        RefusalFilter {
            code: Some("expired_bearer".to_owned()),
            ..asked()
        },
        RefusalFilter {
            until: Some(NOON + seconds(10)),
            ..asked()
        },
    ];
    for asked in only_use {
        assert_eq!(ring.ids(asked.clone()).await, ["use"], "{asked:?}");
    }
    let only_login = [
        RefusalFilter {
            login: Some("acme".to_owned()),
            ..asked()
        },
        RefusalFilter {
            address: "198.51.100.2".parse().ok(),
            ..asked()
        },
        RefusalFilter {
            api: "gift".parse().ok(),
            ..asked()
        },
        RefusalFilter {
            since: Some(NOON + seconds(10)),
            ..asked()
        },
    ];
    let unseen = RefusalFilter {
        apis: Some(std::iter::once("coin".parse().unwrap()).collect()),
        ..asked()
    };
    assert!(ring.ids(unseen).await.is_empty());
    for asked in only_login {
        assert_eq!(ring.ids(asked.clone()).await, ["login"], "{asked:?}");
    }
}

#[tokio::test]
async fn a_listing_goes_on_after_the_last_number_of_a_page() {
    let ring = Ring::new();
    for id in ["a", "b", "c"] {
        ring.refusals.record(refused(id, NOON));
    }
    let first = ring
        .refusals
        .list(RefusalFilter::default(), None, 2)
        .await
        .unwrap();
    let ids: Vec<_> = first.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["c", "b"]);
    let rest = ring
        .refusals
        .list(RefusalFilter::default(), Some(first[1].number), 2)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].id, "a");
}

#[tokio::test]
async fn a_flood_of_one_kind_is_counted_and_not_kept_one_by_one() {
    let ring = Ring::new();
    for second in 0..50 {
        let late = NOON + Duration::from_millis(second * 100);
        ring.refusals.record(refused("flood", late));
    }
    ring.refusals.record(NewRefusal {
        account: AccountId::new(100_002),
        ..refused("neighbour", NOON + seconds(6))
    });
    let all = ring.all().await;
    assert_eq!(all.len(), flood::OF_A_KIND as usize + 1);
    assert_eq!(all[0].id, "neighbour");
    assert_eq!(
        (all[1].repeated, all[1].last_at),
        (30, NOON + Duration::from_millis(4_900))
    );
    ring.refusals
        .record(refused("next minute", NOON + seconds(60)));
    assert_eq!(ring.all().await[0].id, "next minute");
    assert_eq!(ring.refusals.dropped(), 0);
}

#[tokio::test]
async fn one_address_does_not_push_out_what_others_were_refused_for() {
    let ring = Ring::of(1_000);
    ring.refusals.record(refused("partner", NOON));
    for minute in 0..3 {
        for account in 0..2_000 {
            ring.refusals.record(NewRefusal {
                account: AccountId::new(200_000 + account),
                address: "203.0.113.1".parse().unwrap(),
                ..refused("flood", NOON + seconds(60 * minute))
            });
            if account % 500 == 0 {
                ring.refusals.caught_up().await;
            }
        }
    }
    assert!(ring.refusals.find("partner").await.unwrap().is_some());
    let kept = ring.all().await.len() as u64;
    assert_eq!(ring.refusals.dropped(), 6_001 - kept);
    assert_eq!(kept, 3 * 200 + 1);
}

#[tokio::test]
async fn addresses_of_one_v6_network_are_one_flood() {
    let ring = Ring::new();
    for host in 0..40_u16 {
        let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host);
        ring.refusals.record(NewRefusal {
            address: address.into(),
            ..refused("v6", NOON)
        });
    }
    assert_eq!(ring.all().await.len(), flood::OF_A_KIND as usize);
}

#[tokio::test]
async fn the_oldest_goes_when_the_ring_is_full() {
    let ring = Ring::of(3);
    for (minute, id) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        ring.refusals
            .record(refused(id, NOON + seconds(60 * minute as u64)));
    }
    assert_eq!(ring.ids(RefusalFilter::default()).await, ["e", "d", "c"]);
}

#[tokio::test]
async fn what_is_older_than_a_week_goes() {
    let ring = Ring::new();
    let started = ServerEvent {
        at: NOON,
        kind: EventKind::ServerStarted,
        detail: String::new(),
    };
    ring.refusals.note(started);
    ring.refusals.record(refused("old", NOON));
    ring.refusals.record(refused("new", NOON + seconds(60)));
    ring.refusals.sweep(NOON + KEPT_FOR + seconds(1));
    assert_eq!(ring.ids(RefusalFilter::default()).await, ["new"]);
    let events = ring
        .refusals
        .events(NOON, NOON + seconds(1), 10)
        .await
        .unwrap();
    assert_eq!(events, []);
}

#[tokio::test]
async fn events_are_told_newest_first() {
    let ring = Ring::new();
    let kinds = [EventKind::ServerStarted, EventKind::ConfigurationReloaded];
    for (second, kind) in kinds.into_iter().enumerate() {
        ring.refusals.note(ServerEvent {
            at: NOON + seconds(second as u64),
            kind,
            detail: "by SIGHUP".to_owned(),
        });
    }
    let told = ring
        .refusals
        .events(NOON, NOON + seconds(10), 10)
        .await
        .unwrap();
    let told: Vec<_> = told.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(told, ["configuration_reloaded", "server_started"]);
    let before = ring
        .refusals
        .events(NOON, NOON + seconds(1), 10)
        .await
        .unwrap();
    assert_eq!(before.len(), 1);
}

#[tokio::test]
async fn refusals_are_gathered_by_cause() {
    let ring = Ring::new();
    for second in 0..25 {
        ring.refusals
            .record(refused(&format!("e{second}"), NOON + seconds(second)));
    }
    let strange = NewRefusal {
        account: None,
        session: None,
        reason: Reason::TokenForged,
        ..refused("forged", NOON + seconds(40))
    };
    ring.refusals.record(strange.clone());
    ring.refusals.record(NewRefusal {
        id: "elsewhere".to_owned(),
        address: "198.51.100.9".parse().unwrap(),
        ..strange
    });
    let suspects = RefusalSuspects {
        accounts: AccountId::new(100_001).into_iter().collect(),
        addresses: vec!["192.0.2.7".to_owned()],
        since: NOON,
        ..RefusalSuspects::default()
    };
    let causes = ring.refusals.causes(suspects.clone()).await.unwrap();
    let told: Vec<_> = causes
        .iter()
        .map(|it| (it.reason.as_str(), it.count))
        .collect();
    assert_eq!(told, [("token_forged", 1), ("token_expired", 25)]);
    assert_eq!(causes[0].example.id, "forged");
    assert_eq!(
        (causes[1].first, causes[1].last),
        (NOON, NOON + seconds(24))
    );
    assert_eq!(causes[1].addresses, ["192.0.2.7"]);
    let other = RefusalSuspects {
        api: "gift".parse().ok(),
        ..suspects.clone()
    };
    assert_eq!(ring.refusals.causes(other).await.unwrap(), []);
    let unseen = RefusalSuspects {
        apis: Some("gift".parse().into_iter().collect()),
        ..suspects
    };
    assert_eq!(ring.refusals.causes(unseen).await.unwrap(), []);
    assert_eq!(
        ring.refusals
            .causes(RefusalSuspects::default())
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn the_file_is_its_owners_alone_and_outlives_a_restart() {
    let Ring {
        refusals,
        path,
        _directory,
    } = Ring::new();
    refusals.record(refused("before", NOON));
    drop(refusals);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refusals = RefusalRing::open(&path);
    refusals.record(refused("after", NOON));
    let kept = refusals
        .list(RefusalFilter::default(), None, 10)
        .await
        .unwrap();
    let ids: Vec<_> = kept.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["after", "before"]);
}

#[tokio::test]
async fn a_file_that_is_damaged_or_foreign_is_put_aside() {
    let foreign = |path: &Path| {
        let other = rusqlite::Connection::open(path).unwrap();
        other
            .execute_batch("CREATE TABLE recipes (name TEXT)")
            .unwrap();
    };
    let garbage = |path: &Path| std::fs::write(path, [0xa5; 8_192]).unwrap();
    let cases: [&dyn Fn(&Path); 2] = [&foreign, &garbage];
    for spoil in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refusals.db");
        spoil(&path);
        let spoilt = std::fs::read(&path).unwrap();
        let refusals = RefusalRing::open(&path);
        refusals.record(refused("a1", NOON));
        assert!(refusals.find("a1").await.unwrap().is_some());
        let aside = std::fs::read(directory.path().join("refusals.db.aside")).unwrap();
        assert_eq!(aside, spoilt);
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used_is_replaced() {
    let ring = Ring::new();
    ring.refusals.record(refused("before", NOON));
    ring.refusals.caught_up().await;
    let spoil = rusqlite::Connection::open(&ring.path).unwrap();
    spoil
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(spoil);
    let length = std::fs::metadata(&ring.path).unwrap().len();
    std::fs::write(&ring.path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    for id in ["lost", "kept"] {
        ring.refusals.record(refused(id, NOON));
        ring.refusals.caught_up().await;
    }
    assert!(ring.refusals.find("kept").await.unwrap().is_some());
    assert_eq!(ring.refusals.dropped(), 1);
}

#[tokio::test]
async fn where_no_file_can_be_made_everything_is_dropped_and_nothing_stops() {
    let directory = tempfile::tempdir().unwrap();
    let refusals = RefusalRing::open(&directory.path().join("missing/refusals.db"));
    refusals.record(refused("a1", NOON));
    assert_eq!(refusals.dropped(), 1);
    assert_eq!(refusals.find("a1").await, Err(RingUnreadable));
}
