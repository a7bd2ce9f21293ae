//! A compiled dialect, and what it says about itself. Reading requests is in `read`,
//! writing replies in `reply`, the guard's side in `guard`, and the client's in `client`.

use countersign_domain::{LogoutScope, NewLogin, RefreshMode, Refusal, TokenKind, TokenOperation};
use http::HeaderName;

use crate::accept::AcceptedSpellings;
use crate::compile;
use crate::expiry::ExpirySource;
use crate::form::OperationForm;
use crate::hole_word::HoleWord;
use crate::pattern::TextPattern;
use crate::policy::VendorPresets;
use crate::refusals::RefusalTable;
use crate::token_form::VariantTokens;
use crate::{
    ClientPolicy, CredentialForm, DialectSide, Mistakes, OperationInfo, PresetLifetimes,
    RequestedForm, StaticKeyPlace, TokenForm, Variant, VendorPreset, shipped,
};

/// A wire format, compiled from its file. Two dialects are equal if they were compiled
/// from the same text.
#[derive(Debug)]
pub struct Dialect {
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) serves: DialectSide,
    pub(crate) presets: VendorPresets,
    pub(crate) stated: PresetLifetimes,
    pub(crate) client: ClientPolicy,
    pub(crate) refresh_mode: RefreshMode,
    pub(crate) new_login: NewLogin,
    pub(crate) logout_scope: Option<LogoutScope>,
    pub(crate) credential: Option<CredentialForm>,
    pub(crate) accept: AcceptedSpellings,
    pub(crate) variants: Vec<String>,
    pub(crate) forms: Vec<OperationForm>,
    pub(crate) tokens: Vec<VariantTokens>,
    pub(crate) expiry: ExpirySource,
    pub(crate) present: Vec<(HeaderName, TextPattern)>,
    pub(crate) static_key: Option<StaticKeyPlace>,
    pub(crate) refusals: RefusalTable,
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Dialect {}

impl Dialect {
    /// The dialects that come with the program: name and source, sorted.
    pub const SHIPPED: &[(&str, &str)] = shipped::SHIPPED;

