//! The one list of header fields that never come from outside: those in which a
//! proxy says who called, from where and for what, and those with which a server
//! lets a client override the method, host or path that was judged. Sent by a client
//! itself, such a field is no more than a claim.
//!
//! Names are recognized by their shape rather than one by one, so that a proxy or CDN
//! nobody thought of is covered before anyone names it. Not reserved is what partners
//! have a right to send, though some servers believe it: their ids (`X-Client-Id`,
//! `X-User-Id`, `X-Consumer-Id`), their credentials (`X-Api-Key`, `X-Access-Token`,
//! `X-Auth-User`), addresses of people that a request is about (`PSU-IP-Address`,
//! `X-Customer-Ip`) and of wallets (`X-Source-Address`), ways of paying
//! (`X-Card-Scheme`), `Destination` of WebDAV, `CDN-Loop`, and countries.
//!
//! The built-in proxy and the sidecar drop them; the configurations in
//! `docs/forward-auth` clear them, and a test compares those with this list.

mod list;

use list::{BY_START, BY_WORD};

/// How the names of reserved fields are recognized, in lower case.
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

/// The shapes of all reserved fields.
pub fn reserved_shapes() -> impl Iterator<Item = FieldShape> {
    BY_START.iter().chain(BY_WORD).copied()
}

/// The reserved fields that servers are known to read, sorted and in lower case: for
/// proxies that cannot recognize a field by its shape.
pub fn known_reserved_fields() -> impl Iterator<Item = &'static str> {
    include_str!("reserved/known.txt").lines()
}

/// Whether a field is reserved. Its name must be in lower case, with a hyphen for
/// every character that is not a letter or digit: an upstream may take such names for
/// the same.
pub fn is_reserved(name: &str) -> bool {
    let further_words = name.match_indices('-').map(|(at, _)| &name[at + 1..]);
    is_among(BY_START, name)
        || std::iter::once(name)
            .chain(further_words)
            .any(|tail| is_among(BY_WORD, tail))
}

/// Whether a sorted table has a shape of which this is the text, or begins with it.
fn is_among(table: &[FieldShape], tail: &str) -> bool {
    let after = table.partition_point(|shape| shape.text() <= tail);
    // Whatever sorts between a beginning and a text that has it, has it too.
    let before = after.checked_sub(1).and_then(|at| table.get(at));
    before.is_some_and(|shape| match shape {
        FieldShape::Is(text) | FieldShape::Ends(text) => tail == *text,
        FieldShape::Begins(text) | FieldShape::Has(text) => tail.starts_with(text),
    })
}

impl FieldShape {
    fn text(&self) -> &'static str {
        let (Self::Is(text) | Self::Begins(text) | Self::Ends(text) | Self::Has(text)) = self;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named nowhere but recognized by their shape, or once forgotten.
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

    /// In these, proxies and networks state a client's address.
    const ADDRESSES: &str = "
        client-addr comefrom originating-ip peer-ip remoteaddr user-ip x-acme-clientip-v6
        x-acme-real-ipv6 x-acme-remote-ip x-caller-ip x-came-from x-cdn-edge-ip
        x-client-port x-comefrom x-conn-ip x-edge-addr x-edge-ip x-external-ip
        x-acme-source-port x-lb-client-addr x-orig-client-ip x-origin-ip x-peer-addr
        x-peer-address x-peer-ip x-peer-port x-proxied-for x-remoteip x-request-ip
        x-requester-ip x-source-ipv4 x-sp-forwarded-ip -wsra -wsrh";

