//! The guard's side: which credential a request has, and how it is removed before the
//! request is forwarded.
//!
//! If there are a bearer token and a static key, the token decides. A key that is sent
//! twice is refused even if both are the same, so that no two readers can disagree.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use countersign_domain::{Reason, Timestamp, TokenOperation};
use http::{HeaderMap, HeaderName};

use crate::hole_word::{HoleBindings, HoleWord};
use crate::json::{self, Json, JsonMember, JsonNode, JsonRules};
use crate::media;
use crate::pattern::TextPattern;
use crate::placement::{is_token68, only, with_scheme};
use crate::{Dialect, RequestReadError, Secret};

/// The credential in the headers and query of a guarded request. Its `Debug` leaves
/// tokens and keys out.
#[derive(PartialEq, Eq)]
pub enum PresentedCredential<'a> {
    /// None; a static key may still be in the body.
    Nothing,
    /// An access token. It decides, whatever else was sent with it.
    Token(&'a str),
    /// A static key, from the query.
    StaticKey(Secret),
    /// A credential that can be read in two ways, or not at all.
    Ambiguous(Reason),
}

impl fmt::Debug for PresentedCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::StaticKey(_) => f.write_str("StaticKey(..)"),
            Self::Ambiguous(reason) => write!(f, "Ambiguous({reason})"),
        }
    }
}

impl Dialect {
    /// Finds the credential in the headers and query of a guarded request.
    ///
    /// Another authentication scheme counts as no credential. A header that is sent
    /// twice, or a token with characters that RFC 6750 section 2.1 does not allow, is
    /// ambiguous.
    pub fn presented<'a>(
        &self,
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    ) -> PresentedCredential<'a> {
        let carries = |pattern: &TextPattern| {
            pattern
                .holes()
                .any(|hole| hole.word == HoleWord::AccessToken)
        };
        for (name, pattern) in self.present.iter().filter(|(_, pattern)| carries(pattern)) {
            match token(headers, name, pattern) {
                Ok(Some(token)) => return PresentedCredential::Token(token),
                Ok(None) => (),
                Err(reason) => return PresentedCredential::Ambiguous(reason),
            }
        }
        let place = self.static_key.as_ref().zip(query);
        match place.map(|(place, query)| place.take_from_query(query)) {
            Some(Ok(Some((key, _)))) => PresentedCredential::StaticKey(key),
            Some(Err(unread)) => PresentedCredential::Ambiguous(unread.reason),
            _ => PresentedCredential::Nothing,
        }
    }

    /// The headers that carry the credential. They are removed before the request is
    /// forwarded.
    pub fn presentation_headers(&self) -> Vec<HeaderName> {
        self.present.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether peers may send JSON with this media type, in lower case and without
    /// parameters; an empty one stands for no `Content-Type`.
    pub fn takes_json_as(&self, media: &str) -> bool {
        self.accept.media.iter().any(|known| known == media)
    }
}

fn token<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    pattern: &TextPattern,
) -> Result<Option<&'a str>, Reason> {
    let Some(value) = only(headers, name).map_err(|()| Reason::TokenMalformed)? else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Reason::TokenMalformed)?;
    let Some(spelled) = with_scheme(text, pattern) else {
        return Ok(None);
    };
    let mut bindings = HoleBindings::new(Timestamp::default());
    if !pattern.bind(&spelled, &mut bindings) {
        return Err(Reason::TokenMalformed);
    }
    let found = bindings.text(&HoleWord::AccessToken).unwrap_or_default();
    let start = text
        .find(found)
        .filter(|_| is_token68(found))
        .ok_or(Reason::TokenMalformed)?;
    Ok(text.get(start..start + found.len()))
}

/// The places in which a static key may be sent.
#[derive(Debug)]
pub struct StaticKeyPlace {
    pub(crate) query: Option<String>,
    pub(crate) body: Option<String>,
}

impl StaticKeyPlace {
    /// The name of the member in the top object of a JSON body.
    pub fn body_name(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// The key in a query, and the query without it, which is otherwise unchanged. The
    /// name is found in any percent-encoding.
    ///
    /// # Errors
    ///
    /// The name occurs twice, or its value is empty or cannot be decoded.
    pub fn take_from_query(
        &self,
        query: &str,
    ) -> Result<Option<(Secret, String)>, RequestReadError> {
        let mut keys = query.split('&').filter(|field| self.is_key(field));
        let Some(field) = keys.next() else {
            return Ok(None);
        };
        if keys.next().is_some() {
            return Err(unread("the static key is in the query twice"));
        }
        let value = field.split_once('=').map_or("", |(_, value)| value);
        match media::decode(value) {
            Some(key) if !key.is_empty() => Ok(Some((
                key.into_owned().into(),
                self.strip_query(query).into_owned(),
            ))),
            _ => Err(unread(
                "the static key in the query is empty or cannot be decoded",
            )),
        }
    }

    /// The query without any key, for requests in which a bearer token decides.
    pub fn strip_query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if !query.split('&').any(|field| self.is_key(field)) {
            return Cow::Borrowed(query);
        }
        let others: Vec<&str> = query
            .split('&')
            .filter(|field| !self.is_key(field))
            .collect();
        Cow::Owned(others.join("&"))
    }

