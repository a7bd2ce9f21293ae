//! Refusals: what the peer is told, and why, for the operator.
//!
//! A [`Refusal`] is one of a closed list, and a dialect file says how each looks to the
//! peer. A [`Reason`] is the finer cause, which stays inside: its code appears in logs,
//! metrics and explanations. [`Reason::refusal`] is the one table that maps reasons to
//! refusals.

use crate::coded;

coded! {
    /// What a peer requests, in the order of a session's life. These names appear in
    /// dialect files, logs and metrics.
    TokenOperation(name, from_name) {
        /// Exchange a login and secret for tokens.
        Login = "login",
        /// Exchange a refresh token for its successor.
        Refresh = "refresh",
        /// Use a guarded endpoint.
        Guard = "guard",
        /// Revoke the session or account that a token belongs to.
        Logout = "logout",
    }
}

coded! {
    /// The refusals that a dialect file can describe.
    Refusal {
        /// Login and secret are not valid.
        BadLogin = "bad_login",
        /// The refresh token is not valid, or no longer.
        BadRefresh = "bad_refresh",
        /// The access token or static key is not valid.
        BadBearer = "bad_bearer",
        /// A guarded endpoint was requested without credentials.
        MissingBearer = "missing_bearer",
        /// The access token was valid and has expired.
        ExpiredBearer = "expired_bearer",
        /// The access token has made as many requests as it may.
        BudgetSpent = "budget_spent",
        /// The caller's address is not on the account's allowlist.
        AddressDenied = "address_denied",
        /// The caller is known and may not do this.
        Forbidden = "forbidden",
        /// There were too many requests; a later one may succeed.
        Throttled = "throttled",
        /// The request lacks a field that the operation needs.
        MissingField = "missing_field",
        /// The request cannot be read.
        Malformed = "malformed",
        /// The media type or coding of the request's body is not supported.
        UnsupportedMedia = "unsupported_media",
        /// Servers may read the request's path differently.
        AmbiguousPath = "ambiguous_path",
        /// There is nothing at this path.
        NotFound = "not_found",
        /// The path exists, but not for this method.
        MethodNotAllowed = "method_not_allowed",
        /// The request is larger than allowed.
        TooLarge = "too_large",
        /// The server failed.
        Internal = "internal",
        /// The server cannot answer now; the same request may be sent again.
        Unavailable = "unavailable",
        /// The guarded API could not be reached, or it broke off its answer.
        BadGateway = "bad_gateway",
        /// The guarded API did not answer in time.
        GatewayTimeout = "gateway_timeout",
    }
}

impl Refusal {
    /// The HTTP status if a dialect does not state one, from RFC 9110 section 15, RFC
    /// 6585 section 4 and RFC 6750 section 3.1.
    pub const fn default_status(self) -> u16 {
        match self {
            Self::MissingField | Self::Malformed | Self::AmbiguousPath => 400,
            Self::BadLogin
            | Self::BadRefresh
            | Self::BadBearer
            | Self::MissingBearer
            | Self::ExpiredBearer
            | Self::BudgetSpent => 401,
            Self::AddressDenied | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::Throttled => 429,
            Self::Internal => 500,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::GatewayTimeout => 504,
        }
    }

    /// The refusal that a peer sees instead, if a dialect does not describe this one.
    pub const fn fallback(self) -> Option<Self> {
        match self {
            Self::MissingBearer | Self::ExpiredBearer | Self::BudgetSpent | Self::Forbidden => {
                Some(Self::BadBearer)
            }
            Self::UnsupportedMedia | Self::AmbiguousPath => Some(Self::Malformed),
            Self::BadGateway | Self::GatewayTimeout => Some(Self::Unavailable),
            _ => None,
        }
    }
}