    /// In these, proxies state the original host, scheme, path and method.
    const ORIGINAL_REQUESTS: &str = "
        acme-original-url context-path disguised-host fastly-orig-host forwarding-host
        front-end-proto front-end-scheme http-host http-url https-from-lb orig-path-info
        origin-host override-url path-base path-translated php-auth-user query-string
        real-method request-method request-path server-name server-port ssl
        ssl-offloaded unencoded-url was-default-hostname x-acme-ssl x-ajax-real-method
        x-amzn-remapped-host x-appservice-proto x-base-href x-base-path x-cf-url
        x-context-path x-external-host x-external-path x-external-proto x-external-url
        x-forwarder-host x-ingress-path x-ms-original-url x-ning-request-uri
        x-now-route-matches x-origin-host x-origin-path x-origin-proto x-path-prefix
        x-port-override x-replaced-path x-scheme-override x-server-name x-server-port
        x-upstream-host x-uri-override x-uri-prefix x-virtual-host";

    /// In these, proxies state who the caller is.
    const IDENTITIES: &str = "
        auth-type cas-user cert-issuer cert-subject cf-cert-verified dapr-caller-app-id
        eduperson-principal-name eppn gap-auth mellon-name-id mellon-uid oam-identity-domain
        oidc-id-token osso-user remoteuser saml-subject sm-authtype sm-universalid
        ssl-client-s-dn tailscale-app-capabilities tailscale-user-login
        tailscale-user-profile-pic teleport-jwt-assertion x-acme-ssl-client-verify
        x-acme-webauth-groups x-amzn-lattice-identity x-amzn-mtls-clientcert-serial-number
        x-amzn-tls-version x-anonymous-consumer x-auth-groups x-auth-roles x-auth-subject
        x-cf-proxy-signature x-client-cn x-client-dn x-client-i-dn x-client-s-dn
        x-client-ssl-verify x-cloudtasks-queuename x-consumer-custom-id x-consumer-groups
        x-credential-username x-grafana-id x-grafana-user x-iisnode-auth-user
        x-issuer-dn x-istio-attributes x-jwt-assertion x-jwt-claim-sub x-jwt-payload
        x-ldap-user x-logon-user x-mellon-name-id x-mtls-subject x-oidc-claim-sub
        x-peer-cert x-peer-cn x-peer-dn x-pomerium-claim-email x-remote-extra-scopes
        x-saml-nameid x-shib-user x-shibboleth-user x-sm-user x-subject-dn
        x-tailscale-user x-tailscale-login x-teleport-user x-trusted-user
        x-vercel-oidc-token x-windows-user -wscc -wsru";

