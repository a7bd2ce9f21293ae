//! Lives of 5 seconds to 7 days, in every dialect that refreshes: no expired
//! token is sent, and little more is asked for than must be.

use std::time::Duration;

use countersign_sandbox::{RequestExpectations, Sandbox};

use crate::world::{DIALECTS, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many lives are played, and into how many steps each is cut.
const LIVES: u32 = 12;
const STEPS: u32 = 40;

/// A program that calls now and then, and at the last moment of a token.
async fn lived(dialect: &str, life: Duration) -> World {
    let setup = Sandbox::shipped(dialect).lifetimes(life, 365 * DAY);
    let world = World::of(setup).await;
    world.call().await.unwrap();
    for step in 1..=LIVES * STEPS {
        // A step that no second is a multiple of.
        world.later(life / STEPS + Duration::from_micros(7)).await;
        let token = world.tokens.token().await.unwrap();
        let left = token.expires_at().since(world.now());
        if left <= life / STEPS {
            world.later(left - Duration::from_micros(1)).await;
        }
        if left <= life / STEPS || step % 7 == 0 {
            world.call().await.unwrap();
        }
    }
    world
}

async fn all_of(life: Duration) {
    for dialect in DIALECTS {
        let world = lived(dialect, life).await;
        let expected = RequestExpectations::new()
            .logins(1)
            .max_refused(0)
            .no_expired();
        assert_eq!(world.sandbox.check(&expected), Ok(()), "{dialect}");
        let refreshes = world.asked().refreshes;
        assert!(refreshes >= u64::from(LIVES) - 1, "{dialect}: {refreshes}");
        let most = f64::from(LIVES) * 1.3;
        assert!(refreshes as f64 <= most, "{dialect}: {refreshes}");
    }
}

#[tokio::test]
async fn five_seconds() {
    all_of(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_minute() {
    all_of(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn three_minutes() {
    all_of(Duration::from_secs(180)).await;
}

#[tokio::test]
async fn an_hour() {
    all_of(Duration::from_secs(3600)).await;
}

#[tokio::test]
async fn seven_days() {
    all_of(7 * DAY).await;
}
