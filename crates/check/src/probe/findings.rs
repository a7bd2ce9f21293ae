//! What the measurements mean, beside what the dialect says.

use std::time::Duration;

use countersign_dialect::{Dialect, LostRefresh, PresetLifetimes, Variant};
use countersign_domain::span_text;
use serde_json::{Value, json};

use super::{Measured, MeasuredLifetimes, ProbeStop, Reuse, Unanswered};
use crate::{CheckFinding, CheckVerdict};

/// What was measured, for people.
pub(super) fn checks(
    measured: &Measured,
    dialect: &Dialect,
    variant: Variant,
) -> Vec<CheckFinding> {
    let mut checks = Vec::new();
    if let Some(login) = &measured.login {
        checks.push(
            CheckFinding::new("login", CheckVerdict::Good, "the vendor gives tokens")
                .in_time(login.took),
        );
        checks.push(lifetime(login, dialect.stated_lives_of(variant)));
        checks.extend(exp(login));
    }
    checks.extend(measured.guarded.map(guarded));
    if let Some(refresh) = &measured.refresh {
        let said = format!("fresh tokens live {}", lives(refresh));
        checks.push(CheckFinding::new("refresh", CheckVerdict::Good, said).in_time(refresh.took));
    }
    checks.extend(measured.rotates.map(rotation));
    checks.extend(
        measured
            .reuse
            .map(|it| reuse(it, measured.survives_reuse, dialect)),
    );
    checks.extend(measured.old_access_lives.map(old_access));
    checks.extend(logout(measured));
    checks.extend(measured.stopped.as_ref().map(stopped));
    checks
}

/// What was measured, for programs.
pub(super) fn document(measured: &Measured) -> Value {
    let lived = |lived: &Option<MeasuredLifetimes>| {
        lived.map(|it| {
            json!({
                "access_seconds": it.access.as_secs(),
                "refresh_seconds": it.refresh.map(|it| it.as_secs()),
                "exp_off_seconds": it.exp_off,
                "milliseconds": it.took.as_millis(),
            })
        })
    };
    json!({
        "login": lived(&measured.login),
        "refresh": lived(&measured.refresh),
        "rotates": measured.rotates,
        "reuse": measured.reuse.map(name),
        "session_survives_reuse": measured.survives_reuse,
        "old_access_token_survives_refresh": measured.old_access_lives,
        "logged_out": measured.logged_out,
        "access_token_survives_logout": measured.access_survives_logout,
        "refresh_token_survives_logout": measured.refresh_survives_logout,
    })
}

fn name(reuse: Reuse) -> &'static str {
    match reuse {
        Reuse::Same => "same_successor",
        Reuse::Others => "another_successor",
        Reuse::Refused(_) => "refused",
    }
}

fn lives(lived: &MeasuredLifetimes) -> String {
    let access = span_text(lived.access);
    match lived.refresh {
        Some(refresh) => format!("{access}, refresh tokens {}", span_text(refresh)),
        None => access,
    }
}

/// The reply counts; the dialect's preset is only what the vendor's documents say.
fn lifetime(login: &MeasuredLifetimes, stated: PresetLifetimes) -> CheckFinding {
    let mut said = format!("access tokens live {}", lives(login));
    if login.access.is_zero() {
        let said = said + ": they have already expired when they arrive";
        let check = CheckFinding::new("lifetime", CheckVerdict::Bad, said);
        return check.with_help("check both clocks");
    }
    let is_far =
        |promised: &Duration| login.access.abs_diff(*promised).as_secs() * 20 > promised.as_secs();
    if let Some(promised) = stated.access.filter(is_far) {
        said.push_str(&format!(
            ", although the dialect states {}; the reply counts",
            span_text(promised)
        ));
    }
    CheckFinding::new("lifetime", CheckVerdict::Good, said)
}

