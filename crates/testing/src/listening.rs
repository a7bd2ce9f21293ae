//! Ports of the loopback network: some that a closure serves, and one that nobody does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as BlockingListener, TcpStream as BlockingStream};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// A port that is listened on until the runtime ends, or [`LoopbackListener::stop`].
#[derive(Debug)]
pub struct LoopbackListener {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Listens on a free port of 127.0.0.1, and gives each connection to `serve`, in a
/// task of its own. Needs a runtime around it.
pub fn listen<F, Fut>(mut serve: F) -> LoopbackListener
where
    F: FnMut(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = free_port();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    LoopbackListener { address, accepting }
}

impl LoopbackListener {
    /// `http://` and the address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nobody listens any more; connections that were accepted go on.
    pub async fn stop(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
    }
}

/// As [`listen`], without a runtime: each connection has a thread of its own.
pub fn listen_blocking(serve: impl Fn(BlockingStream) + Send + Sync + 'static) -> SocketAddr {
    let (listener, address) = free_port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A port that speaks TLS and answers anything else with an alert (RFC 8446 section 6).
#[must_use]
pub fn alerting_tls() -> SocketAddr {
    listen_blocking(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x02\x46");
    })
}

/// A port that speaks TLS and closes on anything else, as most do.
#[must_use]
pub fn closing_tls() -> SocketAddr {
    listen_blocking(|mut stream| {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello);
        if hello.starts_with(&[0x16, 0x03]) {
            let _ = stream.write_all(b"\x16\x03\x03\x00\x7a");
        }
    })
}

/// A port that speaks plain HTTP and closes on anything else without a word, as some do.
#[must_use]
pub fn closing_http() -> SocketAddr {
    listen_blocking(|mut stream| {
        let mut begun = [0; 4096];
        let read = stream.read(&mut begun).unwrap_or_default();
        if begun.get(..read).is_some_and(|it| it.starts_with(b"GET /")) {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    })
}

/// A port that speaks TLS and answers plain HTTP with a 400 that does not say so.
#[must_use]
pub fn taciturn_tls() -> SocketAddr {
    listen_blocking(|mut stream| {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello);
        let answer: &[u8] = match hello.starts_with(&[0x16, 0x03]) {
            true => b"\x16\x03\x03\x00\x7a",
            false => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nBad",
        };
        let _ = stream.write_all(answer);
    })
}

/// A listener on a free port of 127.0.0.1, for whoever accepts by himself.
#[must_use]
pub fn free_port() -> (BlockingListener, SocketAddr) {
    let listener = BlockingListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A URL where nobody listens. The port stays taken until the process ends, so that
/// no other test gets it meanwhile.
#[must_use]
pub fn nowhere() -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    format!("http://{address}")
}
