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
        "The login exists, and the secret that was sent with it is another one.",
        "Ask the partner to check its configuration, or give it a new credential.",
    ),
    (
        Reason::AccountDisabled,
        "The account is disabled.",
        "Enable it with `countersign account enable`, if that is not on purpose.",
    ),
    (
        Reason::AccountUnknown,
        "The account that the token was given to was deleted.",
        "Create an account for the partner, if that was not on purpose.",
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
        "The client's address that a trusted proxy told could not be read.",
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
         another proxy's or Countersign's own came with them, which a client has sent.",
        "Compare what the proxy's configuration clears with the documented one, and \
         forward_auth with the kind of proxy.",
    ),
    (
        Reason::ProxyHeaderMissing,
        "The proxy asked about a request without a header that it owes: its configuration is \
         at fault, not the partner.",
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
        "The path names another login than the caller's.",
        "Have the partner use its own login in the path.",
    ),
    (
        Reason::ScopeMissing,
        "The route asks for a scope that the credential does not have.",
        "Give the credential the scope, if the partner is to have it.",
    ),
    (
        Reason::TokenMissing,
        "No token and no static key was presented.",
        "Have the partner send its access token as the dialect says; a proxy on the way may \
         drop the header.",
    ),
    (
        Reason::TokenMalformed,
        "What was presented is not a token: its form, header or claims cannot be read.",
        "Have the partner send the access token as it came, whole and with nothing added.",
    ),
    (
        Reason::TokenForged,
        "The token was not signed by this api, or is not of the kind that is due here.",
        "See which token the partner sends: one of a test system, or the refresh token, is \
         not good here.",
    ),
    (
        Reason::WrongApi,
        "The token is good at another api of this server.",
        "Have the partner log in at this api; each api has tokens of its own.",
    ),
    (
        Reason::KeyRetired,
        "The token, or the one that would follow it, was signed by a key that is gone or was \
         killed.",
        "Have the partner log in again.",
    ),
    (
        Reason::TokenExpired,
        "The token has run out.",
        "Have the partner refresh it before it runs out; if the clock is said to be off, have \
         it set, or use the relative lifetime.",
    ),
    (
        Reason::SessionUnknown,
        "No session has the token's id: it is long over, or of another store.",
        "Have the partner log in again.",
    ),
    (
        Reason::SessionRevoked,
        "The session was ended before the token ran out: by a logout, a newer login, an \
         operator, or because an old refresh token came back.",
        "Have the partner log in again; the session says how it ended.",
    ),
    (
        Reason::SessionExpired,
        "The session has run out: nobody refreshed it in time, or it reached its absolute end.",
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
        "The refresh token is not the session's, although its seal is good.",
        "Have the partner log in again, and look whether an old store was restored.",
    ),
    (
        Reason::Reuse,
        "An old refresh token came back, so that two parties may have it: the session was \
         ended.",
        "Ask whether two processes of the partner share one token, or whether it restored an \
         old one; if neither, its tokens were stolen. Then have it log in again.",
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
        "Have the partner keep the new pair that it is given, and stop repeating.",
    ),
    (
        Reason::BudgetSpent,
        "The access token has made all the requests that it may.",
        "Have the partner refresh before that, or raise the budget of the account.",
    ),
    (
        Reason::LoginThrottled,
        "Too many logins were tried with this login or from this network.",
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
        "The static key is not one of this api.",
        "Have the partner check the key, or give it a new one.",
    ),
    (
        Reason::FieldMissing,
        "A field is missing from the request.",
        "Have the partner send what the dialect asks for.",
    ),
    (
        Reason::RequestMalformed,
        "The request's body or headers cannot be read.",
        "Have the partner send what the dialect asks for; the detail says what was odd.",
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
        "The path has what a proxy and an upstream may read differently, such as `..`, `//`, \
         `%2f` or `%3f`.",
        "Have the partner send the plain path.",
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
        "The request did not arrive whole and in time.",
        "Look at the network between the partner and the server.",
    ),
    (
        Reason::HashingBusy,
        "All places for password hashing were taken.",
        "Find out who floods the login; machines do better with generated keys.",
    ),
    (
        Reason::StoreUnavailable,
        "The store did not answer in time, or its answer is unknown.",
        "Look at the server's log, and at its disk.",
    ),
    (
        Reason::ServerFault,
        "A part of the server failed in a way that it should not.",
        "Look at the server's log at that time, and report it.",
    ),
    (
        Reason::UpstreamFailed,
        "The guarded API could not be reached, or broke off.",
        "Look at the upstream, and at the network to it.",
    ),
    (
        Reason::UpstreamTimeout,
        "The guarded API did not answer in time.",
        "Look at what the upstream is busy with.",
    ),
    (
        Reason::UpstreamDown,
        "The guarded API's health check fails, or no connection to it can be made, so that \
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
