//! Replies as the client reads them: granted, done, or refused and why.
//!
//! A refusal depends on the operation. The status and the fields that the file states for
//! it come first, then the status alone. If several match, the vendor's words decide,
//! then the refusal of the credential that the operation presented (a refused refresh
//! leads to a login, a refused login ends). With a status of success, a reply that fails
//! `success` is a refusal.
//!
//! A reply that is not in the dialect is not a refusal, whatever its status, except for
//! temporary failures: gateways write their 429 and 503 in a format of their own.

mod received;
mod refused;
mod times;

use std::time::Duration;

use bytes::Bytes;
use countersign_domain::{Timestamp, TokenOperation};
use http::Response;

use self::received::{ReceivedReply, tree, without_mark};
use self::refused::ReplySuccess;
use self::times::date;
use crate::coding::decoded;
use crate::expiry::unverified;
use crate::form::OperationForm;
use crate::hole_word::{HoleBindings, HoleValue, HoleValues, HoleWord};
use crate::refusals::own;
use crate::reply_head;
use crate::{
    ClientValues, Dialect, GrantedTokens, Secret, UnderstoodReply, UnintelligibleReply, Variant,
};

/// The largest reply that is read, in bytes.
const MAX_REPLY: usize = 1 << 20;

impl Dialect {
    /// What a reply means. A reply to a guarded request is read for its refusals.
    ///
    /// # Errors
    ///
    /// The dialect does not describe the reply, or its signature is wrong.
    pub fn understand(
        &self,
        operation: TokenOperation,
        variant: Variant,
        asking: &ClientValues<'_>,
        response: &Response<Bytes>,
        now: Timestamp,
    ) -> Result<UnderstoodReply, UnintelligibleReply> {
        let body = decoded(response.headers(), response.body(), MAX_REPLY);
        let (tree, unread) = match body.as_deref().map(without_mark) {
            Ok(text) => tree(text),
            Err(why) => (None, Some(why.clone())),
        };
        let reply = ReceivedReply {
            operation,
            response,
            tree,
            unread: unread.as_ref(),
            now,
        };
        if operation == TokenOperation::Guard {
            return Ok(self.unless_refused(&reply));
        }
        let (_, form) = self
            .form_of(operation, variant)
            .ok_or(UnintelligibleReply::NoSuchOperation)?;
        if !reply.succeeds(form) {
            return self.no_success(form, &reply);
        }
        if operation == TokenOperation::Logout {
            return Ok(self.unless_refused(&reply));
        }
        match self.granted(form, asking, &reply) {
            Err(fault @ UnintelligibleReply::Body { .. }) => {
                let found = self.refused(&reply, ReplySuccess::No).ok_or(fault)?;
                Ok(UnderstoodReply::Refused(found.by))
            }
            told => told.map(UnderstoodReply::Granted),
        }
    }

    /// Some vendors refuse with HTTP 200, so a reply is a success only if nothing
    /// refuses.
    fn unless_refused(&self, reply: &ReceivedReply<'_>) -> UnderstoodReply {
        let found = self.refused(reply, ReplySuccess::AsFarAsIsKnown);
        found.map_or(UnderstoodReply::Done, |it| UnderstoodReply::Refused(it.by))
    }

    /// What a reply means that is not a success.
    fn no_success(
        &self,
        form: &OperationForm,
        reply: &ReceivedReply<'_>,
    ) -> Result<UnderstoodReply, UnintelligibleReply> {
        let foreign = self.is_foreign(form, reply);
        match self.refused(reply, ReplySuccess::No) {
            Some(found) if found.recognised || found.passes || !foreign => {
                Ok(UnderstoodReply::Refused(found.by))
            }
            Some(_) => Err(UnintelligibleReply::Foreign {
                head: reply.head(),
                standard: self.refusals.standard,
            }),
            None if reply.response.status().is_redirection() => {
                Err(UnintelligibleReply::Redirect {
                    status: reply.response.status().as_u16(),
                    to: reply_head::redirect_target(reply.response.headers()),
                })
            }
            None if self.denies(form, reply) && reply.operation == TokenOperation::Logout => {
                Err(reply.fault(self.denial(reply)))
            }
            None if self.denies(form, reply) => {
                let refusal = own(reply.operation);
                let bindings = self.errors(reply);
                Ok(UnderstoodReply::Refused(
                    reply.refusal(refusal, bindings.as_ref()),
                ))
            }
            None if foreign => Err(UnintelligibleReply::Foreign {
                head: reply.head(),
                standard: false,
            }),
            None => Err(reply.fault(match reply.unread {
                Some(why) => why,
                None => "it is not a success and no refusal that is known",
            })),
        }
    }

    /// Whether a reply is a refusal without words, or with words that the file does not
    /// list. One with a code that is not listed explains nothing, and neither does one
    /// with tokens.
    fn denies(&self, form: &OperationForm, reply: &ReceivedReply<'_>) -> bool {
        let refusal = own(reply.operation);
        let mut here = self
            .refusals
            .known
            .iter()
            .filter(|it| it.operation == reply.operation && it.stated && !it.fields.is_empty());
        let fits = match here.clone().find(|it| it.refusal == refusal) {
            Some(known) => self.likeness(known, reply).is_some(),
            None => here.all(|known| self.likeness(known, reply).is_some()),
        };
        let granting = form.reply.has(&HoleWord::AccessToken);
        fits && reply.denies(form) && !(granting && reply.bindings(form).is_ok())
    }

