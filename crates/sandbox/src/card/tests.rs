//! The judgement and the renderings, on evidence that is written down.

use std::time::Duration;

use countersign_domain::{Reason, Timestamp, TokenOperation};
use serde_json::json;

use super::evidence::EvidenceScope;
use super::{
    ClientAnswer, ClientCard, DemandCheck, DialectTerms, PlayedStep, StepDemand, StepEvent,
    StepEvidence, StepVerdict, story,
};
use crate::RecordedRequest;

/// Evidence from lines: `0.25 guard 401 token_expired`, `ok 200`, `error no`,
/// `silence`, `-- something happened`. A fault stands after an exclamation mark.
fn evidence(lines: &str) -> StepEvidence {
    let mut calls = 0;
    let lines = lines.lines().map(str::trim).filter(|it| !it.is_empty());
    lines.map(|line| event(line, &mut calls)).collect()
}

fn event(line: &str, calls: &mut u32) -> StepEvent {
    if let Some(text) = line.strip_prefix("-- ") {
        return StepEvent::Incident(text.to_owned());
    }
    let mut answer = |answer| {
        *calls += 1;
        StepEvent::Answer {
            call: *calls,
            answer,
        }
    };
    match line.split_once(' ').unwrap_or((line, "")) {
        ("ok", status) => answer(ClientAnswer::Status(status.parse().unwrap())),
        ("error", text) => answer(ClientAnswer::Error(text.to_owned())),
        ("silence", _) => answer(ClientAnswer::Silence),
        (at, rest) => StepEvent::Request(request(at, rest)),
    }
}

fn request(at: &str, rest: &str) -> RecordedRequest {
    let words: Vec<_> = rest.split(' ').collect();
    let operation = |name: &&str| {
        TokenOperation::ALL
            .into_iter()
            .find(|it| it.name() == *name)
    };
    RecordedRequest {
        at: Timestamp::from_seconds(1_000) + Duration::from_secs_f64(at.parse().unwrap()),
        operation: words.first().and_then(operation).unwrap(),
        method: "GET".to_owned(),
        path: "/card/1".to_owned(),
        status: words[1].parse().unwrap(),
        refusal: words.get(2).and_then(|code| Reason::from_code(code)),
        change: None,
        session: None,
        generation: None,
        faults: words
            .contains(&"!lost_reply")
            .then_some("lost_reply")
            .into_iter()
            .collect(),
    }
}

fn missed(check: DemandCheck, scope: EvidenceScope, lines: &str) -> Option<String> {
    let demand = StepDemand {
        check,
        scope,
        because: "so",
    };
    demand.misses(&evidence(lines))
}

#[test]
fn each_demand_knows_what_satisfies_it_and_what_does_not() {
    use DemandCheck::{
        AllFail, AllSucceed, AtLeast, AtMost, Never, NoSecondUse, Recovers, Unhurried, Waits,
    };
    use TokenOperation::{Guard, Login, Refresh};
    let wait = Duration::from_secs(2);
    let cases: &[(DemandCheck, &str, Option<&str>)] = &[
        (AllSucceed, "ok 200\nok 204", None),
        (
            AllSucceed,
            "ok 200\nok 401",
            Some("call 2 was not done (ok 401)"),
        ),
        (
            AllSucceed,
            "silence",
            Some("call 1 was not done (no answer in time)"),
        ),
        (Recovers, "error no\nok 200", None),
        (
            Recovers,
            "ok 200\nerror no",
            Some("no success after 2 calls: call 2 ended with \"error no\""),
        ),
        (
            Recovers,
            "error\nok 200",
            Some("call 1 has no clear error (error )"),
        ),
        (Recovers, "", Some("no call was made")),
        (AllFail, "error no\nok 403", None),
        (
            AllFail,
            "error no\nok 200",
            Some("call 2 is reported as successful (ok 200)"),
        ),
        (
            AllFail,
            "silence",
            Some("call 1 has no clear error (no answer in time)"),
        ),
        (AtMost(Login, 1), "0 login 200\nok 200", None),
        (
            AtMost(Login, 1),
            "0 login 200\n1 login 200\nok 200",
            Some("2 logins for 1 call, where 1 is the most"),
        ),
        (
            AtLeast(Refresh, 1),
            "0 login 200",
            Some("0 refreshes, where at least 1 are expected"),
        ),
        (
            Never(Reason::TokenExpired),
            "0 guard 401 session_revoked",
            None,
        ),
        (
            Never(Reason::TokenExpired),
            "0 guard 401 token_expired",
            Some("1 guarded request refused (token_expired)"),
        ),
        (Waits(Login, wait), "0 login 429\n1.96 login 200", None),
        (Waits(Login, wait), "0 login 429\n1.90 refresh 200", None),
        (
            Waits(Login, wait),
            "0 login 429\n1.90 login 200",
            Some("login again 1.90 s after a 429 with Retry-After: 2"),
        ),
        (
            Unhurried(Guard),
            "0 guard 503\n0.01 guard 503\n0.3 guard 200",
            None,
        ),
        (
            Unhurried(Guard),
            "0 guard 503\n0.01 guard 503\n0.02 guard 200",
            Some("3 guarded requests within 0.02 s"),
        ),
        (
            NoSecondUse,
            "0 refresh 200 - !lost_reply\n1 guard 200\n2 login 200\n3 refresh 200",
            None,
        ),
        (
            NoSecondUse,
            "0 refresh 200 - !lost_reply\n1 refresh 200",
            Some("the refresh token of the lost reply was sent again"),
        ),
    ];
    for (check, lines, expected) in cases {
        let expected = expected.map(|it| format!("{it}: so"));
        assert_eq!(
            missed(*check, EvidenceScope::Whole, lines),
            expected,
            "{check:?} of {lines}"
        );
    }
}

