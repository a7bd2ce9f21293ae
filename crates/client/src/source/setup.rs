//! The settings of a token source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, Variant};
use countersign_outbound::ServerUrl;

use crate::{Clock, SecretSource, SessionStore, SessionTerms, Transport};

/// The sources of the extra parts of a credential, by name.
pub(super) type ExtraSources = BTreeMap<String, Box<dyn SecretSource>>;

/// The settings of a source. None of them changes after it is built.
pub(super) struct SourceSetup {
    pub(super) name: Arc<str>,
    pub(super) dialect: Arc<Dialect>,
    pub(super) variant: Variant,
    /// Where the API is.
    pub(super) url: ServerUrl,
    /// Where the token endpoints are.
    pub(super) auth_url: ServerUrl,
    pub(super) login: String,
    pub(super) secret: Box<dyn SecretSource>,
    pub(super) extra: ExtraSources,
    pub(super) static_key: bool,
    pub(super) store: Box<dyn SessionStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Box<dyn Transport>,
    pub(super) budget: Option<u32>,
    pub(super) terms: SessionTerms,
    pub(super) patience: Duration,
}
