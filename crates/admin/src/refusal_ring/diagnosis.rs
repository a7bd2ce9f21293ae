//! Finds out more about a refusal, for the record: whose token was presented, why it is
//! not valid, and by how much the caller's clock is wrong.
//!
//! It runs after the peer's answer is decided and does not change it: a better reason
//! always leads to the same refusal for the peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_domain::{ApiName, Reason, Timestamp, TokenKind, TokenOperation};
use countersign_token::{KeyFate, TokenDiagnosis};

use super::record::NewRefusal;
use countersign_server::api::IssuingApi;

/// The evidence in a refused request. It contains a credential, so it does not print.
#[derive(Clone, Copy, Default)]
pub struct RefusalEvidence<'a> {
    /// The token that was presented.
    pub token: Option<&'a str>,
    /// The caller's time, from the `Date` field (RFC 9110 section 6.6.1).
    pub clock: Option<Timestamp>,
}

/// A smaller difference between clocks is not the cause of anything.
const CLOCK_SLACK: Duration = Duration::from_secs(30);

impl NewRefusal {
    /// This, with what `evidence` tells about it. Costs a few signatures for
    /// each api at most.
    #[must_use]
    pub fn diagnosed(
        mut self,
        evidence: &RefusalEvidence<'_>,
        apis: &BTreeMap<ApiName, Arc<IssuingApi>>,
    ) -> Self {
        let mut words = Vec::new();
        if let Some((api, token)) = self.whose(evidence, apis) {
            if self.account.is_none() {
                self.account = Some(token.account);
                self.account_api = Some(api)
                    .filter(|it| self.api.as_ref() != Some(*it))
                    .cloned();
            }
            self.session = self.session.or(Some(token.session));
            if is_about_the_token(self.reason) {
                self.judge(api, &token, &mut words);
            }
        }
        if is_about_the_token(self.reason) {
            words.extend(evidence.clock.and_then(|clock| clock_words(clock, self.at)));
        }
        if !self.detail.is_empty() {
            words.insert(0, std::mem::take(&mut self.detail));
        }
        self.detail = words.join("; ");
        self
    }

    /// The token, and its api: the api of the request is tried before all others.
    fn whose<'a>(
        &self,
        evidence: &RefusalEvidence<'_>,
        apis: &'a BTreeMap<ApiName, Arc<IssuingApi>>,
    ) -> Option<(&'a ApiName, TokenDiagnosis)> {
        let token = evidence.token?;
        let own = self.api.as_ref().and_then(|own| apis.get_key_value(own));
        let others = apis
            .iter()
            .filter(|(name, _)| Some(*name) != self.api.as_ref());
        own.into_iter().chain(others).find_map(|(name, api)| {
            let tokens = api.keychain().current();
            Some((name, tokens.diagnose(token, self.at)?))
        })
    }

    fn judge(&mut self, api: &ApiName, token: &TokenDiagnosis, words: &mut Vec<String>) {
        let at_home = self.api.as_ref().is_none_or(|own| own == api);
        self.reason = better_reason(self.reason, at_home, token);
        if !at_home {
            words.push(format!("the token belongs to the api {api}"));
        }
        words.extend(key_words(token));
        words.extend(self.kind_words(token.kind));
        if token.expires_at <= self.at {
            let late = self.at.since(token.expires_at).as_secs();
            words.push(format!("expired {late} s ago"));
        }
    }

    fn kind_words(&self, kind: TokenKind) -> Option<String> {
        let due = match self.operation? {
            TokenOperation::Refresh => TokenKind::Refresh,
            TokenOperation::Guard | TokenOperation::Logout => TokenKind::Access,
            TokenOperation::Login => return None,
        };
        let (kind_name, due_name) = (kind.name(), due.name());
        (kind != due)
            .then(|| format!("it is the {kind_name} token, but the {due_name} token is expected"))
    }
}

/// The reason why a token was refused, when it is known what the token is, and whether it
/// belongs to the api where it was presented.
pub fn better_reason(known: Reason, at_home: bool, token: &TokenDiagnosis) -> Reason {
    if !is_about_the_token(known) {
        known
    } else if !at_home {
        Reason::WrongApi
    } else if token.key != KeyFate::Alive && known != Reason::TokenExpired {
        Reason::KeyRetired
    } else {
        known
    }
}

/// Whether the token itself was the problem, so that the peer gets the same refusal for
/// [`Reason::WrongApi`] and [`Reason::KeyRetired`].
const fn is_about_the_token(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::TokenMalformed
            | Reason::TokenForged
            | Reason::TokenExpired
            | Reason::KeyRetired
            | Reason::WrongApi
    )
}

fn key_words(token: &TokenDiagnosis) -> Option<String> {
    let kid = &token.kid;
    match token.key {
        KeyFate::Alive => None,
        KeyFate::Killed => Some(format!("signed by the key {kid}, which was killed")),
        KeyFate::Gone { since } => {
            let since = since.rfc3339_seconds();
            let words = "which retired, and whose last token expired at";
            Some(format!("signed by the key {kid}, {words} {since}"))
        }
    }
}

fn clock_words(clock: Timestamp, now: Timestamp) -> Option<String> {
    let (behind, ahead) = (now.since(clock), clock.since(now));
    if behind > CLOCK_SLACK {
        return Some(format!(
            "the caller's clock is {} s behind",
            behind.as_secs()
        ));
    }
    (ahead > CLOCK_SLACK).then(|| format!("the caller's clock is {} s ahead", ahead.as_secs()))
}

#[cfg(test)]
mod tests;