coded! {
    /// Why a request was refused, for the operator. The peer never sees it.
    Reason {
        /// No credential has this login.
        UnknownLogin = "unknown_login",
        /// The credential exists, but the secret is wrong.
        WrongSecret = "wrong_secret",
        /// The account is disabled.
        AccountDisabled = "account_disabled",
        /// The account was deleted.
        AccountUnknown = "account_unknown",
        /// The credential was deleted or disabled.
        CredentialRevoked = "credential_revoked",
        /// The address is outside the account's allowlist.
        AddressDenied = "address_denied",
        /// The client's address, as a trusted proxy reports it, cannot be read.
        AddressUnreadable = "address_unreadable",
        /// The request for a verdict did not come from a trusted proxy.
        ProxyUntrusted = "proxy_untrusted",
        /// The headers in which a proxy describes a request are repeated or unreadable,
        /// or there are headers of another kind of proxy or of Countersign's own.
        ProxyHeaders = "proxy_headers",
        /// A proxy's request for a verdict lacks a header that its configuration should
        /// set.
        ProxyHeaderMissing = "proxy_header_missing",
        /// A page of an origin that is not allowed asked whether it may call the api.
        OriginDenied = "origin_denied",
        /// The path contains a login other than the caller's.
        ForeignPath = "foreign_path",
        /// The route requires a scope that the credential does not have.
        ScopeMissing = "scope_missing",
        /// No token and no static key was presented.
        TokenMissing = "token_missing",
        /// This is not a token: its form, header or claims cannot be read.
        TokenMalformed = "token_malformed",
        /// The signature or the sealed claim is not ours, or the token belongs to another
        /// api or is of another kind.
        TokenForged = "token_forged",
        /// The token belongs to another api of this server.
        WrongApi = "wrong_api",
        /// The token was signed by a key that is gone or was killed, or a repeated
        /// refresh would have to return such a token.
        KeyRetired = "key_retired",
        /// The token has expired.
        TokenExpired = "token_expired",
        /// No session has this id.
        SessionUnknown = "session_unknown",
        /// The session was ended.
        SessionRevoked = "session_revoked",
        /// The session has expired.
        SessionExpired = "session_expired",
        /// All tokens of the account from before a certain time were revoked.
        EpochPassed = "epoch_passed",
        /// All older tokens of the account were revoked.
        SeedMismatch = "seed_mismatch",
        /// An old refresh token came back, so the session was ended (D5).
        Reuse = "reuse",
        /// The token is newer than the stored session, for example after a backup was
        /// restored, so the session was ended (D6).
        StateRegression = "state_regression",
        /// The same refresh was repeated too often (D4).
        ReplayLimit = "replay_limit",
        /// The access token has made as many requests as it may.
        BudgetSpent = "budget_spent",
        /// There were too many attempts to log in, with this login or from this network.
        LoginThrottled = "login_throttled",
        /// The account received too many tokens within a minute.
        MintsThrottled = "mints_throttled",
        /// The account made too many guarded requests within a second.
        RequestsThrottled = "requests_throttled",
        /// The static key is not valid.
        StaticKeyWrong = "static_key_wrong",
        /// A field is missing from the request.
        FieldMissing = "field_missing",
        /// The request's body or headers cannot be read.
        RequestMalformed = "request_malformed",
        /// The media type, charset or coding of the body is not supported.
        MediaUnsupported = "media_unsupported",
        /// Nothing is served at this path.
        PathUnknown = "path_unknown",
        /// The path contains something that a proxy and its upstream may read
        /// differently.
        PathAmbiguous = "path_ambiguous",
        /// The path exists, but not for this method.
        MethodUnknown = "method_unknown",
        /// The body or header section is too large.
        RequestTooLarge = "request_too_large",
        /// The body did not arrive completely, or not in time.
        RequestCutOff = "request_cut_off",
        /// Too many passwords are being hashed already.
        HashingBusy = "hashing_busy",
        /// The store did not answer, or the outcome is unknown.
        StoreUnavailable = "store_unavailable",
        /// A part of the server failed in an unexpected way.
        ServerFault = "server_fault",
        /// The guarded API could not be reached, or it broke off its answer.
        UpstreamFailed = "upstream_failed",
        /// The guarded API did not answer in time.
        UpstreamTimeout = "upstream_timeout",
        /// The guarded API is known to be down, so the request was not forwarded.
        UpstreamDown = "upstream_down",
    }
}

