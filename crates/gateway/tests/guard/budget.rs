//! Budgets and requests a second, as a client of the proxy sees them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign_domain::revocation::RevocationNotice;
use countersign_domain::{Account, AccountLimits, ApiLimits, Reason};
use countersign_gateway::{
    BudgetLender, LendOutcome, LenderAnswer, LendingUnavailable, TokenId, TokenLoan,
};
use countersign_testing::recording::RecordingServer;
use countersign_testing::replies::Reply;

use crate::retries::{Does, Fickle};
use crate::world::{ACCOUNT, APIRONE, Front, KEY, LOGIN, MYPOPUP, Plan, World, echo_upstream};

/// Lends as a store would, from memory.
#[derive(Clone, Default)]
struct Book {
    lent: Arc<Mutex<HashMap<TokenId, u32>>>,
    down: Arc<AtomicBool>,
}

impl Book {
    fn all_lent(&self) -> u32 {
        self.lent.lock().unwrap().values().sum()
    }
}

impl BudgetLender for Book {
    fn lend(&self, loan: TokenLoan, limit: u32) -> LenderAnswer<LendOutcome> {
        let mut lent = self.lent.lock().unwrap();
        let before = lent.entry(loan.token).or_default();
        let granted = loan.requests.min(limit.saturating_sub(*before));
        *before += granted;
        let in_all = *before;
        let down = self.down.load(Ordering::SeqCst);
        let answer = if down {
            Err(LendingUnavailable)
        } else {
            Ok(LendOutcome { granted, in_all })
        };
        Box::pin(std::future::ready(answer))
    }

    fn take_back(&self, _: Vec<TokenLoan>) -> LenderAnswer<()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn budget(budget: u32) -> ApiLimits {
    ApiLimits {
        budget: Some(budget),
        ..ApiLimits::default()
    }
}

async fn begin(dialect: &'static str, limits: ApiLimits) -> (World, Front, Book, RecordingServer) {
    let (echo, book) = (echo_upstream(), Book::default());
    let plan = Plan {
        limits,
        lender: Some(Box::new(book.clone())),
        ..Plan::new(dialect, &echo.url)
    };
    let world = plan.build();
    let front = world.serve();
    (world, front, book, echo)
}

async fn order(world: &World, front: &Front) -> Reply {
    let bearer = world.bearer();
    front
        .get("/api/v1/orders", &[("authorization", &bearer)])
        .await
}

fn told(response: &Reply) -> (u16, &str, &str) {
    let (policy, left) = (
        response.header("ratelimit-policy"),
        response.header("ratelimit"),
    );
    (response.status.as_u16(), policy, left)
}

#[tokio::test]
async fn a_token_makes_its_requests_and_is_told_what_is_left_to_the_end() {
    let (world, front, _, echo) = begin(MYPOPUP, budget(3)).await;
    let policy = "\"budget\";q=3;w=110";
    for left in [
        "\"budget\";r=2;t=100",
        "\"budget\";r=1;t=100",
        "\"budget\";r=0;t=100",
    ] {
        assert_eq!(told(&order(&world, &front).await), (200, policy, left));
    }
    for _ in 0..2 {
        let refused = order(&world, &front).await;
        assert_eq!(told(&refused), (401, policy, "\"budget\";r=0;t=100"));
        assert_eq!(
            world.last_outcome().unwrap_err().reason,
            Reason::BudgetSpent
        );
    }
    assert_eq!(echo.count(), 3);
}

#[tokio::test]
async fn what_is_refused_or_public_spends_nothing() {
    let (world, front, book, _) = begin(MYPOPUP, budget(3)).await;
    let bearer = world.bearer();
    let forged = format!("{}x", &bearer[..bearer.len() - 1]);
    let cases = [
        ("/api/v1/%2e%2e/orders", bearer.as_str(), 400),
        ("/api/v1/orders", forged.as_str(), 401),
        ("/api/v1/public", bearer.as_str(), 200),
    ];
    for (path, bearer, status) in cases {
        let response = front.get(path, &[("authorization", bearer)]).await;
        assert_eq!(told(&response), (status, "", ""), "{path}");
    }
    assert_eq!(book.all_lent(), 0);
}

#[tokio::test]
async fn a_static_key_has_no_budget() {
    let (_, front, book, _) = begin(APIRONE, budget(1)).await;
    let path = format!("/api/v2/accounts/{LOGIN}/transfer?transfer-key={KEY}");
    for _ in 0..3 {
        let response = front.send("POST", &path, &[], "").await;
        assert_eq!(told(&response), (200, "", ""));
    }
    assert_eq!(book.all_lent(), 0);
}

#[tokio::test]
async fn a_request_whose_upstream_fails_has_spent_one() {
    let plan = Plan {
        limits: budget(1),
        lender: Some(Box::new(Book::default())),
        ..Plan::new(MYPOPUP, "http://127.0.0.1:1")
    };
    let world = plan.build();
    let front = world.serve();
    assert_eq!(order(&world, &front).await.status, 502);
    assert_eq!(order(&world, &front).await.status, 401);
}

#[tokio::test]
async fn while_the_store_is_down_requests_go_on_until_nothing_is_in_hand() {
    let (world, front, book, _) = begin(MYPOPUP, budget(64)).await;
    assert_eq!(order(&world, &front).await.status, 200);
    book.down.store(true, Ordering::SeqCst);
    let mut passed = 0;
    let refused = loop {
        let response = order(&world, &front).await;
        if response.status != 200 {
            break response;
        }
        passed += 1;
    };
    assert!((1..10).contains(&passed), "{passed}");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "1");
    let denied = world.last_outcome().unwrap_err();
    assert_eq!(denied.reason, Reason::StoreUnavailable);
    assert_eq!(denied.account.unwrap().number(), ACCOUNT);
}

