//! The policy of a guarded request: one function, and the evidence that it returns.

use std::net::IpAddr;
use std::sync::Arc;

use countersign_dialect::{PresentedCredential, Secret, Variant};
use countersign_domain::account::admit_address;
use countersign_domain::session::AccessClaims;
use countersign_domain::{
    AccountId, CredentialId, JudgedPath, Reason, RouteAccess, SessionId, Timestamp, echoes_request,
};
use countersign_token::Verified;
use http::Method;

use crate::api::GuardedApi;
use crate::denial::GuardDenial;
use crate::revocation_view::{KnownAccount, KnownCredential, RevocationView};

/// Evidence that a request may pass. Only [`authorize`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    caller: Option<GuardCaller>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardCaller {
    /// The account.
    pub account: AccountId,
    /// The account's name; with a static key the login of its credential.
    pub login: String,
    /// What proved it.
    pub proof: CallerProof,
}

/// What proves who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerProof {
    /// An access token.
    Token {
        /// The session.
        session: SessionId,
        /// The generation of the session.
        generation: u32,
        /// When the token expires.
        expires_at: Timestamp,
        /// The dialect's variant in whose form it is.
        variant: Variant,
    },
    /// A static key.
    StaticKey,
}

/// The parts of a request on which the policy depends. It contains a credential, so it
/// does not print.
pub struct GuardedRequest<'a> {
    /// The method of the request line; no header overrides it.
    pub method: &'a Method,
    /// The path, as it will be forwarded.
    pub path: &'a str,
    /// The credential of the request.
    pub presented: PresentedCredential<'a>,
    /// The client's address.
    pub address: IpAddr,
}

/// Decides in memory whether a request may pass.
///
/// First the method and the path are judged, and the route is chosen. On a public route
/// nothing else is required, and no credential is checked. Otherwise the token or static
/// key is verified, and everything that it belongs to: session, account, epoch,
/// credential, address, the login in the path, and finally the scopes that the route
/// requires.
///
/// # Errors
///
/// The first cause, in that order.
pub fn authorize(
    api: &GuardedApi,
    view: &RevocationView,
    asked: &GuardedRequest<'_>,
    now: Timestamp,
) -> Result<Permit, GuardDenial> {
    judge_method(asked.method)?;
    let path = JudgedPath::judge(asked.path)?;
    let route = api.routes().find(asked.method.as_str(), &path);
    let route = route.ok_or(Reason::PathUnknown)?;
    if route.access == RouteAccess::Public {
        return Ok(Permit { caller: None });
    }
    let ProvenCaller {
        known,
        credential,
        caller,
    } = match &asked.presented {
        PresentedCredential::Nothing => return Err(Reason::TokenMissing.into()),
        PresentedCredential::Ambiguous(reason) => return Err((*reason).into()),
        PresentedCredential::Token(token) => by_token(api, view, token, now)?,
        PresentedCredential::StaticKey(key) => by_static_key(api, view, key, asked.address, now)?,
    };
    let at_home = |login: &&str| **login == caller.login || known.answers_to(login);
    admit_address(&known.account, asked.address).map_err(|reason| caller.denied(reason))?;
    if !route.logins.iter().all(at_home) {
        return Err(caller.denied(Reason::ForeignPath));
    }
    let missing = route
        .scopes
        .and_then(|it| credential.scopes.first_missing(it));
    if let Some(missing) = missing {
        return Err(GuardDenial {
            detail: Some(format!("the credential has no scope {missing}")),
            ..caller.denied(Reason::ScopeMissing)
        });
    }
    Ok(Permit {
        caller: Some(caller),
    })
}

/// A tunnel has no path that could be judged (RFC 9110 section 9.3.6), and to `TRACE` an
/// upstream would return headers that only it may see. `post` is not `POST` (section 9.1),
/// but some upstreams treat it as the same, so it would bypass a rule for `POST`.
fn judge_method(method: &Method) -> Result<(), Reason> {
    let has_lower_case = method.as_str().bytes().any(|it| it.is_ascii_lowercase());
    if has_lower_case || *method == Method::CONNECT || echoes_request(method.as_str()) {
        return Err(Reason::MethodUnknown);
    }
    Ok(())
}

