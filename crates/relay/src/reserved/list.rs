//! The reserved fields themselves.

use super::{FieldShape, ReservedFields};

/// Those that are told from any of their words on: sorted, as below.
pub(super) const BY_WORD: &[ReservedFields] = &[
    // Who somebody before the guard says that it is.
    has(
        "authenticated-user",
        &[
            "cf-access-authenticated-user-email",
            "x-authenticated-user",
            "x-authenticated-userid",
            "x-goog-authenticated-user-email",
            "x-goog-authenticated-user-id",
        ],
    ),
    // The certificate of a client (RFC 9440, and what proxies said before it).
    has(
        "client-cert",
        &[
            "cf-client-cert-der-base64",
            "client-cert",
            "client-cert-chain",
            "wl-proxy-client-cert",
            "x-client-cert",
            "x-client-certificate",
            "x-client-cert-chain",
            "x-client-cert-dn",
        ],
    ),
    // Who is at the other end, by address.
    ends(
        "client-ip",
        &[
            "akamai-client-ip",
            "cdn-client-ip",
            "client-ip",
            "eo-client-ip",
            "fastly-client-ip",
            "fly-client-ip",
            "http-client-ip",
            "incap-client-ip",
            "ns-client-ip",
            "proxy-client-ip",
            "true-client-ip",
            "wl-proxy-client-ip",
            "x-akamai-client-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-ns-client-ip",
            "x-originating-client-ip",
            "x-real-client-ip",
            "x-true-client-ip",
            "x-trusted-client-ip",
            "x-waf-client-ip",
        ],
    ),
    has("client-verify", &["client-verify", "x-client-verify"]),
    has(
        "clientcert",
        &[
            "ms-aspnetcore-clientcert",
            "x-arr-clientcert",
            "x-clientcert",
        ],
    ),
    ends(
        "clientip",
        &[
            "clientip",
            "x-azure-clientip",
            "x-clientip",
            "x-sucuri-clientip",
        ],
    ),
    ends(
        "connecting-ip",
        &["cf-connecting-ip", "do-connecting-ip", "eo-connecting-ip"],
    ),
    ends("connection-ip", &["x-nf-client-connection-ip"]),
    // What a proxy forwarded.
    has(
        "forwarded",
        &[
            "cloudfront-forwarded-proto",
            "fly-forwarded-port",
            "fly-forwarded-proto",
            "fly-forwarded-ssl",
            "forwarded",
            "forwarded-for",
            "forwarded-for-ip",
            "forwarded-host",
            "forwarded-proto",
            "forwarded-server",
            "http-forwarded",
            "http-forwarded-for",
            "http-x-forwarded",
            "http-x-forwarded-for",
            "x-forwarded",
            "x-forwarded-by",
            "x-forwarded-client-cert",
            "x-forwarded-email",
            "x-forwarded-for",
            "x-forwarded-for-original",
            "x-forwarded-groups",
            "x-forwarded-host",
            "x-forwarded-https",
            "x-forwarded-method",
            "x-forwarded-path",
            "x-forwarded-port",
            "x-forwarded-preferred-username",
            "x-forwarded-prefix",
            "x-forwarded-proto",
            "x-forwarded-protocol",
            "x-forwarded-scheme",
            "x-forwarded-server",
            "x-forwarded-ssl",
            "x-forwarded-tls-client-cert",
            "x-forwarded-tls-client-cert-info",
            "x-forwarded-uri",
            "x-forwarded-url",
            "x-forwarded-user",
            "x-original-forwarded-for",
            "x-vercel-forwarded-for",
            "z-forwarded-for",
        ],
    ),
    has("forwarder-for", &["forwarder-for", "x-forwarder-for"]),
    // Another method, host or path than the one that was judged.
    has(
        "host-override",
        &["host-override", "x-host-override", "x-http-host-override"],
    ),
    // Whether the way was safe.
    ends("https", &["front-end-https", "https", "x-https"]),
    has(
        "method-override",
        &[
            "http-method-override",
            "method-override",
            "x-http-method-override",
            "x-method-override",
        ],
    ),
    has(
        "path-override",
        &["x-http-path-override", "x-path-override"],
    ),
    ends(
        "real-ip",
        &[
            "ali-cdn-real-ip",
            "cdn-real-ip",
            "real-ip",
            "x-google-real-ip",
            "x-real-ip",
        ],
    ),
    ends("realip", &["realip", "x-realip"]),
    has(
        "remote-addr",
        &[
            "pc-remote-addr",
            "remote-addr",
            "x-appengine-remote-addr",
            "x-original-remote-addr",
            "x-remote-addr",
        ],
    ),
    has(
        "remote-user",
        &[
            "oam-remote-user",
            "proxy-remote-user",
            "remote-user",
            "x-remote-user",
        ],
    ),
    ends("source-ip", &["source-ip", "x-source-ip"]),
    ends("src-ip", &["cdn-src-ip", "src-ip", "x-src-ip"]),
    has("tls-client-", &["tls-client-cert", "tls-client-verify"]),
    ends("true-ip", &["true-ip", "x-true-ip"]),
    has("url-override", &["x-http-url-override", "x-url-override"]),
    has(
        "userinfo",
        &[
            "x-apigateway-api-userinfo",
            "x-endpoint-api-userinfo",
            "x-userinfo",
        ],
    ),
    has("webauth-user", &["x-webauth-user"]),
];

