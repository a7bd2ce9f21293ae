//! Runs the cases of `gate/*.txt`, each sent whole and sent in small pieces: a
//! gate that judges only what comes in one read is none.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use countersign_testing::raw::{RawMessage, read_message_blocking};
use countersign_transport::{Listener, ListenerLimits};

use crate::cases::{Case, parse};
use crate::server::Server;

const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn host_cases() {
    run(include_str!("gate/host.txt"));
}

#[test]
fn framing_cases() {
    run(include_str!("gate/framing.txt"));
}

#[test]
fn chunk_cases() {
    run(include_str!("gate/chunks.txt"));
}

#[test]
fn request_line_cases() {
    run(include_str!("gate/request_line.txt"));
}

#[test]
fn target_cases() {
    run(include_str!("gate/target.txt"));
}

#[test]
fn field_cases() {
    run(include_str!("gate/fields.txt"));
}

#[test]
fn connection_cases() {
    run(include_str!("gate/connection.txt"));
}

#[test]
fn size_cases() {
    run(include_str!("gate/sizes.txt"));
}

#[test]
fn the_preface_of_http_2_is_refused_where_it_is_not_spoken() {
    let server = Server::behind(limits(), Listener::without_http2);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let answer = (505, "Only HTTP/1.1 and HTTP/1.0".to_owned());
    check(
        server.address,
        &case("preface".to_owned(), preface, answer),
        4096,
    );
    server.stop();
}

#[test]
fn each_byte_in_a_path_is_either_passed_on_as_it_is_or_refused() {
    let server = Server::start(limits());
    for byte in 0x21..=0xff_u8 {
        let allowed = byte.is_ascii_alphanumeric() || b"/?-._~!$&'()*+,;=:@%".contains(&byte);
        let mut sent = b"GET /a".to_vec();
        sent.push(byte);
        sent.extend_from_slice(b"b HTTP/1.1\r\nHost: h\r\n\r\n");
        let target = format!("GET /a{}b", char::from(byte));
        let answer = if allowed {
            (200, target)
        } else {
            (400, String::new())
        };
        check(
            server.address,
            &case(format!("byte {byte:#x}"), sent, answer),
            4096,
        );
    }
    server.stop();
}

#[test]
fn each_byte_in_a_field_name_and_value_is_judged() {
    let server = Server::start(limits());
    for byte in 0..=0xff_u8 {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let name = [b"x", &[byte][..], b"y: 1"].concat();
        // `x:y: 1` is a field too: `x` with the value `y: 1`.
        check(
            server.address,
            &with_field(byte, &name, token || byte == b':'),
            4096,
        );
        let text = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        let value = [b"x: a", &[byte][..], b"b"].concat();
        check(server.address, &with_field(byte, &value, text), 4096);
    }
    server.stop();
}

fn with_field(byte: u8, field: &[u8], allowed: bool) -> Case {
    let sent = [b"GET / HTTP/1.1\r\nHost: h\r\n", field, b"\r\n\r\n"].concat();
    let answer = if allowed {
        (200, "GET /".to_owned())
    } else {
        (400, String::new())
    };
    case(
        format!("byte {byte:#x} in {:?}", String::from_utf8_lossy(field)),
        sent,
        answer,
    )
}

fn case(title: String, sent: Vec<u8>, answer: (u16, String)) -> Case {
    Case {
        title,
        sent,
        stays_open: answer.0 == 200,
        answers: vec![answer],
    }
}

fn limits() -> ListenerLimits {
    ListenerLimits {
        max_uri_bytes: 1000,
        max_header_bytes: 4000,
        max_headers: 20,
        ..ListenerLimits::default()
    }
}

fn run(cases: &str) {
    let server = Server::start(limits());
    for case in parse(cases) {
        let small = if case.sent.len() < 500 { 1 } else { 97 };
        check(server.address, &case, usize::MAX);
        check(server.address, &case, small);
    }
    assert_eq!(server.stop().cut, 0);
}

fn check(address: SocketAddr, case: &Case, piece: usize) {
    let title = &case.title;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    for piece in case.sent.chunks(piece) {
        // The server may have closed on an earlier piece.
        let _ = stream.write_all(piece);
    }
    let mut reader = BufReader::new(stream);
    for (status, body) in &case.answers {
        let answer = read_answer(&mut reader, title);
        assert_eq!(
            (answer.status, says(&answer, body)),
            (*status, true),
            "{title}: {answer:?}"
        );
        assert!(is_well_made(&answer), "{title}: {answer:?}");
    }
    if case.stays_open {
        reader.get_mut().write_all(PROBE.as_bytes()).unwrap();
        assert_eq!(
            read_answer(&mut reader, title).body,
            "GET /probe",
            "{title}: stays open"
        );
    } else {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        assert_eq!(
            String::from_utf8_lossy(&rest),
            "",
            "{title}: nothing follows"
        );
    }
}

/// The body of a 200 is known whole, that of anything else in part.
fn says(answer: &RawMessage, body: &str) -> bool {
    match answer.status {
        200 => answer.body == body,
        _ => answer.body.contains(body),
    }
}

/// A refusal is a problem document that closes; nothing names the server.
fn is_well_made(answer: &RawMessage) -> bool {
    let refused = answer.status >= 400 && answer.status != 422;
    let problem = answer.field("content-type") == "application/problem+json" && answer.closes();
    (problem || !refused)
        && !answer.head.to_ascii_lowercase().contains("\r\nserver:")
        && (answer.status == 100 || answer.head.contains("\r\ndate: "))
}

fn read_answer(reader: &mut impl Read, title: &str) -> RawMessage {
    read_message_blocking(reader).unwrap_or_else(|| panic!("{title}: no answer"))
}
