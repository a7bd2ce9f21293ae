//! A login in a dialect, from both ends: the client writes the request, the issuer reads
//! it and writes the reply, and the client reads that.
//!
//! ```sh
//! cargo run --example login_both_ways            # a shipped dialect
//! cargo run --example login_both_ways -- FILE    # or your own
//! ```

use std::time::Duration;

use countersign_dialect::{ClientValues, Dialect, Secret, TokenCommand, TokenGrant};
use countersign_domain::{Timestamp, TokenOperation};

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (origin, source) = match std::env::args().nth(1) {
        Some(path) => (path.clone(), std::fs::read_to_string(path)?),
        None => {
            let shipped = Dialect::shipped("b2binpay").ok_or("no such dialect")?;
            ("b2binpay".to_owned(), shipped.to_owned())
        }
    };
    // Mistakes are reported all at once, each with its line and column.
    let dialect = Dialect::compile(&source, &origin)?;
    let variant = dialect.variants().next().ok_or("no variant")?;

    let secret = Secret::from("s3cret");
    let values = ClientValues {
        login: Some("partner"),
        secret: Some(&secret),
        ..ClientValues::default()
    };
    let request = dialect
        .request(TokenOperation::Login, variant, &values)
        .ok_or("the dialect wants more for a login than a name and a secret")?;
    println!("{} {}", request.method(), request.uri());
    println!("{}\n", String::from_utf8_lossy(request.body()));

    let (parts, body) = request.into_parts();
    let command = dialect
        .read_request(&parts, &body)
        .map_err(|it| it.detail)?;
    let TokenCommand::Login { asked, login, .. } = command else {
        return Err("it is read as another operation".into());
    };

    let now = Timestamp::from_seconds(1_800_000_000);
    let reply = dialect.write_grant(
        &asked,
        &TokenGrant {
            login: &login,
            client_id: 34,
            access_token: "an.access.token",
            refresh_token: dialect.refreshes(variant).then_some("a.refresh.token"),
            access_expires_at: now + Duration::from_secs(180),
            refresh_expires_at: now + Duration::from_secs(21_600),
            now,
            secret: Some(&secret),
        },
    );
    println!("{}", reply.status());
    println!("{}\n", String::from_utf8_lossy(reply.body()));

    let understood = dialect.understand(TokenOperation::Login, variant, &values, &reply, now)?;
    println!("{understood:#?}");
    Ok(())
}