fn own_limits(world: &World, limits: AccountLimits) {
    let account = Account {
        limits,
        ..world.account(ACCOUNT, LOGIN)
    };
    world.tell(&[RevocationNotice::Account(account)]);
}

#[tokio::test]
async fn an_account_has_its_own_budget_from_the_next_request_on() {
    let (world, front, _, _) = begin(MYPOPUP, budget(1)).await;
    assert_eq!(order(&world, &front).await.status, 200);
    assert_eq!(order(&world, &front).await.status, 401);
    let limits = AccountLimits {
        budget: Some(2),
        ..AccountLimits::default()
    };
    own_limits(&world, limits);
    assert_eq!(order(&world, &front).await.status, 200);
    assert_eq!(order(&world, &front).await.status, 401);
}

#[tokio::test]
async fn an_account_that_is_too_fast_is_told_when_to_come_again() {
    let (world, front, _, _) = begin(MYPOPUP, budget(10)).await;
    let limits = AccountLimits {
        requests_per_second: Some(2),
        ..AccountLimits::default()
    };
    own_limits(&world, limits);
    order(&world, &front).await;
    let passed = order(&world, &front).await;
    assert_eq!(told(&passed).2, "\"budget\";r=8;t=100");
    let refused = order(&world, &front).await;
    assert_eq!(told(&refused), (429, "", ""));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::RequestsThrottled
    );
    own_limits(&world, AccountLimits::default());
    let passed = order(&world, &front).await;
    assert_eq!(
        told(&passed).2,
        "\"budget\";r=7;t=100",
        "the refused one spent nothing"
    );
}

#[tokio::test]
async fn a_request_that_goes_to_the_upstream_twice_is_spent_once() {
    let upstream = Fickle::start(&[Does::Answers, Does::Reads]);
    let plan = Plan {
        limits: budget(6),
        lender: Some(Box::new(Book::default())),
        ..Plan::new(MYPOPUP, &upstream.url)
    };
    let world = plan.build();
    let front = world.serve();
    let bearer = world.bearer();
    for round in 0..7 {
        let mark = round.to_string();
        let fields = [("authorization", bearer.as_str()), ("x-mark", &mark)];
        let response = front.get("/api/v1/orders", &fields).await;
        let expected = if round < 6 { 200 } else { 401 };
        assert_eq!(response.status, expected, "{round}");
    }
}
