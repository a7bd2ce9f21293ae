//! A request over HTTP/2 reaches the service as HTTP/1.1 would have brought it, or
//! not at all. The input is its fields, a line each: the name, a tab, the value.
#![no_main]

mod connection;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use connection::{converse, hear};
use http::header::{COOKIE, HOST};
use http::{Response, request};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A SETTINGS frame that sets nothing (RFC 9113 section 6.5).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
/// END_STREAM and END_HEADERS.
const END: u8 = 0x5;

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|byte| *byte == b'\n');
    let fields = lines.filter_map(|line| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        Some((&line[..tab], &line[tab + 1..]))
    });
    let mut block = Vec::new();
    fields.for_each(|(name, value)| literal(name, value, &mut block));
    if block.len() < 16 * 1024 {
        serve(&block).iter().for_each(check);
    }
});

/// A field that enters no table (RFC 7541 section 6.2.2).
fn literal(name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    block.push(0);
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => block.push(short as u8),
            long => {
                block.push(127);
                let mut rest = long - 127;
                while rest >= 128 {
                    block.push((rest % 128) as u8 | 128);
                    rest /= 128;
                }
                block.push(rest as u8);
            }
        }
        block.extend_from_slice(text);
    }
}

fn check(request: &request::Parts) {
    assert!(request.uri.path().starts_with('/'), "{request:?}");
    assert_eq!(request.uri.authority(), None, "{request:?}");
    let count = |name| request.headers.get_all(name).iter().count();
    assert_eq!(count(HOST), 1, "{request:?}");
    assert!(count(COOKIE) <= 1, "{request:?}");
    for name in ["connection", "transfer-encoding", "upgrade", "keep-alive"] {
        assert!(!request.headers.contains_key(name), "{request:?}");
    }
    for value in request.headers.values() {
        assert_eq!(
            value.as_bytes().trim_ascii(),
            value.as_bytes(),
            "{request:?}"
        );
    }
}

fn serve(block: &[u8]) -> Vec<request::Parts> {
    let served = Arc::new(Mutex::new(Vec::new()));
    let service = Arc::clone(&served);
    converse(
        move |request, _| {
            let (parts, _) = request.into_parts();
            let mut served = service.lock().unwrap_or_else(PoisonError::into_inner);
            served.push(parts);
            async { Response::new(Full::new(Bytes::new())) }
        },
        async |mut stream| {
            let length = (block.len() as u32).to_be_bytes();
            let mut sent = [PREFACE, SETTINGS, &length[1..], &[HEADERS, END, 0, 0, 0, 1]].concat();
            sent.extend_from_slice(block);
            stream.write_all(&sent).await.expect("room in the pipe");
            hear(&mut stream, is_answered).await;
            drop(stream);
        },
    );
    let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut served)
}

/// Whether there is a frame that ends the matter.
fn is_answered(mut frames: &[u8]) -> bool {
    while let Some((&[high, middle, low, kind, ..], rest)) = frames.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if matches!(kind, HEADERS | RST_STREAM | GOAWAY) {
            return true;
        }
        let Some(next) = rest.get(length..) else {
            return false;
        };
        frames = next;
    }
    false
}
