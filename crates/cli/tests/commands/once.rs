//! A connection that is lost before the answer: what creates is sent again with
//! the same idempotency key, and once.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread::{JoinHandle, spawn};

use crate::run::{command, finish};

/// A server that answers the last of so many connections and drops the others.
fn unreliable(connections: usize) -> (tempfile::TempDir, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let data = tempfile::tempdir().unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    fs::write(data.path().join("admin.url"), url).unwrap();
    let key = data.path().join("admin.key");
    fs::write(&key, "key").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let server = spawn(move || {
        let serve = |number| serve(&listener, number == connections);
        (1..=connections).map(serve).collect()
    });
    (data, server)
}

/// Reads one request, and answers it or hangs up; gives its head.
fn serve(listener: &TcpListener, answer: bool) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let head = head(&mut stream);
    if answer {
        let body = r#"{"name":"ci","role":"read","secret":"s"}"#;
        let length = body.len();
        let reply = format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(reply.as_bytes()).unwrap();
    }
    head
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"}") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    // A `ClientHello` is not text.
    String::from_utf8_lossy(&head).into_owned()
}

fn key_of(head: &str) -> &str {
    let line = head
        .lines()
        .find(|line| line.starts_with("idempotency-key: "));
    line.unwrap().split_once(": ").unwrap().1
}

const CREATE: [&str; 5] = ["admin-key", "create", "ci", "--role", "read"];

#[test]
fn a_creation_is_sent_again_with_the_same_key() {
    let (data, server) = unreliable(2);
    finish(command(&CREATE).arg("--data").arg(data.path())).code(0);
    let heads = server.join().unwrap();
    assert_eq!(key_of(&heads[0]), key_of(&heads[1]));
    assert_eq!(key_of(&heads[0]).len(), 32);
}

#[test]
fn a_connection_that_is_lost_twice_is_69() {
    // The third connection asks whether the port speaks TLS, and creates nothing.
    let (data, server) = unreliable(4);
    let lost = finish(command(&CREATE).arg("--data").arg(data.path())).code(69);
    assert!(lost.stderr.contains("cannot be reached"), "{}", lost.stderr);
    finish(command(&CREATE).arg("--data").arg(data.path())).code(0);
    let heads = server.join().unwrap();
    assert!(heads[2].starts_with('\u{16}'), "{:?}", heads[2]);
    assert_ne!(
        key_of(&heads[0]),
        key_of(&heads[3]),
        "each command has its own"
    );
}
