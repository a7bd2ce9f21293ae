//! A dialect for clients only, completed so that a sandbox can play its vendor. What the
//! file does not state is made up, and what cannot be played is reported, both in whole
//! sentences for whoever relies on the sandbox.

use std::time::Duration;

use countersign_domain::{Algorithm, TokenKind, TokenOperation};

use crate::compile;
use crate::document::duration_text;
use crate::expiry::ExpiryFallback;
use crate::form::{OperationForm, ReplyForm, RequestPayload, SuccessTest};
use crate::hole_word::{HoleWord, WordVocabulary};
use crate::pattern::{PatternFlaw, PatternHole, PatternPart, TextPattern};
use crate::template::{JsonTemplate, TemplateShape};
use crate::token_form::VariantTokens;
use crate::token_form::{JwtForm, OpaqueForm, TokenForm};
use crate::{Dialect, ExtraParts, Mistakes, Secret, Variant};

/// The value of an extra part of a credential or token that nobody knows.
const PART: &str = "sandbox";

/// A dialect that a sandbox can issue in.
#[derive(Debug)]
pub struct PlayableDialect {
    /// The dialect, complete for an issuer.
    pub dialect: Dialect,
    /// What the file does not state and was made up, one sentence each.
    pub made_up: Vec<String>,
    /// What of the file is not played, one sentence each.
    pub not_played: Vec<String>,
}

impl Dialect {
    /// This dialect for a sandbox: unchanged if it is complete for issuers, or else
    /// completed as far as possible.
    ///
    /// # Errors
    ///
    /// The source does not compile. The source of a compiled dialect always does.
    pub fn playable(&self) -> Result<PlayableDialect, Mistakes> {
        let mut playable = PlayableDialect {
            dialect: compile::compile(&self.source, &self.name)?,
            made_up: Vec::new(),
            not_played: Vec::new(),
        };
        if !self.serves.issuer {
            playable.complete();
        }
        Ok(playable)
    }

    /// The names of extra parts that a client must be given: a request needs them, and no
    /// reply contains them.
    pub fn parts_to_give(&self) -> Vec<&str> {
        let told = |name: &str| {
            let word = HoleWord::Extra(name.into());
            self.forms.iter().any(|form| form.reply.has(&word))
        };
        let asked = self.forms.iter().flat_map(|form| form.request.holes());
        let presented = self.present.iter().flat_map(|(_, value)| value.holes());
        let mut names: Vec<&str> = asked.chain(presented).filter_map(part_name).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !told(name));
        names
    }

    /// A value for each of [`Dialect::parts_to_give`] that a sandbox accepts.
    pub fn parts_for_a_sandbox(&self) -> ExtraParts {
        let parts = self.parts_to_give().into_iter();
        parts
            .map(|name| (name.to_owned(), Secret::from(PART)))
            .collect()
    }
}

impl PlayableDialect {
    fn complete(&mut self) {
        self.dialect.serves.issuer = true;
        self.requests();
        self.replies();
        self.guard();
        self.lives();
        self.tokens();
        self.refusals();
    }

    /// Accepts requests as a client writes them from the same file.
    fn requests(&mut self) {
        let dialect = &mut self.dialect;
        for form in &dialect.forms {
            if let RequestPayload::Json(_) = form.request.payload {
                let media = form.request.media.as_ref();
                let media = media.and_then(|media| media.to_str().ok());
                let media = media.unwrap_or_default().split(';').next();
                let media = media.unwrap_or_default().trim().to_ascii_lowercase();
                if !dialect.accept.media.contains(&media) {
                    dialect.accept.media.push(media);
                }
            }
            let asks = |word| form.request.has(&word);
            let refused = match form.operation {
                TokenOperation::Refresh if !asks(HoleWord::RefreshToken) => {
                    "asks with the access token, which no issuer here takes for a refresh"
                }
                TokenOperation::Logout if !asks(HoleWord::AccessToken) => {
                    "asks without the access token, which is how a session is found here"
                }
                _ => continue,
            };
            let operation = form.operation.name();
            self.not_played
                .push(format!("Each {operation} is refused: it {refused}."));
        }
        let parts = self.dialect.parts_to_give();
        if !parts.is_empty() {
            self.made_up.push(format!(
                "Every value of {} is accepted.",
                listed(&parts, "extra.")
            ));
        }
    }

