//! Fixed values and optional holes outside a JSON body: headers, the query, a
//! form. Both directions.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use countersign_dialect::{ClientValues, Dialect, ExtraParts, Secret, TokenCommand};
use countersign_domain::{Reason, TokenOperation};
use http::Request;

/// A client's dialect whose login request is `request`.
fn dialect(request: &str) -> Dialect {
    let source = format!(
        r#"
        schema = 1
        name = "small"
        serves = ["client"]
        session = {{ refresh = "none", login = "keeps" }}
        credential = {{ extra = ["tag"] }}
        guard = {{ present = [{{ header = "Authorization", value = "Bearer {{access_token}}" }}] }}
        errors = {{ body = '{{"message": "{{detail}}"}}' }}
        refusals = {{ bad_login = {{ detail = "No" }} }}
        [[login]]
        path = "/login"
        {request}
        reply.body = '{{"token": "{{access_token}}", "end": "{{access_expires_at:rfc3339}}"}}'
        "#
    );
    Dialect::compile(&source, "f").unwrap()
}

const BODY: &str = r#"request.body = '{"login": "{login}", "password": "{secret}"}'"#;
const FORM: &str =
    r#"request.form = { login = "{login}", password = "{secret}", v = "2", tag = "{extra.tag?}" }"#;

/// What a client with this `tag` sends.
fn sent(dialect: &Dialect, tag: Option<&str>) -> Request<Bytes> {
    let secret = Secret::from("s");
    let extra: ExtraParts = tag
        .iter()
        .map(|tag| ("tag".to_owned(), Secret::from(*tag)))
        .collect();
    let asking = ClientValues {
        login: Some("l"),
        secret: Some(&secret),
        extra: Some(&extra),
        ..ClientValues::default()
    };
    let variant = dialect.variants().next().unwrap();
    dialect
        .request(TokenOperation::Login, variant, &asking)
        .unwrap()
}

fn heard(dialect: &Dialect, request: Request<Bytes>) -> Result<Option<String>, Reason> {
    let (parts, body) = request.into_parts();
    match dialect.read_request(&parts, &body) {
        Ok(TokenCommand::Login { extra, .. }) => {
            Ok(extra.get("tag").map(|tag| tag.expose().to_owned()))
        }
        Ok(_) => unreachable!("the dialect has but a login"),
        Err(unread) => Err(unread.reason),
    }
}

#[test]
fn an_optional_part_is_left_out_and_not_missed() {
    for request in [
        format!("request.headers = {{ X-Tag = 't={{extra.tag?}}' }}\n{BODY}"),
        format!("request.query = {{ tag = '{{extra.tag?}}' }}\n{BODY}"),
        FORM.to_owned(),
    ] {
        let dialect = dialect(&request);
        for tag in [None, Some("")] {
            let bare = sent(&dialect, tag);
            assert!(!bare.headers().contains_key("x-tag"), "{request}");
            assert_eq!(bare.uri().query(), None, "{request}");
            assert!(!String::from_utf8_lossy(bare.body()).contains("tag"));
            assert_eq!(heard(&dialect, bare), Ok(None), "{request}");
        }
        let full = sent(&dialect, Some("a"));
        assert_eq!(heard(&dialect, full), Ok(Some("a".into())), "{request}");
    }
}

#[test]
fn a_fixed_header_must_be_there_and_equal() {
    let dialect = dialect(&format!("request.headers = {{ X-Version = '2' }}\n{BODY}"));
    let with = |values: &[&str]| {
        let mut request = sent(&dialect, None);
        request.headers_mut().remove("x-version");
        for value in values {
            request
                .headers_mut()
                .append("x-version", value.parse().unwrap());
        }
        heard(&dialect, request)
    };
    assert_eq!(with(&["2"]), Ok(None));
    assert_eq!(with(&[]), Err(Reason::FieldMissing));
    assert_eq!(with(&["2 "]), Err(Reason::RequestMalformed));
    assert_eq!(with(&["3"]), Err(Reason::RequestMalformed));
    assert_eq!(with(&["2", "2"]), Err(Reason::RequestMalformed));
}

#[test]
fn a_fixed_parameter_must_be_there_and_equal() {
    let dialect = dialect(&format!("request.query = {{ v = '2' }}\n{BODY}"));
    let with = |uri: &str| {
        let mut request = sent(&dialect, None);
        *request.uri_mut() = uri.parse().unwrap();
        heard(&dialect, request)
    };
    assert_eq!(with("/login?v=2&w"), Ok(None));
    assert_eq!(with("/login"), Err(Reason::FieldMissing));
    assert_eq!(with("/login?v"), Err(Reason::RequestMalformed));
    assert_eq!(with("/login?v=3"), Err(Reason::RequestMalformed));
}
