//! What the gate lets through, hyper frames alike: the service gets the requests that
//! the gate has counted, each with the body that the gate has measured.
#![no_main]

mod connection;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use connection::converse;
use countersign_transport::{ListenerLimits, collect, fuzzing};
use http::Response;
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;

/// A request as the service gets it.
#[derive(Debug)]
struct Served {
    method: String,
    closes: bool,
    body: Option<Bytes>,
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PRI ") {
        return;
    }
    let expected = framed(bytes);
    let whole = expected.iter().filter(|it| it.body.is_some()).count();
    let served = serve(bytes, whole);
    for (served, expected) in served.iter().zip(&expected) {
        assert_eq!(served.method.as_bytes(), expected.method);
        assert_eq!(served.body.as_deref(), expected.body.as_deref());
    }
    assert!(served.len() <= expected.len(), "{served:?}");
    if served.len() < expected.len() {
        assert!(served.last().is_some_and(|it| it.closes), "{served:?}");
    }
});

/// A request as the gate frames it, and what its body holds if all of it is there.
struct Expected<'b> {
    method: &'b [u8],
    body: Option<Vec<u8>>,
}

fn framed(mut bytes: &[u8]) -> Vec<Expected<'_>> {
    let mut requests = Vec::new();
    while let Some(framed) = fuzzing::frame(bytes, bytes.len().max(1), &ListenerLimits::default()) {
        let head = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let body = &bytes[framed.body.clone()];
        let body = framed.whole.then(|| match framed.chunked {
            true => joined(body),
            false => body.to_vec(),
        });
        requests.push(Expected {
            method: head.split(|byte| *byte == b' ').next().unwrap_or_default(),
            body,
        });
        bytes = &bytes[framed.body.end..];
    }
    requests
}

/// The data of well-formed chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks
            .windows(2)
            .position(|it| it == b"\r\n")
            .expect("a size");
        let size = chunks[..end]
            .split(|byte| *byte == b';')
            .next()
            .expect("digits");
        let size = std::str::from_utf8(size).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            return body;
        }
        let data = &chunks[end + 2..];
        body.extend_from_slice(&data[..size]);
        chunks = &data[size + 2..];
    }
}

/// Sends the bytes, waits for so many answers, and gives what the service got.
fn serve(bytes: &[u8], answers: usize) -> Vec<Served> {
    let served = Arc::new(Mutex::new(Vec::new()));
    let service = Arc::clone(&served);
    converse(
        move |request, _| {
            let served = Arc::clone(&service);
            async move {
                let (parts, body) = request.into_parts();
                let options = parts.headers.get_all("connection").iter();
                let options: Vec<u8> = options.flat_map(|it| it.as_bytes().to_vec()).collect();
                let options = String::from_utf8_lossy(&options).to_ascii_lowercase();
                let old = parts.version == http::Version::HTTP_10;
                let body = collect(body, usize::MAX).await.ok();
                served
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Served {
                        method: parts.method.to_string(),
                        closes: options.contains("close") || old,
                        body,
                    });
                Response::new(Full::new(Bytes::new()))
            }
        },
        async |mut stream| {
            stream.write_all(bytes).await.expect("room in the pipe");
            let count = |heard: &[u8]| heard.windows(8).filter(|it| *it == b" 200 OK\r").count();
            let heard = connection::hear(&mut stream, |heard| count(heard) >= answers).await;
            let _ = stream.shutdown().await;
            connection::hear(&mut stream, |_| false).await;
            drop(heard);
        },
    );
    let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut served)
}
