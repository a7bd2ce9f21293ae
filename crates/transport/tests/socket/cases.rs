//! Cases as data. A case is a title, the bytes that are sent, the answers that
//! come back, and what becomes of the connection:
//!
//! ```text
//! two requests in one packet are both answered
//! > GET /a HTTP/1.1\r\nHost: h\r\n\r\n
//! > GET /b HTTP/1.1\r\nHost: h\r\n\r\n
//! < 200 GET /a
//! < 200 GET /b
//! open
//! ```
//!
//! Sent lines are joined as they stand; all know the escapes `\r`, `\n`, `\t`,
//! `\xNN`, `\\` and `\*N{text}` for a text N times. The text behind a status
//! is the whole body of a 200, and part of the body of anything else.

pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) answers: Vec<(u16, String)>,
    pub(crate) stays_open: bool,
}

pub(crate) fn parse(text: &str) -> Vec<Case> {
    text.split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(parse_case)
        .collect()
}

fn parse_case(block: &str) -> Case {
    let mut lines = block
        .trim()
        .lines()
        .skip_while(|line| line.starts_with('#'));
    let title = lines.next().unwrap().to_owned();
    let mut case = Case {
        title,
        sent: Vec::new(),
        answers: Vec::new(),
        stays_open: false,
    };
    for line in lines {
        match line.split_at_checked(2) {
            Some(("> ", text)) => case.sent.extend(unescape(text)),
            Some(("< ", text)) => {
                let (status, body) = text.split_once(' ').unwrap_or((text, ""));
                let body = String::from_utf8(unescape(body)).unwrap();
                case.answers.push((status.parse().unwrap(), body));
            }
            _ if line == "open" => case.stays_open = true,
            _ => assert_eq!(line, "close", "in {:?}", case.title),
        }
    }
    case
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (kind, tail) = after.split_at(1);
        rest = tail;
        match kind {
            "r" => bytes.push(b'\r'),
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "\\" => bytes.push(b'\\'),
            "x" => {
                bytes.push(u8::from_str_radix(&tail[..2], 16).unwrap());
                rest = &tail[2..];
            }
            "*" => {
                let (count, repeated) = tail.split_once('{').unwrap();
                let (repeated, after) = repeated.split_once('}').unwrap();
                let once = unescape(repeated);
                bytes.extend(once.repeat(count.parse().unwrap()));
                rest = after;
            }
            other => panic!("unknown escape {other:?} in {text:?}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
