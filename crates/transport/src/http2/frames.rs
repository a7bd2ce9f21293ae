//! Follows the frames that a peer sends (RFC 9113 section 4.1), to count the bytes of
//! request bodies that arrive.

/// What a client says first (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header of a frame, and the kind of one that carries a part of a body.
const HEADER: usize = 9;
const DATA: u8 = 0;

/// Where in the stream of frames the peer is.
#[derive(Debug)]
pub(super) struct FrameFollower {
    header: [u8; HEADER],
    filled: usize,
    /// What is left of the preface or of a frame's payload.
    left: usize,
    is_data: bool,
}

impl FrameFollower {
    pub(super) fn new() -> Self {
        Self {
            header: [0; HEADER],
            filled: 0,
            left: PREFACE.len(),
            is_data: false,
        }
    }

    /// How many of the bytes, which are the next, belong to bodies.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> usize {
        let mut of_bodies = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let size = self.left.min(bytes.len());
                self.left -= size;
                if self.is_data {
                    of_bodies += size;
                }
                bytes = &bytes[size..];
                continue;
            }
            let size = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + size].copy_from_slice(&bytes[..size]);
            self.filled += size;
            bytes = &bytes[size..];
            if self.filled == HEADER {
                let [high, middle, low, kind, ..] = self.header;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.left = usize::try_from(length).unwrap_or(usize::MAX);
                self.is_data = kind == DATA;
                self.filled = 0;
            }
        }
        of_bodies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::tests::raw::{DATA, HEADERS, SETTINGS, frame, get};

    #[test]
    fn only_parts_of_bodies_count_however_the_bytes_are_cut() {
        let sent = [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, b""),
            frame(HEADERS, 4, 1, &get()),
            frame(DATA, 0, 1, &[7; 300]),
            frame(DATA, 0, 1, b""),
            frame(DATA, 1, 1, &[7; 1]),
        ]
        .concat();
        for piece in 1..=sent.len() {
            let mut frames = FrameFollower::new();
            let counted: usize = sent.chunks(piece).map(|bytes| frames.follow(bytes)).sum();
            assert_eq!(counted, 301, "in pieces of {piece}");
        }
    }
}