    /// A logout that was denied in words that the file does not list. This is not a
    /// refusal of the token: whoever took it for one would think that the session has
    /// ended, though it may be alive.
    fn denial(&self, reply: &ReceivedReply<'_>) -> String {
        let bindings = self.errors(reply);
        let words = bindings
            .as_ref()
            .and_then(|it| it.text(&HoleWord::Field("detail".into())));
        match words {
            Some(words) => format!(
                "it denies the request in words that are not listed as a refusal: {words:?}"
            ),
            None => "it says no, and not why".to_owned(),
        }
    }

    /// Whether the body is not one of this operation in the dialect. A body that is
    /// empty, or in a coding that is not supported, proves nothing.
    fn is_foreign(&self, form: &OperationForm, reply: &ReceivedReply<'_>) -> bool {
        if reply.response.body().is_empty() || reply.unread.is_some() {
            return false;
        }
        let status = reply.response.status();
        let known = self.refusals.known.iter();
        let own = known.filter(|it| it.operation == reply.operation);
        // A line of the file that names a status and no words takes any body.
        let by_status = own
            .clone()
            .any(|it| it.stated && it.status == status && it.fields.is_empty());
        let shapes = own
            .filter_map(|it| it.shape.as_ref())
            .chain(&self.refusals.shape);
        let mut shapes = shapes.chain(&form.reply.body).peekable();
        match &reply.tree {
            _ if shapes.peek().is_none() => reply.head().is_html(),
            _ if by_status && self.refusals.standard => reply.head().is_html(),
            Some(tree) => !reply_head::is_kin(tree, shapes),
            None => true,
        }
    }

    fn granted(
        &self,
        form: &OperationForm,
        asking: &ClientValues<'_>,
        reply: &ReceivedReply<'_>,
    ) -> Result<GrantedTokens, UnintelligibleReply> {
        let bindings = reply.bindings(form)?;
        if let Some(signature) = &form.reply.signature {
            let found = bindings.text(&HoleWord::Signature).unwrap_or_default();
            if !signature.is_over(
                &SignedValues {
                    asking,
                    bindings: &bindings,
                },
                found,
            ) {
                return Err(UnintelligibleReply::Signature(reply.head()));
            }
        }
        let text = |word: HoleWord| bindings.text(&word).filter(|text| !text.is_empty());
        let access_token =
            text(HoleWord::AccessToken).ok_or_else(|| reply.fault("it has no access token"))?;
        let refresh_token = text(HoleWord::RefreshToken);
        if !std::iter::once(access_token)
            .chain(refresh_token)
            .all(is_printable)
        {
            return Err(reply.fault("its tokens have characters that no header carries"));
        }
        if let Some(why) = reply.misread_end(&bindings, access_token) {
            let head = reply.head();
            return Err(UnintelligibleReply::Expiry { head, why });
        }
        let (access_expires_at, access_life) = self.access_end(access_token, &bindings, reply)?;
        let refresh_expires_at = bindings.time(&HoleWord::RefreshExpiresAt);
        let refresh_life = bindings.life(&HoleWord::RefreshExpiresAt);
        let beside = self.expiry.refresh.filter(|_| refresh_expires_at.is_none());
        Ok(GrantedTokens {
            access_token: Secret::from(access_token),
            refresh_token: refresh_token.map(Secret::from),
            access_expires_at,
            refresh_expires_at: refresh_expires_at
                .or_else(|| beside?.end(refresh_token?, reply.now)),
            access_life,
            refresh_life: refresh_life.or_else(|| beside?.life()),
            now: bindings.time(&HoleWord::Now),
            date: date(reply.response.headers()),
            iat: unverified(access_token, "iat"),
            exp: unverified(access_token, "exp"),
            client_id: bindings.number(&HoleWord::ClientId),
            login: text(HoleWord::Login).map(str::to_owned),
            extra: bindings.extra(),
        })
    }

    /// The expiry time from the reply, or else from the file; with the lifetime, if one
    /// is stated.
    fn access_end(
        &self,
        token: &str,
        bindings: &HoleBindings,
        reply: &ReceivedReply<'_>,
    ) -> Result<(Timestamp, Option<Duration>), UnintelligibleReply> {
        let (word, now) = (&HoleWord::AccessExpiresAt, reply.now);
        let told = bindings.time(word).map(|end| (end, bindings.life(word)));
        let stated = || {
            let source = self.expiry.access?;
            Some((source.end(token, now)?, source.life()))
        };
        let sliding = || self.expiry.sliding.map(|span| (now + span, Some(span)));
        told.or_else(stated)
            .or_else(sliding)
            .ok_or_else(|| UnintelligibleReply::Expiry {
                head: reply.head(),
                why: "neither a field nor the token does".to_owned(),
            })
    }
}

/// Whether a token consists of characters that RFC 6749 appendix A.12 allows.
fn is_printable(token: &str) -> bool {
    token.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// What a signature covers: values of the request, and the literal texts of the reply.
struct SignedValues<'s, 'a> {
    asking: &'s ClientValues<'a>,
    bindings: &'s HoleBindings,
}

impl HoleValues for SignedValues<'_, '_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        let asked = match word {
            HoleWord::Login | HoleWord::Secret | HoleWord::Extra(_) => self.asking.datum(word),
            _ => None,
        };
        asked.or_else(|| self.bindings.text(word).map(HoleValue::Text))
    }
}
