//! From a dialect file to a [`Dialect`]: reads every section, and reports every
//! mistake with its place.

mod credential;
mod form;
mod guard;
mod headers;
mod preset;
mod refusals;
mod rules;
mod settings;
mod standard;
mod tokens;

use countersign_domain::{RefreshMode, TokenOperation};

use crate::document::{TomlDocument, TomlTable, TomlValue};
use crate::form::OperationForm;
use crate::hole_word::{HoleWord, WordVocabulary};
use crate::pattern::{PatternFlaw, TextPattern};
use crate::template::JsonTemplate;
use crate::{Dialect, Mistakes, Variant};

/// What the sections share.
struct CompileContext<'d> {
    /// Templates that others refer to as `@name`.
    shapes: Vec<(&'d str, TomlValue<'d>)>,
    /// Names of the further credential and token parts.
    extra: Vec<&'d str>,
    /// Names of the variants, the default one first.
    variants: Vec<String>,
}

/// Compiles a dialect file.
pub(crate) fn compile(source: &str, origin: &str) -> Result<Dialect, Mistakes> {
    let document = TomlDocument::parse(source, origin)?;
    let root = document.root();
    let dialect = read(&root, source);
    if let Some(dialect) = dialect.as_ref().filter(|_| document.is_sound()) {
        rules::check(&root, dialect);
    }
    drop(root);
    document.finish(dialect)
}

fn read(root: &TomlTable<'_>, source: &str) -> Option<Dialect> {
    schema(root);
    let name = settings::name(root);
    let title = root.get("title").and_then(|title| title.text()).or(name);
    let serves = settings::serves(root);
    let session = settings::session(root, serves);
    let accept = settings::accept(root);
    let credential = credential::compile(root);
    let mut context = CompileContext {
        shapes: shapes(root, &credential.extra),
        extra: credential.extra.clone(),
        variants: form::variant_names(root),
    };
    let presets = preset::compile(root, serves, &context.variants);
    let forms = form::read_all(root, &context);
    let tokens = tokens::compile(root, &context);
    let expiry = settings::expiry(root);
    let guard = guard::compile(root, &context);
    let refusals = refusals::compile(root, &context, serves);
    let client = settings::client(root, expiry.sliding);
    Some(Dialect {
        source: source.to_owned(),
        name: name?.to_owned(),
        title: title?.to_owned(),
        serves,
        stated: preset::stated(root, &presets.usual),
        presets,
        client,
        refresh_mode: session.refresh.unwrap_or(refresh_mode(&forms)),
        new_login: session.login,
        logout_scope: session.logout,
        credential: credential.form,
        accept,
        variants: std::mem::take(&mut context.variants),
        forms,
        tokens,
        expiry,
        present: guard.present,
        static_key: guard.static_key,
        refusals: refusals?,
    })
}

/// What a refresh does with the refresh token, by what its replies give.
pub(crate) fn refresh_mode(forms: &[OperationForm]) -> RefreshMode {
    let refreshes = |form: &&OperationForm| form.operation == TokenOperation::Refresh;
    let gives = |form: &OperationForm| form.reply.has(&HoleWord::RefreshToken);
    match forms.iter().filter(refreshes).count() {
        0 => RefreshMode::None,
        _ if forms.iter().filter(refreshes).any(gives) => RefreshMode::Rotate,
        _ => RefreshMode::Keep,
    }
}

fn schema(root: &TomlTable<'_>) {
    let Some(schema) = root.require_or("schema", "write `schema = 1`") else {
        return;
    };
    if schema
        .integer(0, i64::MAX)
        .is_some_and(|schema| schema != 1)
    {
        schema.blame("is not 1, the only schema there is", None);
    }
}

fn shapes<'d>(root: &TomlTable<'d>, extra: &[&str]) -> Vec<(&'d str, TomlValue<'d>)> {
    let Some(shapes) = root.get("shapes").and_then(|shapes| shapes.table()) else {
        return vec![];
    };
    let entries = shapes.entries().into_iter();
    let shapes: Vec<_> = entries.map(|(key, value)| (key.name, value)).collect();
    shapes.iter().for_each(|(_, shape)| sound(shape, extra));
    shapes
}

/// A shape that nobody refers to is a template too, of a request, a reply or a
/// refusal. Which holes fit is told where it is referred to.
fn sound(shape: &TomlValue<'_>, extra: &[&str]) {
    let Some(text) = shape.text() else { return };
    let fits = |words| JsonTemplate::parse(text, &words).is_ok();
    if let Err(flaw) = JsonTemplate::parse(text, &WordVocabulary::reply(extra))
        && !fits(WordVocabulary::request(extra))
        && !fits(WordVocabulary::REFUSAL)
    {
        shape.blame_inside(flaw.at, flaw.what, flaw.help);
    }
}

impl<'d> CompileContext<'d> {
    /// A template, or the shape that `@name` refers to.
    fn template(
        &self,
        value: &TomlValue<'d>,
        vocabulary: &WordVocabulary<'_>,
    ) -> Option<JsonTemplate> {
        let text = value.text()?;
        let Some(name) = text.strip_prefix('@') else {
            return template(value, vocabulary);
        };
        match self.shapes.iter().find(|(known, _)| *known == name) {
            Some((_, shape)) => template(shape, vocabulary),
            None => {
                let known = self.shapes.iter().map(|(name, _)| *name);
                value.blame(
                    format!("no shape `{name}`"),
                    crate::document::did_you_mean(name, known),
                );
                None
            }
        }
    }

    fn variant(&self, name: &str) -> Option<Variant> {
        let index = self.variants.iter().position(|known| known == name)?;
        u8::try_from(index).ok().map(Variant)
    }
}

fn template(value: &TomlValue<'_>, vocabulary: &WordVocabulary<'_>) -> Option<JsonTemplate> {
    blamed(value, JsonTemplate::parse(value.text()?, vocabulary))
}

fn pattern(value: &TomlValue<'_>, vocabulary: &WordVocabulary<'_>) -> Option<TextPattern> {
    blamed(value, TextPattern::parse(value.text()?, vocabulary))
}

fn blamed<T>(value: &TomlValue<'_>, read: Result<T, PatternFlaw>) -> Option<T> {
    read.map_err(|flaw| value.blame_inside(flaw.at, flaw.what, flaw.help))
        .ok()
}

/// A JSON pointer (RFC 6901).
fn pointer<'d>(value: &TomlValue<'d>) -> Option<&'d str> {
    let text = value.text()?;
    if text.is_empty() || is_pointer(text) {
        return Some(text);
    }
    value.blame("is not a JSON pointer such as /data/id", None);
    None
}

/// RFC 6901 section 3, but for the pointer to the whole document: `~` stands
/// only in `~0` and `~1`.
fn is_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    text.starts_with('/') && escapes.all(|rest| rest.starts_with(['0', '1']))
}
