//! The client's side: the requests it sends, and what the answers mean.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_domain::{Refusal, Timestamp, TokenOperation};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request};
use zeroize::Zeroizing;

use crate::form::{BasicForm, OperationForm, RequestPayload};
use crate::hole_word::{HoleValue, HoleValues, HoleWord};
use crate::json::{Json, JsonMember, JsonNode};
use crate::pattern::TextPattern;
use crate::reply_head::ReplyHead;
use crate::{Dialect, ExtraParts, Secret, Variant, json, media, percent_encoded};

/// The values from which a client builds a request. Each operation uses those that its
/// form needs; an optional value that is missing or empty is left out of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientValues<'a> {
    /// The login.
    pub login: Option<&'a str>,
    /// The secret of the login.
    pub secret: Option<&'a Secret>,
    /// The access token that the client has.
    pub access_token: Option<&'a Secret>,
    /// The refresh token that the client has.
    pub refresh_token: Option<&'a Secret>,
    /// Extra parts of the credential.
    pub extra: Option<&'a ExtraParts>,
}

/// What a vendor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnderstoodReply {
    /// New tokens.
    Granted(GrantedTokens),
    /// Success, with nothing to keep.
    Done,
    /// A refusal.
    Refused(RefusedBy),
}

/// New tokens, as a client reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedTokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token; `None` if the vendor has none, or if the previous one stays
    /// valid.
    pub refresh_token: Option<Secret>,
    /// When the access token expires, by the vendor's clock.
    pub access_expires_at: Timestamp,
    /// When the refresh token expires, if the reply says so.
    pub refresh_expires_at: Option<Timestamp>,
    /// The lifetime of the access token, counted from the reply, if the reply or the
    /// dialect states a lifetime and not an expiry time.
    pub access_life: Option<Duration>,
    /// The same for the refresh token.
    pub refresh_life: Option<Duration>,
    /// The vendor's time, if the reply states it.
    pub now: Option<Timestamp>,
    /// The `Date` header of the reply, in whole seconds. A proxy may have set it.
    pub date: Option<Timestamp>,
    /// The `iat` of the access token, if it is a JWT with one. It is unverified, like
    /// `exp`, and serves only as a hint for timing.
    pub iat: Option<Timestamp>,
    /// The `exp` of the access token, if it is a JWT with one.
    pub exp: Option<Timestamp>,
    /// The numeric id of the account, if the reply states it.
    pub client_id: Option<u64>,
    /// The login, if the reply repeats it.
    pub login: Option<String>,
    /// Extra parts of the token.
    pub extra: ExtraParts,
}

/// A vendor's refusal, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBy {
    /// The meaning of the refusal.
    pub refusal: Refusal,
    /// The HTTP status.
    pub status: u16,
    /// How long to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// The vendor's own error code.
    pub code: Option<String>,
    /// The vendor's own message.
    pub detail: Option<String>,
    /// The field that is at fault.
    pub pointer: Option<String>,
}

/// Advice for the case that the vendor's errors have a format of their own.
const NOT_STANDARD: &str = "is the URL that of the API? If it is, its errors are not those of RFC 6749: describe them in \
                            `[errors]`, or their status in `[refusals]`";

/// An answer that the dialect does not describe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnintelligibleReply {
    /// The body does not have the form that the dialect describes.
    #[error("the reply is not of the dialect ({head}): {why}")]
    Body {
        /// The status and media type of the reply.
        head: ReplyHead,
        /// What is wrong with the body.
        why: String,
    },
    /// The answer is not in this dialect: it comes from another server, or is a web page.
    #[error("the answer is not of this dialect ({head})")]
    Foreign {
        /// The status and media type of the reply.
        head: ReplyHead,
        /// The answer would be a refusal if the file described errors; it only has those
        /// of RFC 6749.
        standard: bool,
    },
    /// The answer redirects elsewhere. Secrets are not sent there.
    #[error(
        "the answer is a redirect ({status}) to {}, which is not followed",
        .to.as_deref().unwrap_or("nowhere")
    )]
    Redirect {
        /// The status.
        status: u16,
        /// The target of the redirect, without user and query.
        to: Option<String>,
    },
    /// The reply's signature is wrong, so it may not come from the vendor.
    #[error("the signature of the reply is wrong ({0})")]
    Signature(ReplyHead),
    /// It is unclear when a token expires.
    #[error("the reply does not say when the token expires ({head}): {why}")]
    Expiry {
        /// The status and media type of the reply.
        head: ReplyHead,
        /// What is wrong with the time that the reply states.
        why: String,
    },
    /// The dialect has no such operation in this variant.
    #[error("the dialect has no such operation")]
    NoSuchOperation,
}

