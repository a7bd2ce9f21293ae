//! The refusals of a client's file that says nothing of errors: those of OAuth 2.0
//! at token endpoints (RFC 6749 section 5.2), and of bearers (RFC 6750 section 3).

use countersign_domain::{Refusal, TokenOperation};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

use crate::hole_word::WordVocabulary;
use crate::pattern::{PatternFlaw, TextPattern};
use crate::refusals::{KnownRefusal, RefusalTable, SpelledRefusal, own};
use crate::template::JsonTemplate;

/// The body, with `error` as the field `code` and its description as `detail`.
const BODY: &str = r#"{"error": "{code}", "error_description": "{detail?}"}"#;

/// Whose mistake each `error` is; under 401 and 403 too, which some servers answer.
const ERRORS: [(&str, StandardMeaning); 8] = [
    ("invalid_client", StandardMeaning::Credential),
    ("invalid_grant", StandardMeaning::Credential),
    ("unauthorized_client", StandardMeaning::Credential),
    ("invalid_request", StandardMeaning::Is(Refusal::Malformed)),
    (
        "unsupported_grant_type",
        StandardMeaning::Is(Refusal::Malformed),
    ),
    ("invalid_scope", StandardMeaning::Is(Refusal::Malformed)),
    ("server_error", StandardMeaning::Is(Refusal::Internal)),
    (
        "temporarily_unavailable",
        StandardMeaning::Is(Refusal::Unavailable),
    ),
];

/// What a status means whose body does not say more.
const BARE: [(StatusCode, StandardMeaning); 3] = [
    (
        StatusCode::BAD_REQUEST,
        StandardMeaning::Is(Refusal::Malformed),
    ),
    (StatusCode::UNAUTHORIZED, StandardMeaning::Credential),
    (
        StatusCode::FORBIDDEN,
        StandardMeaning::Is(Refusal::Forbidden),
    ),
];

#[derive(Clone, Copy)]
enum StandardMeaning {
    /// The credential of the operation itself is refused.
    Credential,
    Is(Refusal),
}

impl StandardMeaning {
    fn on(self, operation: TokenOperation) -> Refusal {
        match self {
            Self::Credential => own(operation),
            Self::Is(refusal) => refusal,
        }
    }
}

/// Adds them to what the file says. A status that the file spells for an operation
/// is the file's alone.
pub(super) fn add(refusals: &mut RefusalTable) -> Result<(), PatternFlaw> {
    refusals.shape = Some(JsonTemplate::parse(BODY, &WordVocabulary::REFUSAL)?);
    refusals.standard = true;
    let mut added = Vec::new();
    for operation in [TokenOperation::Login, TokenOperation::Refresh] {
        for (status, bare) in BARE {
            let mut spelled = refusals.known.iter();
            if spelled.any(|it| it.stated && it.operation == operation && it.status == status) {
                continue;
            }
            let known = |refusal, code: Option<&str>| KnownRefusal {
                operation,
                refusal,
                status,
                stated: false,
                fields: code
                    .map(|code| ("code".into(), code.to_owned()))
                    .into_iter()
                    .collect(),
                shape: None,
            };
            // The first of equals is believed: the status, unless `error` says more.
            added.push(known(bare.on(operation), None));
            let errors = ERRORS.iter();
            added.extend(errors.map(|(code, it)| known(it.on(operation), Some(code))));
        }
    }
    refusals.known.extend(added);
    Ok(())
}

/// How such a refusal is written; `None` for one that its status tells alone.
pub(super) fn spelled(operation: TokenOperation, refusal: Refusal) -> Option<SpelledRefusal> {
    let (status, error) = match refusal {
        Refusal::BadLogin => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Refusal::BadRefresh => (StatusCode::BAD_REQUEST, "invalid_grant"),
        Refusal::Malformed | Refusal::MissingField => (StatusCode::BAD_REQUEST, "invalid_request"),
        refusal if refusal == own(operation) || refusal.fallback() == Some(Refusal::BadBearer) => {
            let status = StatusCode::from_u16(refusal.default_status());
            let error = match refusal {
                Refusal::Forbidden => "insufficient_scope",
                _ => "invalid_token",
            };
            (status.ok()?, error)
        }
        _ => return None,
    };
    let body = JsonTemplate::parse(
        &format!(r#"{{"error": "{error}"}}"#),
        &WordVocabulary::REFUSAL,
    );
    // RFC 6750 section 3: "If the protected resource request does not include authentication
    // credentials or does not contain an access token that enables access to the protected
    // resource, the resource server MUST include the HTTP "WWW-Authenticate" response header
    // field". A login and a refresh are no such requests.
    let challenge =
        matches!(operation, TokenOperation::Guard | TokenOperation::Logout).then(|| {
            (
                WWW_AUTHENTICATE,
                TextPattern::fixed(&format!("Bearer error=\"{error}\"")),
            )
        });
    Some(SpelledRefusal {
        status,
        headers: challenge.into_iter().collect(),
        media: Some(HeaderValue::from_static("application/json")),
        body: Some(body.ok()?),
        pointer: None,
    })
}
