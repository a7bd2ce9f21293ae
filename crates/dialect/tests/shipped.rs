//! The dialects that come with the program, on the issuer's side.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{
    ClientValues, Dialect, FoundEndpoint, PresentedCredential, RequestReadError, RequestedForm,
    Secret, TokenClaims, TokenCommand, TokenForm, TokenGrant, TokenRefusal, UnderstoodReply,
};
use countersign_domain::{Reason, Refusal, Timestamp, TokenKind, TokenOperation};
use http::{HeaderMap, Method, Request, Response};

fn dialect(name: &str) -> Dialect {
    Dialect::compile(Dialect::shipped(name).unwrap(), name).unwrap_or_else(|m| panic!("{m}"))
}

fn read(
    dialect: &Dialect,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<TokenCommand, RequestReadError> {
    let mut request = Request::builder().method("POST").uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    dialect.read_request(&parts, body.as_bytes())
}

fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// The instant of the vendor's sample.
const SAMPLE: Timestamp = Timestamp::from_micros(1_718_214_464_405_243);

fn grant<'a>(secret: &'a Secret) -> TokenGrant<'a> {
    TokenGrant {
        login: "your_login",
        client_id: 34,
        access_token: "AAA",
        refresh_token: Some("RRR"),
        access_expires_at: SAMPLE + Duration::from_secs(900),
        refresh_expires_at: SAMPLE + Duration::from_secs(21_600),
        now: SAMPLE,
        secret: Some(secret),
    }
}

fn asked(command: &TokenCommand) -> RequestedForm {
    match command {
        TokenCommand::Login { asked, .. }
        | TokenCommand::Refresh { asked, .. }
        | TokenCommand::Logout { asked, .. } => *asked,
    }
}

#[test]
fn every_shipped_dialect_compiles_and_has_its_folders_name() {
    for (name, source) in Dialect::SHIPPED {
        let dialect =
            Dialect::compile(source, name).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(dialect.name(), *name);
        assert!(dialect.serves().issuer && dialect.serves().client);
    }
}

#[test]
fn b2binpay_prints_the_instants_of_the_vendors_sample() {
    let b2binpay = dialect("b2binpay");
    let body =
        r#"{"data":{"type":"auth-token","attributes":{"login":"your_login","password":"p"}}}"#;
    let command = read(&b2binpay, "/token", JSON, body).unwrap();
    let secret = Secret::from("p");
    let reply = b2binpay.write_grant(&asked(&command), &grant(&secret));
    assert_eq!(reply.headers()["content-type"], "application/vnd.api+json");
    assert_eq!(reply.headers()["cache-control"], "no-store");
    let body = text(&reply);
    let expected = concat!(
        r#"{"data":{"type":"auth-token","id":null,"attributes":{"refresh":"RRR","access":"AAA","#,
        r#""access_expired_at":"2024-06-12T18:02:44.405243Z","refresh_expired_at":"2024-06-12T23:47:44.405243Z","#,
        r#""is_2fa_confirmed":false}},"meta":{"time":"2024-06-12T17:47:44.405243Z","sign":""#,
    );
    assert!(body.starts_with(expected), "{body}");
}

