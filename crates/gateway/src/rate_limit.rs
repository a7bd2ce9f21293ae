//! Reports to the client what is left of a budget, in the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers-10, as structured fields (RFC 9651).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// What is left of an access token's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLeft {
    /// How many requests the token may make in all.
    pub limit: u32,
    /// How many it may still make.
    pub left: u32,
    /// The lifetime of a token, if it is known.
    pub lifetime: Option<Duration>,
    /// How long it takes until the token expires.
    pub runs_out_in: Duration,
}

impl BudgetLeft {
    /// Writes the two fields and replaces any that the upstream sent: a client could not
    /// tell whose they are.
    pub fn write(&self, headers: &mut HeaderMap) {
        let window = self
            .lifetime
            .map_or_else(String::new, |lifetime| format!(";w={}", lifetime.as_secs()));
        let policy = format!("\"budget\";q={}{window}", self.limit);
        let left = format!(
            "\"budget\";r={};t={}",
            self.left,
            self.runs_out_in.as_secs()
        );
        for (name, value) in [(POLICY, policy), (LEFT, left)] {
            // Digits and letters: this cannot fail.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_replace_those_of_the_upstream() {
        let mut headers = HeaderMap::new();
        headers.append("ratelimit", HeaderValue::from_static("\"theirs\";r=1"));
        headers.append("ratelimit", HeaderValue::from_static("\"other\";r=2"));
        let left = BudgetLeft {
            limit: 40,
            left: 39,
            lifetime: Some(Duration::from_secs(900)),
            runs_out_in: Duration::from_millis(877_900),
        };
        left.write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"budget\";q=40;w=900");
        assert_eq!(headers["ratelimit"], "\"budget\";r=39;t=877");
        assert_eq!(headers.get_all("ratelimit").iter().count(), 1);
        let unknown = BudgetLeft {
            lifetime: None,
            ..left
        };
        unknown.write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"budget\";q=40");
    }
}
