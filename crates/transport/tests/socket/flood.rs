//! Many sockets that say nothing, or too little, beside one that asks.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use countersign_testing::raw::{GET, read_message_blocking};
use countersign_transport::{Listener, ListenerLimits};

use crate::server::Server;

/// Both ends of each socket are descriptors of this process.
pub(crate) const SOCKETS: usize = 2_000;

#[test]
fn two_thousand_idle_sockets_leave_another_served() {
    beside_a_flood(b"");
}

#[test]
fn two_thousand_unfinished_heads_leave_another_served() {
    beside_a_flood(b"GET / HTTP/1.1\r\nHo");
}

#[test]
fn two_thousand_unfinished_proxy_headers_leave_another_served() {
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let set_up = |listener: Listener| listener.with_proxy_protocol(proxies);
    // The whole of a header in which the proxy speaks for itself.
    let introduction = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    flood(set_up, &introduction[..10], introduction);
}

fn beside_a_flood(said: &[u8]) {
    flood(|listener| listener, said, b"");
}

/// The flood says something and no more; who comes beside it begins with an
/// `introduction`.
fn flood(set_up: impl FnOnce(Listener) -> Listener, said: &[u8], introduction: &[u8]) {
    assert!(
        descriptors() > 2 * SOCKETS + 100,
        "`ulimit -n` is too low for this test"
    );
    let limits = ListenerLimits {
        max_connections: 500,
        ..ListenerLimits::default()
    };
    let server = Server::behind(limits, set_up);
    let mut kept = connect(server.address, introduction);
    let mut flood = Vec::new();
    for number in 0..SOCKETS {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // Those that made room for others may be closed already.
        let _ = stream.write_all(said);
        flood.push(stream);
        if number % 100 == 0 {
            ask(&mut kept);
            ask(&mut connect(server.address, introduction));
        }
    }
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn running_out_of_descriptors_neither_ends_nor_locks_the_server() {
    // A limit that holds for this test only: the test again, under a shell that lowers it.
    let myself = std::env::current_exe().unwrap();
    let script = r#"ulimit -n 40 && exec "$0" --exact flood::within_forty_descriptors --ignored"#;
    let run = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(myself)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
    assert!(String::from_utf8_lossy(&run.stdout).contains("1 passed"));
}

#[test]
#[ignore = "run by the test above, with few descriptors"]
fn within_forty_descriptors() {
    let server = Server::start(ListenerLimits::default());
    let mut flood = Vec::new();
    while let Ok(stream) = TcpStream::connect(server.address) {
        flood.push(stream);
    }
    assert!(flood.len() > 10);
    // The last waits behind all others. With two descriptors the server can
    // take them, each in the place of one before it.
    let mut last = flood.pop().unwrap();
    flood.truncate(flood.len() - 2);
    ask(&mut last);
    server.stop();
}

fn connect(address: SocketAddr, introduction: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(introduction).unwrap();
    stream
}

fn ask(stream: &mut TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let answer = read_message_blocking(stream).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// How many descriptors this process may open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}
