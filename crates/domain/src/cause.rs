//! The reasons for refusals in words for operators: what each one means, and what to do
//! about it. The peer never sees any of this.

use crate::refusal::Reason;

impl Reason {
    /// What it means, in a sentence.
    pub const fn meaning(self) -> &'static str {
        WORDS[self as usize].1
    }

    /// What to do about it, in a sentence.
    pub const fn remedy(self) -> &'static str {
        WORDS[self as usize].2
    }
}

/// What each reason means, and what to do about it, in the order of [`Reason`].
static WORDS: [(Reason, &str, &str); Reason::ALL.len()] = [
    (
        Reason::UnknownLogin,
        "No credential of this api has the login that was tried.",
        "Ask the partner which login it uses and for which api; it may be misspelt or deleted.",
    ),
    (
        Reason::WrongSecret,
        "The login exists, but the secret that was sent with it is wrong.",
        "Ask the partner to check its configuration, or give it a new credential.",
    ),
    (
        Reason::AccountDisabled,
        "The account is disabled.",
        "Enable it with `countersign account enable`, unless this is on purpose.",
    ),
    (
        Reason::AccountUnknown,
        "The account that the token was given to was deleted.",
        "Create an account for the partner, unless this was on purpose.",
    ),
    (
        Reason::CredentialRevoked,
        "The credential was deleted or disabled.",
        "Have the partner use its other credential, enable this one, or give it a new one.",
    ),
    (
        Reason::AddressDenied,
        "The caller's address is not on the account's allowlist.",
        "If the address is the partner's, add it with `countersign account allow`; if it is \
         your proxy's, name the proxy in trusted_proxies.",
    ),
    (
        Reason::AddressUnreadable,
        "The client's address that a trusted proxy stated cannot be read.",
        "Look at how the proxy sets its header, and whether client_address names that header.",
    ),
    (
        Reason::ProxyUntrusted,
        "A verdict was asked for by an address that is not a trusted proxy.",
        "Add the proxy's address to trusted_proxies, if it is yours.",
    ),
    (
        Reason::ProxyHeaders,
        "The proxy's headers about the original request are repeated or cannot be read, or \
         headers of another kind of proxy, or Countersign's own, came with them: a client sent \
         those.",
        "Compare what the proxy's configuration clears with the documented one, and \
         forward_auth with the kind of proxy.",
    ),
    (
        Reason::ProxyHeaderMissing,
        "The proxy asked about a request without a header that it must send: its configuration \
         is at fault, not the partner.",
        "Have the proxy send the header with its check, as the documented configuration does, \
         and compare forward_auth with the kind of proxy.",
    ),
    (
        Reason::OriginDenied,
        "A page in a browser asked whether it may call the api, and its origin is not allowed.",
        "Add the origin to `cors` of the api, if the page is yours or a partner's.",
    ),
    (
        Reason::ForeignPath,
        "The path contains a login that is not the caller's.",
        "Have the partner use its own login in the path.",
    ),
    (
        Reason::ScopeMissing,
        "The route requires a scope that the credential does not have.",
        "Give the credential the scope, if the partner is to have it.",
    ),
    (
        Reason::TokenMissing,
        "No token and no static key was presented.",
        "Have the partner send its access token as the dialect says; a proxy in between may \
         have dropped the header.",
    ),
    (
        Reason::TokenMalformed,
        "The value that was presented is not a token: its form, header or claims cannot be read.",
        "Have the partner send the whole access token, unchanged.",
    ),
    (
        Reason::TokenForged,
        "The token was not signed by this api, or is not of the kind expected here.",
        "Find out which token the partner sends: one of a test system, or a refresh token, is \
         not valid here.",
    ),
    (
        Reason::WrongApi,
        "The token is valid at another api of this server.",
        "Have the partner log in at this api; each api has its own tokens.",
    ),
    (
        Reason::KeyRetired,
        "The token was signed by a key that has retired or was killed, or its successor would \
         have been.",
        "Have the partner log in again.",
    ),
    (
        Reason::TokenExpired,
        "The token has expired.",
        "Have the partner refresh it before it expires; if the detail says that its clock is \
         wrong, have it corrected, or have it use the relative lifetime.",
    ),
    (
        Reason::SessionUnknown,
        "No session has the token's id: it ended long ago, or belongs to another store.",
        "Have the partner log in again.",
    ),
    (
        Reason::SessionRevoked,
        "The session was ended before the token expired: by a logout, a newer login, an \
         operator, or because an old refresh token was used again.",
        "Have the partner log in again; the session says how it ended.",
    ),
    (
        Reason::SessionExpired,
        "The session has expired: nobody refreshed it in time, or it reached its absolute end.",
        "Have the partner log in again.",
    ),
    (
        Reason::EpochPassed,
        "All sessions of the account were ended after the token was given: by a logout, by a \
         newer login, or by an operator.",
        "Have the partner log in again; the session says how it ended.",
    ),
    (
        Reason::SeedMismatch,
        "The refresh token is genuine, but is not the one that the session expects.",
        "Have the partner log in again, and find out whether an old store was restored.",
    ),
    (
        Reason::Reuse,
        "An old refresh token was used again, so two parties may have it: the session was \
         ended.",
        "Ask the partner whether two of its processes share one token, or whether it restored \
         an old one; if neither, its tokens were stolen. Then have it log in again.",
    ),
    (
        Reason::StateRegression,
        "The token is newer than the stored session, as after a restored backup: the session \
         was ended.",
        "Find out which backup was restored; have the partner log in again.",
    ),
    (
        Reason::ReplayLimit,
        "The same refresh was repeated too often.",
        "Have the partner store the new pair of tokens that it receives, and stop repeating.",
    ),
    (
        Reason::BudgetSpent,
        "The access token has been used for all requests of its budget.",
        "Have the partner refresh before that, or raise the budget of the account.",
    ),
    (
        Reason::LoginThrottled,
        "There were too many attempts to log in with this login or from this network.",
        "Wait; if the partner logs in for each request, have it keep its tokens.",
    ),
    (
        Reason::MintsThrottled,
        "The account was given too many tokens within a minute.",
        "Have the partner keep its tokens, or raise mints_per_minute of the account.",
    ),
    (
        Reason::RequestsThrottled,
        "The account made too many guarded requests within a second.",
        "Have the partner slow down, or raise requests_per_second of the account.",
    ),
    (
        Reason::StaticKeyWrong,
        "The static key is not a valid key of this api.",
        "Have the partner check the key, or give it a new one.",
    ),
    (
        Reason::FieldMissing,
        "A field is missing from the request.",
        "Have the partner send the fields that the dialect requires.",
    ),
    (
        Reason::RequestMalformed,
        "The request's body or headers cannot be read.",
        "Have the partner send the request as the dialect describes it; the detail says what \
         is wrong.",
    ),
    (
        Reason::MediaUnsupported,
        "The Content-Type or Content-Encoding of the body is not one that is read here.",
        "Have the partner send one Content-Type that the dialect accepts, UTF-8, and no coding.",
    ),
    (
        Reason::PathUnknown,
        "Nothing is served at this path.",
        "Have the partner check the path; if it is right, look at prefix, hosts and guards \
         of the api.",
    ),
    (
        Reason::PathAmbiguous,
        "The path has parts that a proxy and an upstream may read differently, such as `..`, \
         `//`, `%2f` or `%3f`.",
        "Have the partner send the path without them.",
    ),
    (
        Reason::MethodUnknown,
        "The path is served, but not for this method.",
        "Have the partner use the method that the API documents.",
    ),
    (
        Reason::RequestTooLarge,
        "The body or the header section is too large.",
        "Have the partner send less.",
    ),
    (
        Reason::RequestCutOff,
        "The request did not arrive completely and in time.",
        "Look at the network between the partner and the server.",
    ),
    (
        Reason::HashingBusy,
        "Too many passwords were being checked at the same time.",
        "Find out who floods the login; give machines generated keys, which are cheap to check.",
    ),
    (
        Reason::StoreUnavailable,
        "The store did not answer in time, or its answer is unknown.",
        "Look at the server's log, and at its disk.",
    ),
    (
        Reason::ServerFault,
        "A part of the server failed unexpectedly.",
        "Look at the server's log at that time, and report it.",
    ),
    (
        Reason::UpstreamFailed,
        "The guarded API could not be reached, or broke off its answer.",
        "Look at the upstream, and at the network to it.",
    ),
    (
        Reason::UpstreamTimeout,
        "The guarded API did not answer in time.",
        "Find out what keeps the upstream busy.",
    ),
    (
        Reason::UpstreamDown,
        "The guarded API's health check fails, or no connection to it can be made, so \
         nothing is sent to it.",
        "Look at the upstream, at the network to it, and at what health_path answers.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_row_stands_where_its_reason_is_looked_up() {
        for reason in Reason::ALL {
            assert_eq!(WORDS[reason as usize].0, reason);
        }
    }

    #[test]
    fn every_reason_has_its_own_meaning_in_plain_sentences() {
        let mut meanings = BTreeSet::new();
        for reason in Reason::ALL {
            for words in [reason.meaning(), reason.remedy()] {
                let first = words.chars().next().is_some_and(char::is_uppercase);
                assert!(first && words.ends_with('.'), "{reason}: {words}");
                assert!(!words.contains("  "), "{reason}: {words}");
            }
            assert!(
                meanings.insert(reason.meaning()),
                "{reason} means what another means"
            );
        }
    }
}
