//! A client that says what no library would: frames by hand (RFC 9113 section
//! 4.1), fields without compression (RFC 7541 section 6.2.2).

use std::collections::HashMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::http2::PREFACE;
use crate::testing::House;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM and, behind the last stream, of GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The status with which the fields of an answer begin.
    pub(crate) fn status(&self) -> u16 {
        const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        // An answer may first change the size of the table of fields.
        let fields = match self.payload[0] {
            0x20..=0x3f => &self.payload[1..],
            _ => &self.payload,
        };
        match fields[0] {
            first @ 0x88..=0x8e => INDEXED[usize::from(first - 0x88)],
            _ => digits(&fields[2..]),
        }
    }
}

/// Three digits in Huffman's code (RFC 7541, appendix B).
fn digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes
        .iter()
        .take(3)
        .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    bits <<= 8;
    let mut number = 0;
    for _ in 0..3 {
        let short = bits >> 27;
        let (digit, length) = match short {
            0..=2 => (short, 5),
            _ => ((bits >> 26) - 0x19 + 3, 6),
        };
        number = number * 10 + digit as u16;
        bits <<= length;
    }
    number
}

pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
}

impl Raw {
    /// Connects and says that it speaks HTTP/2.
    pub(crate) async fn connect(house: &House) -> Self {
        Self::connect_from(house, "127.0.0.9").await
    }

    pub(crate) async fn connect_from(house: &House, address: &str) -> Self {
        let mut raw = Self {
            stream: house.connect_from(address).stream,
        };
        raw.stream.write_all(PREFACE).await.unwrap();
        raw.send(&frame(SETTINGS, 0, 0, b"")).await;
        raw
    }

    /// Sends, even if nobody listens any more.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; none at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame that answers, refuses or ends something.
    pub(crate) async fn word(&mut self) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if [HEADERS, RST_STREAM, GOAWAY].contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    /// All frames up to the end, counted by kind.
    pub(crate) async fn rest(&mut self) -> HashMap<u8, usize> {
        let mut kinds = HashMap::new();
        while let Some(frame) = self.frame().await {
            *kinds.entry(frame.kind).or_default() += 1;
        }
        kinds
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that no table remembers.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.extend(length(text.len()));
        field.extend(text);
    }
    field
}

/// RFC 7541 section 5.1, with a prefix of seven bits.
fn length(length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![length as u8];
    }
    let mut rest = length - 127;
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// The fields of a plain request.
pub(crate) fn get() -> Vec<u8> {
    [
        field(b":method", b"GET"),
        field(b":scheme", b"http"),
        field(b":path", b"/"),
        field(b":authority", b"h"),
    ]
    .concat()
}
