//! The compiled form of one operation: its request and its reply.

use countersign_domain::TokenOperation;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::Variant;
use crate::hole_word::HoleWord;
use crate::pattern::{PatternHole, TextPattern};
use crate::signature::ReplySignature;
use crate::template::{JsonTemplate, TemplateShape};

/// One form of one operation.
#[derive(Debug)]
pub(crate) struct OperationForm {
    pub(crate) operation: TokenOperation,
    pub(crate) variant: Variant,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The pointers that distinguish this form from others at the same path, if all are
    /// in the body.
    pub(crate) when: Vec<String>,
    pub(crate) request: RequestForm,
    pub(crate) reply: ReplyForm,
}

/// The request of an operation.
#[derive(Debug)]
pub(crate) struct RequestForm {
    /// What a client sends as `Content-Type`.
    pub(crate) media: Option<HeaderValue>,
    /// Other types with which its JSON is accepted, as in [`AcceptedSpellings::media`].
    ///
    /// [`AcceptedSpellings::media`]: crate::accept::AcceptedSpellings::media
    pub(crate) accept_media: Vec<String>,
    pub(crate) payload: RequestPayload,
    pub(crate) query: Vec<(String, TextPattern)>,
    pub(crate) headers: Vec<(HeaderName, TextPattern)>,
    pub(crate) basic: Option<BasicForm>,
}

/// The user and password of HTTP Basic (RFC 7617).
#[derive(Debug)]
pub(crate) struct BasicForm {
    pub(crate) user: TextPattern,
    pub(crate) password: TextPattern,
    /// Whether each is encoded as in a form before they are joined (RFC 6749 section
    /// 2.3.1).
    pub(crate) encoded: bool,
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum RequestPayload {
    /// None; a body that is sent is ignored.
    Empty,
    Json(JsonTemplate),
    /// `application/x-www-form-urlencoded`: an object of strings.
    Urlencoded(JsonTemplate),
}

/// The reply of an operation.
#[derive(Debug)]
pub(crate) struct ReplyForm {
    pub(crate) status: StatusCode,
    /// Whether the file states the status, so that any other is not a success.
    pub(crate) status_stated: bool,
    pub(crate) media: HeaderValue,
    pub(crate) headers: Vec<(HeaderName, TextPattern)>,
    pub(crate) body: Option<JsonTemplate>,
    pub(crate) success: Vec<SuccessTest>,
    pub(crate) signature: Option<ReplySignature>,
}

/// A value by which a reply is known to be a success.
#[derive(Debug)]
pub(crate) struct SuccessTest {
    pub(crate) pointer: String,
    pub(crate) equals: ConstantValue,
}

/// A fixed value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConstantValue {
    Text(String),
    Number(i64),
    Bool(bool),
}

impl ConstantValue {
    /// As a template has it.
    pub(crate) fn shape(&self) -> TemplateShape {
        match self {
            Self::Text(text) => TemplateShape::Text(TextPattern::fixed(text)),
            Self::Number(number) => TemplateShape::Number(number.to_string().into()),
            Self::Bool(value) => TemplateShape::Bool(*value),
        }
    }
}

impl RequestForm {
    /// Every hole of the request, wherever it is placed.
    pub(crate) fn holes(&self) -> Vec<&PatternHole> {
        let mut holes: Vec<&PatternHole> = match &self.payload {
            RequestPayload::Empty => Vec::new(),
            RequestPayload::Json(template) | RequestPayload::Urlencoded(template) => {
                template.holes()
            }
        };
        holes.extend(self.query.iter().flat_map(|(_, pattern)| pattern.holes()));
        holes.extend(self.headers.iter().flat_map(|(_, pattern)| pattern.holes()));
        let basic = self
            .basic
            .iter()
            .flat_map(|basic| [&basic.user, &basic.password]);
        holes.extend(basic.flat_map(TextPattern::holes));
        holes
    }

    pub(crate) fn has(&self, word: &HoleWord) -> bool {
        self.holes().iter().any(|hole| hole.word == *word)
    }
}

impl ReplyForm {
    /// Every hole of the reply.
    pub(crate) fn holes(&self) -> Vec<&PatternHole> {
        let mut holes: Vec<&PatternHole> = self.body.iter().flat_map(JsonTemplate::holes).collect();
        holes.extend(self.headers.iter().flat_map(|(_, pattern)| pattern.holes()));
        holes
    }

    pub(crate) fn has(&self, word: &HoleWord) -> bool {
        self.holes().iter().any(|hole| hole.word == *word)
    }
}