    /// Makes replies contain what the file tests for success, and fills each hole.
    fn replies(&mut self) {
        let mut told = Vec::new();
        let mut filled = Vec::new();
        for form in &mut self.dialect.forms {
            let operation = form.operation.name();
            filled.extend(
                form.reply
                    .holes()
                    .into_iter()
                    .filter_map(part_name)
                    .map(str::to_owned),
            );
            fill_parts(&mut form.reply);
            for pointer in succeed(&mut form.reply) {
                told.push(format!(
                    "Its reply to a {operation} does not succeed: nothing can be put at {pointer}."
                ));
            }
            if !is_signed_over_what_is_known(form) {
                told.push(format!(
                    "Its reply to a {operation} has a wrong signature: it covers what neither the \
                     request nor the reply has."
                ));
            }
        }
        self.not_played.extend(told);
        filled.sort_unstable();
        filled.dedup();
        if !filled.is_empty() {
            let names: Vec<&str> = filled.iter().map(String::as_str).collect();
            self.made_up.push(format!(
                "Its replies say {PART:?} for {}.",
                listed(&names, "extra.")
            ));
        }
    }

    fn guard(&mut self) {
        let carries =
            |value: &TextPattern| value.holes().any(|hole| hole.word == HoleWord::AccessToken);
        if !self.dialect.present.iter().any(|(_, value)| carries(value)) {
            self.not_played.push(
                "Each guarded call is refused: `[guard]` presents no `{access_token}`.".to_owned(),
            );
        }
    }

    /// The lifetimes of tokens: from `[preset]`, or else `[expiry]`, or else made up.
    fn lives(&mut self) {
        let dialect = &mut self.dialect;
        let stated = dialect.stated;
        let expiry = &dialect.expiry;
        let access = stated
            .access
            .or(expiry.access.and_then(ExpiryFallback::life));
        let refresh = stated
            .refresh
            .or(expiry.refresh.and_then(ExpiryFallback::life));
        if let Some(span) = expiry.sliding {
            self.made_up.push(format!(
                "An access token ends {} after it was issued, however it is used.",
                duration_text(access.unwrap_or(span))
            ));
        }
        let access = access.or(expiry.sliding);
        let preset = &mut dialect.presets.usual;
        let refreshes = dialect
            .forms
            .iter()
            .any(|form| form.operation == TokenOperation::Refresh);
        preset.access = access.unwrap_or(preset.access);
        preset.refresh = refresh.unwrap_or(preset.refresh.max(preset.access));
        preset.absolute = stated
            .absolute
            .unwrap_or(preset.absolute)
            .max(preset.refresh);
        let say = |what: &str, life: Duration, option: &str| {
            let life = duration_text(life);
            format!(
                "The file does not say how long {what} lives: here it is {life}, or as {option} says."
            )
        };
        if access.is_none() {
            let said = say("an access token", preset.access, "--access");
            self.made_up.push(said);
        }
        if refresh.is_none() && refreshes {
            let said = say("a refresh token", preset.refresh, "--refresh");
            self.made_up.push(said);
        }
    }

    /// Token forms that a client accepts: a JWT if it reads the expiry time in the token.
    fn tokens(&mut self) {
        let dialect = &mut self.dialect;
        dialect.refresh_mode = compile::refresh_mode(&dialect.forms);
        let variants: Vec<Variant> = dialect.variants().collect();
        dialect
            .tokens
            .resize_with(variants.len(), VariantTokens::default);
        let refreshes: Vec<bool> = variants.iter().map(|it| dialect.refreshes(*it)).collect();
        let (access, refresh) = (dialect.expiry.access, dialect.expiry.refresh);
        let made = |source, kind| made_form(source, kind).unwrap_or(TokenForm::Opaque(OpaqueForm));
        let mut makes_up = false;
        for (forms, refreshes) in dialect.tokens.iter_mut().zip(refreshes) {
            makes_up |= forms.access.is_none();
            forms
                .access
                .get_or_insert_with(|| made(access, TokenKind::Access));
            if refreshes {
                forms
                    .refresh
                    .get_or_insert_with(|| made(refresh, TokenKind::Refresh));
            } else {
                forms.refresh = None;
            }
        }
        if makes_up {
            let form = match access {
                Some(ExpiryFallback::Jwt) => {
                    "JWTs that state when they expire, and have no other claim of the vendor's"
                }
                _ => "hexadecimal digits without a meaning",
            };
            self.made_up.push(format!("Its tokens are {form}."));
        }
    }

