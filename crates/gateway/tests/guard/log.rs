//! What the log gets of an answer that breaks off, after the outcome was told.

use crate::upstreams::{Scripted, Then, behind};
use crate::world::MYPOPUP;
use countersign_testing::logs::CapturedLog;
use countersign_testing::raw::exchange;
use tracing::Level;

#[tokio::test]
async fn an_answer_that_breaks_off_is_logged_once_by_the_id_of_its_request() {
    let (log, _logged) = CapturedLog::of_this_thread(Level::INFO);
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart";
    let upstream = Scripted::start(part, Then::Close);
    let (world, front) = behind(MYPOPUP, &upstream.url);
    let request = format!(
        "GET /api/v1/x?secret HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n",
        world.bearer()
    );
    exchange(front.address, &request).await;
    let log = log.text();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line = lines[0];
    for said in ["WARN", "api=\"mypopup\"", "request_id=\"req-7f3a\""] {
        assert!(line.contains(said), "{line}");
    }
    for secret in ["secret", &world.token(), "part"] {
        assert!(!line.contains(secret), "{line}");
    }
}