#[test]
fn a_demand_on_what_came_after_an_incident_does_not_look_before_it() {
    let lines = "0 login 200\nok 200\n-- revoked\n1 guard 401 session_revoked\nok 200";
    let none = DemandCheck::AtMost(TokenOperation::Login, 0);
    assert_eq!(missed(none, EvidenceScope::After, lines), None);
    assert!(missed(none, EvidenceScope::Whole, lines).is_some());
}

#[test]
fn every_step_has_a_name_of_its_own_and_demands() {
    let mut names: Vec<_> = story().map(|step| step.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(story().all(|step| !step.demands.is_empty() && !step.script.is_empty()));
}

fn played(name: &str, lines: &str, said: &[&str]) -> PlayedStep {
    let step = story().find(|step| step.name == name).unwrap();
    let said = said.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    PlayedStep::judged(
        step,
        evidence(lines),
        &said,
        "s3cret",
        Duration::from_millis(1_250),
    )
}

fn card() -> ClientCard {
    let revoked = "0 login 200\n0.01 guard 200\nok 200\n-- the <session> ends\n0.5 guard 401 session_revoked\nerror \"no\" & \u{1b}[1m\n0.75 guard 200\nok 200\n1 guard 200\nok 200";
    let mut budget = played("budget", "", &[]);
    budget.verdict = StepVerdict::Skipped {
        why: "no budget".to_owned(),
    };
    ClientCard {
        terms: DialectTerms {
            dialect: "b2binpay".to_owned(),
            variant: "v2".to_owned(),
            refreshes: true,
            login_after_loss: false,
            budget: Some(40),
            anonymous_per_minute: Some(15),
        },
        steps: vec![
            played("login", "0 login 200\n0.01 guard 200\nok 200", &[]),
            played("revoke", revoked, &["a line of its own"]),
            budget,
        ],
    }
}

#[test]
fn the_card_shows_people_what_failed_why_and_what_shows_it() {
    let expected = "\
A client of b2binpay v2 on the card

pass  login                logs in once, then calls
FAIL  revoke               logs in again when the vendor has ended the session
      - call 2 was not done (error \"no\" & \u{fffd}[1m): a refused token is followed by a refresh, a refused refresh by a login, and the call made again
        +0.000 s login    200
        +0.010 s guard    200
        call 1: ok 200
        -- the <session> ends
        +0.500 s guard    401 session_revoked
        call 2: error \"no\" & \u{fffd}[1m
        +0.750 s guard    200
        call 3: ok 200
        +1.000 s guard    200
        call 4: ok 200
        it printed: a line of its own
skip  budget               gets a new token before the old one's budget is spent
        no budget

1 passed, 1 failed, 1 skipped";
    assert_eq!(card().to_string(), expected);
}

#[test]
fn the_card_is_one_json_document() {
    let document = card().document();
    assert_eq!(
        (&document["passed"], &document["failed"]),
        (&json!(1), &json!(1))
    );
    let revoke = &document["steps"][1];
    assert_eq!(
        (&revoke["name"], &revoke["verdict"]),
        (&json!("revoke"), &json!("fail"))
    );
    assert_eq!(revoke["events"][4]["refusal"], "session_revoked");
    assert_eq!(document["steps"][2]["reasons"], json!(["no budget"]));
}

#[test]
fn the_card_is_junit_xml_with_nothing_that_xml_cannot_say() {
    let xml = card().junit();
    assert!(xml.contains("<testsuite name=\"countersign.card.b2binpay.v2\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"3.750\">"), "{xml}");
    assert!(xml.contains("<failure type=\"demand\" message=\"call 2 was not done (error &quot;no&quot; &amp; \u{fffd}[1m)"), "{xml}");
    assert!(xml.contains("-- the &lt;session&gt; ends"), "{xml}");
    assert!(xml.contains("<skipped message=\"no budget\"/>"), "{xml}");
    assert!(!xml.contains('\u{1b}'), "{xml}");
}

#[test]
fn a_secret_in_an_error_fails_the_step_and_the_card_does_not_repeat_it() {
    let told = played(
        "login",
        "0 login 200\n0.01 guard 200\nerror 401 for s3cret",
        &["url?key=s3cret"],
    );
    let reasons = told.verdict.reasons();
    assert!(
        reasons
            .iter()
            .any(|it| it.contains("printed the login secret")),
        "{reasons:?}"
    );
    let card = ClientCard {
        steps: vec![told],
        ..card()
    };
    assert!(!card.to_string().contains("s3cret"), "{card}");
    assert!(!card.junit().contains("s3cret"));
    assert!(!card.document().to_string().contains("s3cret"));
}

#[test]
fn a_call_that_the_vendor_never_saw_is_not_taken_for_done() {
    let expected = "4 reported as successful, but the vendor answered 1 with success: `ok` must pass on a status \
                    of the vendor";
    let told = "0 login 200\n0.01 guard 200\nok 200\nok 200\n-- later\nok 200\nok 200";
    let made_up = played("expiry", told, &[]);
    assert_eq!(made_up.verdict.reasons(), [expected]);
}

#[test]
fn a_client_that_renews_all_the_time_passes_with_a_note() {
    let mut lines = "0 login 200\n".to_owned();
    for call in 0..44 {
        lines += &format!(
            "{0} refresh 200\n{0} guard 200\nok 200\n",
            f64::from(call) / 4.0
        );
    }
    let played = played("refresh-in-time", &lines, &[]);
    assert_eq!(played.verdict.word(), "pass");
    let notes = played.verdict.notes();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("it asked for 45 tokens for 44 calls"),
        "{notes:?}"
    );
}
