use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::*;

/// A lender that keeps its book in memory. While `down`, it fails; while it is
/// held, it does not answer.
#[derive(Clone, Default)]
struct Book(Arc<Pages>);

#[derive(Default)]
struct Pages {
    lent: Mutex<HashMap<TokenId, u32>>,
    asked: Mutex<Vec<u32>>,
    down: AtomicBool,
    held: tokio::sync::RwLock<()>,
}

impl Book {
    fn lent(&self) -> MutexGuard<'_, HashMap<TokenId, u32>> {
        self.0.lent.lock().unwrap()
    }

    fn asked(&self) -> Vec<u32> {
        std::mem::take(&mut self.0.asked.lock().unwrap())
    }

    fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    fn answer<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> LenderAnswer<T> {
        let book = self.clone();
        Box::pin(async move {
            let _held = book.0.held.read().await;
            if book.0.down.load(Ordering::SeqCst) {
                return Err(LendingUnavailable);
            }
            Ok(change(&book))
        })
    }
}

impl BudgetLender for Book {
    fn lend(&self, loan: TokenLoan, limit: u32) -> LenderAnswer<LendOutcome> {
        self.answer(move |book| {
            book.0.asked.lock().unwrap().push(loan.requests);
            let mut lent = book.lent();
            let before = lent.entry(loan.token).or_default();
            let granted = loan.requests.min(limit.saturating_sub(*before));
            *before += granted;
            let in_all = *before;
            LendOutcome { granted, in_all }
        })
    }

    fn take_back(&self, unspent: Vec<TokenLoan>) -> LenderAnswer<()> {
        self.answer(move |book| {
            for loan in unspent {
                *book.lent().get_mut(&loan.token).unwrap() -= loan.requests;
            }
        })
    }
}

fn token(number: u8) -> TokenId {
    TokenId {
        session: SessionId([number; 16]),
        generation: 0,
        expires_at: Timestamp::from_seconds(900),
    }
}

fn budgets() -> (TokenBudgets, Book) {
    let book = Book::default();
    (TokenBudgets::new(10, Box::new(book.clone())), book)
}

/// Spends until it is refused, and says how often that went well.
async fn exhaust(budgets: &TokenBudgets, limit: u32) -> (u32, BudgetShortage) {
    let mut spent = 0;
    loop {
        match budgets.spend(token(1), limit).await {
            Ok(_) => spent += 1,
            Err(shortage) => return (spent, shortage),
        }
    }
}

/// Lets tasks run that were spawned.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_request_of_a_budget_can_be_made_and_none_more() {
    for limit in [0, 1, 2, 3, 40, 1_000, 70_000] {
        let (budgets, book) = budgets();
        assert_eq!(
            exhaust(&budgets, limit).await,
            (limit, BudgetShortage::Spent)
        );
        assert_eq!(book.lent().values().sum::<u32>(), limit);
        assert!(book.asked().iter().all(|it| *it <= MOST_AT_ONCE));
        assert_eq!(exhaust(&budgets, limit).await, (0, BudgetShortage::Spent));
        settle().await;
        assert!(book.asked().is_empty(), "a spent budget asks no more");
    }
}

#[tokio::test]
async fn what_is_left_is_told_from_the_first_request_to_the_last() {
    let (budgets, _) = budgets();
    for left in (0..40).rev() {
        assert_eq!(budgets.spend(token(1), 40).await, Ok(left));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_together_make_exactly_as_many() {
    for limit in [1, 40, 5_000] {
        let (budgets, _) = budgets();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let budgets = budgets.clone();
            callers.spawn(async move { exhaust(&budgets, limit).await });
        }
        let spent: Vec<_> = callers.join_all().await;
        assert_eq!(spent.iter().map(|(spent, _)| spent).sum::<u32>(), limit);
        assert!(spent.iter().all(|(_, why)| *why == BudgetShortage::Spent));
    }
}

#[tokio::test]
async fn many_that_wait_ask_once() {
    let (budgets, book) = budgets();
    let held = book.0.held.write().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let budgets = budgets.clone();
        callers.spawn(async move { budgets.spend(token(1), 1_000).await });
    }
    settle().await;
    drop(held);
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    let asked = book.asked();
    assert!(asked.len() <= 3, "{asked:?}");
}

