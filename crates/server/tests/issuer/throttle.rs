//! What a flood of logins and tokens does to others, and to itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use countersign_dialect::Secret;
use countersign_domain::Reason;
use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::limits::{AccountLimits, ApiLimits};
use countersign_server::api::{ApiSettings, IssuingApi};
use countersign_server::issuer::{Issuer, TokenAnswer};
use countersign_server::password::PasswordPool;
use countersign_store::{AccountUpdate, AuditActor, NewCredential};
use countersign_testing::logs::CapturedLog;
use tokio::task::JoinSet;
use tracing::Level;

use crate::provider::{LIFETIMES, MINUTE, Provider, SECRET, data, settings};

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x7f01_0000 + number).into()
}

fn outcome(answer: &TokenAnswer) -> (u16, Option<Reason>, Option<String>) {
    let retry_after = answer.response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    (
        answer.response.status().as_u16(),
        answer.record.outcome.err(),
        retry_after,
    )
}

/// Guesses from a thousand networks, and says how many were looked at. The
/// partner logs in from home all the while.
async fn flood(provider: &mut Provider) -> usize {
    let mut looked_at = 0;
    for number in 0..1_000 {
        let guessed = provider.ask_from(address(number), "partner", "guess").await;
        looked_at += usize::from(guessed.record.outcome == Err(Reason::WrongSecret));
        if number % 100 == 0 {
            data(&provider.log_in_with(SECRET).await);
        }
    }
    looked_at
}

#[tokio::test]
async fn a_flood_on_a_login_does_not_lock_the_partner_out_not_over_a_restart_either() {
    let mut provider = Provider::begin().await;
    provider.log_in().await;
    assert_eq!(flood(&mut provider).await, 20);
    let mut provider = provider.restart(LIFETIMES).await;
    assert_eq!(flood(&mut provider).await, 20);
    let refused = provider.ask_from(address(9_999), "partner", SECRET).await;
    let told = (429, Some(Reason::LoginThrottled), Some("45".to_owned()));
    assert_eq!(outcome(&refused), told, "a right secret is not looked at");
}

#[tokio::test]
async fn logins_that_do_not_exist_are_throttled_alike() {
    let provider = Provider::begin().await;
    let mut answers = [Vec::new(), Vec::new()];
    for number in 0..40 {
        for (login, answers) in ["partner", "nobody"].into_iter().zip(&mut answers) {
            let answer = provider.ask_from(address(number), login, "guess").await;
            let (status, _, retry_after) = outcome(&answer);
            answers.push((status, retry_after, answer.response.into_body()));
        }
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0][19].0, answers[0][20].0), (401, 429));
}

#[tokio::test]
async fn a_stranger_s_login_counts_even_where_the_queue_was_full() {
    let mut provider = Provider::begin().await;
    for login in ["partner", "nobody"] {
        provider.issuer = Issuer::new(provider.store.clone(), PasswordPool::new(0, 0).unwrap());
        let mut answers = Vec::new();
        for _ in 0..31 {
            let shed = provider.ask_from(address(1), login, "guess").await;
            answers.push(shed.record.outcome.unwrap_err());
        }
        assert_eq!(answers[19], Reason::HashingBusy, "{login}");
        assert_eq!(answers[20], Reason::LoginThrottled, "{login}");
    }
}

#[tokio::test]
async fn a_login_from_a_known_network_that_was_not_looked_at_is_no_try() {
    let mut provider = Provider::begin().await;
    provider.log_in().await;
    provider.issuer = Issuer::new(provider.store.clone(), PasswordPool::new(0, 0).unwrap());
    for _ in 0..100 {
        let shed = provider.log_in_with("guess").await;
        assert_eq!(shed.record.outcome, Err(Reason::HashingBusy));
    }
}

/// A flood of made-up logins from forty networks stands in the queue, twice as
/// many as have places, when a partner with a password comes from home.
#[tokio::test]
async fn a_full_queue_of_strangers_turns_no_partner_away_who_comes_from_a_known_network() {
    let mut provider = Provider::begin().await;
    let passwords = PasswordPool::new(1, 8).unwrap();
    let phc = passwords.hash(Secret::from("hunter2")).await.unwrap();
    let new = NewCredential::new("by-password", StoredSecret::Password(phc));
    let created = provider
        .store
        .create_credential(provider.account, new, AuditActor::System);
    created.await.unwrap();
    provider.issuer = Issuer::new(provider.store.clone(), passwords);
    let home = provider.address;
    let provider = Arc::new(provider);
    data(&provider.ask_from(home, "by-password", "hunter2").await);
    let mut strangers = JoinSet::new();
    for number in 0..40 {
        let provider = provider.clone();
        let login = format!("made up {number}");
        strangers.spawn(async move { provider.ask_from(address(number), &login, "guess").await });
    }
    while strangers.len() > 9 {
        let refused = strangers.join_next().await.unwrap().unwrap();
        assert_eq!(outcome(&refused).1, Some(Reason::HashingBusy));
    }
    data(&provider.ask_from(home, "by-password", "hunter2").await);
    assert!(
        !strangers.is_empty(),
        "the partner came before the last of them"
    );
}

