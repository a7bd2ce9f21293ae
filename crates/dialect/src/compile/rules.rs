//! What must hold between the sections of a file. Checked once every section is
//! sound by itself, so that one mistake is not told twice.

use countersign_domain::{Algorithm, RefreshMode, TokenKind, TokenOperation};

use crate::document::{TomlTable, TomlValue};
use crate::form::{OperationForm, SuccessTest};
use crate::hole_word::HoleWord;
use crate::pattern::PatternHole;
use crate::template::JsonTemplate;
use crate::{Dialect, TokenForm, Variant};

/// A file and what was read from it.
struct FileRules<'r, 'd> {
    root: &'r TomlTable<'d>,
    dialect: &'r Dialect,
}

pub(super) fn check(root: &TomlTable<'_>, dialect: &Dialect) {
    let rules = FileRules { root, dialect };
    if dialect.variants.is_empty() {
        let help = "every dialect has one: write `[[login]]`".to_owned();
        root.blame_below("login", "is missing", Some(help));
    }
    for (index, form) in dialect.forms.iter().enumerate() {
        rules.form(index, form);
    }
    let logs_out = dialect
        .forms
        .iter()
        .any(|form| form.operation == TokenOperation::Logout);
    if logs_out != dialect.logout_scope.is_some() {
        rules.blame(
            "session",
            "has a `logout` exactly if there is a `[[logout]]`",
        );
    }
    if dialect.serves.issuer {
        rules.issuer();
    }
}

/// Whether a reply tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyTokens {
    Always,
    Sometimes,
    Never,
}

impl ReplyTokens {
    fn by(form: &OperationForm, word: &HoleWord) -> Self {
        let holes = form.reply.holes();
        let mut holes = holes.iter().filter(|hole| hole.word == *word);
        match holes.clone().count() {
            0 => Self::Never,
            _ if holes.all(|hole| hole.optional) => Self::Sometimes,
            _ => Self::Always,
        }
    }
}

impl FileRules<'_, '_> {
    fn blame(&self, section: &str, message: impl Into<String>) {
        match self.root.get(section) {
            Some(section) => section.blame(message, None),
            None => self.root.blame_below(section, message, None),
        }
    }

    /// A mistake about keys in a section, which may be missing whole.
    fn blame_below(&self, section: &str, keys: &str, message: impl Into<String>) {
        match self.root.get(section) {
            Some(section) => section.blame_below(keys, message, None),
            None => self
                .root
                .blame_below(&format!("{section}/{keys}"), message, None),
        }
    }