    /// The source of a dialect that comes with the program.
    pub fn shipped(name: &str) -> Option<&'static str> {
        shipped::SHIPPED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| *source)
    }

    /// Compiles a dialect file; `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, each with its place.
    pub fn compile(source: &str, origin: &str) -> Result<Self, Mistakes> {
        compile::compile(source, origin)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The title for people; the name, if the file has no title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The sides for which the file is complete.
    pub fn serves(&self) -> DialectSide {
        self.serves
    }

    /// The vendor's lifetimes and limits. Variants may have their own.
    pub fn preset(&self) -> &VendorPreset {
        &self.presets.usual
    }

    /// The vendor's lifetimes and limits for this variant.
    pub fn preset_of(&self, variant: Variant) -> &VendorPreset {
        let own = self.presets.own.iter().find(|(of, _)| *of == variant);
        own.map_or(&self.presets.usual, |(_, preset)| preset)
    }

    /// The variants with lifetimes and limits of their own.
    pub fn variant_presets(&self) -> impl Iterator<Item = (Variant, &VendorPreset)> {
        self.presets.own.iter().map(|(of, preset)| (*of, preset))
    }

    /// Which lifetimes the file states.
    pub fn stated_lives(&self) -> PresetLifetimes {
        self.stated
    }

    /// Which lifetimes the file states for this variant.
    pub fn stated_lives_of(&self, variant: Variant) -> PresetLifetimes {
        let (usual, own) = (&self.presets.usual, self.preset_of(variant));
        let stated = |usual, own, stated| if own == usual { stated } else { Some(own) };
        PresetLifetimes {
            access: stated(usual.access, own.access, self.stated.access),
            refresh: stated(usual.refresh, own.refresh, self.stated.refresh),
            absolute: stated(usual.absolute, own.absolute, self.stated.absolute),
        }
    }

    /// When tokens expire if the reply does not say so: the lines of `[expiry]`, for
    /// people.
    pub fn stated_ends(&self) -> Vec<(&'static str, String)> {
        self.expiry.lines()
    }

    /// The HTTP status of this refusal for this operation, if the file has a line for it.
    pub fn stated_refusal(&self, operation: TokenOperation, refusal: Refusal) -> Option<u16> {
        let stated = self.refusals.is_stated(operation, refusal);
        let spelled = self.refusals.spelled(operation, refusal)?;
        stated.then_some(spelled.status.as_u16())
    }

    /// Whether refusals are read as in RFC 6749 section 5.2, because the file does not
    /// describe errors.
    pub fn has_standard_errors(&self) -> bool {
        self.refusals.standard
    }

    /// How a client of the vendor behaves.
    pub fn client_policy(&self) -> &ClientPolicy {
        &self.client
    }

    /// What a refresh does with the refresh token.
    pub fn refresh_mode(&self) -> RefreshMode {
        self.refresh_mode
    }

    /// What a new login does to older tokens.
    pub fn new_login(&self) -> NewLogin {
        self.new_login
    }

    /// How far a logout reaches; `None` if there is no logout.
    pub fn logout_scope(&self) -> Option<LogoutScope> {
        self.logout_scope
    }

    /// The variants; the first is the default one.
    pub fn variants(&self) -> impl Iterator<Item = Variant> + use<> {
        (0..u8::try_from(self.variants.len()).unwrap_or(u8::MAX)).map(Variant)
    }

    /// The variant with this name.
    pub fn variant(&self, name: &str) -> Option<Variant> {
        self.variants()
            .find(|variant| self.variant_name(*variant) == name)
    }

    /// The name of a variant, which may be stored; `main` if a dialect has only one.
    /// Empty for a variant of another dialect.
    pub fn variant_name(&self, variant: Variant) -> &str {
        self.variants
            .get(usize::from(variant.0))
            .map_or("", String::as_str)
    }

    /// Whether sessions of this variant can be refreshed.
    pub fn refreshes(&self, variant: Variant) -> bool {
        self.form_of(TokenOperation::Refresh, variant).is_some()
    }

    /// Whether a refresh of this variant presents the access token instead of a refresh
    /// token.
    pub fn refreshes_with_access_token(&self, variant: Variant) -> bool {
        let form = self.form_of(TokenOperation::Refresh, variant);
        form.is_some_and(|(_, form)| {
            form.request.has(&HoleWord::AccessToken) && !form.request.has(&HoleWord::RefreshToken)
        })
    }

    /// Every form of every operation.
    pub fn operations(&self) -> impl Iterator<Item = OperationInfo> + '_ {
        self.forms.iter().map(|form| OperationInfo {
            operation: form.operation,
            variant: form.variant,
            method: form.method.clone(),
            path: form.path.clone(),
            slash_optional: self.accept.slash_optional,
        })
    }

    /// The forms that the vendor prescribes for credentials.
    pub fn credential(&self) -> Option<&CredentialForm> {
        self.credential.as_ref()
    }

    /// A login as it is read from a request, with white space and letter case changed if
    /// the dialect says so. A login must be stored in this spelling, or it is never
    /// found.
    pub fn fold_login(&self, login: &str) -> String {
        self.accept.fold_login(login)
    }

    /// Whether several slashes in a row in a path count as one.
    pub fn merges_slashes(&self) -> bool {
        self.accept.slashes_merge
    }

    /// The largest request body, in bytes.
    pub fn max_body(&self) -> usize {
        self.accept.max_body
    }

    /// The places in which a static key may be sent, if the dialect has one.
    pub fn static_key(&self) -> Option<&StaticKeyPlace> {
        self.static_key.as_ref()
    }

    /// The form of a token; `None` if the variant has no such token.
    pub fn token_form(&self, variant: Variant, kind: TokenKind) -> Option<&TokenForm> {
        let forms = self.tokens.get(usize::from(variant.0))?;
        match kind {
            TokenKind::Access => forms.access.as_ref(),
            TokenKind::Refresh => forms.refresh.as_ref(),
        }
    }

    /// What [`Dialect::read_request`] would return about the form of an operation in a
    /// variant: for a reply without a request.
    pub fn asked_form(&self, operation: TokenOperation, variant: Variant) -> Option<RequestedForm> {
        let (form, _) = self.form_of(operation, variant)?;
        Some(RequestedForm {
            operation,
            variant,
            form,
        })
    }

    pub(crate) fn form_of(
        &self,
        operation: TokenOperation,
        variant: Variant,
    ) -> Option<(u8, &OperationForm)> {
        let found = |form: &OperationForm| form.operation == operation && form.variant == variant;
        let index = self.forms.iter().position(found)?;
        Some((u8::try_from(index).ok()?, self.forms.get(index)?))
    }

    pub(crate) fn form(&self, asked: &RequestedForm) -> Option<&OperationForm> {
        self.forms.get(usize::from(asked.form))
    }
}