    /// The query with this key as its only one; `None` if a query cannot have a key.
    pub fn put_into_query(&self, query: Option<&str>, key: &Secret) -> Option<String> {
        let name = self.query.as_deref()?;
        let key = media::join(std::iter::once((name, key.expose().to_owned())));
        let others = query.map(|query| self.strip_query(query));
        Some(match others.filter(|others| !others.is_empty()) {
            Some(others) => format!("{others}&{key}"),
            None => key,
        })
    }

    /// The key in a JSON body, and the body without it, which is otherwise unchanged. The
    /// name is found in any escaping. A body that is empty or not an object has no key.
    ///
    /// # Errors
    ///
    /// The body is not JSON, the member occurs twice, or it is not a string, or is empty.
    pub fn take_from_body(
        &self,
        body: &Bytes,
    ) -> Result<Option<(Secret, Bytes)>, RequestReadError> {
        let tree = self.tree(body)?;
        let keys = self.keys(tree.as_ref());
        match keys.as_slice() {
            [] => Ok(None),
            [(_, member)] => match &member.node.value {
                Json::Text(key) if !key.is_empty() => {
                    let key = Secret::from(key.as_ref());
                    Ok(Some((key, without(body, tree.as_ref(), &keys))))
                }
                _ => Err(unread(
                    "the static key in the body is not a string, or empty",
                )),
            },
            _ => Err(unread("the static key is in the body twice")),
        }
    }

    /// The body without any key, for requests in which a bearer token decides.
    ///
    /// # Errors
    ///
    /// The body is not JSON, so that nothing can be removed from it.
    pub fn strip_body(&self, body: &Bytes) -> Result<Bytes, RequestReadError> {
        let tree = self.tree(body)?;
        let keys = self.keys(tree.as_ref());
        Ok(if keys.is_empty() {
            body.clone()
        } else {
            without(body, tree.as_ref(), &keys)
        })
    }

    /// The key of a request that may have it in its query and its body.
    ///
    /// # Errors
    ///
    /// Both have a key, and the keys differ.
    pub fn agreed_key(
        query: Option<Secret>,
        body: Option<Secret>,
    ) -> Result<Option<Secret>, RequestReadError> {
        // As of bearers (RFC 6750 section 2): "Clients MUST NOT use more than one method to
        // transmit the token in each request."
        match (query, body) {
            (Some(query), Some(body)) if query != body => {
                Err(unread("the static keys in query and body differ"))
            }
            (query, body) => Ok(query.or(body)),
        }
    }

    fn is_key(&self, field: &str) -> bool {
        let name = field.split_once('=').map_or(field, |(name, _)| name);
        self.query.is_some() && media::decode(name).as_deref() == self.query.as_deref()
    }

    fn tree<'b>(&self, body: &'b Bytes) -> Result<Option<JsonNode<'b>>, RequestReadError> {
        if self.body.is_none() || body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let tree = json::parse(body, JsonRules::FOREIGN);
        tree.map(Some)
            .map_err(|fault| unread(&format!("the body is not JSON: {fault}")))
    }

    /// The members that are the key, with their positions.
    fn keys<'t, 'b>(&self, tree: Option<&'t JsonNode<'b>>) -> Vec<(usize, &'t JsonMember<'b>)> {
        let members = members(tree).iter().enumerate();
        members
            .filter(|(_, member)| Some(&*member.key) == self.body.as_deref())
            .collect()
    }
}

fn members<'t, 'b>(tree: Option<&'t JsonNode<'b>>) -> &'t [JsonMember<'b>] {
    match tree.map(|tree| &tree.value) {
        Some(Json::Object(members)) => members,
        _ => &[],
    }
}

/// The body with members cut out. Everything else keeps its bytes: a member is cut with
/// everything up to the next one, and the last member with the comma before it.
fn without(body: &Bytes, tree: Option<&JsonNode<'_>>, cut: &[(usize, &JsonMember<'_>)]) -> Bytes {
    let members = members(tree);
    let mut kept = Vec::with_capacity(body.len());
    let mut from = 0;
    for (index, member) in cut {
        kept.extend_from_slice(body.get(from..member.start).unwrap_or_default());
        from = match members.get(index + 1) {
            Some(next) => next.start,
            None => {
                drop_comma(&mut kept);
                member.node.span.end
            }
        };
    }
    kept.extend_from_slice(body.get(from..).unwrap_or_default());
    kept.into()
}

/// Removes the comma that would be left before the end of the object. The last byte that
/// is not white space is a comma only if a member remains before it.
fn drop_comma(kept: &mut Vec<u8>) {
    let end = kept
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace())
        .unwrap_or_default();
    if kept.get(end) == Some(&b',') {
        kept.truncate(end);
    }
}

fn unread(detail: &str) -> RequestReadError {
    RequestReadError {
        operation: TokenOperation::Guard,
        reason: Reason::RequestMalformed,
        pointer: None,
        detail: detail.to_owned(),
    }
}
