//! The sections `[[login]]`, `[[refresh]]` and `[[logout]]`.

use countersign_domain::TokenOperation;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};

use super::headers::{headers, reply_headers};
use super::settings::media_type;
use super::{CompileContext, is_pointer, pattern, pointer};
use crate::Variant;
use crate::document::{TomlTable, TomlValue, did_you_mean};
use crate::form::{
    BasicForm, ConstantValue, OperationForm, ReplyForm, RequestForm, RequestPayload, SuccessTest,
};
use crate::hole_word::WordVocabulary;
use crate::pattern::TextPattern;
use crate::signature::{ReplySignature, SignatureEncoding};
use crate::template::{JsonTemplate, TemplateShape};

const JSON: &str = "application/json";
const URLENCODED: &str = "application/x-www-form-urlencoded";

/// The most forms in one dialect.
const MAX_FORMS: usize = 32;

const OPERATIONS: [TokenOperation; 3] = [
    TokenOperation::Login,
    TokenOperation::Refresh,
    TokenOperation::Logout,
];

/// The name of the variant of a dialect that has but one.
const MAIN: &str = "main";

/// The names of the variants, in the order in which logins introduce them.
pub(super) fn variant_names(root: &TomlTable<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for form in forms(root, TokenOperation::Login).iter().take(MAX_FORMS) {
        let name = form.member_text("variant").unwrap_or(MAIN);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

pub(super) fn read_all<'d>(
    root: &TomlTable<'d>,
    context: &CompileContext<'d>,
) -> Vec<OperationForm> {
    let written: Vec<_> = OPERATIONS
        .into_iter()
        .flat_map(|operation| {
            let forms = forms(root, operation).into_iter();
            forms.map(move |form| (operation, form))
        })
        .collect();
    if written.len() > MAX_FORMS {
        root.blame("the file has more than 32 forms of operations");
    }
    // The limit comes before the work: many forms may name one large shape.
    let read = written.iter().take(MAX_FORMS);
    read.filter_map(|(operation, value)| form(*operation, value, context))
        .collect()
}

/// The forms of an operation, as the file has them.
fn forms<'d>(root: &TomlTable<'d>, operation: TokenOperation) -> Vec<TomlValue<'d>> {
    let Some(value) = root.get(operation.name()) else {
        return Vec::new();
    };
    if value.is_table() {
        let help = format!("write `[[{}]]`", operation.name());
        value.blame("is one table where a list of forms is needed", Some(help));
        return Vec::new();
    }
    value.array().unwrap_or_default()
}

fn form<'d>(
    operation: TokenOperation,
    value: &TomlValue<'d>,
    context: &CompileContext<'d>,
) -> Option<OperationForm> {
    let table = value.table()?;
    let variant = variant(&table, context);
    let method = table
        .get("method")
        .map_or(Some(Method::POST), |method| verb(&method));
    let path = table
        .require_or("path", "such as `path = \"/token\"`")
        .and_then(|path| self::path(&path));
    let when = table
        .get("when")
        .map(|when| pointers(&when))
        .unwrap_or_default();
    let request = table
        .require_or(
            "request",
            "if the request has no content, write `request.empty = true`",
        )
        .and_then(|request| self::request(&request, context));
    let reply = table
        .require_or(
            "reply",
            "if the reply has no content, write `reply.status = 200`",
        )
        .and_then(|reply| self::reply(&reply, context));
    Some(OperationForm {
        operation,
        variant: variant?,
        method: method?,
        path: path?,
        when,
        request: request?,
        reply: reply?,
    })
}

/// The variant of a form: the only one, or the one it names.
fn variant(table: &TomlTable<'_>, context: &CompileContext<'_>) -> Option<Variant> {
    let Some(value) = table.get("variant") else {
        if context.variants.len() > 1 {
            table.blame("does not name its `variant`");
        }
        return Some(Variant(0));
    };
    let name = value.text()?;
    let variant = context.variant(name);
    if variant.is_none() {
        let help = did_you_mean(name, context.variants.iter().map(String::as_str));
        value.blame(format!("no login is of variant `{name}`"), help);
    }
    variant
}

fn verb(value: &TomlValue<'_>) -> Option<Method> {
    let verbs = ["POST", "GET", "PUT", "PATCH", "DELETE"].map(|verb| (verb, verb));
    value.choice(&verbs)?.parse().ok()
}

