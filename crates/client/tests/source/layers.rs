//! The tower layer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_client::{BearerAuth, BearerError, BearerLayer};
use countersign_domain::{Refusal, TokenOperation};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::vendor::{Play, Vendor, access, at_once};

/// A guarded API that does not take some tokens.
#[derive(Clone, Default)]
struct Api {
    bad: Arc<Mutex<BTreeSet<String>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Api {
    fn refuses(&self, tokens: &[String]) {
        self.bad.lock().unwrap().extend(tokens.iter().cloned());
    }

    fn answer(&self, request: &Request<String>) -> Response<()> {
        let bearer = request.headers()["authorization"].to_str().unwrap();
        let token = bearer.strip_prefix("Bearer ").unwrap().to_owned();
        let mut answer = Response::new(());
        if self.bad.lock().unwrap().contains(&token) {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        self.seen
            .lock()
            .unwrap()
            .push((token, request.body().clone()));
        answer
    }

    fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|(token, body)| format!("{token} {body}"))
            .collect()
    }

    /// Through the layer.
    async fn ask(&self, layer: &BearerLayer<String>) -> StatusCode {
        let api = self.clone();
        let service = service_fn(move |request: Request<String>| {
            let answer = api.answer(&request);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        let mut service: BearerAuth<_, String> = layer.layer(service);
        let request = Request::get("/x").body("body".to_owned()).unwrap();
        let answer = service.ready().await.unwrap().call(request).await;
        answer.unwrap().status()
    }
}

#[tokio::test]
async fn a_request_gets_a_token() {
    let vendor = Vendor::speaking("mypopup");
    let (api, source) = (Api::default(), vendor.client().build().unwrap());
    assert_eq!(api.ask(&BearerLayer::new(source)).await, 200);
    assert_eq!(api.seen(), [format!("{} body", access(10))]);
}

#[tokio::test]
async fn a_request_whose_token_is_refused_is_made_once_more_with_another() {
    let vendor = Vendor::speaking("mypopup");
    let (api, source) = (Api::default(), vendor.client().build().unwrap());
    let layer = BearerLayer::new(source);
    api.refuses(&[access(10)]);
    assert_eq!(api.ask(&layer).await, 200);
    assert_eq!(
        api.seen(),
        [10, 11].map(|it| format!("{} body", access(it)))
    );

    vendor.clock.advance(Duration::from_secs(10));
    api.refuses(&[access(11), access(12)]);
    assert_eq!(api.ask(&layer).await, 401);
    assert_eq!(api.seen().len(), 4, "and not a third time");
}

#[tokio::test]
async fn a_request_that_cannot_be_repeated_is_not_and_the_next_has_another_token() {
    let vendor = Vendor::speaking("mypopup");
    let (api, source) = (Api::default(), vendor.client().build().unwrap());
    let layer = BearerLayer::repeating(source, |_| None);
    assert_eq!(api.ask(&layer).await, 200);
    api.refuses(&[access(10)]);
    vendor.hold();
    let answered = at_once(api.ask(&layer)).expect("it does not wait for the other token");
    assert_eq!(answered, 401);
    vendor.go_on();
    assert_eq!(api.ask(&layer).await, 200);
    assert_eq!(
        vendor.asked(),
        [TokenOperation::Login, TokenOperation::Refresh]
    );
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let vendor = Vendor::speaking("mypopup");
    vendor.play(Play::Refuse(Refusal::BadLogin));
    let source = vendor.client().build().unwrap();
    let unreached = service_fn(|_: Request<()>| async {
        Err::<Response<()>, _>(std::io::Error::other("it was reached"))
    });
    let mut service = BearerLayer::new(source).layer(unreached);
    let answer = service.ready().await.unwrap().call(Request::new(())).await;
    assert!(matches!(answer, Err(BearerError::Token(_))), "{answer:?}");
}
