//! Finds the end of a chunked body (RFC 9112 section 7.1).
//!
//! hyper decodes the chunks; this module only follows the framing, so that the gate
//! knows where the next head begins. It refuses what a decoder may tolerate: white space
//! after the chunk size, bare line feeds, extensions without an end, and trailer lines
//! that are not header fields.

use crate::head::is_token;

/// The framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedChunks;

/// What came of a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkProgress {
    /// All of the piece belongs to the body, which goes on.
    Open,
    /// The body ended after so many bytes of the piece.
    Ended(usize),
}

/// Follows one chunked body, in pieces of any size.
#[derive(Debug)]
pub(crate) struct ChunkedBody {
    place: ChunkPosition,
    /// Of the chunk at hand: its size while that is read, then what is left of it.
    size: u64,
    digits: u8,
    /// How many bytes extensions and trailer fields may still take.
    extras: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkPosition {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataEnd,
    LineStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    BodyEnd,
}

impl ChunkedBody {
    /// `extras` bounds all extensions and trailer fields together.
    pub(crate) fn new(extras: usize) -> Self {
        Self {
            place: ChunkPosition::Size,
            size: 0,
            digits: 0,
            extras,
        }
    }

    pub(crate) fn follow(&mut self, piece: &[u8]) -> Result<ChunkProgress, MalformedChunks> {
        let mut at = 0;
        while at < piece.len() {
            if self.place == ChunkPosition::Data {
                at += self.skip_data(piece.len() - at);
            } else if self.step(piece[at])? {
                return Ok(ChunkProgress::Ended(at + 1));
            } else {
                at += 1;
            }
        }
        Ok(ChunkProgress::Open)
    }

    fn skip_data(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.size).map_or(available, |size| size.min(available));
        self.size -= taken as u64;
        if self.size == 0 {
            self.place = ChunkPosition::DataCr;
        }
        taken
    }

    /// Takes one byte outside the data; true after the last of the body.
    fn step(&mut self, byte: u8) -> Result<bool, MalformedChunks> {
        self.place = match (self.place, byte) {
            (ChunkPosition::Size, _) => self.size_byte(byte)?,
            (ChunkPosition::SizeEnd, b'\n') => self.after_size(),
            (ChunkPosition::DataCr, b'\r') => ChunkPosition::DataEnd,
            (ChunkPosition::DataEnd, b'\n') => self.next_chunk(),
            (ChunkPosition::Extension, b'\r') => ChunkPosition::SizeEnd,
            (ChunkPosition::LineStart, b'\r') => ChunkPosition::BodyEnd,
            (ChunkPosition::TrailerName, b':') => self.extra(byte, ChunkPosition::TrailerValue)?,
            (ChunkPosition::TrailerValue, b'\r') => ChunkPosition::TrailerEnd,
            (ChunkPosition::TrailerEnd, b'\n') => ChunkPosition::LineStart,
            (ChunkPosition::BodyEnd, b'\n') => return Ok(true),
            (ChunkPosition::Extension, _) => self.extra(byte, ChunkPosition::Extension)?,
            (ChunkPosition::TrailerValue, _) => self.extra(byte, ChunkPosition::TrailerValue)?,
            (ChunkPosition::LineStart | ChunkPosition::TrailerName, _) if is_token(&[byte]) => {
                self.extra(byte, ChunkPosition::TrailerName)?
            }
            _ => return Err(MalformedChunks),
        };
        Ok(false)
    }

    fn size_byte(&mut self, byte: u8) -> Result<ChunkPosition, MalformedChunks> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return match byte {
                b'\r' if self.digits > 0 => Ok(ChunkPosition::SizeEnd),
                b';' if self.digits > 0 => Ok(ChunkPosition::Extension),
                _ => Err(MalformedChunks),
            };
        };
        // RFC 9112 section 7.1: "recipients MUST anticipate potentially large hexadecimal
        // numerals and prevent parsing errors due to integer conversion overflows or
        // precision loss due to integer representation." 15 digits cannot overflow.
        self.digits += 1;
        if self.digits > 15 {
            return Err(MalformedChunks);
        }
        self.size = self.size * 16 + u64::from(digit);
        Ok(ChunkPosition::Size)
    }

    fn after_size(&self) -> ChunkPosition {
        if self.size == 0 {
            ChunkPosition::LineStart
        } else {
            ChunkPosition::Data
        }
    }

    fn next_chunk(&mut self) -> ChunkPosition {
        self.digits = 0;
        ChunkPosition::Size
    }

    fn extra(&mut self, byte: u8, place: ChunkPosition) -> Result<ChunkPosition, MalformedChunks> {
        if byte.is_ascii_control() && byte != b'\t' {
            return Err(MalformedChunks);
        }
        self.extras = self.extras.checked_sub(1).ok_or(MalformedChunks)?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the body ends, if it does, when it comes in pieces cut at `cuts`.
    fn end(body: &[u8], cuts: &[usize]) -> Result<Option<usize>, MalformedChunks> {
        let mut chunks = ChunkedBody::new(100);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.push(body.len());
        cuts.sort_unstable();
        let mut from = 0;
        for to in cuts {
            if let ChunkProgress::Ended(end) = chunks.follow(&body[from..to])? {
                return Ok(Some(from + end));
            }
            from = to;
        }
        Ok(None)
    }

    #[test]
    fn a_trailer_field_has_the_form_of_a_field() {
        for (trailer, good) in [
            ("", true),
            ("x: 1\r\n", true),
            ("x:\r\ny: \t2\r\n", true),
            ("abc\r\n", false),
            (": 1\r\n", false),
            ("x : 1\r\n", false),
            (" x: 1\r\n", false),
            ("x: 1\r\n 2\r\n", false),
            ("x: \0\r\n", false),
        ] {
            let body = format!("0\r\n{trailer}\r\n");
            let expected = if good {
                Ok(Some(body.len()))
            } else {
                Err(MalformedChunks)
            };
            assert_eq!(end(body.as_bytes(), &[]), expected, "{trailer:?}");
        }
    }

    const PARTS: &[&str] = &[
        "0",
        "1",
        "a",
        "F",
        "\r\n",
        "\r",
        "\n",
        ";x",
        "\r\n0\r\n\r\n",
        "a: b",
        " ",
    ];

    fn framing() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(PARTS), 0..20)
            .prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn the_cuts_between_pieces_change_nothing(
            body in framing(),
            cuts in prop::collection::vec(any::<usize>(), 0..8),
        ) {
            prop_assert_eq!(end(&body, &cuts), end(&body, &[]));
        }

        #[test]
        fn a_well_made_body_ends_at_its_end(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
            cuts in prop::collection::vec(any::<usize>(), 0..8),
        ) {
            let mut body = Vec::new();
            for piece in pieces {
                body.extend(format!("{:x}\r\n", piece.len()).bytes());
                body.extend(piece);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            let length = body.len();
            body.extend(b"GET / HTTP/1.1\r\n");
            prop_assert_eq!(end(&body, &cuts), Ok(Some(length)));
        }
    }
}