/// Those that are told from the start of their names: sorted, and none begins with
/// one that stands for all that begin so.
pub(super) const BY_START: &[ReservedFields] = &[
    is(&["auth-user"]),
    begins("base-ur", &["base-uri", "base-url"]),
    begins("cf-access-jwt-", &["cf-access-jwt-assertion"]),
    begins(
        "cf-connecting-",
        &["cf-connecting-ipv6", "cf-connecting-o2o"],
    ),
    begins("cf-pseudo-ipv4", &["cf-pseudo-ipv4"]),
    begins("cf-visitor", &["cf-visitor"]),
    begins("client-ip", &[]),
    begins(
        "cloudfront-viewer-",
        &[
            "cloudfront-viewer-address",
            "cloudfront-viewer-header-order",
            "cloudfront-viewer-tls",
        ],
    ),
    begins("coming-from", &["coming-from"]),
    begins("fastly-client", &["fastly-client"]),
    begins("fastly-ssl", &["fastly-ssl"]),
    // Of WebSEAL, Linkerd, IIS, Apache's OpenID and Shibboleth modules, SiteMinder.
    begins(
        "iv-",
        &["iv-creds", "iv-groups", "iv-remote-address", "iv-user"],
    ),
    begins("l5d-", &["l5d-client-id", "l5d-dst-override"]),
    is(&["logon-user"]),
    begins(
        "ms-aspnetcore-",
        &["ms-aspnetcore-token", "ms-aspnetcore-winauthtoken"],
    ),
    begins("ms-client-principal", &["ms-client-principal"]),
    begins("oidc-access-", &["oidc-access-token"]),
    begins("oidc-claim-", &["oidc-claim-email", "oidc-claim-sub"]),
    begins("path-info", &["path-info"]),
    // A CGI program reads `Proxy` as its own HTTP_PROXY.
    begins("proxy", &["proxy", "proxy-host", "proxy-url"]),
    // `REMOTE_ADDR` and all that CGI has like it; Authelia says `Remote-Groups`.
    begins(
        "remote-",
        &[
            "remote-email",
            "remote-groups",
            "remote-host",
            "remote-ip",
            "remote-name",
            "remote-port",
        ],
    ),
    begins("request-ur", &["request-uri", "request-url"]),
    begins("script-name", &["script-name"]),
    begins("shib-", &["shib-session-id"]),
    begins("sm-user", &["sm-user", "sm-userdn"]),
    begins(
        "ssl-",
        &[
            "ssl-cipher",
            "ssl-client-cert",
            "ssl-client-s-dn",
            "ssl-client-verify",
        ],
    ),
    begins(
        "tailscale-user-",
        &["tailscale-user-login", "tailscale-user-name"],
    ),
    begins("true-client-", &["true-client-port"]),
    is(&["uri"]),
    is(&["url"]),
    begins("wl-proxy-", &["wl-proxy-ssl"]),
    // What makes a server send a file, or another path, instead of its answer.
    begins("x-accel-", &["x-accel-mapping", "x-accel-redirect"]),
    begins(
        "x-amzn-mtls-",
        &["x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-subject"],
    ),
    begins(
        "x-amzn-oidc-",
        &[
            "x-amzn-oidc-accesstoken",
            "x-amzn-oidc-data",
            "x-amzn-oidc-identity",
        ],
    ),
    begins("x-amzn-request-context", &["x-amzn-request-context"]),
    begins(
        "x-apigateway-",
        &["x-apigateway-context", "x-apigateway-event"],
    ),
    begins("x-appengine-", &["x-appengine-user-ip"]),
    begins("x-arr-", &["x-arr-ssl"]),
    begins(
        "x-auth-request-",
        &[
            "x-auth-request-access-token",
            "x-auth-request-email",
            "x-auth-request-groups",
            "x-auth-request-preferred-username",
            "x-auth-request-redirect",
            "x-auth-request-user",
        ],
    ),
    begins("x-authelia-", &["x-authelia-groups", "x-authelia-user"]),
    begins(
        "x-authenticated-",
        &["x-authenticated-groups", "x-authenticated-scope"],
    ),
    begins(
        "x-authentik-",
        &[
            "x-authentik-email",
            "x-authentik-groups",
            "x-authentik-uid",
            "x-authentik-username",
        ],
    ),
    begins("x-azure-", &["x-azure-socketip"]),
    begins("x-backend-", &["x-backend-host", "x-backend-url"]),
    begins("x-base-ur", &["x-base-uri", "x-base-url"]),
    begins("x-client-addr", &["x-client-addr", "x-client-address"]),
    begins("x-client-host", &["x-client-host"]),
    begins("x-client-ip", &[]),
    begins("x-client-port", &["x-client-port"]),
    begins("x-client-proto", &["x-client-proto"]),
    begins("x-client-scheme", &["x-client-scheme"]),
    begins("x-cluster-client-", &[]),
    begins("x-coming-from", &["x-coming-from"]),
    begins("x-consumer-username", &["x-consumer-username"]),
    begins(
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
    begins("x-credential-identifier", &["x-credential-identifier"]),
    begins("x-custom-ip", &["x-custom-ip-authorization"]),
    begins(
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
    begins("x-forward", &["x-forward-for", "x-forward-proto"]),
    begins("x-goog-iap-", &["x-goog-iap-jwt-assertion"]),
    begins("x-host", &["x-host"]),
    begins("x-http-", &["x-http-destinationurl", "x-http-method"]),
    begins("x-invoke-", &["x-invoke-path", "x-invoke-query"]),
    begins("x-matched-path", &["x-matched-path"]),
    begins("x-method", &["x-method"]),
    begins("x-middleware-subrequest", &["x-middleware-subrequest"]),
    begins(
        "x-ms-client-principal",
        &[
            "x-ms-client-principal",
            "x-ms-client-principal-id",
            "x-ms-client-principal-name",
        ],
    ),
    begins(
        "x-ms-token-",
        &["x-ms-token-aad-access-token", "x-ms-token-aad-id-token"],
    ),
    begins(
        "x-original-",
        &[
            "x-original-host",
            "x-original-method",
            "x-original-path",
            "x-original-proto",
            "x-original-uri",
            "x-original-url",
        ],
    ),
    begins("x-originating-", &["x-originating-ip"]),
    begins("x-override-", &["x-override-uri", "x-override-url"]),
    is(&["x-path"]),
    begins("x-path-info", &["x-path-info"]),
    begins("x-pomerium-", &["x-pomerium-jwt-assertion"]),
    is(&["x-proto"]),
    is(&["x-protocol"]),
    begins(
        "x-proxy",
        &[
            "x-proxy-host",
            "x-proxy-url",
            "x-proxy-user",
            "x-proxy-user-ip",
            "x-proxyuser-ip",
        ],
    ),
    begins("x-real-", &["x-real-port"]),
    begins("x-remote-", &["x-remote-host", "x-remote-ip"]),
    begins("x-request-host", &["x-request-host"]),
    begins("x-request-method", &["x-request-method"]),
    begins("x-request-path", &["x-request-path"]),
    begins("x-request-scheme", &["x-request-scheme"]),
    begins("x-request-ur", &["x-request-uri", "x-request-url"]),
    begins("x-rewrite-", &["x-rewrite-uri", "x-rewrite-url"]),
    begins("x-scheme", &["x-scheme"]),
    begins("x-script-name", &["x-script-name"]),
    begins("x-sendfile-", &["x-sendfile-type"]),
    begins("x-spiffe-", &["x-spiffe-id"]),
    begins(
        "x-ssl",
        &[
            "x-ssl",
            "x-ssl-cipher",
            "x-ssl-client-cert",
            "x-ssl-client-dn",
            "x-ssl-client-s-dn",
            "x-ssl-client-verify",
            "x-ssl-protocol",
        ],
    ),
    begins("x-sucuri-client", &[]),
    begins(
        "x-tailscale-user-",
        &["x-tailscale-user-login", "x-tailscale-user-name"],
    ),
    begins("x-tls-", &["x-tls-client-cert", "x-tls-client-verify"]),
    begins("x-true-client-", &[]),
    begins("x-trueclient-", &["x-trueclient-ip"]),
    is(&["x-uri"]),
    is(&["x-url"]),
    begins("x-url-protocol", &["x-url-protocol"]),
    begins("x-url-scheme", &["x-url-scheme"]),
    begins("x-user-ip", &["x-user-ip"]),
    is(&["x-verb"]),
    begins("x-vercel-proxied", &["x-vercel-proxied-for"]),
    begins("x-vouch-", &["x-vouch-user"]),
    begins("x-waws-", &["x-waws-unencoded-url"]),
    begins("x-webauth-", &["x-webauth-email", "x-webauth-name"]),
];

const fn is(names: &'static [&'static str; 1]) -> ReservedFields {
    let [name] = names;
    ReservedFields {
        shape: FieldShape::Is(name),
        known: names,
    }
}

const fn begins(with: &'static str, known: &'static [&'static str]) -> ReservedFields {
    ReservedFields {
        shape: FieldShape::Begins(with),
        known,
    }
}

const fn ends(with: &'static str, known: &'static [&'static str]) -> ReservedFields {
    ReservedFields {
        shape: FieldShape::Ends(with),
        known,
    }
}

const fn has(part: &'static str, known: &'static [&'static str]) -> ReservedFields {
    ReservedFields {
        shape: FieldShape::Has(part),
        known,
    }
}
