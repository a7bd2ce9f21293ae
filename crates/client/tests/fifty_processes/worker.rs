//! One of the processes: it calls the vendor's API whenever it is told to.
//!
//! It reads `at MICROSECONDS` (the time) and `call` on its standard input, and
//! writes `@ready`, `@asking` before it sends anything to the token endpoint, and
//! `@ok` or `@failed WHY` for each call. It ends with its input.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign_client::profile::UserPaths;
use countersign_client::{
    BoxFuture, Clock, HttpTransport, ManualClock, Profiles, TokenSource, Transport, TransportError,
};
use countersign_domain::Timestamp;
use countersign_outbound::{ServerUrl, TrustedRoots};
use http::{Request, Response, StatusCode};
use tokio::sync::mpsc;

/// Names the directory with the profiles to a worker.
pub(crate) const HOME: &str = "COUNTERSIGN_TEST_HOME";

struct Worker {
    url: ServerUrl,
    tokens: TokenSource,
    http: HttpTransport,
}

#[tokio::test]
#[ignore = "one of the processes of the test"]
async fn works() {
    #[expect(clippy::disallowed_methods, reason = "the test tells it so")]
    let home = std::env::var(HOME).unwrap();
    let mut orders = orders();
    let start = time(&orders.recv().await.unwrap()).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let worker = Arc::new(Worker::at_home(Path::new(&home), clock.clone()));
    println!("@ready");
    while let Some(order) = orders.recv().await {
        if let Some(now) = time(&order) {
            clock.set(now);
        } else {
            let worker = worker.clone();
            tokio::spawn(async move {
                match worker.call().await {
                    Ok(()) => println!("@ok"),
                    Err(why) => println!("@failed {why}"),
                }
            });
        }
    }
    worker.tokens.settle().await;
}

fn orders() -> mpsc::UnboundedReceiver<String> {
    let (give, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines
            .map_while(Result::ok)
            .all(|line| give.send(line).is_ok())
    });
    orders
}

fn time(order: &str) -> Option<Timestamp> {
    let micros = order.strip_prefix("at ")?;
    Some(Timestamp::from_micros(micros.parse().unwrap()))
}

impl Worker {
    /// Set up as a user would: from a file of profiles.
    fn at_home(home: &Path, clock: impl Clock) -> Self {
        let places = UserPaths::from_variables(|name| (name == "HOME").then(|| home.into()));
        let profiles = Profiles::find(None, &places).unwrap();
        let profile = profiles.profile("pay").unwrap();
        let http = || HttpTransport::new(&profile.url, &TrustedRoots::System).unwrap();
        let source = profile.source().unwrap().clock(clock);
        Self {
            url: profile.url.clone(),
            tokens: source.transport(Telling(http())).build().unwrap(),
            http: http(),
        }
    }

    async fn call(&self) -> Result<(), String> {
        let token = self.tokens.token().await.map_err(|it| it.to_string())?;
        let target = self.url.target("/deposit/1", None).unwrap();
        let mut request = Request::get(target).body(Bytes::new()).unwrap();
        self.tokens.present(&token, request.headers_mut());
        let reply = self.http.send(request).await.map_err(|it| it.to_string())?;
        match reply.status() {
            StatusCode::OK => Ok(()),
            status => Err(format!("the API answers {status}")),
        }
    }
}

/// Tells the test before anything is sent.
struct Telling(HttpTransport);

impl Transport for Telling {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        println!("@asking");
        self.0.send(request)
    }
}