/// What a credential proves.
struct ProvenCaller {
    known: Arc<KnownAccount>,
    credential: Arc<KnownCredential>,
    caller: GuardCaller,
}

fn by_token(
    api: &GuardedApi,
    view: &RevocationView,
    token: &str,
    now: Timestamp,
) -> Result<ProvenCaller, GuardDenial> {
    let tokens = api.tokens();
    let claims = tokens.verify_access(token, now)?;
    let denied = |reason| GuardDenial {
        account: Some(claims.account),
        session: Some(claims.session),
        ..GuardDenial::from(reason)
    };
    if view.is_dead(claims.kid()) {
        return Err(denied(Reason::KeyRetired));
    }
    if view.has_ended(claims.session) {
        return Err(denied(Reason::SessionRevoked));
    }
    let known = admit(api, view.account(claims.account)).map_err(denied)?;
    if claims.epoch < known.epoch {
        return Err(denied(Reason::EpochPassed));
    }
    let credential = usable(view, claims.credential, claims.account).map_err(denied)?;
    let caller = GuardCaller {
        account: claims.account,
        login: known.account.name.clone(),
        proof: CallerProof::token(&claims),
    };
    Ok(ProvenCaller {
        known,
        credential,
        caller,
    })
}

fn by_static_key(
    api: &GuardedApi,
    view: &RevocationView,
    key: &Secret,
    from: IpAddr,
    now: Timestamp,
) -> Result<ProvenCaller, GuardDenial> {
    let pepper = api.pepper().ok_or(Reason::StaticKeyWrong)?;
    let hash = pepper.hash(key.expose());
    let found = view.static_key(&hash, api.name());
    let (known, holder) = found.ok_or_else(|| api.wrong_keys().refuse(from, now))?;
    let caller = GuardCaller {
        account: known.account.id,
        login: holder.login,
        proof: CallerProof::StaticKey,
    };
    let denied = |reason| caller.denied(reason);
    let known = admit(api, Some(known)).map_err(denied)?;
    let credential = usable(view, holder.credential, holder.account).map_err(denied)?;
    Ok(ProvenCaller {
        known,
        credential,
        caller,
    })
}

/// The checks that hold for an account, however it was proved.
fn admit(api: &GuardedApi, known: Option<Arc<KnownAccount>>) -> Result<Arc<KnownAccount>, Reason> {
    let known = known
        .filter(|known| known.account.api == *api.name())
        .ok_or(Reason::AccountUnknown)?;
    if known.account.active {
        Ok(known)
    } else {
        Err(Reason::AccountDisabled)
    }
}

/// The credential of a token or static key, if it may be used.
fn usable(
    view: &RevocationView,
    credential: CredentialId,
    account: AccountId,
) -> Result<Arc<KnownCredential>, Reason> {
    let known = view.credential(credential);
    known
        .filter(|it| it.active && it.account == account)
        .ok_or(Reason::CredentialRevoked)
}

impl Permit {
    /// Who calls; `None` on a public route.
    pub fn caller(&self) -> Option<&GuardCaller> {
        self.caller.as_ref()
    }
}

impl GuardCaller {
    /// The session, if a token proved the caller.
    pub fn session(&self) -> Option<SessionId> {
        match self.proof {
            CallerProof::Token { session, .. } => Some(session),
            CallerProof::StaticKey => None,
        }
    }

    pub(crate) fn denied(&self, reason: Reason) -> GuardDenial {
        GuardDenial {
            account: Some(self.account),
            session: self.session(),
            ..GuardDenial::from(reason)
        }
    }
}

impl CallerProof {
    fn token(claims: &Verified<AccessClaims>) -> Self {
        Self::Token {
            session: claims.session,
            generation: claims.generation,
            expires_at: claims.expires_at,
            variant: claims.variant(),
        }
    }
}

impl GuardDenial {
    /// The same permit, for a caller who was allowed before.
    pub(crate) fn with_caller(self, permit: &Permit) -> Self {
        let caller = permit.caller();
        Self {
            account: caller.map(|caller| caller.account),
            session: caller.and_then(GuardCaller::session),
            ..self
        }
    }
}