/// A path and nothing else: a dialect cannot name a host.
fn path(value: &TomlValue<'_>) -> Option<String> {
    let path = value.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    if let Some((_, rest)) = path.split_once("://") {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let path = rest
            .find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or("/token");
        let help = format!("the host is the profile's `url`: write `{path}`");
        value.blame("names a host, which a dialect cannot", Some(help));
    } else if !path.starts_with('/') || path.starts_with("//") {
        let help = format!("write `/{}`", path.trim_start_matches('/'));
        value.blame("does not begin with exactly one `/`", Some(help));
    } else if let Some(at) = path.find(|c| !plain(c)) {
        let help = match path.get(at..).and_then(|rest| rest.chars().next()) {
            Some('?') => Some("write parameters in `request.query`"),
            Some('{' | '}') => Some("a path has no holes"),
            _ => None,
        };
        value.blame_inside(
            at,
            "has a character other than letters, digits and `-._~/`",
            help.map(str::to_owned),
        );
    } else if path.contains("//") || path.split('/').any(|part| part == "." || part == "..") {
        value.blame("has an empty part, `.` or `..`", None);
    } else {
        return Some(path.to_owned());
    }
    None
}

fn pointers(value: &TomlValue<'_>) -> Vec<String> {
    if value.is_text() {
        return pointer(value).into_iter().map(str::to_owned).collect();
    }
    let values = value.array().unwrap_or_default();
    values
        .iter()
        .filter_map(pointer)
        .map(str::to_owned)
        .collect()
}

fn request<'d>(value: &TomlValue<'d>, context: &CompileContext<'d>) -> Option<RequestForm> {
    let table = value.table()?;
    let vocabulary = WordVocabulary::request(&context.extra);
    let payload = payload(&table, context, &vocabulary);
    let media = match table.get("media") {
        Some(media) => Some(self::media(&media)?),
        None => match &payload {
            RequestPayload::Empty => None,
            RequestPayload::Json(_) => Some(HeaderValue::from_static(JSON)),
            RequestPayload::Urlencoded(_) => Some(HeaderValue::from_static(URLENCODED)),
        },
    };
    let query = table
        .get("query")
        .map(|query| named_patterns(&query, &vocabulary));
    let headers = table
        .get("headers")
        .map(|value| headers(&value, &vocabulary));
    let basic = table
        .get("basic")
        .and_then(|basic| self::basic(&basic, &vocabulary));
    let headers = headers.unwrap_or_default();
    if basic.is_some() && headers.iter().any(|(name, _)| name == AUTHORIZATION) {
        table.blame("has both `basic` and a header `Authorization`, which are the same header");
    }
    Some(RequestForm {
        media,
        accept_media: accept_media(&table, &payload),
        payload,
        query: query.unwrap_or_default(),
        headers,
        basic,
    })
}

/// Further media types under which this request's JSON is read.
fn accept_media(table: &TomlTable<'_>, payload: &RequestPayload) -> Vec<String> {
    let Some(value) = table.get("accept_media") else {
        return Vec::new();
    };
    if !matches!(payload, RequestPayload::Json(_)) {
        value.blame("can only be used for a request with a `body` of JSON", None);
    }
    let types = value.array().unwrap_or_default();
    types.iter().filter_map(media_type).collect()
}

/// Exactly one of `body`, `form` and `empty = true`.
fn payload<'d>(
    table: &TomlTable<'d>,
    context: &CompileContext<'d>,
    words: &WordVocabulary<'_>,
) -> RequestPayload {
    let empty = table
        .get("empty")
        .and_then(|empty| empty.boolean())
        .unwrap_or_default();
    let body = table.get("body");
    let form = table.get("form");
    if usize::from(empty) + usize::from(body.is_some()) + usize::from(form.is_some()) != 1 {
        table.blame("needs exactly one of `body`, `form` and `empty = true`");
    }
    let json = body
        .and_then(|body| context.template(&body, words))
        .map(RequestPayload::Json);
    json.or_else(|| form.map(|form| urlencoded(&form, words)))
        .unwrap_or(RequestPayload::Empty)
}

fn urlencoded(value: &TomlValue<'_>, vocabulary: &WordVocabulary<'_>) -> RequestPayload {
    let fields = named_patterns(value, vocabulary).into_iter();
    let members = fields
        .map(|(name, text)| (TextPattern::fixed(&name), TemplateShape::Text(text)))
        .collect();
    RequestPayload::Urlencoded(JsonTemplate::compile(TemplateShape::Object(members)))
}

fn named_patterns(
    value: &TomlValue<'_>,
    vocabulary: &WordVocabulary<'_>,
) -> Vec<(String, TextPattern)> {
    let entries = value
        .table()
        .map(|table| table.entries())
        .unwrap_or_default();
    let read = |(key, value): (crate::document::TomlKey<'_>, TomlValue<'_>)| {
        Some((key.name.to_owned(), pattern(&value, vocabulary)?))
    };
    entries.into_iter().filter_map(read).collect()
}

fn basic(value: &TomlValue<'_>, vocabulary: &WordVocabulary<'_>) -> Option<BasicForm> {
    let table = value.table()?;
    let user = table
        .require("user")
        .and_then(|user| pattern(&user, vocabulary));
    let password = table
        .require("password")
        .and_then(|value| pattern(&value, vocabulary));
    let encoding = table.get("encoding");
    let encoded = encoding.and_then(|it| it.choice(&[("none", false), ("form", true)]));
    Some(BasicForm {
        user: user?,
        password: password?,
        encoded: encoded.unwrap_or_default(),
    })
}

