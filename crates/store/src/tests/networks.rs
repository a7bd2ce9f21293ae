use countersign_domain::{CredentialId, HostNetwork};

use super::super::SessionError;
use super::super::sweep::NETWORK_SLACK;
use super::*;

fn address(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

async fn login_from(
    store: &Store,
    credential: CredentialId,
    address: IpAddr,
) -> Result<Session, SessionError> {
    let opening = SessionOpening {
        address,
        ..opening()
    };
    store
        .open_session(opening, credential, terms(), keeps())
        .await
}

async fn knows(store: &Store, login: &str, address: IpAddr) -> bool {
    let found = store
        .candidate(&api(), login, HostNetwork::containing(address))
        .await;
    found.unwrap().unwrap().network_is_known
}

#[tokio::test]
async fn a_login_makes_its_network_known_over_a_restart() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    create(&store, "q").await;
    assert!(!knows(&store, "p", home()).await);
    login_from(&store, credential.id, home()).await.unwrap();
    store.close().await;
    let store = place.open();
    assert!(knows(&store, "p", home()).await);
    assert!(!knows(&store, "p", address(1)).await);
    assert!(!knows(&store, "q", home()).await, "it is the login's own");
    let unknown = store
        .candidate(&api(), "x", HostNetwork::containing(home()))
        .await;
    assert_eq!(unknown, Ok(None));
}

#[tokio::test]
async fn a_login_that_opens_nothing_makes_nothing_known() {
    let place = Place::new();
    let store = place.open();
    let new = NewAccount {
        allow: Allowlist::parse(&["192.0.2.0/24"]).unwrap(),
        ..partner("p")
    };
    let (_, credential) = store.create_account(new, operator()).await.unwrap();
    assert!(login_from(&store, credential.id, address(1)).await.is_err());
    assert!(!knows(&store, "p", address(1)).await);
}

#[tokio::test]
async fn of_sixty_five_networks_the_one_seen_the_longest_ago_is_forgotten() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    for number in 0..64 {
        login_from(&store, credential.id, address(number))
            .await
            .unwrap();
        place.clock.advance(SECOND);
    }
    // Seen again a day later, the first is no longer the oldest.
    place.clock.advance(Duration::from_secs(86_400));
    login_from(&store, credential.id, address(0)).await.unwrap();
    login_from(&store, credential.id, address(64))
        .await
        .unwrap();
    for (number, known) in [(0, true), (1, false), (2, true), (64, true)] {
        assert_eq!(knows(&store, "p", address(number)).await, known, "{number}");
    }
}

#[tokio::test]
async fn a_network_is_forgotten_after_ninety_days() {
    let place = Place::new();
    let store = place.open();
    let (_, credential) = create(&store, "p").await;
    login_from(&store, credential.id, home()).await.unwrap();
    place.clock.set(start() + NETWORK_SLACK - MICROSECOND);
    assert_eq!(store.sweep_once().await.unwrap().networks, 0);
    assert!(knows(&store, "p", home()).await);
    place.clock.advance(MICROSECOND);
    assert!(!knows(&store, "p", home()).await, "before it is swept too");
    assert_eq!(store.sweep_once().await.unwrap().networks, 1);
}

#[tokio::test]
async fn a_credential_that_is_deleted_leaves_no_networks() {
    let place = Place::new();
    let store = place.open();
    let (account, credential) = create(&store, "p").await;
    login_from(&store, credential.id, home()).await.unwrap();
    store.delete_account(account.id, operator()).await.unwrap();
    let rows = everything(&store).await;
    assert!(!rows.iter().any(|row| row.starts_with("known_network")));
}
