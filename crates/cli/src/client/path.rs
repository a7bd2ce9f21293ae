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
    let parsed = text.parse();
    parsed.map_err(|_| {
        ArgumentFault::new("it has characters that cannot stand in a path")
            .with_help("write a blank as %20, and what is not ASCII likewise")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_path() {
        for good in ["/", "/deposit/?page=2&x=http://a", "/a%20b", "/x/*"] {
            assert_eq!(parse(good).unwrap().as_str(), good);
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