impl Reason {
    /// What the peer is told when `operation` is refused for this reason.
    ///
    /// The peer learns nothing that helps it guess: an unknown login, a wrong secret and
    /// a disabled account are the same refusal, and so are all ways in which a token is
    /// not valid.
    pub const fn refusal(self, operation: TokenOperation) -> Refusal {
        match self {
            Self::UnknownLogin
            | Self::WrongSecret
            | Self::AccountDisabled
            | Self::AccountUnknown
            | Self::CredentialRevoked
            | Self::TokenMalformed
            | Self::TokenForged
            | Self::WrongApi
            | Self::KeyRetired
            | Self::SessionUnknown
            | Self::SessionRevoked
            | Self::SessionExpired
            | Self::EpochPassed
            | Self::SeedMismatch
            | Self::Reuse
            | Self::StateRegression
            | Self::StaticKeyWrong => bad_credentials(operation),
            Self::TokenExpired => match operation {
                TokenOperation::Guard | TokenOperation::Logout => Refusal::ExpiredBearer,
                TokenOperation::Login | TokenOperation::Refresh => bad_credentials(operation),
            },
            Self::TokenMissing => match operation {
                TokenOperation::Guard | TokenOperation::Logout => Refusal::MissingBearer,
                TokenOperation::Login | TokenOperation::Refresh => Refusal::MissingField,
            },
            Self::AddressDenied | Self::AddressUnreadable => Refusal::AddressDenied,
            Self::ForeignPath | Self::ScopeMissing | Self::ProxyUntrusted | Self::OriginDenied => {
                Refusal::Forbidden
            }
            Self::ReplayLimit
            | Self::LoginThrottled
            | Self::MintsThrottled
            | Self::RequestsThrottled => Refusal::Throttled,
            Self::BudgetSpent => Refusal::BudgetSpent,
            Self::FieldMissing => Refusal::MissingField,
            Self::RequestMalformed | Self::RequestCutOff | Self::ProxyHeaders => Refusal::Malformed,
            Self::MediaUnsupported => Refusal::UnsupportedMedia,
            Self::PathAmbiguous => Refusal::AmbiguousPath,
            Self::PathUnknown => Refusal::NotFound,
            Self::MethodUnknown => Refusal::MethodNotAllowed,
            Self::RequestTooLarge => Refusal::TooLarge,
            Self::HashingBusy
            | Self::StoreUnavailable
            | Self::UpstreamDown
            | Self::ProxyHeaderMissing => Refusal::Unavailable,
            Self::ServerFault => Refusal::Internal,
            Self::UpstreamFailed => Refusal::BadGateway,
            Self::UpstreamTimeout => Refusal::GatewayTimeout,
        }
    }
}