#[test]
fn b2binpay_signs_a_login_as_five_public_implementations_do() {
    // Computed with Python's hashlib and hmac over the same literal texts.
    let b2binpay = dialect("b2binpay");
    let asked = b2binpay
        .asked_form(TokenOperation::Login, b2binpay.variant("v2").unwrap())
        .unwrap();
    let body = text(&b2binpay.write_grant(&asked, &grant(&Secret::from("your_password"))));
    let sign = "f1ae3ae0dc576e036b70292d245a75d28842dba1d1465e17b3f5b47c2fbbb6ac";
    assert!(body.ends_with(&format!(r#""sign":"{sign}"}}}}"#)), "{body}");
}

#[test]
fn b2binpay_tells_its_generations_apart_by_their_fields() {
    let b2binpay = dialect("b2binpay");
    let variant = |attributes: &str| {
        let body = format!(r#"{{"data":{{"type":"auth-token","attributes":{attributes}}}}}"#);
        read(&b2binpay, "/token/", JSON, &body)
            .map(|command| b2binpay.variant_name(asked(&command).variant).to_owned())
    };
    assert_eq!(
        variant(r#"{"login":"a","password":"b"}"#).as_deref(),
        Ok("v2")
    );
    assert_eq!(
        variant(r#"{"client_id":"a","client_secret":"b"}"#).as_deref(),
        Ok("v3")
    );
    assert_eq!(
        variant(r#"{"login":"a","password":"b","client_id":null}"#).as_deref(),
        Ok("v2")
    );
    let missing = |attributes| variant(attributes).unwrap_err().pointer.unwrap();
    assert_eq!(missing(r#"{"login":"a"}"#), "/data/attributes/password");
    assert_eq!(
        missing(r#"{"client_id":"a"}"#),
        "/data/attributes/client_secret"
    );
    assert_eq!(missing("{}"), "/data/attributes/login");
}

#[test]
fn b2binpay_tokens_have_the_claims_of_the_vendors_samples() {
    let b2binpay = dialect("b2binpay");
    let v2 = b2binpay.variant("v2").unwrap();
    let Some(TokenForm::Jwt(form)) = b2binpay.token_form(v2, TokenKind::Access) else {
        panic!("no JWT")
    };
    let claims = form.claims(&TokenClaims {
        session: "c2lk",
        issued_at: SAMPLE,
        access_expires_at: SAMPLE + Duration::from_secs(900),
        refresh_expires_at: SAMPLE + Duration::from_secs(21_600),
        jti: [0xaa; 16],
        client_id: 34,
        login: "your_login",
    });
    let jti = "aa".repeat(16);
    let expected = format!(
        r#"{{"token_type":"access","exp":1718215364,"iat":1718214464,"jti":"{jti}","user_id":34,"sid":"c2lk"}}"#
    );
    assert_eq!(claims, expected);
    assert_eq!(form.header("-"), r#"{"alg":"HS256","typ":"JWT"}"#);
    let read = form.read_claims(claims.as_bytes()).unwrap();
    assert_eq!(
        (read.session.as_str(), read.expires_at),
        ("c2lk", Timestamp::from_seconds(1_718_215_364))
    );
}

#[test]
fn claims_are_read_strictly() {
    let apirone = dialect("apirone");
    let main = apirone.variant("main").unwrap();
    let Some(TokenForm::Jwt(form)) = apirone.token_form(main, TokenKind::Access) else {
        panic!("no JWT")
    };
    assert!(form.read_claims(br#"{"l":"x","exp":1}"#).is_ok());
    for claims in [
        "",
        "[]",
        "{}",
        r#"{"l":"x"}"#,
        r#"{"exp":1}"#,
        r#"{"l":"","exp":1}"#,
        r#"{"l":1,"exp":1}"#,
        r#"{"l":"x","exp":"1"}"#,
        r#"{"l":"x","exp":1.0}"#,
        r#"{"l":"x","exp":-1}"#,
        r#"{"l":"x","exp":9223372036854775808}"#,
        r#"{"l":"x","exp":1e400}"#,
        r#"{"l":"x","exp":null}"#,
        r#"{"l":"x","exp":1,"exp":2}"#,
        r#"{"l":"x","exp":1,"iat":1.5}"#,
        r#"{"l":"x","exp":1,"nbf":"1"}"#,
        r#"{"l":"x","exp":1} "#.trim_end_matches(' ').trim_end_matches('}'),
    ] {
        assert!(form.read_claims(claims.as_bytes()).is_err(), "{claims}");
    }
}

#[test]
fn paths_and_methods_are_told_before_a_body_is_read() {
    let b2binpay = dialect("b2binpay");
    assert_eq!(
        b2binpay.find(&Method::POST, "/token"),
        FoundEndpoint::Operation(TokenOperation::Login)
    );
    assert_eq!(
        b2binpay.find(&Method::POST, "/token/refresh/"),
        FoundEndpoint::Operation(TokenOperation::Refresh)
    );
    assert_eq!(
        b2binpay.find(&Method::POST, "/token/x/"),
        FoundEndpoint::NotMine
    );
    assert_eq!(b2binpay.find(&Method::POST, "/"), FoundEndpoint::NotMine);
    let wrong = FoundEndpoint::WrongMethod {
        operation: TokenOperation::Login,
        allow: "POST".into(),
    };
    assert_eq!(b2binpay.find(&Method::GET, "/token/"), wrong);
    assert_eq!(
        dialect("mypopup").find(&Method::POST, "/auth/login/"),
        FoundEndpoint::NotMine
    );
}

#[test]
fn a_bad_request_has_one_cause_and_its_place() {
    let mypopup = dialect("mypopup");
    let huge = format!(r#"{{"username":"{}"}}"#, "a".repeat(1 << 20));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (body, reason) in [
        ("", Reason::RequestMalformed),
        ("{", Reason::RequestMalformed),
        ("[]", Reason::RequestMalformed),
        (deep.as_str(), Reason::RequestMalformed),
        (huge.as_str(), Reason::RequestTooLarge),
        ("{}", Reason::FieldMissing),
        (r#"{"username":"","password":"x"}"#, Reason::FieldMissing),
        (r#"{"username":null,"password":"x"}"#, Reason::FieldMissing),
        (r#"{"username":5,"password":"x"}"#, Reason::FieldMissing),
        (
            r#"{"username":"a","username":"b","password":"x"}"#,
            Reason::RequestMalformed,
        ),
        (
            r#"{"username":"a","password":"x"} {}"#,
            Reason::RequestMalformed,
        ),
    ] {
        let unread = read(&mypopup, "/auth/login", JSON, body).unwrap_err();
        assert_eq!(unread.reason, reason, "{body:.60}");
    }
    let b2binpay = dialect("b2binpay");
    let body = r#"{"data":{"type":"auth-token","attributes":{"login":5,"password":"x"}}}"#;
    let unread = read(&b2binpay, "/token/", JSON, body).unwrap_err();
    assert_eq!(unread.reason, Reason::RequestMalformed);
    assert_eq!(unread.pointer.as_deref(), Some("/data/attributes/login"));
}

#[test]
fn media_types_and_codings_are_told_apart() {
    let body = r#"{"login":"apr-1","password":"x"}"#;
    let with = |name: &str, headers: &[(&str, &str)]| {
        read(
            &dialect(name),
            if name == "apirone" {
                "/api/v2/auth/login"
            } else {
                "/auth/login"
            },
            headers,
            body,
        )
        .err()
        .map(|unread| unread.reason)
    };
    assert_eq!(
        with(
            "apirone",
            &[("content-type", "application/json;charset=utf-8")]
        ),
        None
    );
    assert_eq!(with("apirone", &[]), None);
    assert_eq!(
        with("apirone", &[("content-type", "text/plain")]),
        Some(Reason::MediaUnsupported)
    );
    assert_eq!(
        with(
            "apirone",
            &[("content-type", "application/json; charset=utf-16")]
        ),
        Some(Reason::MediaUnsupported)
    );
    assert_eq!(
        with("apirone", &[("content-encoding", "gzip")]),
        Some(Reason::MediaUnsupported)
    );
    let twice = [
        ("content-type", "application/json"),
        ("content-type", "application/json"),
    ];
    assert_eq!(with("apirone", &twice), Some(Reason::MediaUnsupported));
    assert_eq!(with("mypopup", &[]), Some(Reason::MediaUnsupported));
}

#[test]
fn the_document_s_refresh_is_read_as_curl_sends_it_and_a_login_is_not() {
    let b2binpay = dialect("b2binpay");
    let refresh = r#"{"data":{"type":"auth-token","attributes":{"refresh":"YOUR_REFRESH_TOKEN"}}}"#;
    let login = r#"{"data":{"type":"auth-token","attributes":{"login":"a","password":"b"}}}"#;
    let curl = "application/x-www-form-urlencoded";
    for (media, reads) in [
        (curl, true),
        ("application/x-www-form-urlencoded; charset=UTF-8", true),
        ("application/x-www-form-urlencoded; charset=latin1", false),
        ("Application/X-WWW-Form-Urlencoded", true),
        ("application/vnd.api+json; ext=bulk; charset=utf-8", true),
        ("text/plain", false),
        ("application/json, application/json", false),
        ("multipart/form-data; boundary=x", false),
    ] {
        let headers = [("content-type", media)];
        let outcome = read(&b2binpay, "/token/refresh/", &headers, refresh);
        let reason = outcome.err().map(|unread| unread.reason);
        let refused = (!reads).then_some(Reason::MediaUnsupported);
        assert_eq!(reason, refused, "{media}");
    }
    let unread = read(&b2binpay, "/token/", &[("content-type", curl)], login).unwrap_err();
    assert_eq!(unread.reason, Reason::MediaUnsupported);
}

#[test]
fn a_refusal_of_the_media_type_says_so_where_the_dialect_has_words_for_it() {
    for (name, status, words) in [
        ("b2binpay", 400, "Unsupported media type"),
        ("apirone", 400, "unsupported media type"),
        ("mypopup", 400, "Invalid request body"),
        ("mypopup-flat", 400, "Invalid request body"),
    ] {
        let refused = TokenRefusal::new(TokenOperation::Login, Refusal::UnsupportedMedia);
        let response = dialect(name).write_refusal(&refused);
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status().as_u16(), status, "{name}");
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn token_endpoints_take_repeated_slashes_only_where_the_vendor_does() {
    let post = http::Method::POST;
    for (name, path, expected) in [
        ("b2binpay", "//token/", Some(TokenOperation::Login)),
        ("b2binpay", "/token//", Some(TokenOperation::Login)),
        ("b2binpay", "///token", Some(TokenOperation::Login)),
        ("b2binpay", "/token//refresh", Some(TokenOperation::Refresh)),
        ("b2binpay", "/%2ftoken/", None),
        ("b2binpay", "/.//token/", None),
        ("b2binpay", "/token/%2frefresh", None),
        (
            "apirone",
            "/api//v2/auth/login",
            Some(TokenOperation::Login),
        ),
        (
            "apirone",
            "//api/v2//auth/logout",
            Some(TokenOperation::Logout),
        ),
        ("apirone", "/api/v2/auth/login//", None),
        ("mypopup", "//auth/login", None),
        ("mypopup-flat", "//auth/login", None),
    ] {
        let found = dialect(name).find(&post, path);
        let expected = expected.map_or(FoundEndpoint::NotMine, FoundEndpoint::Operation);
        assert_eq!(found, expected, "{name} {path}");
    }
}

#[test]
fn a_variant_has_its_own_preset() {
    let b2binpay = dialect("b2binpay");
    let preset = |name| b2binpay.preset_of(b2binpay.variant(name).unwrap());
    assert_eq!(preset("v2"), b2binpay.preset());
    assert_eq!(preset("v2").access, Duration::from_secs(180));
    assert_eq!(preset("v2").budget, Some(40));
    assert_eq!(preset("v3").access, Duration::from_secs(3_600));
    assert_eq!(preset("v3").budget, None);
    assert_eq!(preset("v3").refresh, preset("v2").refresh);
}

#[test]
fn apirone_refreshes_with_a_bearer_and_any_body() {
    let apirone = dialect("apirone");
    let path = "/api/v2/auth/refresh-token";
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let bearer = format!("{scheme} a.b.c");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        for body in ["", "x=1", "\u{0}"] {
            let Ok(TokenCommand::Refresh { refresh_token, .. }) =
                read(&apirone, path, &headers, body)
            else {
                panic!("{scheme} {body:?}")
            };
            assert_eq!(refresh_token.expose(), "a.b.c");
        }
    }
    for (authorization, reason) in [
        (None, Reason::TokenMissing),
        (Some("Basic a"), Reason::TokenMissing),
        (Some("Bearer"), Reason::TokenMalformed),
        (Some("Bearer "), Reason::TokenMalformed),
        (Some("Bearer   "), Reason::TokenMalformed),
        (Some("Bearer \ta"), Reason::TokenMalformed),
        (Some("Bearer a b"), Reason::TokenMalformed),
    ] {
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let unread = read(&apirone, path, &headers, "").unwrap_err();
        assert_eq!(unread.reason, reason, "{authorization:?}");
    }
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
    assert_eq!(
        read(&apirone, path, &twice, "").unwrap_err().reason,
        Reason::TokenMalformed
    );
}

#[test]
fn a_bearer_beside_a_static_key_decides() {
    let apirone = dialect("apirone");
    let mut headers = HeaderMap::new();
    let key = Some("currency=tbtc&transfer%2Dkey=K");
    assert_eq!(
        apirone.presented(&headers, key),
        PresentedCredential::StaticKey(Secret::from("K"))
    );
    assert_eq!(
        apirone.presented(&headers, Some("transfer_key=K")),
        PresentedCredential::Nothing
    );
    let twice = Some("transfer-key=K&transfer-key=K");
    assert_eq!(
        apirone.presented(&headers, twice),
        PresentedCredential::Ambiguous(Reason::RequestMalformed)
    );
    headers.insert("authorization", "bearer a.b".parse().unwrap());
    assert_eq!(
        apirone.presented(&headers, twice),
        PresentedCredential::Token("a.b")
    );
    headers.insert("authorization", "Bearer   a.b".parse().unwrap());
    assert_eq!(
        apirone.presented(&headers, twice),
        PresentedCredential::Token("a.b")
    );
    headers.append("authorization", "bearer a.b".parse().unwrap());
    assert_eq!(
        apirone.presented(&headers, None),
        PresentedCredential::Ambiguous(Reason::TokenMalformed)
    );
}

#[test]
fn a_static_key_is_cut_out_and_the_rest_keeps_its_bytes() {
    let apirone = dialect("apirone");
    let place = apirone.static_key().unwrap();
    for (query, rest) in [
        ("transfer-key=K", ""),
        ("a=%20&transfer-key=K&b", "a=%20&b"),
        ("%74ransfer-key=K&&a", "&a"),
    ] {
        let (key, left) = place.take_from_query(query).unwrap().unwrap();
        assert_eq!((key.expose(), left.as_str()), ("K", rest), "{query}");
    }
    for (body, rest) in [
        (r#"{"transfer-key":"K"}"#, "{}"),
        (
            r#"{ "transfer-key" : "K" , "a": 1.0e1 }"#,
            r#"{ "a": 1.0e1 }"#,
        ),
        (
            r#"{"a":1, "transfer\u002dkey":"K", "b":[ ] }"#,
            r#"{"a":1, "b":[ ] }"#,
        ),
        ("{\"a\":1 ,\n \"transfer-key\":\"K\"\n}", "{\"a\":1 \n}"),
    ] {
        let (key, left) = place.take_from_body(&Bytes::from(body)).unwrap().unwrap();
        assert_eq!((key.expose(), &left[..]), ("K", rest.as_bytes()), "{body}");
    }
    let strip = |body: &'static str| {
        place
            .strip_body(&Bytes::from_static(body.as_bytes()))
            .unwrap()
    };
    assert_eq!(
        strip(r#"{"transfer-key":1,"a":2,"transfer-key":3}"#),
        r#"{"a":2}"#
    );
    assert_eq!(
        strip(r#"{"a":2,"transfer-key":1,"transfer-key":3}"#),
        r#"{"a":2}"#
    );
    assert_eq!(
        strip(r#"{"b":{"transfer-key":1}}"#),
        r#"{"b":{"transfer-key":1}}"#
    );
    for body in [
        r#"{"transfer-key":1}"#,
        r#"{"transfer-key":""}"#,
        r#"{"transfer-key":"a","transfer-key":"a"}"#,
        "{",
    ] {
        assert!(place.take_from_body(&Bytes::from(body)).is_err(), "{body}");
    }
    assert!(place.take_from_body(&Bytes::from("[1]")).unwrap().is_none());
}

#[test]
fn every_refusal_is_spelled_on_every_operation() {
    for (name, _) in Dialect::SHIPPED {
        let dialect = dialect(name);
        for operation in TokenOperation::ALL {
            for refusal in Refusal::ALL {
                let reply = dialect.write_refusal(&TokenRefusal::new(operation, refusal));
                assert!(
                    reply.status().as_u16() >= 400,
                    "{name} {operation} {refusal}"
                );
                let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
                assert!(body.is_object(), "{name} {operation} {refusal}");
                assert!(
                    !text(&reply).contains("{detail"),
                    "{name} {operation} {refusal}"
                );
            }
        }
    }
}

#[test]
fn what_is_dynamic_about_a_refusal_is_filled_in() {
    let b2binpay = dialect("b2binpay");
    let missing = b2binpay.write_refusal(&TokenRefusal {
        pointer: Some("/data/attributes/password"),
        ..TokenRefusal::new(TokenOperation::Login, Refusal::MissingField)
    });
    assert_eq!(
        text(&missing),
        r#"{"errors":[{"detail":"This field is required.","status":"400","source":{"pointer":"/data/attributes/password"},"code":"required"}]}"#
    );
    let later = b2binpay.write_refusal(&TokenRefusal {
        retry_after: Some(Duration::from_millis(1001)),
        ..TokenRefusal::new(TokenOperation::Login, Refusal::Throttled)
    });
    assert_eq!(
        (later.status().as_u16(), &later.headers()["retry-after"]),
        (429, &"2".parse().unwrap())
    );
    let wrong = b2binpay.write_refusal(&TokenRefusal {
        allow: Some("POST"),
        ..TokenRefusal::new(TokenOperation::Login, Refusal::MethodNotAllowed)
    });
    assert_eq!(wrong.headers()["allow"], "POST");
    let mypopup = dialect("mypopup");
    let logout = mypopup.write_refusal(&TokenRefusal::new(
        TokenOperation::Logout,
        Refusal::MissingBearer,
    ));
    assert_eq!(
        text(&logout),
        r#"{"error":{"name":"UnauthorizedError","code":"UNAUTHORIZED","message":"Authentication required"}}"#
    );
}

/// What a client reads of MyPopUp's answer to a login.
fn understood(head: &[(&str, &str)], status: u16, body: String) -> Result<UnderstoodReply, String> {
    let mut reply = http::Response::builder().status(status);
    for (name, value) in head {
        reply = reply.header(*name, *value);
    }
    let reply = reply.body(body.into()).unwrap();
    let mypopup = dialect("mypopup");
    let variant = mypopup.variants().next().unwrap();
    let now = Timestamp::from_seconds(1_718_214_464);
    mypopup
        .understand(
            TokenOperation::Login,
            variant,
            &ClientValues::default(),
            &reply,
            now,
        )
        .map_err(|it| it.to_string())
}

#[test]
fn a_token_that_no_header_carries_is_no_token() {
    let reply = |access: &str, refresh: &str| {
        let end = "9999-12-31T23:59:59Z";
        let data = serde_json::json!({
            "access_token": access, "refresh_token": refresh, "client_id": 1,
            "access_expires_at": end, "refresh_expires_at": end,
        });
        serde_json::json!({ "success": true, "data": data }).to_string()
    };
    assert!(understood(&[], 200, reply("a.b", "c.d")).is_ok());
    for (access, refresh) in [
        ("a\r\nX-Evil: 1", "c"),
        ("a\0", "c"),
        ("ä", "c"),
        ("a", "c\n"),
    ] {
        let told = understood(&[], 200, reply(access, refresh)).unwrap_err();
        assert!(told.contains("no header carries"), "{told}");
        assert!(!told.contains("Evil"), "{told}");
    }
}

#[test]
fn retry_after_is_seconds_however_many_or_a_date_of_the_vendors_clock() {
    let date = ("date", "Wed, 12 Jun 2024 17:00:00 GMT");
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        ("999999999", Some(999_999_999)),
        // Nobody waits for thirty years: an instant, in seconds or milliseconds.
        ("1718211720", Some(120)),
        ("1718211720000", Some(120)),
        ("Wed, 12 Jun 2024 17:02:00 GMT", Some(120)),
        ("Wed, 12 Jun 2024 16:00:00 GMT", Some(0)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ] {
        let told = understood(&[date, ("retry-after", value)], 429, String::new());
        let Ok(UnderstoodReply::Refused(refused)) = told else {
            panic!("{value}: {told:?}")
        };
        let seconds = seconds.map(Duration::from_secs);
        assert_eq!(refused.retry_after, seconds, "{value}");
    }
    let endless = [date, ("retry-after", "99999999999999999999999")];
    let told = understood(&endless, 429, String::new());
    let Ok(UnderstoodReply::Refused(refused)) = told else {
        panic!("{told:?}")
    };
    assert!(refused.retry_after > Some(Duration::from_secs(1_000_000_000)));
}

#[test]
fn a_static_key_goes_into_a_query_in_the_place_of_any_other() {
    let apirone = dialect("apirone");
    let place = apirone.static_key().unwrap();
    let key = Secret::from("a&b=1");
    for (query, with) in [
        (None, "transfer-key=a%26b%3D1"),
        (Some(""), "transfer-key=a%26b%3D1"),
        (Some("x=1&y"), "x=1&y&transfer-key=a%26b%3D1"),
        (Some("transfer%2dkey=old"), "transfer-key=a%26b%3D1"),
        (Some("transfer-key=old&x=1"), "x=1&transfer-key=a%26b%3D1"),
    ] {
        let put = place.put_into_query(query, &key).unwrap();
        assert_eq!(put, with);
        let (found, _) = place.take_from_query(&put).unwrap().unwrap();
        assert_eq!(found, key);
    }
}

#[test]
fn dialects_are_equal_that_were_compiled_from_the_same_text() {
    assert_eq!(dialect("apirone"), dialect("apirone"));
    assert_ne!(dialect("mypopup"), dialect("mypopup-flat"));
}

#[test]
fn no_debug_output_shows_a_secret() {
    let planted = "PLANTED";
    let secret = Secret::from(planted);
    let apirone = dialect("apirone");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer PLANTED".parse().unwrap());
    let login = read(
        &apirone,
        "/api/v2/auth/login",
        JSON,
        r#"{"login":"apr-1","password":"PLANTED"}"#,
    );
    let refresh = read(
        &apirone,
        "/api/v2/auth/refresh-token",
        &[("authorization", "Bearer PLANTED")],
        "",
    );
    let unread = read(
        &dialect("mypopup"),
        "/auth/login",
        JSON,
        r#"{"username":["PLANTED"],"password":"PLANTED"}"#,
    );
    let grant = TokenGrant {
        access_token: planted,
        refresh_token: Some(planted),
        ..grant(&secret)
    };
    let asking = countersign_dialect::ClientValues {
        secret: Some(&secret),
        access_token: Some(&secret),
        ..Default::default()
    };
    let asked = apirone
        .asked_form(TokenOperation::Login, apirone.variant("main").unwrap())
        .unwrap();
    let understood = apirone.understand(
        TokenOperation::Login,
        asked.variant,
        &asking,
        &apirone.write_grant(&asked, &grant),
        SAMPLE,
    );
    let shown = format!(
        "{login:?} {refresh:?} {unread:?} {grant:?} {asking:?} {understood:?} {:?} {:?}",
        apirone.presented(&headers, None),
        apirone.present(planted, &countersign_dialect::ExtraParts::new()),
    );
    assert!(!shown.contains(planted), "{shown}");
}
