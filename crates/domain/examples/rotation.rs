//! The life of one session: a login, a refresh, its repetition after a lost reply, and a
//! thief who comes with the old refresh token.
//!
//! ```sh
//! cargo run --example rotation
//! ```

use std::time::Duration;

use countersign_domain::account::StoredSecret;
use countersign_domain::session::{
    self, OpeningTerms, OwnerStanding, RefreshClaims, SeedHash, SessionLifetimes, SessionOpening,
};
use countersign_domain::{
    Account, AccountId, AccountLimits, Allowlist, Credential, CredentialId, Epoch, Kid,
    RefreshMode, Scopes, Session, SessionId, Timestamp,
};

const MINUTE: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Timestamp::from_seconds(1_800_000_000);
    let address = "192.0.2.1".parse()?;
    let (account, credential) = partner(now)?;
    let kid = Kid("2027-01".to_owned());
    let terms = OpeningTerms {
        lifetimes: SessionLifetimes {
            access: 3 * MINUTE,
            refresh: 360 * MINUTE,
            absolute: 30 * 24 * 60 * MINUTE,
            window: session::DEFAULT_WINDOW,
        },
        mode: RefreshMode::Rotate,
        active_kid: &kid,
        live_kids: std::slice::from_ref(&kid),
    };

    // The secret was checked by the caller, who also drew the id and the seed.
    let opening = SessionOpening {
        id: SessionId([1; 16]),
        seed_hash: SeedHash([2; 32]),
        variant: "v1".to_owned(),
        address,
        user_agent: "example/1".to_owned(),
    };
    let mut row = session::open(opening, &account, &credential, &terms, now);
    let first = refresh_token(&row);

    for (who, after) in [
        ("the client refreshes", 2 * MINUTE),
        (
            "the same again, since the reply was lost",
            2 * MINUTE + MINUTE / 6,
        ),
        ("the same from a thief, an hour later", 62 * MINUTE),
        ("anything after that", 63 * MINUTE),
    ] {
        let standing = OwnerStanding {
            account: &account,
            credential: Some(&credential),
            address,
        };
        let decision = session::refresh(Some((&row, standing)), &first, &terms, now + after);
        println!("{who}: {:?}, {:?}", decision.outcome, decision.change);
        // A store writes the row before the answer is given.
        row = decision.session.ok_or("the row was there")?;
    }
    Ok(())
}

/// What a refresh token of the row's generation says; a caller reads it out of a token
/// whose signature it has checked.
fn refresh_token(row: &Session) -> RefreshClaims {
    RefreshClaims {
        session: row.id,
        generation: row.generation,
        account: row.account,
        epoch: row.epoch,
        seed_hash: row.seed_hash,
        expires_at: row.refresh_expires_at,
    }
}

fn partner(now: Timestamp) -> Result<(Account, Credential), Box<dyn std::error::Error>> {
    let account = Account {
        id: AccountId::new(34).ok_or("not an id")?,
        api: "pay".parse()?,
        name: "partner".to_owned(),
        active: true,
        epoch: Epoch(0),
        allow: Allowlist::parse(&["192.0.2.0/24"])?,
        limits: AccountLimits::default(),
        created_at: now,
    };
    let credential = Credential {
        id: CredentialId(1),
        account: account.id,
        login: "partner".to_owned(),
        secret: StoredSecret::Key([0; 32]),
        scopes: Scopes::default(),
        active: true,
        created_at: now,
    };
    Ok((account, credential))
}