impl UnintelligibleReply {
    /// What to do about it, if there is something to do.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Foreign { standard: true, .. } => Some(NOT_STANDARD),
            Self::Foreign { .. } => Some("is the URL that of the API?"),
            Self::Redirect { .. } => Some("if that is the vendor, write its URL"),
            Self::Body { .. } | Self::Signature(_) | Self::Expiry { .. } => None,
            Self::NoSuchOperation => None,
        }
    }
}

impl Dialect {
    /// The request for an operation. Its URI is a path, with a query if the dialect has
    /// one. `None` if the dialect has no such operation in this variant, or if a value is
    /// missing or cannot stand where the dialect puts it.
    pub fn request(
        &self,
        operation: TokenOperation,
        variant: Variant,
        asking: &ClientValues<'_>,
    ) -> Option<Request<Bytes>> {
        let (_, form) = self.form_of(operation, variant)?;
        let missing = form
            .request
            .holes()
            .into_iter()
            .any(|hole| !hole.optional && asking.datum(&hole.word).is_none());
        if missing { None } else { written(form, asking) }
    }

    /// Why [`Dialect::request`] returns `None` for these values.
    pub fn why_unwritable(
        &self,
        operation: TokenOperation,
        variant: Variant,
        asking: &ClientValues<'_>,
    ) -> UnwritableValue {
        let Some((_, form)) = self.form_of(operation, variant) else {
            return UnwritableValue::NoSuchRequest;
        };
        let holes = form.request.holes();
        let missing = holes
            .iter()
            .find(|hole| !hole.optional && asking.datum(&hole.word).is_none());
        if let Some(hole) = missing {
            return UnwritableValue::missing(&hole.word);
        }
        if let Some(basic) = form.request.basic.as_ref().filter(|it| !it.encoded)
            && basic.user.write(asking).is_some_and(|it| it.contains(':'))
        {
            return UnwritableValue::Unfit {
                part: parts(&basic.user),
                place: "the user of HTTP Basic".to_owned(),
                why: "it contains a colon, which ends the user there (RFC 7617 section 2)",
            };
        }
        let headers = form.request.headers.iter();
        let mut headers = headers.filter(|(_, pattern)| !pattern.is_left_out(asking));
        let unfit = headers.find_map(|(name, pattern)| unfit(name, pattern, asking));
        unfit.unwrap_or_else(|| UnwritableValue::Unfit {
            part: "one of the parts of the credential".to_owned(),
            place: format!("the request for a {operation}"),
            why: NOT_TOLD_APART,
        })
    }

    /// Whether the login's secret is needed to send an operation, or to check the reply.
    pub fn takes_secret(&self, operation: TokenOperation, variant: Variant) -> bool {
        self.form_of(operation, variant).is_some_and(|(_, form)| {
            let signature = form.reply.signature.as_ref();
            let signed = signature.into_iter().flat_map(|it| [&it.key, &it.message]);
            let mut holes = form.request.holes();
            holes.extend(signed.flat_map(TextPattern::holes));
            holes.iter().any(|hole| hole.word == HoleWord::Secret)
        })
    }