    /// What partners have a right to send.
    const OF_PARTNERS: &str = "
        accept accept-language access-control-request-headers
        access-control-request-method authorization baggage cache-control cdn-loop
        cf-access-client-id cf-access-client-secret content-digest content-language
        content-location content-md5 content-type cookie depth destination digest
        documentation-url expect fastly-key from grpc-timeout host http-referer
        http2-settings idempotency-key if-match if-none-match if-unmodified-since link
        max-forwards on-behalf-of origin overwrite prefer priority psu-geo-location
        psu-ip-address psu-ip-port psu-user-agent range referer save-data sec-ch-ua
        sec-fetch-site sec-websocket-key sec-websocket-protocol signature signature-input
        soapaction tls tpp-redirect-uri tpp-signature-certificate traceparent tracestate
        translate upgrade-insecure-requests user-agent via want-digest
        x-access-token x-account-id x-account-number x-acquirer-id x-amz-content-sha256
        x-amz-date x-amz-security-token x-amzn-trace-id x-api-key x-api-version x-app-id
        x-app-version x-auth-email x-auth-key x-auth-token x-auth-type x-auth-user
        x-authorization x-b3-traceid x-batch-id x-branch-id x-callback-url x-card-scheme
        x-cert-serial-number x-certificate x-channel x-checksum x-client x-client-country
        x-client-device x-client-fingerprint x-client-id x-client-info x-client-name
        x-client-os x-client-reference x-client-request-id x-client-secret
        x-client-serial x-client-timezone x-client-trace-id x-client-user-agent
        x-client-version x-cloud-trace-context x-company-id x-consumer-id x-consumer-key
        x-correlation-id x-country x-credential-id x-csrf-token x-currency x-customer-id
        x-customer-ip x-date x-debug x-destination-address x-device-fingerprint
        x-device-id x-device-ip x-edge-version x-end-user-ip x-environment x-external-id
        x-external-reference x-fapi-auth-date x-fapi-customer-ip-address
        x-fapi-interaction-id x-frontend-version x-goog-api-key x-goog-user-project
        x-grafana-org-id x-hmac x-hub-signature-256 x-id-token x-idempotency-key
        x-instance-id x-integration x-ip x-issuer-id x-jws-signature x-key-id x-language
        x-locale x-location-id x-merchant-account x-merchant-id x-ms-client-request-id
        x-ms-date x-ms-version x-msisdn x-nonce x-notify-url x-operator-id x-order-id
        x-organization-id x-origin x-origin-country x-partner-id x-path-version
        x-payer-ip x-payment-method x-payout-address x-peer-id x-platform
        x-price-override x-processor-id x-project-id x-realm x-recipient-address x-ref
        x-referrer x-region x-request-context-id x-request-id x-request-priority
        x-request-signature x-request-start x-request-time x-request-timeout
        x-requested-with x-response-format x-return-url x-role-id x-sdk-version
        x-sender-address x-sender-id x-serial-number x-server-id x-service-name
        x-session-id x-shiba-inu-wallet x-shop-id x-signature x-signature-timestamp
        x-signed-headers x-source x-source-account x-source-address x-source-id
        x-source-system x-status-url x-store-id x-store-name x-subject x-target
        x-tenant-id x-terminal-id x-timestamp x-token x-trace-id x-transaction-id
        x-trusted-device x-url-callback x-user x-user-address x-user-agent x-user-email
        x-user-id x-user-input x-user-role x-voucher-code x-wallet-address x-webauthn-rp
        x-webhook-id x-webhook-url x-zip x-zone-id";

    #[test]
    fn the_list_is_sorted_and_no_beginning_is_there_twice() {
        for table in [BY_START, BY_WORD] {
            for (at, shape) in table.iter().enumerate() {
                assert!(table[..at].is_sorted_by_key(FieldShape::text));
                let others = [&table[..at], &table[at + 1..]].concat();
                assert!(!is_among(&others, shape.text()), "{shape:?}");
            }
        }
    }

    #[test]
    fn known_fields_are_reserved_and_sorted_and_no_name_of_a_whole_field_is_missing() {
        let known: Vec<_> = known_reserved_fields().collect();
        assert!(known.is_sorted_by(|name, next| name < next));
        for name in &known {
            assert!(is_reserved(name), "{name}");
            assert_eq!(*name, name.to_ascii_lowercase());
        }
        for shape in reserved_shapes() {
            if let FieldShape::Is(name) = shape {
                assert!(known.contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn a_kind_is_recognized_by_its_shape_and_what_partners_send_passes() {
        let reserved = [OF_THE_SAME_KIND, ADDRESSES, ORIGINAL_REQUESTS, IDENTITIES];
        let names = reserved.iter().flat_map(|kind| kind.split_whitespace());
        let passing: Vec<_> = names.filter(|name| !is_reserved(name)).collect();
        assert!(passing.is_empty(), "these pass: {passing:?}");
        assert!(!is_reserved(""));
        let names = OF_PARTNERS.split_whitespace();
        let caught: Vec<_> = names
            .filter(|name| is_reserved(name) || a_proxy_clears(name))
            .collect();
        assert!(caught.is_empty(), "these are caught: {caught:?}");
    }

    /// The documented configurations match a text wherever it stands, not only where a
    /// word begins.
    fn a_proxy_clears(name: &str) -> bool {
        reserved_shapes().any(|shape| match shape {
            FieldShape::Is(text) => name == text,
            FieldShape::Begins(text) => name.starts_with(text),
            FieldShape::Ends(text) => name.ends_with(text),
            FieldShape::Has(text) => name.contains(text),
        })
    }
}
