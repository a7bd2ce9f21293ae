//! The compiled form of one operation: how it is asked for, how it is answered.

use countersign_domain::Operation;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::Variant;
use crate::pattern::{Hole, Pattern};
use crate::signature::Signature;
use crate::template::{Shape, Template};
use crate::word::Word;

/// One form of one operation.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) operation: Operation,
    pub(crate) variant: Variant,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Pointers that tell this form from others at the same path: all are in
    /// the body.
    pub(crate) when: Vec<String>,
    pub(crate) request: RequestForm,
    pub(crate) reply: ReplyForm,
}

/// How an operation is asked for.
#[derive(Debug)]
pub(crate) struct RequestForm {
    /// What a client sends as `Content-Type`.
    pub(crate) media: Option<HeaderValue>,
    /// Further types under which its JSON is read, as in [`Accept::media`].
    ///
    /// [`Accept::media`]: crate::accept::Accept::media
    pub(crate) accept_media: Vec<String>,
    pub(crate) payload: Payload,
    pub(crate) query: Vec<(String, Pattern)>,
    pub(crate) headers: Vec<(HeaderName, Pattern)>,
    pub(crate) basic: Option<BasicForm>,
}

/// User and password of HTTP Basic (RFC 7617).
#[derive(Debug)]
pub(crate) struct BasicForm {
    pub(crate) user: Pattern,
    pub(crate) password: Pattern,
    /// Whether each is encoded as in a form before they are joined (RFC 6749 section
    /// 2.3.1).
    pub(crate) encoded: bool,
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Payload {
    /// None; one that comes is ignored.
    Empty,
    Json(Template),
    /// `application/x-www-form-urlencoded`: an object of strings.
    Urlencoded(Template),
}

/// How an operation is answered.
#[derive(Debug)]
pub(crate) struct ReplyForm {
    pub(crate) status: StatusCode,
    /// Whether the file names the status, so that another is no success.
    pub(crate) status_stated: bool,
    pub(crate) media: HeaderValue,
    pub(crate) headers: Vec<(HeaderName, Pattern)>,
    pub(crate) body: Option<Template>,
    pub(crate) success: Vec<Test>,
    pub(crate) signature: Option<Signature>,
}

/// A value that a successful reply has.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) pointer: String,
    pub(crate) equals: Constant,
}

/// A fixed value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    Text(String),
    Number(i64),
    Bool(bool),
}

impl Constant {
    /// As a template has it.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Text(text) => Shape::Text(Pattern::fixed(text)),
            Self::Number(number) => Shape::Number(number.to_string().into()),
            Self::Bool(value) => Shape::Bool(*value),
        }
    }
}

impl RequestForm {
    /// Every hole of the request, wherever it is placed.
    pub(crate) fn holes(&self) -> Vec<&Hole> {
        let mut holes: Vec<&Hole> = match &self.payload {
            Payload::Empty => Vec::new(),
            Payload::Json(template) | Payload::Urlencoded(template) => template.holes(),
        };
        holes.extend(self.query.iter().flat_map(|(_, pattern)| pattern.holes()));
        holes.extend(self.headers.iter().flat_map(|(_, pattern)| pattern.holes()));
        let basic = self
            .basic
            .iter()
            .flat_map(|basic| [&basic.user, &basic.password]);
        holes.extend(basic.flat_map(Pattern::holes));
        holes
    }

    pub(crate) fn has(&self, word: &Word) -> bool {
        self.holes().iter().any(|hole| hole.word == *word)
    }
}

impl ReplyForm {
    /// Every hole of the reply.
    pub(crate) fn holes(&self) -> Vec<&Hole> {
        let mut holes: Vec<&Hole> = self.body.iter().flat_map(Template::holes).collect();
        holes.extend(self.headers.iter().flat_map(|(_, pattern)| pattern.holes()));
        holes
    }

    pub(crate) fn has(&self, word: &Word) -> bool {
        self.holes().iter().any(|hole| hole.word == *word)
    }
}