    /// Where a form stands: the sections keep the order of the file.
    fn place(&self, index: usize) -> Option<TomlValue<'_>> {
        let operation = self.dialect.forms.get(index)?.operation;
        let earlier = self.dialect.forms.iter().take(index);
        let nth = earlier.filter(|form| form.operation == operation).count();
        self.root.get(operation.name())?.array()?.get(nth).cloned()
    }

    /// What a form needs to be of use on either side.
    fn form(&self, index: usize, form: &OperationForm) {
        let Some(place) = self.place(index) else {
            return;
        };
        let blame = |message: &str| place.blame(message, None);
        let asks = |word: HoleWord| form.request.has(&word);
        match form.operation {
            TokenOperation::Login if !asks(HoleWord::Login) || !asks(HoleWord::Secret) => {
                blame("needs `{login}` and `{secret}` in its request");
            }
            TokenOperation::Refresh
                if !asks(HoleWord::RefreshToken) && !asks(HoleWord::AccessToken) =>
            {
                blame("needs `{refresh_token}` in its request");
            }
            _ => (),
        }
        let credential =
            |hole: &&PatternHole| matches!(hole.word, HoleWord::Login | HoleWord::Secret);
        let mut credentials = form.request.holes().into_iter().filter(credential);
        if form.operation == TokenOperation::Login && credentials.any(|hole| hole.optional) {
            blame("requires `{login}` and `{secret}`: neither may be optional");
        }
        let token = |hole: &PatternHole| {
            matches!(hole.word, HoleWord::RefreshToken | HoleWord::AccessToken)
        };
        let holes = form.request.holes();
        let mut tokens = holes.iter().filter(|hole| token(hole)).peekable();
        if form.operation == TokenOperation::Refresh
            && tokens.peek().is_some()
            && tokens.all(|hole| hole.optional)
        {
            blame("requires the token that it refreshes: it may not be optional");
        }
        if self.dialect.serves.issuer && self.dialect.serves.client {
            Self::succeeding(form, &place);
        }
        if self.is_ambiguous(index, form) {
            let help = "give it a `when` that names what only its body has, such as \
                        `when = \"/refresh_token\"`";
            place.blame(
                "has the method, path and `when` of an earlier one",
                Some(help.to_owned()),
            );
        }
        if form.operation != TokenOperation::Logout {
            self.granting(form, &place);
        }
    }

    /// What the client takes for success must be what the issuer says.
    fn succeeding(form: &OperationForm, place: &TomlValue<'_>) {
        let says = |test: &&SuccessTest| {
            let shape = form.reply.body.as_ref().map(|body| &body.shape);
            shape.and_then(|shape| shape.at(&test.pointer)) == Some(&test.equals.shape())
        };
        for test in form.reply.success.iter().filter(|test| !says(test)) {
            let pointer = &test.pointer;
            place.blame(
                format!("tests `{pointer}` for success, but its own reply does not say so"),
                None,
            );
        }
    }

    /// What a form that gives out tokens must tell.
    fn granting(&self, form: &OperationForm, place: &TomlValue<'_>) {
        let expiry = &self.dialect.expiry;
        match ReplyTokens::by(form, &HoleWord::AccessToken) {
            ReplyTokens::Always => {}
            ReplyTokens::Sometimes => {
                place.blame(
                    "needs `{access_token}` in its reply: it is not optional",
                    None,
                );
            }
            ReplyTokens::Never => place.blame("needs `{access_token}` in its reply", None),
        }
        let help = || Some("give `access` in `[expiry]`".to_owned());
        let beside = expiry.access.is_some() || expiry.sliding.is_some();
        match ReplyTokens::by(form, &HoleWord::AccessExpiresAt) {
            ReplyTokens::Never if !beside => {
                place.blame("does not say when its access token expires", help());
            }
            ReplyTokens::Sometimes if !beside => place.blame(
                "does not always tell when its access token ends: `{access_expires_at}` is \
                 optional",
                help(),
            ),
            _ => {}
        }
        if form.reply.signature.is_some()
            && ReplyTokens::by(form, &HoleWord::Signature) == ReplyTokens::Sometimes
        {
            place.blame("is signed, so that `{signature}` is not optional", None);
        }
        if form.reply.signature.is_some() != form.reply.has(&HoleWord::Signature) {
            place.blame(
                "needs both `reply.signature` and a `{signature}` in its reply",
                None,
            );
        }
    }

    /// Whether nothing tells a form from an earlier one.
    fn is_ambiguous(&self, index: usize, form: &OperationForm) -> bool {
        self.dialect.forms.iter().take(index).any(|other| {
            other.method == form.method
                && self.dialect.accept.is_path(&other.path, &form.path)
                && other.when == form.when
        })
    }

    /// What only an issuer needs.
    fn issuer(&self) {
        let dialect = self.dialect;
        if dialect.expiry.sliding.is_some() {
            self.blame(
                "expiry",
                "has `sliding`, which an issuer cannot serve: its tokens end when they say",
            );
        }
        let refreshes = dialect
            .forms
            .iter()
            .any(|form| form.operation == TokenOperation::Refresh);
        if refreshes == (dialect.refresh_mode == RefreshMode::None) {
            self.blame(
                "session",
                "has `refresh = \"none\"` exactly if there is no `[[refresh]]`",
            );
        }
        for (index, form) in dialect.forms.iter().enumerate() {
            self.issued(index, form);
        }
        for variant in dialect.variants() {
            self.tokens(variant);
        }
        self.budgets();
        let extra = |hole: &PatternHole| matches!(hole.word, HoleWord::Extra(_));
        if dialect
            .present
            .iter()
            .any(|(_, value)| value.holes().any(extra))
        {
            let message = "presents `extra` parts, which no issuer checks";
            self.blame("guard", message);
        }
        let presents = |word: &HoleWord| *word == HoleWord::AccessToken;
        if !dialect
            .present
            .iter()
            .any(|(_, value)| value.holes().any(|hole| presents(&hole.word)))
        {
            self.blame("guard", "presents no `{access_token}`");
        }
    }

    /// What a form needs to be served.
    fn issued(&self, index: usize, form: &OperationForm) {
        let Some(place) = self.place(index) else {
            return;
        };
        let asks = |word: HoleWord| form.request.has(&word);
        match form.operation {
            TokenOperation::Refresh if !asks(HoleWord::RefreshToken) => {
                place.blame("cannot be served: it asks without `{refresh_token}`", None);
            }
            TokenOperation::Logout if !asks(HoleWord::AccessToken) => {
                place.blame("cannot be served: it asks without `{access_token}`", None);
            }
            _ => (),
        }
        Self::signed(form, &place);
        let headers = form.reply.headers.iter().any(|(_, text)| text.is_shared());
        if headers || form.reply.body.as_ref().is_some_and(JsonTemplate::shares) {
            place.blame(
                "cannot be served: two holes in one string of its reply may run into each other",
                None,
            );
        }
        let rotates = self.dialect.refresh_mode == RefreshMode::Rotate;
        let gives = form.reply.has(&HoleWord::RefreshToken);
        if form.operation == TokenOperation::Refresh && gives != rotates {
            place.blame(
                "has `{refresh_token}` in its reply exactly if refresh is `rotate`",
                None,
            );
        }
        let unknown = |word: &HoleWord| matches!(word, HoleWord::Extra(_));
        if form.request.holes().iter().any(|hole| unknown(&hole.word)) {
            place.blame(
                "cannot be served: nothing checks the `extra` parts that it asks for",
                None,
            );
        }
        if form
            .reply
            .holes()
            .iter()
            .any(|hole| unknown(&hole.word) && !hole.optional)
        {
            place.blame(
                "cannot be served: nothing fills the `extra` holes of its reply",
                None,
            );
        }
    }

    /// A signature covers what issuer and client both have: the login, what is
    /// asked with, and what the reply says.
    fn signed(form: &OperationForm, place: &TomlValue<'_>) {
        let Some(signature) = &form.reply.signature else {
            return;
        };
        let holes = signature.key.holes().chain(signature.message.holes());
        let unknown = |hole: &&PatternHole| match &hole.word {
            HoleWord::Login => false,
            word @ (HoleWord::Secret | HoleWord::Extra(_)) => !form.request.has(word),
            word => !form.reply.has(word),
        };
        if holes.filter(unknown).count() > 0 {
            place.blame(
                "cannot be served: its signature covers what neither its request nor its reply has",
                None,
            );
        }
    }

    /// A guard knows the variant of an access token by its form alone.
    fn budgets(&self) {
        let dialect = self.dialect;
        let pairs = dialect.variants().flat_map(|one| {
            let earlier = dialect.variants().take_while(move |other| *other != one);
            earlier.map(move |other| (other, one))
        });
        let budget = |variant| dialect.preset_of(variant).budget;
        let form = |variant| dialect.token_form(variant, TokenKind::Access);
        let alike = |one, other| match (form(one), form(other)) {
            (Some(one), Some(other)) => one.looks_like(other),
            _ => false,
        };
        for (one, other) in pairs {
            if budget(one) != budget(other) && alike(one, other) {
                let names = [one, other].map(|it| dialect.variant_name(it));
                let message = format!(
                    "has other budgets for `{}` and `{}`, whose access tokens cannot be \
                     distinguished: their `alg` and `header` are the same",
                    names[0], names[1]
                );
                self.blame("preset", message);
            }
        }
    }

    fn tokens(&self, variant: Variant) {
        let name = self.dialect.variant_name(variant);
        let has = |kind| self.dialect.token_form(variant, kind).is_some();
        if !has(TokenKind::Access) {
            let message = "is missing: an issuer needs the form of its access tokens";
            self.blame_below("tokens", &format!("{name}/access"), message);
        }
        let refresh = format!("{name}/refresh");
        match (self.dialect.refreshes(variant), has(TokenKind::Refresh)) {
            (true, false) => {
                let message = "is missing: an issuer needs the form of its refresh tokens";
                self.blame_below("tokens", &refresh, message);
            }
            (false, true) => {
                let message = format!("has no effect: `{name}` has no `[[refresh]]`");
                self.blame_below("tokens", &refresh, message);
            }
            _ => {}
        }
        // An access token without structure is sealed by an HS256 key.
        let algorithm = |kind| match (kind, self.dialect.token_form(variant, kind)) {
            (_, Some(TokenForm::Jwt(form))) => Some(form.algorithm),
            (TokenKind::Access, Some(TokenForm::Opaque(_))) => Some(Algorithm::Hs256),
            _ => None,
        };
        let both = algorithm(TokenKind::Access).zip(algorithm(TokenKind::Refresh));
        if let Some((access, refresh)) = both.filter(|(access, refresh)| access != refresh) {
            let (access, refresh) = (access.name(), refresh.name());
            let message =
                format!("makes `{name}` with {access} and {refresh}, but one key makes both");
            self.blame("tokens", message);
        }
    }
}
