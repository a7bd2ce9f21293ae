//! The one list of header fields that never come from outside: of the way of a
//! request, of who called, and of what some servers let override the method, host
//! or path that was judged. A client's own is no more than a claim.
//!
//! Most are told by a shape that their kind has, so that the next of the kind is
//! there before anyone names it. Not reserved is what partners send by right, though
//! some servers believe it: ids of theirs (`X-Client-Id`, `X-User-Id`,
//! `X-Consumer-Id`), credentials of theirs (`X-Api-Key`, `X-Access-Token`,
//! `X-Auth-User`), addresses of people that a request is about
//! (`PSU-IP-Address`, `X-Customer-Ip`), ways of paying (`X-Card-Scheme`),
//! `Destination` of WebDAV, `CDN-Loop`, and countries.
//!
//! The built-in proxy and the sidecar drop them; the configurations in
//! `docs/forward-auth` clear them, and a test compares those with this list.

mod list;

use list::{BY_START, BY_WORD};

/// How the names of reserved fields are told, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldShape {
    /// This one name.
    Is(&'static str),
    /// Every name that begins so.
    Begins(&'static str),
    /// Every name whose last words are these.
    Ends(&'static str),
    /// Every name in which a word begins so, whatever follows.
    Has(&'static str),
}

/// Fields of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedFields {
    /// What their names have in common.
    pub shape: FieldShape,
    /// Those that servers are known to read, for who cannot name them by their
    /// shape.
    pub known: &'static [&'static str],
}

/// Every field that is reserved.
pub fn reserved_fields() -> impl Iterator<Item = &'static ReservedFields> {
    BY_START.iter().chain(BY_WORD)
}

/// Whether a field is reserved. It is asked by a name in which every character
/// that is not a letter or digit is a hyphen: an upstream may take such names for
/// the same.
pub fn is_reserved(name: &str) -> bool {
    let words = name.match_indices('-').map(|(at, _)| &name[at + 1..]);
    is_among(BY_START, name)
        || std::iter::once(name)
            .chain(words)
            .any(|tail| is_among(BY_WORD, tail))
}

/// Whether a name, or what is left of it from one of its words on, is told by a
/// sorted table.
fn is_among(table: &[ReservedFields], tail: &str) -> bool {
    let after = table.partition_point(|fields| fields.text() <= tail);
    // Whatever sorts between a beginning and a text that has it, has it too.
    let before = after.checked_sub(1).and_then(|at| table.get(at));
    before.is_some_and(|fields| match fields.shape {
        FieldShape::Is(text) | FieldShape::Ends(text) => tail == text,
        FieldShape::Begins(text) | FieldShape::Has(text) => tail.starts_with(text),
    })
}

impl ReservedFields {
    fn text(&self) -> &'static str {
        let (FieldShape::Is(text)
        | FieldShape::Begins(text)
        | FieldShape::Ends(text)
        | FieldShape::Has(text)) = self.shape;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Told by nobody but their shape, or of those that were forgotten once.
    const OF_THE_SAME_KIND: &str = "
        ali-cdn-real-ip akamai-client-ip base-url cdn-real-ip cdn-src-ip client-cert
        client-cert-chain clientip https path-info remote-user request-uri script-name
        ssl-client-cert wl-proxy-ssl x-akamai-client-ip x-auth-request-email
        x-auth-request-groups x-auth-request-user x-backend-host x-client-scheme
        x-clientip x-coming-from x-https x-path x-proxy-url x-request-uri
        x-ssl-client-cert x-true-ip x-uri x-url x-user-ip x-waf-client-ip
        x-webauth-user z-forwarded-for
        auth-user logon-user ms-client-principal oidc-access-token realip
        true-client-port x-authelia-email x-consumer-username x-credential-identifier
        x-ms-token-aad-id-token x-proto x-protocol x-spiffe-id x-tailscale-user-login
        x-trueclient-ip x-url-protocol x-verb
        acme-cdn-client-ip acme-forwarded-for acme-real-ip acme-remote-user
        x-acme-client-cert-subject x-acme-method-override x-acme-remote-addr";

    /// What partners send by right.
    const OF_PARTNERS: &str = "
        accept authorization cdn-loop cf-access-client-id content-type cookie destination
        host idempotency-key if-match origin overwrite psu-ip-address psu-user-agent
        referer tls traceparent upgrade-insecure-requests user-agent via
        x-access-token x-account-id x-amz-date x-amzn-trace-id x-api-key x-auth-token
        x-auth-user x-b3-traceid x-card-scheme x-certificate x-client x-client-id
        x-client-name x-client-version x-consumer-id x-correlation-id x-customer-ip
        x-fapi-customer-ip-address x-goog-user-project x-ip x-ms-client-request-id
        x-path-version x-price-override x-realm x-request-id x-request-timeout
        x-requested-with x-signature x-source x-status-url x-target x-url-callback
        x-user x-user-id x-user-input x-zip";

    #[test]
    fn the_list_is_sorted_and_no_beginning_is_there_twice() {
        for table in [BY_START, BY_WORD] {
            for (at, fields) in table.iter().enumerate() {
                assert!(table[..at].is_sorted_by_key(ReservedFields::text));
                let others = [&table[..at], &table[at + 1..]].concat();
                assert!(!is_among(&others, fields.text()), "{}", fields.text());
            }
        }
    }

    #[test]
    fn what_is_known_has_its_shape_and_stands_once() {
        let mut names = std::collections::HashSet::new();
        for fields in reserved_fields() {
            for name in fields.known {
                let tails = name.match_indices('-').map(|(at, _)| &name[at + 1..]);
                let mut tails = tails.chain([*name]);
                assert!(tails.any(|it| is_among(&[*fields], it)), "{name}");
                assert!(is_reserved(name), "{name}");
                assert_eq!(*name, name.to_ascii_lowercase());
                assert!(names.insert(name), "{name}");
            }
        }
    }

    #[test]
    fn a_kind_is_told_by_its_shape_and_what_partners_need_is_not_of_it() {
        for name in OF_THE_SAME_KIND.split_whitespace() {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved(""));
        for name in OF_PARTNERS.split_whitespace() {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
