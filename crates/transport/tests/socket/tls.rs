//! TLS as a client meets it, with the whole listener.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use countersign_testing::certificates::MadeCertificate;
use countersign_testing::raw::read_message_blocking;
use countersign_transport::{ListenerLimits, ListenerTls};
use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, StreamOwned};
use tempfile::tempdir;

use crate::flood::SOCKETS;
use crate::server::Server;

const GET: &[u8] = b"GET /over-tls HTTP/1.1\r\nHost: h\r\n\r\n";

/// A server behind TLS, and what a client needs to be let in.
fn start(limits: ListenerLimits) -> (Server, Arc<ClientConfig>) {
    let directory = tempdir().unwrap();
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let server = Server::behind(limits, |listener| listener.with_tls(tls));
    (server, Arc::new(pair.client(ALL_VERSIONS)))
}

fn connect(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("h").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(session, TcpStream::connect(server.address).unwrap())
}

fn ask(stream: &mut (impl Read + Write)) {
    stream.write_all(GET).unwrap();
    let answer = read_message_blocking(stream).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn two_thousand_stuck_handshakes_leave_another_served() {
    let (server, config) = start(ListenerLimits {
        max_connections: 500,
        ..ListenerLimits::default()
    });
    let mut kept = connect(&server, &config);
    let mut flood = Vec::new();
    for number in 0..SOCKETS {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // The beginning of a record that never ends.
        let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01");
        flood.push(stream);
        if number % 100 == 0 {
            ask(&mut kept);
            ask(&mut connect(&server, &config));
        }
    }
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn plain_http_at_the_port_of_tls_is_closed_and_not_reset() {
    let (server, _) = start(ListenerLimits::default());
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(GET).unwrap();
    stream.write_all(&[b'x'; 50_000]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert!(!said.starts_with(b"HTTP"));
    server.stop();
}
