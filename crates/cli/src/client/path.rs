//! A path at the vendor, as a person types it.

use http::uri::PathAndQuery;

use crate::argument_fault::ArgumentFault;

/// The path, and a query if there is one. The server is the profile's.
pub(super) fn parse(text: &str) -> Result<PathAndQuery, ArgumentFault> {
    if text.contains("://") && !text.starts_with('/') {
        return Err(ArgumentFault::new("the server is the profile's")
            .with_help("write the path alone, such as /deposit/"));
    }
    if !text.starts_with('/') || text.contains('#') {
        return Err(ArgumentFault::new("a path begins with / and has no #"));
    }
    let parsed = in_ascii(text).parse();
    parsed.map_err(|_| {
        ArgumentFault::new("it has characters that are not allowed in a path")
            .with_help("write a blank as %20")
    })
}

/// What is not ASCII is written as a URI has it, by the bytes of its UTF-8 (RFC 3986 section
/// 2.5): that is what servers take such a path for.
fn in_ascii(text: &str) -> String {
    let mut ascii = String::new();
    for c in text.chars() {
        match c.is_ascii() {
            true => ascii.push(c),
            false => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                ascii.extend(bytes.map(|byte| format!("%{byte:02X}")));
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_path() {
        for good in ["/", "/deposit/?page=2&x=http://a", "/a%20b", "/x/*"] {
            assert_eq!(parse(good).unwrap().as_str(), good);
        }
        for (written, sent) in [
            ("/ü", "/%C3%BC"),
            ("/a%20b/ü?q=€", "/a%20b/%C3%BC?q=%E2%82%AC"),
            ("/\u{200b}", "/%E2%80%8B"),
        ] {
            assert_eq!(parse(written).unwrap().as_str(), sent);
        }
        for bad in [
            "",
            "deposit/",
            "https://api.example.com/deposit/",
            "/a b",
            "/a#b",
            "*",
            "?x",
            "/a\nb",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
