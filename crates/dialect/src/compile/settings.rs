//! The sections without templates: name, `serves`, `[session]`, `[accept]`,
//! `[expiry]`, `[client]`. `[preset]` has a file of its own.

use std::time::Duration;

use countersign_domain::{LogoutScope, NewLogin, RefreshMode, Refusal};

use crate::accept::{AcceptedSpellings, MistypedField};
use crate::document::{TomlTable, TomlValue};
use crate::expiry::{ExpiryFallback, ExpirySource};
use crate::{ClientPolicy, DialectSide, LostRefresh};

/// The largest `max_body`, in bytes.
const MAX_BODY: i64 = 1 << 20;

pub(super) struct SessionSection {
    /// `None` where it is to be told by the forms.
    pub(super) refresh: Option<RefreshMode>,
    pub(super) login: NewLogin,
    pub(super) logout: Option<LogoutScope>,
}

/// The name, which is also that of the dialect's folder.
pub(super) fn name<'d>(root: &TomlTable<'d>) -> Option<&'d str> {
    let value = root.require_or("name", "such as `name = \"acme\"`")?;
    let name = value.text()?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        return Some(name);
    }
    value.blame("is not made of a-z, 0-9 and `-`", None);
    None
}

const SIDES: &str =
    "write `serves = [\"client\"]`, and name `\"issuer\"` too if it is to be served";

pub(super) fn serves(root: &TomlTable<'_>) -> DialectSide {
    let mut serves = DialectSide {
        issuer: false,
        client: false,
    };
    let Some(value) = root.require_or("serves", SIDES) else {
        return serves;
    };
    let Some(sides) = value.array() else {
        return serves;
    };
    if sides.is_empty() {
        value.blame("names neither `issuer` nor `client`", None);
    }
    for side in sides {
        match side.choice(&[("issuer", true), ("client", false)]) {
            Some(true) => serves.issuer = true,
            Some(false) => serves.client = true,
            None => (),
        }
    }
    serves
}

pub(super) fn positive(value: Option<TomlValue<'_>>) -> Option<Duration> {
    let value = value?;
    let span = value.duration()?;
    if span < Duration::from_secs(1) {
        value.blame("is shorter than a second", None);
    }
    Some(span)
}

/// What a client does follows from the forms, so that only an issuer must say it.
pub(super) fn session(root: &TomlTable<'_>, serves: DialectSide) -> SessionSection {
    let found = match serves.issuer {
        true => root.require("session"),
        false => root.get("session"),
    };
    let table = found.and_then(|session| session.table());
    let get = |key: &str| match serves.issuer {
        true => table.as_ref()?.require(key),
        false => table.as_ref()?.get(key),
    };
    let refresh = get("refresh").and_then(|refresh| {
        refresh.choice(&[
            ("rotate", RefreshMode::Rotate),
            ("keep", RefreshMode::Keep),
            ("none", RefreshMode::None),
        ])
    });
    let login = get("login").and_then(|login| {
        login.choice(&[("keeps", NewLogin::Keeps), ("revokes", NewLogin::Revokes)])
    });
    let logout = table
        .as_ref()
        .and_then(|table| table.get("logout"))
        .and_then(|logout| {
            logout.choice(&[
                ("session", LogoutScope::Session),
                ("account", LogoutScope::Account),
            ])
        });
    SessionSection {
        refresh,
        login: login.unwrap_or(NewLogin::Keeps),
        logout,
    }
}

pub(super) fn accept(root: &TomlTable<'_>) -> AcceptedSpellings {
    let mut accept = AcceptedSpellings::default();
    let Some(table) = root.get("accept").and_then(|accept| accept.table()) else {
        return accept;
    };
    let slash = table
        .get("slash")
        .and_then(|v| v.choice(&[("exact", false), ("optional", true)]));
    accept.slash_optional = slash.unwrap_or_default();
    let repeated = table
        .get("repeated_slash")
        .and_then(|v| v.choice(&[("exact", false), ("merge", true)]));
    accept.slashes_merge = repeated.unwrap_or_default();
    if let Some(values) = table.get("media").and_then(|media| media.array()) {
        accept.media = values.iter().filter_map(media_type).collect();
    }
    if let Some(most) = table
        .get("max_body")
        .and_then(|v| v.integer(1024, MAX_BODY))
    {
        accept.max_body = usize::try_from(most).unwrap_or(accept.max_body);
    }
    let mistyped = table.get("mistyped").and_then(|value| {
        value.choice(&[
            ("malformed", MistypedField::Malformed),
            ("missing", MistypedField::Missing),
        ])
    });
    accept.mistyped = mistyped.unwrap_or(accept.mistyped);
    accept.numbers = table
        .get("numbers")
        .and_then(|v| v.boolean())
        .unwrap_or_default();
    accept.trim_login = folds(&table, "trim");
    accept.lower_login = folds(&table, "lower");
    accept
}

/// A media type in lower case, or `""`. Parameters are not compared, so an entry
/// that has some would never be met.
pub(super) fn media_type(value: &TomlValue<'_>) -> Option<String> {
    let text = value.text()?;
    // RFC 9110 section 5.6.2: what a token is made of.
    let token = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        !part.is_empty() && part.chars().all(fits)
    };
    let halves = text.split_once('/');
    if text.is_empty() || halves.is_some_and(|(one, other)| token(one) && token(other)) {
        return Some(text.to_ascii_lowercase());
    }
    value.blame("is not a media type without parameters", None);
    None
}

/// `trim = ["login"]`: only a login may be folded; a secret never is.
fn folds(table: &TomlTable<'_>, key: &str) -> bool {
    let Some(words) = table.get(key).and_then(|words| words.array()) else {
        return false;
    };
    words
        .iter()
        .filter_map(|word| word.choice(&[("login", true)]))
        .any(|folds| folds)
}

pub(super) fn expiry(root: &TomlTable<'_>) -> ExpirySource {
    let mut expiry = ExpirySource::default();
    let Some(table) = root.get("expiry").and_then(|expiry| expiry.table()) else {
        return expiry;
    };
    let source = |key: &str| {
        let value = table.get(key)?;
        if value.is_text() && value.text() == Some("jwt") {
            return Some(ExpiryFallback::Jwt);
        }
        value.duration().map(ExpiryFallback::After)
    };
    expiry.access = source("access");
    expiry.refresh = source("refresh");
    expiry.sliding = positive(table.get("sliding"));
    expiry
}

pub(super) fn client(root: &TomlTable<'_>, sliding: Option<Duration>) -> ClientPolicy {
    let table = root.get("client").and_then(|client| client.table());
    let get = |key: &str| table.as_ref()?.get(key);
    let lost = get("lost_refresh").and_then(|lost| {
        lost.choice(&[("retry", LostRefresh::Retry), ("login", LostRefresh::Login)])
    });
    let known: Vec<_> = Refusal::ALL
        .iter()
        .map(|refusal| (refusal.code(), *refusal))
        .collect();
    let expired = get("expired")
        .and_then(|expired| expired.array())
        .map(|expired| {
            expired
                .iter()
                .filter_map(|refusal| refusal.choice(&known))
                .collect()
        });
    ClientPolicy {
        lost_refresh: lost.unwrap_or(LostRefresh::Retry),
        expired: expired.unwrap_or_else(|| {
            use Refusal::{BadBearer, BudgetSpent, ExpiredBearer, MissingBearer};
            vec![BadBearer, MissingBearer, ExpiredBearer, BudgetSpent]
        }),
        sliding,
    }
}
