//! Replies of vendors that are not quite as one would think: refusals under a
//! status of success, codings, marks, pages and redirects, values in another form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::io::Write;

use bytes::Bytes;
use countersign_dialect::{
    ClientValues, Dialect, GrantedTokens, RefusedBy, Secret, TokenCommand, UnderstoodReply,
    UnintelligibleReply,
};
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A client's dialect with these lines in place of the usual ones of a section.
struct Said<'s> {
    login: &'s str,
    errors: &'s str,
    refusals: &'s str,
}

const SAID: Said<'static> = Said {
    login: r#"reply.body = '{"ok": true, "token": "{access_token}", "expires_in": "{access_expires_at:in}"}'
        reply.success = { "/ok" = true }"#,
    errors: r#"body = '{"ok": false, "error": "{detail}"}'"#,
    refusals: r#"bad_login = { status = 200, detail = "Invalid" }
        bad_refresh = { status = 200, detail = "Stale" }
        throttled = { detail = "Slow down" }"#,
};

impl Said<'_> {
    fn dialect(&self) -> Dialect {
        let Self {
            login,
            errors,
            refusals,
        } = self;
        let source = format!(
            r#"
        schema = 1
        name = "small"
        serves = ["client"]
        session = {{ refresh = "rotate", login = "keeps", logout = "session" }}
        [[login]]
        path = "/login"
        request.body = '{{"login": "{{login}}", "password": "{{secret}}"}}'
        {login}
        [[refresh]]
        path = "/refresh"
        request.body = '{{"token": "{{refresh_token}}"}}'
        {login}
        [[logout]]
        path = "/logout"
        request.empty = true
        request.headers = {{ Authorization = "Bearer {{access_token}}" }}
        reply.success = {{ "/ok" = true }}
        [guard]
        present = [{{ header = "Authorization", value = "Bearer {{access_token}}" }}]
        [errors]
        {errors}
        [refusals]
        {refusals}
        "#
        );
        Dialect::compile(&source, "small").unwrap()
    }

    fn hears(
        &self,
        operation: TokenOperation,
        response: Response<impl Into<Bytes>>,
    ) -> Result<UnderstoodReply, UnintelligibleReply> {
        let dialect = self.dialect();
        let variant = dialect.variants().next().unwrap();
        let asking = ClientValues::default();
        dialect.understand(operation, variant, &asking, &response.map(Into::into), NOW)
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn refused(told: Result<UnderstoodReply, UnintelligibleReply>) -> RefusedBy {
    match told {
        Ok(UnderstoodReply::Refused(by)) => by,
        other => panic!("no refusal: {other:?}"),
    }
}

fn granted(told: Result<UnderstoodReply, UnintelligibleReply>) -> GrantedTokens {
    match told {
        Ok(UnderstoodReply::Granted(granted)) => granted,
        other => panic!("no tokens: {other:?}"),
    }
}

fn fault(told: Result<UnderstoodReply, UnintelligibleReply>) -> String {
    told.unwrap_err().to_string()
}

const GOOD: &str = r#"{"ok": true, "token": "abc", "expires_in": 3600}"#;

#[test]
fn words_of_a_refusal_under_a_status_of_success_are_one() {
    for (operation, words, expected) in [
        (TokenOperation::Login, "Invalid", Refusal::BadLogin),
        (TokenOperation::Refresh, "Stale", Refusal::BadRefresh),
        (TokenOperation::Login, "Slow down", Refusal::Throttled),
        // What is not listed is still a no.
        (TokenOperation::Login, "Account closed", Refusal::BadLogin),
        (
            TokenOperation::Refresh,
            "Account closed",
            Refusal::BadRefresh,
        ),
    ] {
        let body = format!(r#"{{"ok": false, "error": "{words}"}}"#);
        let by = refused(SAID.hears(operation, answer(200, &[], body)));
        assert_eq!(by.refusal, expected, "{operation} {words}");
        assert_eq!((by.status, by.detail.as_deref()), (200, Some(words)));
    }
    for (operation, refusal) in [
        (TokenOperation::Login, Refusal::BadLogin),
        (TokenOperation::Refresh, Refusal::BadRefresh),
    ] {
        let by = refused(SAID.hears(operation, answer(200, &[], r#"{"ok": false}"#)));
        assert_eq!((by.refusal, by.detail), (refusal, None));
    }
}

#[test]
fn where_only_other_refusals_are_listed_a_no_is_that_of_the_credential() {
    let said = Said {
        refusals: r#"throttled = { status = 200, detail = "Slow down" }"#,
        ..SAID
    };
    for (operation, words, expected) in [
        (TokenOperation::Login, "Slow down", Refusal::Throttled),
        (TokenOperation::Login, "Wrong password", Refusal::BadLogin),
        (TokenOperation::Refresh, "Who are you?", Refusal::BadRefresh),
    ] {
        let body = format!(r#"{{"ok": false, "error": "{words}"}}"#);
        let by = refused(said.hears(operation, answer(200, &[], body)));
        assert_eq!(by.refusal, expected, "{operation} {words}");
    }
    let coded = Said {
        errors: r#"body = '{"ok": false, "code": "{code}"}'"#,
        refusals: r#"throttled = { status = 200, code = "9" }"#,
        ..SAID
    };
    for operation in [
        TokenOperation::Login,
        TokenOperation::Refresh,
        TokenOperation::Logout,
    ] {
        let body = r#"{"ok": false, "code": "17"}"#;
        let told = fault(coded.hears(operation, answer(200, &[], body)));
        assert!(told.contains("no refusal that is known"), "{told}");
    }
}

#[test]
fn a_logout_that_is_denied_in_words_that_are_not_listed_ends_nothing() {
    let logout = |said: &Said<'_>, body: &str| {
        said.hears(TokenOperation::Logout, answer(200, &[], body.to_owned()))
    };
    let told = fault(logout(&SAID, r#"{"ok": false, "error": "Come later"}"#));
    assert!(told.contains("\"Come later\""), "{told}");
    let told = fault(logout(&SAID, r#"{"ok": false}"#));
    assert!(told.contains("it says no"), "{told}");
    let listed = Said {
        refusals: r#"bad_bearer = { status = 200, detail = "Who are you?" }"#,
        ..SAID
    };
    let by = refused(logout(&listed, r#"{"ok": false, "error": "Who are you?"}"#));
    assert_eq!(by.refusal, Refusal::BadBearer);
    fault(logout(&listed, r#"{"ok": false, "error": "Come later"}"#));
}

#[test]
fn without_a_test_of_success_the_listed_words_alone_are_a_refusal() {
    let said = Said {
        login: r#"reply.body = '{"token": "{access_token}", "expires_in": "{access_expires_at:in}"}'"#,
        errors: r#"body = '{"error": "{detail}"}'"#,
        ..SAID
    };
    let by = refused(said.hears(
        TokenOperation::Login,
        answer(200, &[], r#"{"error": "Invalid"}"#),
    ));
    assert_eq!(by.refusal, Refusal::BadLogin);
    let told = fault(said.hears(
        TokenOperation::Login,
        answer(200, &[], r#"{"error": "Else"}"#),
    ));
    assert!(told.contains("it lacks /token"), "{told}");
}

#[test]
fn what_says_neither_yes_nor_no_is_no_refusal() {
    for body in ["{}", r#"{"ok": null}"#, r#"{"okay": false}"#] {
        let told = SAID.hears(TokenOperation::Login, answer(200, &[], body));
        assert!(told.is_err(), "{body}: {told:?}");
    }
}

#[test]
fn a_code_that_is_not_listed_and_a_no_with_tokens_explain_nothing() {
    let said = Said {
        errors: r#"body = '{"ok": false, "code": "{code}", "error": "{detail}"}'"#,
        refusals: r#"bad_login = { status = 200, code = "17", detail = "Invalid" }"#,
        ..SAID
    };
    let login = |said: &Said<'_>, body: &str| {
        said.hears(TokenOperation::Login, answer(200, &[], body.to_owned()))
    };
    let by = refused(login(
        &said,
        r#"{"ok": false, "code": "17", "error": "No"}"#,
    ));
    assert_eq!(by.refusal, Refusal::BadLogin);
    let told = fault(login(
        &said,
        r#"{"ok": false, "code": "99", "error": "No"}"#,
    ));
    assert!(told.contains("no refusal that is known"), "{told}");
    fault(login(
        &SAID,
        r#"{"ok": false, "token": "abc", "expires_in": 3600}"#,
    ));
}

#[test]
fn a_mark_before_a_reply_is_passed_over() {
    for body in [GOOD, r#"{"ok": false, "error": "Invalid"}"#] {
        let plain = SAID.hears(TokenOperation::Login, answer(200, &[], body));
        let marked = SAID.hears(
            TokenOperation::Login,
            answer(200, &[], format!("\u{feff}{body}")),
        );
        assert!(plain.is_ok());
        assert_eq!(marked, plain);
    }
    let twice = format!("\u{feff}\u{feff}{GOOD}");
    assert!(
        SAID.hears(TokenOperation::Login, answer(200, &[], twice))
            .is_err()
    );
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_coded_reply_is_read_for_tokens_and_for_refusals() {
    let coded = |status, text: &str| answer(status, &[("content-encoding", "gzip")], gzip(text));
    let tokens = granted(SAID.hears(TokenOperation::Login, coded(200, GOOD)));
    assert_eq!(tokens.access_token.expose(), "abc");
    let no = r#"{"ok": false, "error": "Stale"}"#;
    let by = refused(SAID.hears(TokenOperation::Refresh, coded(200, no)));
    assert_eq!(by.refusal, Refusal::BadRefresh);
    let own = Said {
        refusals: r#"bad_bearer = { status = 403, code = "expired", body = '{"code": "{code}"}' }
            forbidden = { status = 403, code = "no", body = '{"code": "{code}"}' }"#,
        ..SAID
    };
    let by = refused(own.hears(TokenOperation::Guard, coded(403, r#"{"code": "expired"}"#)));
    assert_eq!(by.refusal, Refusal::BadBearer);
}

#[test]
fn a_coding_that_is_not_read_is_named() {
    for (coding, name) in [
        ("br", "\"br\""),
        ("zstd", "\"zstd\""),
        ("gzip, br", "\"gzip, br\""),
    ] {
        let headers = [("content-encoding", coding)];
        let told = fault(SAID.hears(TokenOperation::Login, answer(200, &headers, GOOD)));
        assert!(told.contains(name), "{told}");
        let by = refused(SAID.hears(TokenOperation::Login, answer(401, &headers, GOOD)));
        assert!(by.detail.unwrap().contains(name));
    }
}

#[test]
fn an_answer_of_another_server_is_told_as_that() {
    let page = [("content-type", "text/html; charset=utf-8")];
    let problem = [("content-type", "application/problem+json")];
    let other = r#"{"type": "about:blank", "title": "Unauthorized", "code": "no_key"}"#;
    for (status, headers, body, words) in [
        (401, &page[..], "<h1>Login</h1>", "(401, text/html)"),
        (501, &page, "<h1>Unsupported</h1>", "(501, text/html)"),
        (404, &page, "<h1>Not found</h1>", "(404, text/html)"),
        (400, &page, "<h1>Bad Request</h1>", "(400, text/html)"),
        (401, &problem, other, "(401, application/problem+json)"),
        (405, &[], "no", "(405, no media type)"),
        (401, &[], "[1]", "(401, no media type)"),
    ] {
        for operation in [
            TokenOperation::Login,
            TokenOperation::Refresh,
            TokenOperation::Logout,
        ] {
            let told = fault(SAID.hears(operation, answer(status, headers, body)));
            assert!(
                told.contains(words) && told.contains("not of this dialect"),
                "{operation}: {told}"
            );
        }
    }
    let told = fault(SAID.hears(TokenOperation::Login, answer(200, &page, "<h1>Hi</h1>")));
    assert!(told.contains("(200, text/html)"), "{told}");
}

#[test]
fn what_may_be_the_vendors_stays_a_refusal() {
    let page = [("content-type", "text/html")];
    for (status, body, expected) in [
        (401, "", Refusal::BadLogin),
        (401, r#"{"error": "Who?"}"#, Refusal::BadLogin),
        (400, r#"{"ok": false, "fields": []}"#, Refusal::Malformed),
        // A gateway writes these in its own form, and they pass.
        (429, "<h1>Slow</h1>", Refusal::Throttled),
        (502, "<h1>Bad Gateway</h1>", Refusal::BadGateway),
        (503, "<h1>Later</h1>", Refusal::Unavailable),
    ] {
        let by = refused(SAID.hears(TokenOperation::Login, answer(status, &page, body)));
        assert_eq!(by.refusal, expected, "{status} {body}");
    }
    let by = refused(SAID.hears(TokenOperation::Guard, answer(401, &page, "<h1>Who?</h1>")));
    assert_eq!(
        by.refusal,
        Refusal::BadBearer,
        "a guarded reply is the API's own"
    );
}

#[test]
fn a_redirect_is_told_with_its_status_and_target() {
    for status in [301, 302, 303, 307, 308] {
        let to = [("location", "https://ann:pw@login.example/auth?state=s3cret")];
        let told = fault(SAID.hears(TokenOperation::Login, answer(status, &to, "")));
        assert!(
            told.contains(&status.to_string()) && told.contains("https://login.example/auth"),
            "{told}"
        );
        assert!(!told.contains("s3cret") && !told.contains("pw"), "{told}");
    }
    let told = fault(SAID.hears(TokenOperation::Refresh, answer(302, &[], "")));
    assert!(told.contains("302"), "{told}");
}

#[test]
fn a_value_in_another_form_is_told_as_that() {
    let said = |expiry: &str| format!(r#"{{"ok": true, "token": "abc", "expires_in": {expiry}}}"#);
    for (expiry, words) in [
        (
            r#""2026-01-01T00:00:00Z""#,
            r#"/expires_in has an unexpected form: "2026-01-01T00:00:00Z" instead of whole seconds from now"#,
        ),
        (
            "3599.7",
            "/expires_in has an unexpected form: 3599.7 instead of",
        ),
        ("-1", "/expires_in has an unexpected form: -1 instead of"),
        (
            r#""never""#,
            "/expires_in has an unexpected form: a text instead of",
        ),
        (
            "[3600]",
            "/expires_in has an unexpected form: a list instead of",
        ),
        (
            "true",
            "/expires_in has an unexpected form: true instead of",
        ),
        ("null", "it lacks /expires_in, which is null"),
    ] {
        let told = fault(SAID.hears(TokenOperation::Login, answer(200, &[], said(expiry))));
        assert!(told.contains(words), "{told}");
    }
    let told = fault(SAID.hears(TokenOperation::Login, answer(200, &[], r#"{"ok": true}"#)));
    assert!(
        told.contains("it lacks /token") || told.contains("it lacks /expires_in"),
        "{told}"
    );
    let bare = Said {
        login: r#"reply.body = '{"token": "{access_token}", "expires_in": "{access_expires_at:in}"}'"#,
        ..SAID
    };
    let told = fault(bare.hears(TokenOperation::Login, answer(200, &[], "[1]")));
    assert!(told.contains("it is a list instead of an object"), "{told}");
    let told = fault(bare.hears(
        TokenOperation::Login,
        answer(
            200,
            &[],
            r#"{"token": "s3cret token", "expires_in": "s3cret text"}"#,
        ),
    ));
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn an_end_long_past_is_told_unless_the_vendors_clock_is_there_too() {
    let epoch = Said {
        login: r#"reply.body = '{"token": "{access_token}", "end": "{access_expires_at:epoch}", "now": "{now:epoch?}"}'"#,
        ..SAID
    };
    let login = |body: &str| epoch.hears(TokenOperation::Login, answer(200, &[], body.to_owned()));
    for seconds in ["3600", "0", "86400"] {
        let told = fault(login(&format!(r#"{{"token": "abc", "end": {seconds}}}"#)));
        assert!(
            told.contains(seconds) && told.contains("access_expires_at:in"),
            "{told}"
        );
    }
    granted(login(r#"{"token": "abc", "end": 1800000600}"#));
    granted(login(r#"{"token": "abc", "end": 1700000000}"#));
    granted(login(r#"{"token": "abc", "end": 3600, "now": 60}"#));
}

#[test]
fn an_end_in_another_form_is_told_of_either_token() {
    let ends = |access: &str, refresh: &str| {
        let said = Said {
            login: r#"reply.body = '{"token": "{access_token}", "end": "{access_expires_at:in}", "refresh": "{refresh_token}", "last": "{refresh_expires_at:epoch}"}'"#,
            ..SAID
        };
        let body =
            format!(r#"{{"token": "abc", "end": {access}, "refresh": "def", "last": {refresh}}}"#);
        said.hears(TokenOperation::Login, answer(200, &[], body))
    };
    for (access, refresh, words) in [
        ("1800003600", "1800086400", "{access_expires_at:epoch}"),
        (
            "1800003600000",
            "1800086400",
            "{access_expires_at:epoch_ms}",
        ),
        ("3600", "86400", "{refresh_expires_at:in}"),
        ("0", "1800086400", "0 seconds"),
    ] {
        let told = fault(ends(access, refresh));
        assert!(told.contains(words), "{told}");
    }
    granted(ends("3600", "1800086400"));
    // What some vendors write for "without end".
    granted(ends("2147483647", "2147483647"));
}

#[test]
fn a_life_of_nothing_is_believed_only_beside_an_end_of_the_token() {
    // {"exp": 1800000600}
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjE4MDAwMDA2MDB9.";
    let body = |token| format!(r#"{{"ok": true, "token": "{token}", "expires_in": 0}}"#);
    granted(SAID.hears(TokenOperation::Login, answer(200, &[], body(token))));
    let told = fault(SAID.hears(TokenOperation::Login, answer(200, &[], body("abc"))));
    assert!(told.contains("[expiry]"), "{told}");
}

#[test]
fn json_that_names_a_member_twice_is_told_as_that() {
    let body = r#"{"ok": true, "token": "abc", "expires_in": 60, "token": "def"}"#;
    let bare = Said {
        login: r#"reply.body = '{"token": "{access_token}", "expires_in": "{access_expires_at:in}"}'"#,
        ..SAID
    };
    for said in [SAID, bare] {
        let told = fault(said.hears(TokenOperation::Login, answer(200, &[], body)));
        assert!(
            told.contains("a member twice") && !told.contains("def"),
            "{told}"
        );
    }
}

#[test]
fn retry_after_is_seconds_a_date_or_an_instant() {
    let date = ("date", "Fri, 15 Jan 2027 08:00:00 GMT");
    let after = |headers: &[(&str, &str)]| {
        let by = refused(SAID.hears(TokenOperation::Login, answer(429, headers, "")));
        by.retry_after.map(|it| it.as_secs())
    };
    assert_eq!(Timestamp::from_seconds(1_800_000_000), NOW);
    for (text, seconds) in [
        ("120", 120),
        ("999999999", 999_999_999),
        ("1800000090", 90),
        ("1800000000", 0),
        ("1700000000", 0),
        ("1800000090000", 90),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90),
    ] {
        assert_eq!(after(&[("retry-after", text)]), Some(seconds), "{text}");
        assert_eq!(
            after(&[("retry-after", text), date]),
            Some(seconds),
            "{text}"
        );
    }
    // By the vendor's clock, an hour behind.
    let behind = ("date", "Fri, 15 Jan 2027 07:00:00 GMT");
    assert_eq!(after(&[("retry-after", "1799996460"), behind]), Some(60));
    for text in ["soon", "-5", "1.5", ""] {
        assert_eq!(after(&[("retry-after", text)]), None, "{text:?}");
    }
}

const COOKIES: Said<'static> = Said {
    login: r#"reply.body = '{"expires_in": "{access_expires_at:in}"}'
        reply.headers = { Set-Cookie = ["at={access_token}", "rt={refresh_token}"] }"#,
    ..SAID
};

#[test]
fn tokens_are_found_among_several_cookies() {
    let body = r#"{"expires_in": 60}"#;
    for cookies in [
        [
            "lang=en",
            "rt=r1; Path=/; HttpOnly",
            "at=a1; Expires=Fri, 15 Jan 2027 08:00:00 GMT",
        ],
        ["at=a1", "lang=en; Secure", "rt=r1"],
        ["rt=r1;Secure", "at=a1 ; Path=/", "xat=no"],
    ] {
        let headers = cookies.map(|cookie| ("set-cookie", cookie));
        let tokens = granted(COOKIES.hears(TokenOperation::Login, answer(200, &headers, body)));
        assert_eq!(tokens.access_token.expose(), "a1", "{cookies:?}");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r1", "{cookies:?}");
    }
}

#[test]
fn a_cookie_is_read_as_a_browser_keeps_it() {
    let body = r#"{"expires_in": 60}"#;
    let login = |at: &[&str]| {
        let cookies = at.iter().chain(&["rt=r1"]);
        let headers: Vec<_> = cookies.map(|cookie| ("set-cookie", *cookie)).collect();
        COOKIES.hears(TokenOperation::Login, answer(200, &headers, body))
    };
    for (at, token) in [
        (&["at = a1"][..], "a1"),
        (&["  at=\ta1  ; Path=/"], "a1"),
        (&["at=old", "at=a1"], "a1"),
        (&["at=old; Path=/", "at=a1;path=/"], "a1"),
        (&["at=; Max-Age=0", "at=a1"], "a1"),
        // Another path has another cookie of that name.
        (&["at=a1; Path=/", "at=; Path=/old; Max-Age=0"], "a1"),
        (
            &["at=a1; Max-Age=3600; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
            "a1",
        ),
    ] {
        assert_eq!(granted(login(at)).access_token.expose(), token, "{at:?}");
    }
    for at in [
        &["at=a1", "at=gone; Max-Age=0"][..],
        &["at=a1; max-age=-1"],
        &["at=a1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        &["at=a1; Expires=Thu, 01-Jan-1970 00:00:01 GMT"],
    ] {
        let told = fault(login(at));
        assert!(told.contains("it deletes the cookie at"), "{at:?}: {told}");
    }
}

#[test]
fn a_cookie_that_is_missing_is_named() {
    let login = |cookies: &[&str]| {
        let headers: Vec<_> = cookies
            .iter()
            .map(|cookie| ("set-cookie", *cookie))
            .collect();
        fault(COOKIES.hears(
            TokenOperation::Login,
            answer(200, &headers, r#"{"expires_in": 60}"#),
        ))
    };
    let told = login(&["at=a1"]);
    assert!(
        told.contains("it lacks the cookie rt (header set-cookie)"),
        "{told}"
    );
    let told = login(&["at=a1", "rt="]);
    assert!(
        told.contains("its cookie rt (header set-cookie) has an unexpected form"),
        "{told}"
    );
    let told = login(&[]);
    assert!(
        told.contains("it lacks the cookie at (header set-cookie)"),
        "{told}"
    );
}

#[test]
fn basic_credentials_are_encoded_as_a_form_where_the_file_says_so() {
    let basic = |encoding: &str| {
        let source = format!(
            r#"
        schema = 1
        name = "small"
        serves = ["client"]
        session = {{ refresh = "none", login = "keeps" }}
        [[login]]
        path = "/login"
        request.form = {{ grant_type = "client_credentials" }}
        request.basic = {{ user = "{{login}}", password = "{{secret}}"{encoding} }}
        reply.body = '{{"token": "{{access_token}}", "expires_in": "{{access_expires_at:in}}"}}'
        [guard]
        present = [{{ header = "Authorization", value = "Bearer {{access_token}}" }}]
        [errors]
        body = '{{"error": "{{detail}}"}}'
        [refusals]
        bad_login = {{ detail = "No" }}
        "#
        );
        Dialect::compile(&source, "small").unwrap()
    };
    let asked = |dialect: &Dialect, login: &str| {
        let secret = Secret::from("p:w%+é /");
        let asking = ClientValues {
            login: Some(login),
            secret: Some(&secret),
            ..ClientValues::default()
        };
        let variant = dialect.variants().next().unwrap();
        dialect.request(TokenOperation::Login, variant, &asking)
    };
    let sent = |request: &Request<Bytes>| {
        use base64::Engine;
        let value = request.headers()["authorization"].to_str().unwrap();
        let coded = value.strip_prefix("Basic ").unwrap();
        let pair = base64::engine::general_purpose::STANDARD.decode(coded);
        String::from_utf8(pair.unwrap()).unwrap()
    };
    let form = basic(r#", encoding = "form""#);
    let request = asked(&form, "client:1").unwrap();
    assert_eq!(sent(&request), "client%3A1:p%3Aw%25%2B%C3%A9%20%2F");
    let (parts, body) = request.into_parts();
    match form.read_request(&parts, &body) {
        Ok(TokenCommand::Login { login, secret, .. }) => {
            assert_eq!((&*login, secret.expose()), ("client:1", "p:w%+é /"));
        }
        other => panic!("{other:?}"),
    }
    for plain in [basic(""), basic(r#", encoding = "none""#)] {
        assert_eq!(sent(&asked(&plain, "client").unwrap()), "client:p:w%+é /");
        assert!(asked(&plain, "client:1").is_none());
    }
}