fn exp(login: &MeasuredLifetimes) -> Option<CheckFinding> {
    let off = login.exp_off?;
    let (found, said) = match off {
        -1..=1 => (
            CheckVerdict::Good,
            "the exp of the access token agrees with the reply".to_owned(),
        ),
        later => (
            CheckVerdict::Doubtful,
            format!("the exp of the access token differs by {later} s from the reply"),
        ),
    };
    Some(CheckFinding::new("exp", found, said))
}

fn guarded(works: bool) -> CheckFinding {
    if works {
        return CheckFinding::new(
            "guarded path",
            CheckVerdict::Good,
            "it accepts the access token",
        );
    }
    let said = "it refuses a fresh access token";
    CheckFinding::new("guarded path", CheckVerdict::Doubtful, said)
        .with_help("is it a path that this account may read?")
}

fn rotation(rotates: bool) -> CheckFinding {
    let said = if rotates {
        "each refresh returns a new refresh token"
    } else {
        "the refresh token stays the same"
    };
    CheckFinding::new("rotation", CheckVerdict::Good, said)
}

fn reuse(reuse: Reuse, survives: Option<bool>, dialect: &Dialect) -> CheckFinding {
    let retries = dialect.client_policy().lost_refresh == LostRefresh::Retry;
    let (mut found, mut said) = match reuse {
        Reuse::Same => (CheckVerdict::Good, "a used refresh token gets the same successor again: a lost reply costs nothing".to_owned()),
        Reuse::Others => (CheckVerdict::Good, "a used refresh token still gets new tokens: a lost reply costs nothing, and a stolen token is not detected".to_owned()),
        Reuse::Refused(refusal) => (CheckVerdict::Good, format!("a used refresh token is refused ({refusal})")),
    };
    if survives == Some(false) {
        said.push_str(", and its session is ended");
    }
    if matches!(reuse, Reuse::Refused(_)) && retries {
        found = CheckVerdict::Doubtful;
        said.push_str(
            "; the dialect has clients repeat a refresh whose reply was lost, which costs a login here",
        );
    }
    let help = (found == CheckVerdict::Doubtful)
        .then_some("set `lost_refresh = \"login\"` in the dialect");
    CheckFinding::new("reuse", found, said).with_help_of(help)
}

fn old_access(lives: bool) -> CheckFinding {
    let said = if lives {
        "an access token stays valid after a refresh"
    } else {
        "a refresh ends the previous access token: requests under way may be refused once"
    };
    CheckFinding::new("old access token", CheckVerdict::Good, said)
}

fn logout(measured: &Measured) -> Option<CheckFinding> {
    if !measured.logged_out {
        return None;
    }
    let mut alive = Vec::new();
    if measured.access_survives_logout == Some(true) {
        alive.push("the access token");
    }
    if measured.refresh_survives_logout == Some(true) {
        alive.push("the refresh token");
    }
    if alive.is_empty() {
        return Some(CheckFinding::new(
            "logout",
            CheckVerdict::Good,
            "a logout ends the tokens at once",
        ));
    }
    let said = format!("after a logout {} still works", alive.join(" and "));
    Some(CheckFinding::new("logout", CheckVerdict::Doubtful, said))
}

fn stopped(stopped: &ProbeStop) -> CheckFinding {
    let at = stopped.at;
    match &stopped.why {
        Unanswered::Refused(by) => {
            let detail = by
                .detail
                .as_deref()
                .map(|it| format!(": {it}"))
                .unwrap_or_default();
            let said = format!(
                "the vendor refuses with {} ({}){detail}",
                by.status, by.refusal
            );
            CheckFinding::new(at, CheckVerdict::Refused, said)
        }
        Unanswered::Unreached(why, help) => {
            CheckFinding::new(at, CheckVerdict::Unreachable, why).with_help_of(help.as_deref())
        }
        Unanswered::Unintelligible(why, help) => {
            CheckFinding::new(at, CheckVerdict::Bad, why).with_help_of(*help)
        }
    }
}
