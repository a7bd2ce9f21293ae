//! The one list of header fields that never come from outside: of the way of a
//! request, of who called, and of what some servers let override the method, host
//! or path that was judged. A client's own is no more than a claim.
//!
//! The built-in proxy and the sidecar drop them; the configurations in
//! `docs/forward-auth` clear them, and a test compares those with this list.

/// Fields whose name begins with `begins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedFields {
    /// What their names begin with, in lower case.
    pub begins: &'static str,
    /// Those that servers are known to read, for who cannot name them by their
    /// beginning.
    pub known: &'static [&'static str],
}

const fn reserved(begins: &'static str, known: &'static [&'static str]) -> ReservedFields {
    ReservedFields { begins, known }
}

/// Every field that is reserved, sorted by beginnings, of which none begins with
/// another.
pub const RESERVED: &[ReservedFields] = &[
    reserved(
        "cf-connecting-",
        &[
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-connecting-o2o",
        ],
    ),
    reserved("cf-pseudo-ipv4", &["cf-pseudo-ipv4"]),
    reserved("cf-visitor", &["cf-visitor"]),
    reserved("client-ip", &["client-ip"]),
    reserved(
        "cloudfront-forwarded-proto",
        &["cloudfront-forwarded-proto"],
    ),
    reserved("cloudfront-viewer-address", &["cloudfront-viewer-address"]),
    reserved("do-connecting-ip", &["do-connecting-ip"]),
    reserved("fastly-client", &["fastly-client", "fastly-client-ip"]),
    reserved("fastly-ssl", &["fastly-ssl"]),
    reserved("fly-client-ip", &["fly-client-ip"]),
    reserved(
        "fly-forwarded-",
        &[
            "fly-forwarded-port",
            "fly-forwarded-proto",
            "fly-forwarded-ssl",
        ],
    ),
    reserved(
        "forwarded",
        &[
            "forwarded",
            "forwarded-for",
            "forwarded-for-ip",
            "forwarded-host",
            "forwarded-proto",
        ],
    ),
    reserved("front-end-https", &["front-end-https"]),
    reserved("http-client-ip", &["http-client-ip"]),
    reserved("http-forwarded", &["http-forwarded", "http-forwarded-for"]),
    reserved("http-method-override", &["http-method-override"]),
    reserved(
        "http-x-forwarded",
        &["http-x-forwarded", "http-x-forwarded-for"],
    ),
    reserved("incap-client-ip", &["incap-client-ip"]),
    // A CGI program reads `Proxy` as its own HTTP_PROXY.
    reserved(
        "proxy",
        &["proxy", "proxy-client-ip", "proxy-host", "proxy-url"],
    ),
    reserved("real-ip", &["real-ip"]),
    reserved("remote-addr", &["remote-addr"]),
    reserved("remote-ip", &["remote-ip"]),
    reserved("true-client-ip", &["true-client-ip"]),
    reserved(
        "wl-proxy-client-",
        &["wl-proxy-client-cert", "wl-proxy-client-ip"],
    ),
    reserved(
        "x-appengine-",
        &["x-appengine-remote-addr", "x-appengine-user-ip"],
    ),
    reserved("x-arr-", &["x-arr-clientcert", "x-arr-ssl"]),
    reserved("x-azure-", &["x-azure-clientip", "x-azure-socketip"]),
    reserved("x-client-ip", &["x-client-ip"]),
    reserved("x-cluster-client-", &["x-cluster-client-ip"]),
    reserved(
        "x-countersign",
        &[
            "x-countersign-account",
            "x-countersign-api",
            "x-countersign-login",
            "x-countersign-refusal",
            "x-countersign-request-id",
            "x-countersign-session",
            "x-countersign-uri",
        ],
    ),
    reserved("x-custom-ip", &["x-custom-ip-authorization"]),
    reserved(
        "x-envoy-",
        &[
            "x-envoy-decorator-operation",
            "x-envoy-external-address",
            "x-envoy-internal",
            "x-envoy-original-dst-host",
            "x-envoy-original-host",
            "x-envoy-original-method",
            "x-envoy-original-path",
        ],
    ),
    reserved(
        "x-forward",
        &[
            "x-forward-for",
            "x-forwarded",
            "x-forwarded-by",
            "x-forwarded-client-cert",
            "x-forwarded-email",
            "x-forwarded-for",
            "x-forwarded-groups",
            "x-forwarded-host",
            "x-forwarded-method",
            "x-forwarded-path",
            "x-forwarded-port",
            "x-forwarded-preferred-username",
            "x-forwarded-prefix",
            "x-forwarded-proto",
            "x-forwarded-scheme",
            "x-forwarded-server",
            "x-forwarded-ssl",
            "x-forwarded-tls-client-cert",
            "x-forwarded-uri",
            "x-forwarded-url",
            "x-forwarded-user",
        ],
    ),
    reserved("x-google-real-ip", &["x-google-real-ip"]),
    reserved("x-host", &["x-host", "x-host-override"]),
    // Another method, host or path than the one that was judged.
    reserved(
        "x-http-",
        &[
            "x-http-destinationurl",
            "x-http-host-override",
            "x-http-method",
            "x-http-method-override",
            "x-http-path-override",
            "x-http-url-override",
        ],
    ),
    reserved("x-method", &["x-method", "x-method-override"]),
    reserved("x-nf-client-connection-", &["x-nf-client-connection-ip"]),
    reserved(
        "x-original-",
        &[
            "x-original-forwarded-for",
            "x-original-host",
            "x-original-method",
            "x-original-path",
            "x-original-proto",
            "x-original-remote-addr",
            "x-original-uri",
            "x-original-url",
        ],
    ),
    reserved("x-originating-", &["x-originating-ip"]),
    reserved("x-override-", &["x-override-uri", "x-override-url"]),
    reserved("x-proxy-user-ip", &["x-proxy-user-ip"]),
    reserved("x-proxyuser-", &["x-proxyuser-ip"]),
    reserved("x-real-", &["x-real-ip", "x-real-port"]),
    reserved(
        "x-remote-",
        &[
            "x-remote-addr",
            "x-remote-host",
            "x-remote-ip",
            "x-remote-user",
        ],
    ),
    reserved("x-rewrite-", &["x-rewrite-uri", "x-rewrite-url"]),
    reserved("x-scheme", &["x-scheme"]),
    reserved("x-script-name", &["x-script-name"]),
    reserved("x-sucuri-client", &["x-sucuri-clientip"]),
    reserved("x-true-client-", &["x-true-client-ip"]),
    reserved("x-url-scheme", &["x-url-scheme"]),
    reserved("x-vercel-forwarded", &["x-vercel-forwarded-for"]),
    reserved("x-vercel-proxied", &["x-vercel-proxied-for"]),
];

/// Whether a field is reserved. It is asked by a name in which every character
/// that is not a letter or digit is a hyphen: an upstream may take such names for
/// the same.
pub fn is_reserved(name: &str) -> bool {
    let after = RESERVED.partition_point(|fields| fields.begins <= name);
    // Whatever sorts between a beginning and a name that has it, has it too.
    let before = after.checked_sub(1).and_then(|at| RESERVED.get(at));
    before.is_some_and(|fields| name.starts_with(fields.begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_no_beginning_is_there_twice() {
        for pair in RESERVED.windows(2) {
            let [one, next] = pair else { unreachable!() };
            assert!(one.begins < next.begins, "{}", next.begins);
            assert!(!next.begins.starts_with(one.begins), "{}", next.begins);
        }
    }

    #[test]
    fn what_is_known_is_found_and_what_partners_need_is_not() {
        for name in RESERVED.iter().flat_map(|fields| fields.known) {
            assert!(is_reserved(name), "{name}");
            assert!(is_reserved(&format!("{name}-2")), "{name}");
            assert_eq!(*name, name.to_ascii_lowercase());
        }
        for name in [
            "",
            "accept",
            "authorization",
            "content-type",
            "cookie",
            "host",
            "idempotency-key",
            "origin",
            "referer",
            "traceparent",
            "user-agent",
            "via",
            "x-api-key",
            "x-correlation-id",
            "x-realm",
            "x-request-id",
            "x-requested-with",
            "x-signature",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