    /// Lets a refusal that the file does not spell be answered with its status alone.
    fn refusals(&mut self) {
        if self.dialect.refusals.standard {
            self.made_up
                .push("Its refusals are those of RFC 6749 and RFC 6750.".to_owned());
            return;
        }
        let spelled = |operation, refusal| self.dialect.refusals.is_stated(operation, refusal);
        let own = [
            (TokenOperation::Login, "a wrong login"),
            (TokenOperation::Refresh, "a refused refresh"),
            (TokenOperation::Guard, "a refused access token"),
        ];
        let bare: Vec<&str> = own
            .into_iter()
            .filter(|(operation, _)| !spelled(*operation, crate::refusals::own(*operation)))
            .map(|(_, what)| what)
            .collect();
        if !bare.is_empty() {
            self.made_up.push(format!(
                "The file does not spell {}: it is answered with its usual status, without a body.",
                bare.join(", nor ")
            ));
        }
    }
}

fn part_name(hole: &PatternHole) -> Option<&str> {
    match &hole.word {
        HoleWord::Extra(name) => Some(name),
        _ => None,
    }
}

fn listed(names: &[&str], prefix: &str) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|name| format!("`{prefix}{name}`"))
        .collect();
    names.join(", ")
}

/// Fills in a text wherever a reply has extra parts.
fn fill_parts(reply: &mut ReplyForm) {
    let fill =
        |hole: &PatternHole| part_name(hole).map(|_| TemplateShape::Text(TextPattern::fixed(PART)));
    if let Some(body) = &reply.body {
        reply.body = Some(JsonTemplate::compile(body.shape.filled(&fill)));
    }
    for (_, value) in &mut reply.headers {
        for part in &mut value.0 {
            if matches!(part, PatternPart::Hole(hole) if part_name(hole).is_some()) {
                *part = PatternPart::Text(PART.into());
            }
        }
    }
}

/// Makes a reply contain what is tested for success, and returns the pointers where that
/// is impossible.
fn succeed(reply: &mut ReplyForm) -> Vec<String> {
    let empty = || TemplateShape::Object(Vec::new());
    let mut shape = reply.body.as_ref().map(|body| body.shape.clone());
    let mut failed = Vec::new();
    for SuccessTest { pointer, equals } in &reply.success {
        let body = shape.get_or_insert_with(empty);
        if !body.put(pointer, equals.shape()) {
            failed.push(pointer.clone());
        }
    }
    reply.body = shape.map(JsonTemplate::compile);
    failed
}

fn is_signed_over_what_is_known(form: &OperationForm) -> bool {
    let Some(signature) = &form.reply.signature else {
        return true;
    };
    let mut holes = signature.key.holes().chain(signature.message.holes());
    holes.all(|hole| match &hole.word {
        HoleWord::Login => true,
        HoleWord::Extra(_) => false,
        HoleWord::Secret => form.request.has(&HoleWord::Secret),
        word => form.reply.has(word),
    })
}

fn made_form(end: Option<ExpiryFallback>, kind: TokenKind) -> Result<TokenForm, PatternFlaw> {
    if end != Some(ExpiryFallback::Jwt) {
        return Ok(TokenForm::Opaque(OpaqueForm));
    }
    let claims = match kind {
        TokenKind::Access => r#"{"exp": "{access_expires_at:epoch}", "sid": "{session}"}"#,
        TokenKind::Refresh => r#"{"exp": "{refresh_expires_at:epoch}", "sid": "{session}"}"#,
    };
    Ok(TokenForm::Jwt(JwtForm {
        algorithm: Algorithm::Hs256,
        header: JsonTemplate::parse(
            r#"{"alg": "{alg}", "typ": "JWT"}"#,
            &WordVocabulary::TOKEN_HEADER,
        )?,
        claims: JsonTemplate::parse(claims, &WordVocabulary::CLAIMS)?,
        kind,
    }))
}