#[tokio::test]
async fn who_is_refused_may_come_again_when_it_was_told() {
    let provider = Provider::begin().await;
    let home = provider.address;
    let mut waits = None;
    while waits.is_none() {
        let guessed = provider.ask_from(home, "partner", "guess").await;
        waits = outcome(&guessed).2;
    }
    assert_eq!(waits.as_deref(), Some("45"));
    provider
        .clock
        .advance(45 * std::time::Duration::from_secs(1));
    provider.log_in().await;
}

async fn with_limits(provider: Provider, limits: ApiLimits) -> Provider {
    let settings = ApiSettings {
        limits,
        ..settings(LIFETIMES)
    };
    let api = IssuingApi::load(settings, &provider.store, &provider.master).await;
    Provider {
        api: api.unwrap(),
        ..provider
    }
}

fn mints(mints_per_minute: u32) -> ApiLimits {
    ApiLimits {
        mints_per_minute,
        ..ApiLimits::default()
    }
}

#[tokio::test]
async fn an_account_is_given_so_many_tokens_a_minute_and_loses_no_session_by_it() {
    let provider = with_limits(Provider::begin().await, mints(3)).await;
    let first = provider.log_in().await;
    let second = data(&provider.refresh(&first).await);
    let again = data(&provider.refresh(&first).await);
    assert_eq!(again["refresh_token"], second["refresh_token"]);

    let session = provider.store.sessions(provider.account, None, 9).await;
    let refused = provider.refresh(&second).await;
    let told = (429, Some(Reason::MintsThrottled), Some("20".to_owned()));
    assert_eq!(outcome(&refused), told);
    assert_eq!(outcome(&provider.log_in_with(SECRET).await), told);
    let after = provider.store.sessions(provider.account, None, 9).await;
    assert_eq!(after, session, "no row changed");

    provider.clock.advance(MINUTE / 3);
    data(&provider.refresh(&second).await);
}

#[tokio::test]
async fn tokens_that_are_refused_use_up_nothing_of_the_account() {
    let mut provider = with_limits(Provider::begin().await, mints(2)).await;
    let dead = provider.log_in().await;
    provider.log_out(&dead).await;
    let home = provider.address;
    provider.address = address(1);
    for _ in 0..10 {
        let refused = provider.refresh(&dead).await;
        assert_eq!(refused.record.outcome, Err(Reason::SessionRevoked));
    }
    provider.address = home;
    provider.log_in().await;
}

#[tokio::test]
async fn an_account_with_a_limit_of_its_own_has_that_one() {
    let provider = with_limits(Provider::begin().await, mints(2)).await;
    let own = |most| AccountUpdate {
        limits: Some(AccountLimits {
            mints_per_minute: most,
            ..AccountLimits::default()
        }),
        ..AccountUpdate::default()
    };
    let set = |update| {
        provider
            .store
            .update_account(provider.account, update, AuditActor::System)
    };
    set(own(Some(5))).await.unwrap();
    for _ in 0..5 {
        provider.log_in().await;
    }
    let refused = provider.log_in_with(SECRET).await;
    assert_eq!(outcome(&refused).1, Some(Reason::MintsThrottled));
    set(own(None)).await.unwrap();
    provider.clock.advance(MINUTE);
    provider.log_in().await;
    provider.log_in().await;
    assert_eq!(outcome(&provider.log_in_with(SECRET).await).0, 429);
}

#[tokio::test]
async fn the_oldest_idle_session_makes_way_for_a_login_beyond_the_limit() {
    let limits = ApiLimits {
        sessions: 2,
        ..ApiLimits::default()
    };
    let provider = with_limits(Provider::begin().await, limits).await;
    let mut pairs = Vec::new();
    for _ in 0..3 {
        pairs.push(provider.log_in().await);
        provider.clock.advance(MINUTE);
    }
    let refused = provider.refresh(&pairs[0]).await;
    assert_eq!(outcome(&refused).1, Some(Reason::SessionRevoked));
    for pair in &pairs[1..] {
        data(&provider.refresh(pair).await);
    }
}

#[tokio::test]
async fn a_right_secret_from_a_forbidden_address_alerts_and_a_wrong_one_does_not() {
    let provider = Provider::begin().await;
    let update = AccountUpdate {
        allow: Some(Allowlist::parse(&["127.0.0.1"]).unwrap()),
        ..AccountUpdate::default()
    };
    let updated = provider
        .store
        .update_account(provider.account, update, AuditActor::System);
    updated.await.unwrap();
    let (log, _logged) = CapturedLog::of_this_thread(Level::INFO);

    let wrong = provider.ask_from(address(1), "partner", "guess").await;
    assert_eq!(outcome(&wrong).0, 401);
    assert_eq!(log.text(), "");
    let right = provider.ask_from(address(1), "partner", SECRET).await;
    assert_eq!(outcome(&right).1, Some(Reason::AddressDenied));
    let lines = log.text();
    assert!(lines.contains("WARN"), "{lines}");
    assert!(
        lines.contains("account=123456 address=127.1.0.1"),
        "{lines}"
    );
    assert!(!lines.contains(SECRET), "{lines}");
}
