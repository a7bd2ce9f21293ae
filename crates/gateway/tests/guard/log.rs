//! What the log gets of an answer that breaks off, after the outcome was told.

use std::io;
use std::sync::{Arc, Mutex};

use crate::upstreams::{Scripted, Then, behind};
use crate::world::{MYPOPUP, raw};

/// Log lines in memory.
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_logged_once_by_the_id_of_its_request() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&log);
    let logged = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || Log(Arc::clone(&written)))
        .finish();
    let _logged = tracing::subscriber::set_default(logged);
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart";
    let upstream = Scripted::start(part, Then::Close).await;
    let (world, front) = behind(MYPOPUP, &upstream.url).await;
    let request = format!(
        "GET /api/v1/x?secret HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n",
        world.bearer()
    );
    raw(front.address, &request).await;
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
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
