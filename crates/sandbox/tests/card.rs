//! Our own client on the card, in every dialect and variant: it passes all of
//! it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use countersign_client::{AccessToken, Error, HttpTransport, TokenSource, TokenVerdict, Transport};
use countersign_dialect::{Dialect, Secret, Variant};
use countersign_outbound::TrustedRoots;
use countersign_sandbox::card::{
    CardClient, CardPlan, ClientAnswer, ClientCard, ClientSituation, StartClient, play,
};
use http::{Request, Response};
use tokio::task::JoinSet;

/// A program that asks for a token before each call, and once more when the
/// vendor did not take it.
struct Own {
    url: String,
    source: TokenSource,
    transport: HttpTransport,
}

impl Own {
    fn of(situation: &ClientSituation, dialect: Arc<Dialect>) -> Result<Self, Error> {
        let source = TokenSource::builder(dialect, &situation.url)
            .variant(&situation.variant)
            .login(&situation.login)
            .secret(Secret::from(situation.secret.clone()))
            .build()?;
        let url = situation.url.parse().unwrap();
        Ok(Self {
            url: situation.url.clone(),
            source,
            transport: HttpTransport::new(&url, &TrustedRoots::System)?,
        })
    }

    async fn answer(&self, path: &str) -> Result<ClientAnswer, String> {
        let token = self.source.token().await.map_err(|it| it.to_string())?;
        let answer = self.send(path, &token).await?;
        if !self.is_expired(&answer) {
            return Ok(ClientAnswer::Status(answer.status().as_u16()));
        }
        self.source.report_refused(&token);
        let token = self.source.token().await.map_err(|it| it.to_string())?;
        let answer = self.send(path, &token).await?;
        Ok(ClientAnswer::Status(answer.status().as_u16()))
    }

    async fn send(&self, path: &str, token: &AccessToken) -> Result<Response<Bytes>, String> {
        let mut request = Request::get(format!("{}{path}", self.url))
            .body(Bytes::new())
            .unwrap();
        self.source.present(token, request.headers_mut());
        self.transport
            .send(request)
            .await
            .map_err(|it| it.to_string())
    }

    fn is_expired(&self, answer: &Response<Bytes>) -> bool {
        match self.source.judge(answer.status()) {
            TokenVerdict::Refused => true,
            TokenVerdict::NotRefused => false,
            TokenVerdict::Unclear => self.source.says_token_refused(answer),
        }
    }
}

impl CardClient for Own {
    fn call<'a>(
        &'a self,
        path: &'a str,
    ) -> Pin<Box<dyn Future<Output = ClientAnswer> + Send + 'a>> {
        Box::pin(async move { self.answer(path).await.unwrap_or_else(ClientAnswer::Error) })
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn finish(&self) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>> {
        Box::pin(async {
            self.source.settle().await;
            Vec::new()
        })
    }
}

async fn card(dialect: Arc<Dialect>, variant: Variant) -> ClientCard {
    let plan = CardPlan::new(dialect.clone()).variant(variant).at_once(32);
    let start: Arc<StartClient<Error>> = Arc::new(move |situation: &ClientSituation| {
        Ok(Arc::new(Own::of(situation, dialect.clone())?) as Arc<dyn CardClient>)
    });
    play(&plan, start).await.unwrap()
}

/// All steps pass, without a note; only what the dialect does not have is skipped.
fn assert_passes(card: &ClientCard) {
    for played in &card.steps {
        let is_played = played.step.name != "budget" || card.terms.budget.is_some();
        let expected = if is_played { "pass" } else { "skipped" };
        assert_eq!(played.verdict.word(), expected, "{card}");
        assert!(played.verdict.notes().is_empty(), "{card}");
    }
}

/// They wait for tokens to end, so they are led at once.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_passes_the_card_in_every_dialect_and_variant() {
    let mut cards = JoinSet::new();
    for (name, source) in Dialect::SHIPPED {
        let dialect = Arc::new(Dialect::compile(source, name).unwrap());
        for variant in dialect.variants() {
            cards.spawn(card(dialect.clone(), variant));
        }
    }
    let cards = cards.join_all().await;
    assert!(cards.len() >= 5, "{}", cards.len());
    cards.iter().for_each(assert_passes);
}