#[tokio::test]
async fn while_the_store_is_down_what_is_in_hand_is_spent() {
    let (budgets, book) = budgets();
    budgets.spend(token(1), 1_600).await.unwrap();
    settle().await;
    book.set_down(true);
    let (spent, shortage) = exhaust(&budgets, 1_600).await;
    assert_eq!((spent, shortage), (99, BudgetShortage::Unlent));
    book.set_down(false);
    assert_eq!(
        exhaust(&budgets, 1_600).await,
        (1_500, BudgetShortage::Spent)
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_waited_for_without_end() {
    let (budgets, book) = budgets();
    let held = book.0.held.write().await;
    assert_eq!(
        budgets.spend(token(1), 40).await,
        Err(BudgetShortage::Unlent)
    );
    drop(held);
    settle().await;
    assert_eq!(exhaust(&budgets, 40).await, (40, BudgetShortage::Spent));
}

#[tokio::test]
async fn a_stop_gives_back_what_is_in_hand_and_the_next_process_spends_it() {
    let (first, book) = budgets();
    for _ in 0..100 {
        first.spend(token(1), 1_600).await.unwrap();
    }
    first.give_back().await.unwrap();
    assert_eq!(book.lent()[&token(1)], 100);
    let second = TokenBudgets::new(10, Box::new(book));
    assert_eq!(
        exhaust(&second, 1_600).await,
        (1_500, BudgetShortage::Spent)
    );
}

#[tokio::test]
async fn a_token_of_which_nothing_is_in_hand_is_not_given_back() {
    let (budgets, book) = budgets();
    assert_eq!(exhaust(&budgets, 0).await, (0, BudgetShortage::Spent));
    budgets.give_back().await.unwrap();
    assert!(book.lent().is_empty(), "the lender never heard of it");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_an_answer_that_is_due_and_no_longer() {
    let (budgets, book) = budgets();
    let held = book.0.held.write().await;
    let gone = tokio::spawn({
        let budgets = budgets.clone();
        async move { budgets.spend(token(1), 40).await }
    });
    settle().await;
    gone.abort();
    let began = tokio::time::Instant::now();
    let stop = tokio::spawn(async move { budgets.give_back().await });
    settle().await;
    drop(held);
    stop.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(
        book.lent()[&token(1)],
        0,
        "what was lent late is given back"
    );
}

#[tokio::test]
async fn more_is_borrowed_before_the_last_is_spent() {
    let (budgets, book) = budgets();
    for _ in 0..53 {
        budgets.spend(token(1), 1_600).await.unwrap();
    }
    settle().await;
    assert_eq!(book.asked(), [100], "a sixteenth of the whole");
    budgets.spend(token(1), 1_600).await.unwrap();
    settle().await;
    assert_eq!(book.asked(), [93], "a sixteenth of the rest");
}

#[tokio::test]
async fn what_is_left_is_known_of_tokens_that_were_used() {
    let (budgets, _) = budgets();
    budgets.spend(token(1), 40).await.unwrap();
    assert_eq!(budgets.left(token(1), 40), Some(39));
    assert_eq!(budgets.left(token(1), 30), Some(29));
    assert_eq!(budgets.left(token(2), 40), None);
}

#[test]
fn as_much_is_borrowed_as_requests_wait_and_not_for_those_that_went_away() {
    let purse = TokenPurse::default();
    let waiting: Vec<_> = (0..3).map(|_| WaitingRequest::at(&purse)).collect();
    assert_eq!(purse.wanted(16), 3);
    drop(waiting);
    assert_eq!(purse.wanted(16), 1);
}

#[tokio::test]
async fn a_process_that_dies_loses_no_more_than_it_had_in_hand() {
    let book = Book::default();
    let (mut spent, mut lives) = (0, 0);
    loop {
        let budgets = TokenBudgets::new(10, Box::new(book.clone()));
        lives += 1;
        let mut here = 0;
        while here < 100 && budgets.spend(token(1), 1_600).await.is_ok() {
            here += 1;
        }
        spent += here;
        if here < 100 {
            break;
        }
    }
    let lost = 1_600 - spent;
    assert!(lost <= lives * 150, "{lost} lost in {lives} lives");
}

#[tokio::test]
async fn a_limit_that_is_raised_gives_the_rest() {
    let (budgets, _) = budgets();
    assert_eq!(exhaust(&budgets, 10).await, (10, BudgetShortage::Spent));
    assert_eq!(exhaust(&budgets, 15).await, (5, BudgetShortage::Spent));
    assert_eq!(exhaust(&budgets, 5).await, (0, BudgetShortage::Spent));
}

#[tokio::test]
async fn a_limit_that_is_lowered_holds_for_what_is_in_hand_too() {
    let (budgets, book) = budgets();
    for _ in 0..20 {
        budgets.spend(token(1), 1_600).await.unwrap();
    }
    settle().await;
    let lent = book.lent()[&token(1)];
    assert!(lent > 30, "{lent} are lent, so some are in hand");
    assert_eq!(budgets.spend(token(1), 22).await, Ok(1));
    assert_eq!(exhaust(&budgets, 22).await, (1, BudgetShortage::Spent));
    assert_eq!(budgets.left(token(1), 22), Some(0));
    assert_eq!(exhaust(&budgets, 30).await, (8, BudgetShortage::Spent));
    assert_eq!(book.lent()[&token(1)], lent, "nothing more was lent");
    assert_eq!(
        exhaust(&budgets, 1_600).await,
        (1_570, BudgetShortage::Spent)
    );
}

#[tokio::test]
async fn memory_is_bounded_and_freed_by_expiry() {
    let (budgets, _) = budgets();
    for number in 0..10 {
        assert!(budgets.spend(token(number), 40).await.is_ok());
    }
    assert_eq!(
        budgets.spend(token(10), 40).await,
        Err(BudgetShortage::Unlent)
    );
    budgets.prune(Timestamp::from_seconds(899));
    assert_eq!(
        budgets.spend(token(10), 40).await,
        Err(BudgetShortage::Unlent)
    );
    budgets.prune(Timestamp::from_seconds(900));
    assert!(budgets.spend(token(10), 40).await.is_ok());
}
