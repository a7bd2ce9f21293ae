//! A reply as it was received: whether it succeeds, and the texts in the dialect's holes.

use bytes::Bytes;
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use http::header::SET_COOKIE;
use http::{HeaderName, Response};

use super::times::{date, retry_after};
use crate::cookies;
use crate::form::{ConstantValue, OperationForm, SuccessTest};
use crate::hole_word::{HoleBindings, HoleWord};
use crate::json::{self, Json, JsonNode, JsonRules};
use crate::pattern::TextPattern;
use crate::reply_head::ReplyHead;
use crate::template::ReadingMode;
use crate::{RefusedBy, UnintelligibleReply};

/// A reply as it was received, with its body as JSON if it is JSON.
pub(super) struct ReceivedReply<'r> {
    pub(super) operation: TokenOperation,
    pub(super) response: &'r Response<Bytes>,
    pub(super) tree: Option<JsonNode<'r>>,
    /// Why the body cannot be read, if it cannot.
    pub(super) unread: Option<&'r String>,
    pub(super) now: Timestamp,
}

impl ReceivedReply<'_> {
    pub(super) fn succeeds(&self, form: &OperationForm) -> bool {
        let status = self.response.status();
        let good = if form.reply.status_stated {
            status == form.reply.status
        } else {
            status.is_success()
        };
        good && form.reply.success.iter().all(|test| self.passes(test))
    }

    /// Whether the reply itself states that it is not a success: a member that `success`
    /// tests exists, with another value.
    pub(super) fn denies(&self, form: &OperationForm) -> bool {
        let other = |test: &SuccessTest| {
            let found = self.tree.as_ref().and_then(|tree| tree.at(&test.pointer));
            found.is_some_and(|node| node.value != Json::Null) && !self.passes(test)
        };
        self.response.status().is_success() && form.reply.success.iter().any(other)
    }

    fn passes(&self, test: &SuccessTest) -> bool {
        let found = self.tree.as_ref().and_then(|tree| tree.at(&test.pointer));
        match (found.map(|node| &node.value), &test.equals) {
            (Some(Json::Text(found)), ConstantValue::Text(wanted)) => found == wanted,
            (Some(Json::Number(found)), ConstantValue::Number(wanted)) => {
                *found == wanted.to_string()
            }
            (Some(Json::Bool(found)), ConstantValue::Bool(wanted)) => found == wanted,
            _ => false,
        }
    }

    pub(super) fn bindings(
        &self,
        form: &OperationForm,
    ) -> Result<HoleBindings, UnintelligibleReply> {
        let mut bindings = HoleBindings::new(self.now);
        if let Some(template) = &form.reply.body {
            let tree = self.tree.as_ref().ok_or_else(|| {
                let why = self.unread.map_or("it is not JSON", String::as_str);
                self.fault(why)
            })?;
            template
                .bind(tree, ReadingMode::REPLY, &mut bindings)
                .map_err(|misfit| self.fault(misfit.in_words()))?;
        }
        for (name, pattern) in &form.reply.headers {
            self.header(name, pattern, &mut bindings)?;
        }
        Ok(bindings)
    }

    /// Of several headers of one name, the first that matches; of several cookies of one
    /// name, the last.
    fn header(
        &self,
        name: &HeaderName,
        pattern: &TextPattern,
        bindings: &mut HoleBindings,
    ) -> Result<(), UnintelligibleReply> {
        if pattern.as_fixed().is_some() {
            return Ok(());
        }
        if *name == SET_COOKIE
            && let Some(cookie) = pattern.cookie_name()
        {
            return self.cookie(cookie, pattern, bindings);
        }
        let mut values = self.response.headers().get_all(name).iter().peekable();
        let fault = match values.peek() {
            None if pattern.is_optional() => return Ok(()),
            None => format!("it lacks the header {name}"),
            Some(_) => format!("its header {name} has an unexpected form"),
        };
        let mut values = values.filter_map(|value| value.to_str().ok());
        match values.any(|value| pattern.bind(value, bindings)) {
            true => Ok(()),
            false if pattern.is_optional() && *name == SET_COOKIE => Ok(()),
            false => Err(self.fault(fault)),
        }
    }

    fn cookie(
        &self,
        name: &str,
        pattern: &TextPattern,
        bindings: &mut HoleBindings,
    ) -> Result<(), UnintelligibleReply> {
        let headers = self.response.headers();
        let clock = date(headers).unwrap_or(self.now);
        let kept = cookies::live_cookies(headers, name, clock);
        // Its attributes are not looked at, unless the file has some.
        let mut spellings = kept.iter().rev().flat_map(|it| [&*it.pair, it.whole]);
        if spellings.any(|it| pattern.bind(it, bindings)) || pattern.is_optional() {
            return Ok(());
        }
        Err(self.fault(match kept.is_empty() {
            false => format!("its cookie {name} (header set-cookie) has an unexpected form"),
            true if cookies::names(headers, name) => {
                format!("it deletes the cookie {name} (header set-cookie)")
            }
            true => format!("it lacks the cookie {name} (header set-cookie)"),
        }))
    }

    pub(super) fn head(&self) -> ReplyHead {
        ReplyHead::from_response(self.response)
    }

    pub(super) fn fault(&self, why: impl Into<String>) -> UnintelligibleReply {
        UnintelligibleReply::Body {
            head: self.head(),
            why: why.into(),
        }
    }

    pub(super) fn refusal(&self, refusal: Refusal, bindings: Option<&HoleBindings>) -> RefusedBy {
        let text = |word: HoleWord| {
            bindings
                .and_then(|bindings| bindings.text(&word))
                .map(str::to_owned)
        };
        RefusedBy {
            refusal,
            status: self.response.status().as_u16(),
            retry_after: retry_after(self.response.headers(), self.now),
            code: text(HoleWord::Field("code".into())),
            detail: text(HoleWord::Field("detail".into())).or_else(|| self.unread.cloned()),
            pointer: text(HoleWord::Pointer),
        }
    }
}

/// The body as JSON, or why JSON cannot be used: of two members with one name nobody
/// knows which one counts.
pub(super) fn tree(text: &[u8]) -> (Option<JsonNode<'_>>, Option<String>) {
    match json::parse(text, JsonRules::STRICT) {
        Ok(tree) => (Some(tree), None),
        Err(fault) => {
            let is_json = json::parse(text, JsonRules::FOREIGN).is_ok();
            let why = is_json.then(|| format!("it is JSON that cannot be used: {fault}"));
            (None, why)
        }
    }
}

/// A reply without the byte order mark that some servers write first, and which a reader
/// may skip (RFC 8259 section 8.1).
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
