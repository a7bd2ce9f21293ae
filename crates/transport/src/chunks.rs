//! Where a chunked body ends (RFC 9112, section 7.1).
//!
//! hyper decodes the chunks; this only follows the framing, so that the gate
//! knows where the next head begins. It refuses what a decoder may tolerate:
//! white space after the size, bare line ends, endless extensions.

/// The framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What came of a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of the piece belongs to the body, which goes on.
    Open,
    /// The body ended after so many bytes of the piece.
    Ended(usize),
}

/// Follows one chunked body, in pieces of any size.
#[derive(Debug)]
pub(crate) struct Chunks {
    place: Place,
    /// Of the chunk at hand: its size while that is read, then what is left of it.
    size: u64,
    digits: u8,
    /// How many bytes extensions and trailer fields may still take.
    extras: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataEnd,
    LineStart,
    Trailer,
    TrailerEnd,
    BodyEnd,
}

impl Chunks {
    /// `extras` bounds all extensions and trailer fields together.
    pub(crate) fn new(extras: usize) -> Self {
        Self {
            place: Place::Size,
            size: 0,
            digits: 0,
            extras,
        }
    }

    pub(crate) fn follow(&mut self, piece: &[u8]) -> Result<Progress, Malformed> {
        let mut at = 0;
        while at < piece.len() {
            if self.place == Place::Data {
                at += self.skip_data(piece.len() - at);
            } else if self.step(piece[at])? {
                return Ok(Progress::Ended(at + 1));
            } else {
                at += 1;
            }
        }
        Ok(Progress::Open)
    }

    fn skip_data(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.size).map_or(available, |size| size.min(available));
        self.size -= taken as u64;
        if self.size == 0 {
            self.place = Place::DataCr;
        }
        taken
    }

    /// Takes one byte outside the data; true after the last of the body.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        self.place = match (self.place, byte) {
            (Place::Size, _) => self.size_byte(byte)?,
            (Place::SizeEnd, b'\n') => self.after_size(),
            (Place::DataCr, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => self.next_chunk(),
            (Place::Extension, b'\r') => Place::SizeEnd,
            (Place::LineStart, b'\r') => Place::BodyEnd,
            (Place::Trailer, b'\r') => Place::TrailerEnd,
            (Place::TrailerEnd, b'\n') => Place::LineStart,
            (Place::BodyEnd, b'\n') => return Ok(true),
            (Place::Extension, _) => self.extra(byte, Place::Extension)?,
            (Place::LineStart | Place::Trailer, _) => self.extra(byte, Place::Trailer)?,
            _ => return Err(Malformed),
        };
        Ok(false)
    }

    fn size_byte(&mut self, byte: u8) -> Result<Place, Malformed> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return match byte {
                b'\r' if self.digits > 0 => Ok(Place::SizeEnd),
                b';' if self.digits > 0 => Ok(Place::Extension),
                _ => Err(Malformed),
            };
        };
        // 15 digits cannot overflow.
        self.digits += 1;
        if self.digits > 15 {
            return Err(Malformed);
        }
        self.size = self.size * 16 + u64::from(digit);
        Ok(Place::Size)
    }

    fn after_size(&self) -> Place {
        if self.size == 0 {
            Place::LineStart
        } else {
            Place::Data
        }
    }

    fn next_chunk(&mut self) -> Place {
        self.digits = 0;
        Place::Size
    }

    fn extra(&mut self, byte: u8, place: Place) -> Result<Place, Malformed> {
        if byte.is_ascii_control() && byte != b'\t' {
            return Err(Malformed);
        }
        self.extras = self.extras.checked_sub(1).ok_or(Malformed)?;
        Ok(place)
    }
}
