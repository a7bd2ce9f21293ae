//! Recorded exchanges as test vectors: `examples/*.http` beside a dialect file.
//!
//! A file holds exchanges, each with a title. Lines that begin with `# @` state what the
//! messages do not show; other lines with `#` are comments.
//!
//! ```text
//! ### A wrong password
//! # @refusal bad_login
//! POST /auth/login
//! Content-Type: application/json
//!
//! {"username": "u", "password": "wrong"}
//!
//! HTTP/1.1 401
//! Content-Type: application/json
//!
//! {"error": {"name": "UnauthorizedError", "code": "UNAUTHORIZED", "message": "Invalid credentials"}}
//! ```
//!
//! Each exchange runs in both directions. As issuer the request is read, and
//! the reply is written and must be the recorded one: same status, the recorded
//! headers, the same JSON. As client the reply is read, and the request is
//! written and must be the recorded one.
//!
//! What the lines with `# @` can say stands in the reference of dialect files,
//! [`REFERENCE`](crate::REFERENCE).

mod annotations;
mod compare;
mod run;
mod values;

#[cfg(test)]
pub(crate) use self::annotations::ANNOTATIONS;
#[cfg(test)]
pub(crate) use self::values::NAMES;

use bytes::Bytes;
use http::{Request, Response};

use crate::{Dialect, Mistake, Mistakes};

/// An exchange in a file.
#[derive(Debug)]
pub struct ExampleExchange {
    /// The title.
    pub title: String,
    /// The line of the title, counted from 1.
    pub line: usize,
    /// The names and values of the lines with `# @`.
    pub annotations: Vec<(String, String)>,
    /// The request; its URI is a path.
    pub request: Request<Bytes>,
    /// The reply.
    pub reply: Response<Bytes>,
}

/// Checks every exchange of a file against a dialect, in both directions; `origin` names
/// the file in messages.
///
/// # Errors
///
/// Every difference from the record, with file and line.
pub fn check(dialect: &Dialect, text: &str, origin: &str) -> Result<(), Mistakes> {
    let mut wrong = Vec::new();
    for exchange in parse(text, origin)? {
        let told = run::run(dialect, &exchange).into_iter();
        wrong.extend(told.map(|(what, help)| Mistake {
            help,
            ..mistake(origin, exchange.line, format!("{}: {what}", exchange.title))
        }));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Mistakes(wrong))
    }
}

/// Reads the exchanges of a file.
///
/// # Errors
///
/// The first line that is not in the format, with file and line.
pub fn parse(text: &str, origin: &str) -> Result<Vec<ExampleExchange>, Mistakes> {
    let mut exchanges = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let titles: Vec<usize> = (0..lines.len())
        .filter(|at| is_title(&lines, *at))
        .collect();
    for (index, start) in titles.iter().enumerate() {
        let end = titles.get(index + 1).copied().unwrap_or(lines.len());
        let part = lines.get(*start..end).unwrap_or_default();
        let read = exchange(part, start + 1);
        exchanges.push(read.map_err(|what| Mistakes(vec![mistake(origin, start + 1, what)]))?);
    }
    if exchanges.is_empty() {
        return Err(Mistakes(vec![Mistake {
            help: Some("begin each exchange with a title, such as `### A login`".to_owned()),
            ..mistake(origin, 1, "no exchange".to_owned())
        }]));
    }
    Ok(exchanges)
}

/// A mistake of an exchange, whose place is its title's line.
fn mistake(origin: &str, line: usize, message: String) -> Mistake {
    Mistake {
        origin: origin.to_owned(),
        line,
        column: 1,
        pointer: String::new(),
        message,
        help: None,
    }
}

impl ExampleExchange {
    /// The name and value of a line `# @NAME VALUE`.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn is_title(lines: &[&str], at: usize) -> bool {
    lines.get(at).is_some_and(|line| line.starts_with("### "))
}

fn exchange(lines: &[&str], line: usize) -> Result<ExampleExchange, String> {
    let (title, rest) = lines.split_first().ok_or("no title")?;
    let head = rest
        .iter()
        .take_while(|line| line.starts_with('#') || line.trim().is_empty())
        .count();
    let (head, rest) = rest.split_at_checked(head).unwrap_or_default();
    let annotations = head.iter().filter_map(|line| line.strip_prefix("# @"));
    let annotations = annotations.map(|said| said.split_once(' ').unwrap_or((said, "")));
    let reply = rest
        .iter()
        .position(|line| line.starts_with("HTTP/"))
        .ok_or("no reply")?;
    let (request, reply) = rest.split_at_checked(reply).unwrap_or_default();
    Ok(ExampleExchange {
        title: title.trim_start_matches('#').trim().to_owned(),
        line,
        annotations: annotations
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        request: self::request(request)?,
        reply: self::reply(reply)?,
    })
}

fn request(lines: &[&str]) -> Result<Request<Bytes>, String> {
    let (start, headers, body) = message(lines)?;
    let (method, target) = start.split_once(' ').ok_or("no method and path")?;
    let mut request = Request::builder().method(method).uri(target.trim());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body).map_err(|error| error.to_string())
}

fn reply(lines: &[&str]) -> Result<Response<Bytes>, String> {
    let (start, headers, body) = message(lines)?;
    let status = start.split(' ').nth(1).ok_or("no status")?;
    let mut reply = Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(name, value);
    }
    reply.body(body).map_err(|error| error.to_string())
}

/// First line, headers and body of a message.
type ExampleMessage<'m> = (&'m str, Vec<(&'m str, &'m str)>, Bytes);

fn message<'m>(lines: &[&'m str]) -> Result<ExampleMessage<'m>, String> {
    let (start, rest) = lines.split_first().ok_or("no message")?;
    let head = rest
        .iter()
        .take_while(|line| !line.trim().is_empty())
        .count();
    let (head, body) = rest.split_at_checked(head).unwrap_or_default();
    let header = |line: &&'m str| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("no header: {line}"))?;
        Ok((name.trim(), value.trim()))
    };
    let headers = head.iter().map(header).collect::<Result<_, String>>()?;
    Ok((
        start,
        headers,
        Bytes::from(body.join("\n").trim().to_owned()),
    ))
}
