//! The login and secret of a new credential: chosen by the operator if the api allows it,
//! or else generated.
//!
//! A secret that a person chose is a password and gets a slow hash. A generated one has
//! enough random bits for a keyed hash, and is shown once.

use countersign_dialect::{Dialect, Secret};
use countersign_domain::Scopes;
use countersign_domain::account::{InvalidText, StoredSecret, check_login};
use serde::Deserialize;
use utoipa::ToSchema;

use super::AdminState;
use super::member_list::ScopeList;
use super::member_text::{LoginText, SecretText};
use super::members::MemberFaults;
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;
use countersign_server::generated_key;
use countersign_server::password::PasswordFault;
use countersign_store::NewCredential;
use countersign_store::random::RandomnessUnavailable;

/// A new credential. Whatever is not given is generated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCredential)]
pub(super) struct NewCredentialRequest {
    /// The login; one is generated if it is not given.
    pub(super) login: Option<LoginText>,
    /// Generate a login with this prefix, if the dialect has several forms of logins; not
    /// allowed beside login.
    pub(super) login_prefix: Option<String>,
    /// A password of at least 8 characters, if the api accepts passwords. Without one, a
    /// key is generated and shown once.
    #[schema(value_type = Option<String>, min_length = 8, max_length = 1024, write_only)]
    pub(super) secret: Option<SecretText>,
    /// The scopes of the credential, which routes may require.
    pub(super) scopes: Option<ScopeList>,
}

/// A new credential, after the request was checked.
pub(super) struct WantedCredential {
    login: WantedLogin,
    secret: Option<Secret>,
    scopes: Scopes,
}

/// Which login a new credential gets.
enum WantedLogin {
    Given(String),
    Generated { prefix: Option<String> },
}

/// A new credential, with its secret if it has to be shown.
pub(super) struct GeneratedCredential {
    pub(super) credential: NewCredential,
    pub(super) shown: Option<Secret>,
}

impl WantedCredential {
    /// What is requested, checked against the api's dialect.
    pub(super) fn judge(
        asked: NewCredentialRequest,
        api: &IssuingApi,
        faults: &mut MemberFaults,
    ) -> Option<Self> {
        let dialect = api.dialect();
        let login = asked.login.map(|login| login.0);
        let login = faults.parsed("login", login, |text| login_of(dialect, text));
        let prefix = asked.login_prefix;
        let prefix = faults.parsed("login_prefix", prefix, |text| prefix_of(dialect, text));
        let secret = asked.secret.and_then(|SecretText(secret)| {
            faults.parsed("secret", Some(secret.expose()), |text| secret_of(api, text))
        });
        let login = match (login, prefix) {
            (Some(_), Some(_)) => {
                return faults.fault("login_prefix", "cannot be combined with login");
            }
            (Some(login), None) => WantedLogin::Given(login),
            (None, prefix) => WantedLogin::Generated { prefix },
        };
        Some(Self {
            login,
            secret,
            scopes: asked.scopes.map_or_else(Scopes::default, |scopes| scopes.0),
        })
    }

    /// Generates what was not given, and hashes the secret.
    pub(super) async fn make(
        self,
        admin: &AdminState,
        api: &IssuingApi,
    ) -> Result<GeneratedCredential, AdminProblem> {
        let login = match self.login {
            WantedLogin::Given(login) => login,
            WantedLogin::Generated { prefix } => {
                generated_key::login(api.dialect(), prefix.as_deref()).map_err(no_randomness)?
            }
        };
        let Some(password) = self.secret else {
            let key = generated_key::key(api.dialect()).map_err(no_randomness)?;
            let stored = StoredSecret::Key(api.pepper.hash(key.expose()));
            return Ok(GeneratedCredential {
                credential: credential(login, stored, self.scopes),
                shown: Some(key),
            });
        };
        let hash = admin.passwords.hash(password).await.map_err(not_hashed)?;
        Ok(GeneratedCredential {
            credential: credential(login, StoredSecret::Password(hash), self.scopes),
            shown: None,
        })
    }
}

fn credential(login: String, secret: StoredSecret, scopes: Scopes) -> NewCredential {
    NewCredential {
        login,
        secret,
        scopes,
    }
}

/// The login in the spelling in which requests are looked up, in one of the dialect's
/// forms.
fn login_of(dialect: &Dialect, text: &str) -> Result<String, InvalidText> {
    let login = dialect.fold_login(text);
    check_login(&login)?;
    if dialect
        .credential()
        .is_none_or(|form| form.login_matches(&login))
    {
        return Ok(login);
    }
    Err(InvalidText::new(format!(
        "does not have the form that the dialect {} requires of logins",
        dialect.name()
    ))
    .with_help(GENERATED))
}

/// What to do about a login or secret that is not accepted.
const GENERATED: &str = "leave it out to have one generated";

/// A prefix selects one of several forms of logins, so exactly one must match.
fn prefix_of(dialect: &Dialect, text: &str) -> Result<String, InvalidText> {
    let form = dialect.credential();
    if form.is_some_and(|form| form.generate_login(Some(text), &mut |_| ()).is_some()) {
        return Ok(text.to_owned());
    }
    Err(InvalidText::new(format!(
        "the dialect {} has no form of login with this prefix",
        dialect.name()
    )))
}

/// The shortest password, in characters (NIST SP 800-63B section 5.1.1.1): a shorter one
/// can be guessed in spite of the throttle, or was cut off on its way.
const MIN_SECRET: usize = 8;
/// The longest password, in bytes. A longer one is not a password that somebody typed.
const MAX_SECRET: usize = 1_024;

fn secret_of(api: &IssuingApi, text: &str) -> Result<Secret, InvalidText> {
    let form = api.dialect().credential();
    let (wrong, help) = if !api.settings.passwords {
        let help = "leave it out to have one generated, or set `passwords = true` for the api";
        (
            "cannot be chosen, since this api takes generated keys only",
            help,
        )
    } else if text.chars().count() < MIN_SECRET || text.len() > MAX_SECRET {
        (
            "must have 8 characters or more, and 1024 bytes at most",
            GENERATED,
        )
    } else if text.chars().any(char::is_control) {
        ("must have no control characters", GENERATED)
    } else if form.is_some_and(|form| !form.secret_matches(text)) {
        (
            "does not have the form that the dialect requires of secrets",
            GENERATED,
        )
    } else {
        let secret = Secret::from(text);
        return match secret.unseen_end().or_else(|| blank_end(&secret)) {
            Some(unseen) => Err(InvalidText::new(unseen).with_help(Secret::UNSEEN_HELP)),
            None => Ok(secret),
        };
    };
    Err(InvalidText::new(wrong).with_help(help))
}

/// A space at the beginning or end: nobody sees it, and forms and shells cut it off. A
/// vendor's secret may have one, but a password that is chosen here need not.
fn blank_end(secret: &Secret) -> Option<String> {
    let told = "begins or ends with a blank, which cannot be seen";
    secret.has_blank_end().then(|| told.to_owned())
}

fn not_hashed(fault: PasswordFault) -> AdminProblem {
    match fault {
        PasswordFault::Busy => AdminProblem::unavailable("too many passwords are being hashed"),
        PasswordFault::Failed => AdminProblem::internal("the password could not be hashed"),
    }
}

fn no_randomness(error: RandomnessUnavailable) -> AdminProblem {
    AdminProblem::internal(error.to_string())
}
