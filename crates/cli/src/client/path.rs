//! A path at the vendor, as a person types it.

use http::uri::PathAndQuery;

/// The path, and a query if there is one. The server is the profile's.
pub(super) fn parse(text: &str) -> Result<PathAndQuery, String> {
    if text.contains("://") && !text.starts_with('/') {
        return Err("the server is the profile's: write the path alone, as /deposit/".to_owned());
    }
    if !text.starts_with('/') || text.contains('#') {
        return Err("a path begins with / and has no #".to_owned());
    }
    let parsed = text.parse();
    parsed.map_err(|_| "write blanks and what is not ASCII as %20 and its like".to_owned())
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
