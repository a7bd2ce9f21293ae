//! Where the response goes: standard output or a file, as it arrives; or, with `--json`, one
//! document.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::response::Parts;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::exit::Failure;
use crate::output_file;

/// Takes an answer.
pub(super) struct Sink {
    to: SinkTarget,
    name: String,
    written: u64,
    /// Whether the last piece ended in the middle of a line.
    in_line: bool,
}

/// An answer as JSON.
#[derive(Serialize)]
pub(super) struct Document {
    status: u16,
    headers: Map<String, Value>,
    bytes: u64,
    #[serde(flatten)]
    content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchanges: Option<Value>,
}

/// Where the body is. What is JSON stays as the vendor wrote it: an amount may
/// have more digits than a float.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    #[serde(rename = "body")]
    Json(Box<RawValue>),
    #[serde(rename = "body")]
    Text(String),
    BodyBase64(String),
    File(String),
}

enum SinkTarget {
    Standard,
    File(File),
    /// Nobody reads any more.
    Nowhere,
    /// For a document.
    Memory(Vec<u8>),
}

impl Sink {
    /// Into a file, if one is named; else into a document or to standard output.
    pub(super) fn open(file: Option<&Path>, json: bool) -> Result<Self, Failure> {
        let (to, name) = match file {
            Some(file) if file != Path::new("-") => {
                let name = file.display().to_string();
                let opened = output_file::open(file);
                (
                    SinkTarget::File(opened.map_err(|it| unwritable(&name, &it))?),
                    name,
                )
            }
            _ if json => (SinkTarget::Memory(Vec::new()), String::new()),
            _ => (SinkTarget::Standard, "standard output".to_owned()),
        };
        Ok(Self {
            to,
            name,
            written: 0,
            in_line: false,
        })
    }

    /// An answer is there: what was in the file before can go.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        match &self.to {
            SinkTarget::File(file) => {
                output_file::clear(file).map_err(|it| unwritable(&self.name, &it))
            }
            _ => Ok(()),
        }
    }

    /// Takes the next piece. False if nobody reads any more.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        self.written += bytes.len() as u64;
        self.in_line = bytes.last().map_or(self.in_line, |last| *last != b'\n');
        let written = match &mut self.to {
            SinkTarget::Memory(whole) => {
                whole.extend_from_slice(bytes);
                Ok(())
            }
            SinkTarget::File(file) => file.write_all(bytes),
            SinkTarget::Standard => to_stdout(bytes),
            SinkTarget::Nowhere => return Ok(false),
        };
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.to = SinkTarget::Nowhere;
                Ok(false)
            }
            Err(error) => Err(unwritable(&self.name, &error)),
        }
    }

    /// Ends the line on a terminal, where what is said next would stand behind it.
    pub(super) fn end_line(&mut self) -> Result<(), Failure> {
        if self.in_line && matches!(self.to, SinkTarget::Standard) && io::stdout().is_terminal() {
            self.take(b"\n")?;
        }
        Ok(())
    }

    /// The document of an answer, and of the exchanges on the way to it.
    pub(super) fn document(&self, head: &Parts, exchanges: Option<Value>) -> Document {
        Document {
            status: head.status.as_u16(),
            headers: headers(head),
            bytes: self.written,
            content: match &self.to {
                SinkTarget::Memory(body) => content(body),
                _ => Content::File(self.name.clone()),
            },
            exchanges,
        }
    }
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// JSON as it is, other text as text, and the rest in base64.
fn content(body: &[u8]) -> Content {
    if let Ok(value) = serde_json::from_slice(body) {
        return Content::Json(value);
    }
    match str::from_utf8(body) {
        Ok(text) => Content::Text(text.to_owned()),
        Err(_) => Content::BodyBase64(STANDARD.encode(body)),
    }
}

/// Each name once, its values joined as RFC 9110 section 5.3 joins them.
fn headers(head: &Parts) -> Map<String, Value> {
    let mut headers = Map::new();
    for name in head.headers.keys() {
        let values = head.headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|it| String::from_utf8_lossy(it.as_bytes()))
            .collect();
        headers.insert(name.to_string(), values.join(", ").into());
    }
    headers
}

fn unwritable(name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{name} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_holds_json_as_json_and_bytes_in_base64() {
        for (body, member, value) in [
            (&b"{\"a\":1}"[..], "body", json!({"a": 1})),
            (b"hello", "body", json!("hello")),
            (b"", "body", json!("")),
            (b"\xff\x00", "body_base64", json!("/wA=")),
        ] {
            let mut sink = Sink::open(None, true).unwrap();
            assert!(sink.take(body).unwrap());
            let (head, ()) = http::Response::new(()).into_parts();
            let document = serde_json::to_value(sink.document(&head, None)).unwrap();
            assert_eq!(document[member], value);
        }
    }

    #[test]
    fn no_amount_loses_digits_in_a_document() {
        let body = r#"{"wei":12345678901234567890123,"price":1.10}"#;
        let mut sink = Sink::open(None, true).unwrap();
        assert!(sink.take(body.as_bytes()).unwrap());
        let (head, ()) = http::Response::new(()).into_parts();
        let document = serde_json::to_string(&sink.document(&head, None)).unwrap();
        assert!(document.contains(body), "{document}");
    }
}