pub(super) fn media(value: &TomlValue<'_>) -> Option<HeaderValue> {
    let text = value.text()?;
    let header = text
        .contains('/')
        .then(|| HeaderValue::from_str(text).ok())
        .flatten();
    if header.is_none() {
        value.blame("is not a media type such as application/json", None);
    }
    header
}

pub(super) fn status(value: &TomlValue<'_>) -> Option<StatusCode> {
    StatusCode::from_u16(u16::try_from(value.integer(200, 599)?).ok()?).ok()
}

fn reply<'d>(value: &TomlValue<'d>, context: &CompileContext<'d>) -> Option<ReplyForm> {
    let table = value.table()?;
    let vocabulary = WordVocabulary::reply(&context.extra);
    let stated = table.get("status").and_then(|value| status(&value));
    let media = table
        .get("media")
        .map_or(Some(HeaderValue::from_static(JSON)), |m| media(&m));
    let headers = table
        .get("headers")
        .map(|value| reply_headers(&value, &vocabulary));
    let body = table
        .get("body")
        .and_then(|body| context.template(&body, &vocabulary));
    let success = table
        .get("success")
        .map(|success| tests(&success))
        .unwrap_or_default();
    let signature = table.get("signature").and_then(|value| {
        let signature = signature(&value, context)?;
        resolved(signature, body.as_ref(), &value)
    });
    Some(ReplyForm {
        status: stated.unwrap_or(StatusCode::OK),
        status_stated: stated.is_some(),
        media: media?,
        headers: headers.unwrap_or_default(),
        body,
        success,
        signature,
    })
}

fn tests(value: &TomlValue<'_>) -> Vec<SuccessTest> {
    let Some(table) = value.table() else {
        return Vec::new();
    };
    let mut tests = Vec::new();
    for (key, value) in table.entries() {
        if !is_pointer(key.name) {
            table.blame_key(&key, "is not a JSON pointer such as /success", None);
        }
        let pointer = key.name.to_owned();
        tests.extend(constant(&value).map(|equals| SuccessTest { pointer, equals }));
    }
    tests
}

pub(super) fn constant(value: &TomlValue<'_>) -> Option<ConstantValue> {
    if value.is_integer() {
        value.integer(i64::MIN, i64::MAX).map(ConstantValue::Number)
    } else if value.is_boolean() {
        value.boolean().map(ConstantValue::Bool)
    } else {
        value
            .text()
            .map(|text| ConstantValue::Text(text.to_owned()))
    }
}

/// `{ alg = "hmac-sha256", key = "sha256({login}{secret})", message = "…",
/// encoding = "hex" }`
fn signature(value: &TomlValue<'_>, context: &CompileContext<'_>) -> Option<ReplySignature> {
    let table = value.table()?;
    let vocabulary = WordVocabulary::signature(&context.extra);
    let alg = table
        .require("alg")
        .and_then(|alg| alg.choice(&[("hmac-sha256", ())]));
    let encoding = table.require("encoding").and_then(|encoding| {
        encoding.choice(&[
            ("hex", SignatureEncoding::Hex),
            ("base64", SignatureEncoding::Base64),
        ])
    });
    let key = table.require("key").and_then(|key| {
        let text = key.text()?;
        let hashed = text
            .strip_prefix("sha256(")
            .and_then(|text| text.strip_suffix(')'));
        let pattern = super::blamed(&key, wire_pattern(hashed.unwrap_or(text), &vocabulary))?;
        Some((pattern, hashed.is_some()))
    });
    let message = table
        .require("message")
        .and_then(|message| super::blamed(&message, wire_pattern(message.text()?, &vocabulary)));
    alg?;
    let (key, key_is_hashed) = key?;
    Some(ReplySignature {
        key,
        key_is_hashed,
        message: message?,
        encoding: encoding?,
    })
}

/// A pattern whose holes are the wire texts of a reply.
fn wire_pattern(
    text: &str,
    vocabulary: &WordVocabulary<'_>,
) -> Result<TextPattern, crate::pattern::PatternFlaw> {
    TextPattern::written_only(text, vocabulary)
}

/// The signature with the codecs that its holes have in the body, because it
/// covers the literal text there.
fn resolved(
    mut signature: ReplySignature,
    body: Option<&JsonTemplate>,
    value: &TomlValue<'_>,
) -> Option<ReplySignature> {
    use crate::pattern::PatternPart;
    for part in signature.message.0.iter_mut() {
        let PatternPart::Hole(hole) = part else {
            continue;
        };
        match body.and_then(|body| body.hole(&hole.word)) {
            Some(spelled) => hole.codec = spelled.codec.clone(),
            None if hole.word.is_time() => {
                value.blame("covers a time that the body does not have", None);
                return None;
            }
            None => (),
        }
    }
    Some(signature)
}