    /// The headers that present an access token at a guarded endpoint, with everything
    /// else that the dialect sends beside it.
    ///
    /// # Errors
    ///
    /// The part that is missing, or that cannot stand in its header.
    pub fn present(
        &self,
        access_token: &str,
        extra: &ExtraParts,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, UnwritableValue> {
        let values = PresentedValues {
            access_token,
            extra,
        };
        let header = |(name, pattern): &(HeaderName, TextPattern)| {
            let missing = pattern
                .holes()
                .find(|hole| !hole.optional && values.datum(&hole.word).is_none());
            if let Some(hole) = missing {
                return Err(UnwritableValue::missing(&hole.word));
            }
            let value = pattern.write(&values).and_then(|it| sensitive(&it));
            let value = value.ok_or_else(|| unfit_header(name, pattern, &values))?;
            Ok((name.clone(), value))
        };
        self.present
            .iter()
            .filter(|(_, pattern)| !pattern.is_left_out(&values))
            .map(header)
            .collect()
    }

    /// The extra parts that are presented beside an access token, and whether a reply of
    /// the variant may contain them, so that the user does not have to supply them.
    pub fn presented_extra(&self, variant: Variant) -> Vec<(&str, bool)> {
        let holes = self.present.iter().flat_map(|(_, pattern)| pattern.holes());
        let required = holes.filter(|hole| !hole.optional);
        let names = required.filter_map(|hole| match &hole.word {
            HoleWord::Extra(name) => Some(&**name),
            _ => None,
        });
        names
            .map(|name| (name, self.is_replied(name, variant)))
            .collect()
    }

    /// The further parts of the credential that are of use: what requests of one of the variants
    /// are made with, and what is presented beside an access token.
    pub fn extra_names(&self) -> BTreeSet<&str> {
        let forms = self.variants().flat_map(|variant| {
            let operations = TokenOperation::ALL.into_iter();
            operations.filter_map(move |operation| self.form_of(operation, variant))
        });
        let asked = forms.flat_map(|(_, form)| {
            let signature = form.reply.signature.as_ref();
            let signed = signature.into_iter().flat_map(|it| [&it.key, &it.message]);
            let signed: Vec<_> = signed.flat_map(TextPattern::holes).collect();
            form.request.holes().into_iter().chain(signed)
        });
        let presented = self.present.iter().flat_map(|(_, pattern)| pattern.holes());
        let names = asked.chain(presented).filter_map(|hole| match &hole.word {
            HoleWord::Extra(name) => Some(&**name),
            _ => None,
        });
        names.collect()
    }

    fn is_replied(&self, name: &str, variant: Variant) -> bool {
        [TokenOperation::Login, TokenOperation::Refresh]
            .into_iter()
            .any(|operation| {
                let form = self.form_of(operation, variant);
                form.is_some_and(|(_, form)| form.reply.has(&HoleWord::Extra(name.into())))
            })
    }
}

/// Why a value cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwritableValue {
    /// The dialect has no such request.
    #[error("the dialect has no such request")]
    NoSuchRequest,
    /// A part is missing or empty.
    #[error("{part} is missing{}", remedy(.part))]
    Missing {
        /// Its name in a dialect file: `login`, `secret`, `extra.shop`.
        part: String,
    },
    /// A part cannot stand where the dialect puts it.
    #[error("{part} is not allowed in {place}: {why}")]
    Unfit {
        /// Its name, or the names of several.
        part: String,
        /// The place where it would stand.
        place: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl UnwritableValue {
    fn missing(word: &HoleWord) -> Self {
        Self::Missing {
            part: word_name(word),
        }
    }
}

fn remedy(part: &str) -> String {
    let name = part.strip_prefix("extra.");
    name.map_or_else(String::new, |name| {
        format!(": give it as `{name}` under `extra`, in a profile under [NAME.extra]")
    })
}

/// As it is written in a dialect file.
fn word_name(word: &HoleWord) -> String {
    match word {
        HoleWord::Login => "login".to_owned(),
        HoleWord::Secret => "secret".to_owned(),
        HoleWord::AccessToken => "access_token".to_owned(),
        HoleWord::RefreshToken => "refresh_token".to_owned(),
        HoleWord::Extra(name) => format!("extra.{name}"),
        other => format!("{other:?}"),
    }
}

fn parts(pattern: &TextPattern) -> String {
    let names = pattern.holes().map(|hole| word_name(&hole.word));
    names.collect::<Vec<_>>().join(" with ")
}

/// What is wrong with a header.
fn unfit_header(
    name: &HeaderName,
    pattern: &TextPattern,
    values: &dyn HoleValues,
) -> UnwritableValue {
    unfit(name, pattern, values).unwrap_or_else(|| UnwritableValue::Unfit {
        part: parts(pattern),
        place: format!("the header {name}"),
        why: NOT_TOLD_APART,
    })
}

const NOT_TOLD_APART: &str = "what stands beside it could not be told from it";

/// What is wrong with a header, if anything.
fn unfit(
    name: &HeaderName,
    pattern: &TextPattern,
    values: &dyn HoleValues,
) -> Option<UnwritableValue> {
    let text = pattern.write(values)?;
    let why = match text.as_str() {
        text if !text.is_ascii() => "it has characters beyond ASCII",
        text if text.bytes().any(|byte| byte.is_ascii_control()) => {
            "it has a line break or another control character"
        }
        text if text.trim() != text => "it has a blank at its beginning or end",
        _ => return None,
    };
    Some(UnwritableValue::Unfit {
        part: parts(pattern),
        place: format!("the header {name}"),
        why,
    })
}

fn written(form: &OperationForm, asking: &ClientValues<'_>) -> Option<Request<Bytes>> {
    let query = form
        .request
        .query
        .iter()
        .filter(|(_, pattern)| !pattern.is_left_out(asking))
        .map(|(name, pattern)| Some((name.as_str(), pattern.write(asking)?)));
    let query = media::join(query.collect::<Option<Vec<_>>>()?.into_iter());
    let uri = if query.is_empty() {
        form.path.clone()
    } else {
        format!("{}?{query}", form.path)
    };
    let body = match &form.request.payload {
        RequestPayload::Empty => String::new(),
        RequestPayload::Json(template) if template.can_hold(asking) => template.write(asking),
        RequestPayload::Urlencoded(template) if template.can_hold(asking) => {
            urlencoded(&template.write(asking))
        }
        RequestPayload::Json(_) | RequestPayload::Urlencoded(_) => return None,
    };
    let mut request = Request::builder().method(form.method.clone()).uri(uri);
    if let Some(media) = &form.request.media {
        request = request.header(CONTENT_TYPE, media);
    }
    if let Some(form) = &form.request.basic {
        request = request.header(AUTHORIZATION, basic(form, asking)?);
    }
    let headers = form.request.headers.iter();
    for (name, pattern) in headers.filter(|(_, pattern)| !pattern.is_left_out(asking)) {
        request = request.header(name, sensitive(&pattern.write(asking)?)?);
    }
    request.body(body.into()).ok()
}

/// HTTP Basic; `None` for a user with a colon, which RFC 7617 section 2 does not allow
/// unless it is encoded.
fn basic(form: &BasicForm, asking: &ClientValues<'_>) -> Option<HeaderValue> {
    let written = |pattern: &TextPattern| {
        let text = Zeroizing::new(pattern.write(asking)?);
        if !form.encoded {
            return Some(text);
        }
        Some(Zeroizing::new(percent_encoded(&text).to_string()))
    };
    let (user, password) = (written(&form.user)?, written(&form.password)?);
    let pair = Zeroizing::new(format!("{}:{}", *user, *password));
    // RFC 7617 section 2: "a user-id containing a colon character is invalid, as the first
    // colon in a user-pass string separates user-id and password from one another".
    let fits = !user.contains(':');
    fits.then(|| sensitive(&format!("Basic {}", STANDARD.encode(&*pair))))
        .flatten()
}

/// A header value that is never logged; `None` if the text would not arrive unchanged,
/// because it is not printable ASCII or has spaces at its ends.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    (printable && text.trim() == text).then_some(value)
}

/// A flat object of strings as a form.
fn urlencoded(object: &str) -> String {
    let tree = json::parse(object.as_bytes(), json::JsonRules::STRICT);
    let members = match tree.map(|tree| tree.value) {
        Ok(Json::Object(members)) => members,
        _ => Vec::new(),
    };
    let text = |node: &JsonNode<'_>| match &node.value {
        Json::Text(text) | Json::Number(text) => text.clone().into_owned(),
        _ => String::new(),
    };
    media::join(
        members
            .iter()
            .map(|member: &JsonMember<'_>| (&*member.key, text(&member.node))),
    )
}

impl HoleValues for ClientValues<'_> {
    /// An empty text does not count as a value: whoever reads one reports it as missing.
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        let text = match word {
            HoleWord::Login => self.login?,
            HoleWord::Secret => self.secret?.expose(),
            HoleWord::AccessToken => self.access_token?.expose(),
            HoleWord::RefreshToken => self.refresh_token?.expose(),
            HoleWord::Extra(name) => self.extra?.get(&**name)?.expose(),
            _ => return None,
        };
        (!text.is_empty()).then_some(HoleValue::Text(text))
    }
}

struct PresentedValues<'a> {
    access_token: &'a str,
    extra: &'a ExtraParts,
}

impl HoleValues for PresentedValues<'_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        match word {
            HoleWord::AccessToken => Some(HoleValue::Text(self.access_token)),
            HoleWord::Extra(name) => {
                let part = self.extra.get(&**name)?.expose();
                (!part.is_empty()).then_some(HoleValue::Text(part))
            }
            _ => None,
        }
    }
}