const fn bad_credentials(operation: TokenOperation) -> Refusal {
    match operation {
        TokenOperation::Login => Refusal::BadLogin,
        TokenOperation::Refresh => Refusal::BadRefresh,
        TokenOperation::Logout | TokenOperation::Guard => Refusal::BadBearer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_values() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(refusal));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Refusal::from_code("BAD_LOGIN"), None);
    }

    #[test]
    fn a_login_that_fails_does_not_say_which_half_was_wrong() {
        let told = [
            Reason::UnknownLogin,
            Reason::WrongSecret,
            Reason::AccountDisabled,
            Reason::CredentialRevoked,
        ]
        .map(|reason| reason.refusal(TokenOperation::Login));
        assert_eq!(told, [Refusal::BadLogin; 4]);
    }

    #[test]
    fn a_fallback_ends_and_is_of_the_same_kind() {
        for refusal in Refusal::ALL {
            let mut seen = refusal;
            for _ in 0..Refusal::ALL.len() {
                let Some(next) = seen.fallback() else { break };
                assert_eq!(next.default_status() / 100, refusal.default_status() / 100);
                seen = next;
            }
            assert_eq!(seen.fallback(), None, "{refusal} falls back in a circle");
        }
    }

    #[test]
    fn an_operation_is_called_as_dialect_files_and_logs_call_it() {
        let names = TokenOperation::ALL.map(|it| it.to_string());
        assert_eq!(names, ["login", "refresh", "guard", "logout"]);
    }

    #[test]
    fn a_refusal_that_no_dialect_spells_has_the_status_of_the_standards() {
        for (status, refusals) in [
            (
                400,
                &[
                    Refusal::MissingField,
                    Refusal::Malformed,
                    Refusal::AmbiguousPath,
                ][..],
            ),
            (
                401,
                &[
                    Refusal::BadLogin,
                    Refusal::BadRefresh,
                    Refusal::BadBearer,
                    Refusal::MissingBearer,
                    Refusal::ExpiredBearer,
                    Refusal::BudgetSpent,
                ],
            ),
            (403, &[Refusal::AddressDenied, Refusal::Forbidden]),
            (404, &[Refusal::NotFound]),
            (405, &[Refusal::MethodNotAllowed]),
            (413, &[Refusal::TooLarge]),
            (415, &[Refusal::UnsupportedMedia]),
            (429, &[Refusal::Throttled]),
            (500, &[Refusal::Internal]),
            (502, &[Refusal::BadGateway]),
            (503, &[Refusal::Unavailable]),
            (504, &[Refusal::GatewayTimeout]),
        ] {
            for refusal in refusals {
                assert_eq!(refusal.default_status(), status, "{refusal}");
            }
        }
    }

    #[test]
    fn a_dialect_that_spells_only_the_common_refusals_has_a_spelling_for_each() {
        let falls_back = |to| move |it: &&Refusal| it.fallback() == Some(to);
        let to = |refusal| {
            Refusal::ALL
                .iter()
                .filter(falls_back(refusal))
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            to(Refusal::BadBearer),
            [
                Refusal::MissingBearer,
                Refusal::ExpiredBearer,
                Refusal::BudgetSpent,
                Refusal::Forbidden,
            ]
        );
        assert_eq!(
            to(Refusal::Malformed),
            [Refusal::UnsupportedMedia, Refusal::AmbiguousPath]
        );
        assert_eq!(
            to(Refusal::Unavailable),
            [Refusal::BadGateway, Refusal::GatewayTimeout]
        );
    }

    #[test]
    fn a_token_that_is_not_good_is_one_refusal_where_it_was_presented() {
        for reason in [
            Reason::TokenMalformed,
            Reason::TokenForged,
            Reason::WrongApi,
            Reason::KeyRetired,
            Reason::SessionUnknown,
            Reason::SessionRevoked,
            Reason::SessionExpired,
            Reason::EpochPassed,
            Reason::SeedMismatch,
            Reason::Reuse,
            Reason::StateRegression,
            Reason::StaticKeyWrong,
            Reason::AccountUnknown,
        ] {
            for (operation, refusal) in [
                (TokenOperation::Refresh, Refusal::BadRefresh),
                (TokenOperation::Guard, Refusal::BadBearer),
                (TokenOperation::Logout, Refusal::BadBearer),
            ] {
                assert_eq!(reason.refusal(operation), refusal, "{reason}");
            }
        }
    }

    #[test]
    fn a_token_that_ran_out_or_is_missing_is_told_as_the_operation_has_it() {
        use TokenOperation::{Guard, Login, Logout, Refresh};
        for (reason, operation, refusal) in [
            (Reason::TokenExpired, Guard, Refusal::ExpiredBearer),
            (Reason::TokenExpired, Logout, Refusal::ExpiredBearer),
            (Reason::TokenExpired, Refresh, Refusal::BadRefresh),
            (Reason::TokenMissing, Guard, Refusal::MissingBearer),
            (Reason::TokenMissing, Logout, Refusal::MissingBearer),
            (Reason::TokenMissing, Refresh, Refusal::MissingField),
            (Reason::TokenMissing, Login, Refusal::MissingField),
        ] {
            assert_eq!(
                reason.refusal(operation),
                refusal,
                "{reason} at {operation}"
            );
        }
    }

    #[test]
    fn what_is_no_matter_of_credentials_is_the_same_refusal_at_every_operation() {
        for (refusal, reasons) in [
            (
                Refusal::AddressDenied,
                &[Reason::AddressDenied, Reason::AddressUnreadable][..],
            ),
            (
                Refusal::Forbidden,
                &[
                    Reason::ForeignPath,
                    Reason::ScopeMissing,
                    Reason::ProxyUntrusted,
                    Reason::OriginDenied,
                ],
            ),
            (
                Refusal::Throttled,
                &[
                    Reason::ReplayLimit,
                    Reason::LoginThrottled,
                    Reason::MintsThrottled,
                    Reason::RequestsThrottled,
                ],
            ),
            (Refusal::BudgetSpent, &[Reason::BudgetSpent]),
            (Refusal::MissingField, &[Reason::FieldMissing]),
            (
                Refusal::Malformed,
                &[
                    Reason::RequestMalformed,
                    Reason::RequestCutOff,
                    Reason::ProxyHeaders,
                ],
            ),
            (Refusal::UnsupportedMedia, &[Reason::MediaUnsupported]),
            (Refusal::AmbiguousPath, &[Reason::PathAmbiguous]),
            (Refusal::NotFound, &[Reason::PathUnknown]),
            (Refusal::MethodNotAllowed, &[Reason::MethodUnknown]),
            (Refusal::TooLarge, &[Reason::RequestTooLarge]),
            (
                Refusal::Unavailable,
                &[
                    Reason::HashingBusy,
                    Reason::StoreUnavailable,
                    Reason::UpstreamDown,
                    Reason::ProxyHeaderMissing,
                ],
            ),
            (Refusal::Internal, &[Reason::ServerFault]),
            (Refusal::BadGateway, &[Reason::UpstreamFailed]),
            (Refusal::GatewayTimeout, &[Reason::UpstreamTimeout]),
        ] {
            for (reason, operation) in reasons
                .iter()
                .flat_map(|reason| TokenOperation::ALL.map(|operation| (reason, operation)))
            {
                assert_eq!(
                    reason.refusal(operation),
                    refusal,
                    "{reason} at {operation}"
                );
            }
        }
    }
}
