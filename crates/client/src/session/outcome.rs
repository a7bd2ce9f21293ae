//! What answers mean. A refusal is judged by what was asked.

use countersign_dialect::{Extra, Granted, LostRefresh, RefusedBy};
use countersign_domain::{Operation, Timestamp};

use super::pause::{self, Mishap, No};
use super::{Ask, Session, UnderWay};
use crate::timing::{Ends, Trip, told_end};
use crate::{Held, Sent};

impl Session {
    /// Fresh tokens came; `now` is when. They are to be durable before they are
    /// used.
    pub fn received(&mut self, granted: Granted, now: Timestamp) {
        let operation = self.operation();
        let sent_at = self.under_way.sent_at.unwrap_or(now).min(now);
        let trip = Trip {
            sent_at,
            arrived_at: now,
        };
        let ends = Ends::of(&granted, trip, &mut self.offset);
        let before = self.record.held.take();
        self.count_afresh(before.as_ref(), &granted);
        let kept = before.filter(|_| operation == Operation::Refresh);
        let mut held = held(granted, sent_at, &ends, kept);
        if self.terms.presents_access {
            held.refresh_token = Some(held.access_token.clone());
            held.refresh_expires_at = Some(held.expires_at);
        }
        self.record.held = Some(held);
        self.record.attempt = None;
        self.record.trouble = None;
        self.under_way = UnderWay::default();
    }

    /// The vendor said no.
    pub fn refused(&mut self, by: &RefusedBy, now: Timestamp) {
        let operation = self.operation();
        let detail = in_words(by);
        let mishap = Mishap {
            refusal: Some(by.refusal),
            status: Some(by.status),
            detail: &detail,
        };
        match (No::of(by.refusal), operation) {
            (No::Later, _) => {
                self.unheard();
                self.note(operation, &mishap, now);
                self.back_off(by.retry_after);
            }
            (No::Failed, _) => {
                self.leave_open(operation);
                self.note(operation, &mishap, now);
                self.back_off(by.retry_after);
            }
            (No::Never, Operation::Refresh) => {
                self.drop_refresh_token();
                self.settle();
                self.note_unless_ended(&mishap, now);
            }
            (No::Never, _) => {
                self.settle();
                self.note(operation, &mishap, now);
                self.end();
            }
        }
    }

    /// There is no answer.
    pub fn lost(&mut self, sent: Sent, detail: &str, now: Timestamp) {
        if sent == Sent::No {
            self.unheard();
        }
        self.unanswered(sent, None, detail, now);
    }

    /// The answer is none that the dialect explains, or its signature is wrong.
    pub fn garbled(&mut self, status: u16, detail: &str, now: Timestamp) {
        if self.operation() == Operation::Login && pause::is_final(status) {
            let mishap = Mishap {
                refusal: None,
                status: Some(status),
                detail,
            };
            self.settle();
            self.note(Operation::Login, &mishap, now);
            return self.end();
        }
        self.unanswered(Sent::Maybe, Some(status), detail, now);
    }

    fn unanswered(&mut self, sent: Sent, status: Option<u16>, detail: &str, now: Timestamp) {
        let operation = self.operation();
        let mishap = Mishap {
            refusal: None,
            status,
            detail,
        };
        self.leave_open(operation);
        self.note(operation, &mishap, now);
        // A login at once cures what this vendor would punish a retry for.
        let punished = self.terms.lost_refresh == LostRefresh::Login;
        if !(punished && operation == Operation::Refresh && sent == Sent::Maybe) {
            self.back_off(None);
        }
    }

    /// What was asked for last.
    fn operation(&self) -> Operation {
        let attempt = self.record.attempt.as_ref();
        attempt.map_or(Operation::Login, |attempt| attempt.operation)
    }

    /// The request was not acted upon: it is as if it had not been sent. An
    /// earlier one with the same refresh token may have been.
    fn unheard(&mut self) {
        self.record.attempt = std::mem::take(&mut self.under_way).before;
    }

    /// It may have been acted upon. That matters for a refresh token only: what a
    /// lost login gave is nobody's.
    fn leave_open(&mut self, operation: Operation) {
        if operation == Operation::Login {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.record.attempt = None;
        self.under_way = UnderWay::default();
    }

    /// A refused refresh leads to a login at once, but for one whose own pause
    /// is not over.
    fn note_unless_ended(&mut self, mishap: &Mishap<'_>, now: Timestamp) {
        let ended = self.pause(Ask::Login, now).is_some_and(pause::ends);
        if !ended {
            self.note(Operation::Refresh, mishap, now);
        }
    }

    /// What was counted of the token before ends with it.
    fn count_afresh(&mut self, before: Option<&Held>, granted: &Granted) {
        self.wanted = 0;
        if before.is_none_or(|held| held.access_token != granted.access_token) {
            self.record.spent = 0;
        }
        if before.is_some_and(|held| !held.is_rejected()) {
            self.record.rejected = 0;
        }
    }
}

fn held(granted: Granted, sent_at: Timestamp, ends: &Ends, kept: Option<Held>) -> Held {
    let logged_in_at = kept.as_ref().map_or(sent_at, |kept| kept.logged_in_at);
    let rotated = granted.refresh_token.is_some();
    let told_expires_at = Some(told_end(&granted));
    let mut held = Held {
        access_token: granted.access_token,
        refresh_token: granted.refresh_token,
        asked_at: sent_at,
        expires_at: ends.access,
        refresh_expires_at: ends.refresh,
        told_expires_at,
        told_refresh_expires_at: granted.refresh_expires_at,
        logged_in_at,
        client_id: granted.client_id,
        login: granted.login,
        extra: granted.extra,
    };
    if let Some(kept) = kept {
        let extra: Extra = kept.extra.into_iter().chain(held.extra).collect();
        held.extra = extra;
        held.client_id = held.client_id.or(kept.client_id);
        held.login = held.login.or(kept.login);
        if !rotated {
            // A reply without one: the one at hand stays, and so does its end.
            held.refresh_token = kept.refresh_token;
            held.refresh_expires_at = held.refresh_expires_at.or(kept.refresh_expires_at);
            let told = held.told_refresh_expires_at;
            held.told_refresh_expires_at = told.or(kept.told_refresh_expires_at);
        }
    }
    held
}

/// A refusal as it is told: the vendor's own words are quoted, so that no line
/// break gets into a log.
fn in_words(by: &RefusedBy) -> String {
    let quoted = |text: &Option<String>| text.as_ref().map(|text| format!(" {text:?}"));
    let code = quoted(&by.code).unwrap_or_default();
    let detail = quoted(&by.detail).unwrap_or_default();
    format!("{} ({}{code}{detail})", by.refusal, by.status)
}
