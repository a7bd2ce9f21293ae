//! What the vendor really does, measured in a session of its own: how long
//! tokens live, whether a refresh token works twice, what a logout ends.
//!
//! A vendor may punish the second use of a refresh token, so nothing of the
//! profile's own session is used, and the person is asked first.

mod findings;
mod vendor;

use std::time::Duration;

use countersign_client::{Error, Profile};
use countersign_dialect::{ExtraParts, GrantedTokens, Secret};
use countersign_domain::{LogoutScope, NewLogin, Refusal};
use http::uri::PathAndQuery;
use serde_json::Value;

use self::vendor::{Unanswered, Vendor};
use crate::{CheckFinding, CheckVerdict};

/// What a probe tries beside logins and refreshes.
#[derive(Clone, Debug, Default)]
pub struct ProbeScope {
    /// A path that may be read with GET: access tokens are tried there.
    pub guarded: Option<PathAndQuery>,
    /// Whether to log out even where that ends every session of the account.
    pub end_all: bool,
}

/// What a probe found.
#[derive(Debug)]
pub struct ProbeReport {
    /// For people.
    pub findings: Vec<CheckFinding>,
    /// What was measured, for programs.
    pub measured: Value,
}

impl ProbeScope {
    /// What a person should know before a profile's vendor is probed.
    pub fn warning(&self, profile: &Profile) -> String {
        let mut warning = format!(
            "This logs in to {} as {} in a session of its own, and uses a refresh token twice, \
             which a vendor may take for a theft.",
            profile.name, profile.login
        );
        if profile.dialect.new_login() == NewLogin::Revokes {
            warning.push_str(" The login ends the sessions that this account has now.");
        }
        if self.end_all && profile.dialect.logout_scope() == Some(LogoutScope::Account) {
            warning.push_str(" The logout ends every session of this account.");
        }
        warning
    }

    /// Probes the vendor of a profile with what its login presents.
    ///
    /// # Errors
    ///
    /// The vendor cannot even be asked: the profile's certificate authorities or its
    /// proxy are wrong. All else is a finding.
    pub async fn probe(
        &self,
        profile: &Profile,
        secret: Secret,
        extra: &ExtraParts,
    ) -> Result<ProbeReport, Error> {
        let transport = profile.transport(&profile.auth_url)?;
        let api = profile.transport(&profile.url)?;
        let vendor = Vendor {
            dialect: &profile.dialect,
            variant: profile.variant,
            url: &profile.url,
            auth_url: &profile.auth_url,
            login: &profile.login,
            secret,
            extra,
            transport: &transport,
            api: &api,
        };
        let plan = self.plan(profile);
        let measured = run(&vendor, &plan).await;
        let mut findings = findings::checks(&measured, &profile.dialect, profile.variant);
        findings.extend(left_out(&plan, profile));
        Ok(ProbeReport {
            findings,
            measured: findings::document(&measured),
        })
    }

    fn plan(&self, profile: &Profile) -> ProbePlan<'_> {
        ProbePlan {
            guarded: self.guarded.as_ref(),
            logout: match profile.dialect.logout_scope() {
                Some(LogoutScope::Session) => true,
                Some(LogoutScope::Account) => self.end_all,
                None => false,
            },
        }
    }
}

/// What the probe could have tried.
fn left_out(plan: &ProbePlan<'_>, profile: &Profile) -> Vec<CheckFinding> {
    let skipped = |name, said: &str| CheckFinding::new(name, CheckVerdict::Skipped, said);
    let mut checks = Vec::new();
    if plan.guarded.is_none() {
        let check = skipped("guarded path", "no path is named");
        checks.push(check.with_help("with --path, access tokens are tried, too"));
    }
    if !plan.logout && profile.dialect.logout_scope().is_some() {
        let check = skipped("logout", "it would end every session of the account");
        checks.push(check.with_help("--end-all has it tried"));
    }
    checks
}

/// What was measured. `None`: it was not, or could not be.
#[derive(Debug, Default)]
struct Measured {
    /// The login.
    login: Option<MeasuredLifetimes>,
    /// The refresh.
    refresh: Option<MeasuredLifetimes>,
    /// Whether the refresh brought another refresh token.
    rotates: Option<bool>,
    /// What a used refresh token still gets, at once.
    reuse: Option<Reuse>,
    /// Whether the session goes on after that.
    survives_reuse: Option<bool>,
    /// Whether the first access token works at the guarded path.
    guarded: Option<bool>,
    /// Whether it still does after the refresh.
    old_access_lives: Option<bool>,
    /// Whether an access token still works after the logout.
    access_survives_logout: Option<bool>,
    /// Whether a refresh token still works after the logout.
    refresh_survives_logout: Option<bool>,
    /// Whether there was a logout.
    logged_out: bool,
    /// What ended the probe early.
    stopped: Option<ProbeStop>,
}

/// How long fresh tokens live, as the reply tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MeasuredLifetimes {
    /// How long the request took.
    took: Duration,
    /// The access token, from the vendor's instant of the reply.
    access: Duration,
    /// The refresh token.
    refresh: Option<Duration>,
    /// How far the `exp` of the access token, if it is a JWT, is from its end as
    /// the reply tells it, in seconds.
    exp_off: Option<i64>,
}

/// What a used refresh token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reuse {
    /// The tokens that its first use got.
    Same,
    /// Others.
    Others,
    /// A refusal.
    Refused(Refusal),
}

/// What ended the probe early.
#[derive(Debug)]
struct ProbeStop {
    at: &'static str,
    why: Unanswered,
}

/// What is probed of a profile's vendor.
struct ProbePlan<'a> {
    /// A path to try access tokens at.
    guarded: Option<&'a PathAndQuery>,
    /// Whether to log out.
    logout: bool,
}

/// Measures. What has been measured before something went wrong is kept.
async fn run(vendor: &Vendor<'_>, plan: &ProbePlan<'_>) -> Measured {
    let mut measured = Measured::default();
    let probed = Probing {
        vendor,
        plan,
        measured: &mut measured,
    };
    if let Err(stopped) = probed.run().await {
        measured.stopped = Some(stopped);
    }
    measured
}

struct Probing<'a> {
    vendor: &'a Vendor<'a>,
    plan: &'a ProbePlan<'a>,
    measured: &'a mut Measured,
}

/// The tokens that are good now, as far as is known.
struct CurrentTokens {
    access: Secret,
    refresh: Option<Secret>,
}

impl From<GrantedTokens> for CurrentTokens {
    fn from(granted: GrantedTokens) -> Self {
        Self {
            access: granted.access_token,
            refresh: granted.refresh_token,
        }
    }
}

impl Probing<'_> {
    async fn run(mut self) -> Result<(), ProbeStop> {
        let (granted, lived) = self.vendor.login().await.map_err(at("login"))?;
        self.measured.login = Some(lived);
        let mut pair = CurrentTokens::from(granted);
        let rotated = self.rotation(&mut pair).await;
        // The session is ended whatever came of the rotation.
        let ended = self.logout(&pair).await;
        rotated.and(ended)
    }

    /// Refreshes, and then once more with the token that is used up.
    async fn rotation(&mut self, pair: &mut CurrentTokens) -> Result<(), ProbeStop> {
        self.measured.guarded = self.works(&pair.access).await?;
        let Some(used) = pair.refresh.clone().filter(|_| self.vendor.refreshes()) else {
            return Ok(());
        };
        let (granted, lived) = self.vendor.refresh(&used).await.map_err(at("refresh"))?;
        self.measured.refresh = Some(lived);
        let old = std::mem::replace(pair, granted.into());
        let rotates = pair.refresh.as_ref().is_some_and(|it| *it != used);
        self.measured.rotates = Some(rotates);
        if self.measured.guarded == Some(true) {
            self.measured.old_access_lives = self.works(&old.access).await?;
        }
        if rotates {
            return self.reuse(&used, pair).await;
        }
        pair.refresh = Some(used);
        Ok(())
    }

    async fn reuse(&mut self, used: &Secret, pair: &mut CurrentTokens) -> Result<(), ProbeStop> {
        let second = self.token_of(used, "second refresh").await?;
        let reuse = match second {
            Ok(again) if again.refresh == pair.refresh => Reuse::Same,
            Ok(again) => {
                *pair = again;
                Reuse::Others
            }
            Err(refusal) => Reuse::Refused(refusal),
        };
        self.measured.reuse = Some(reuse);
        let Some(latest) = pair.refresh.clone() else {
            return Ok(());
        };
        let after = self.token_of(&latest, "refresh after it").await?;
        self.measured.survives_reuse = Some(after.is_ok());
        if let Ok(after) = after {
            *pair = after;
        }
        Ok(())
    }

    /// What a refresh token gets: tokens, or a refusal that is about it.
    async fn token_of(
        &self,
        refresh: &Secret,
        step: &'static str,
    ) -> Result<Result<CurrentTokens, Refusal>, ProbeStop> {
        match self.vendor.refresh(refresh).await {
            Ok((granted, _)) => Ok(Ok(granted.into())),
            Err(Unanswered::Refused(by)) if is_final(by.refusal) => Ok(Err(by.refusal)),
            Err(why) => Err(at(step)(why)),
        }
    }

    async fn logout(&mut self, pair: &CurrentTokens) -> Result<(), ProbeStop> {
        if !self.plan.logout {
            return Ok(());
        }
        match self.vendor.logout(&pair.access).await {
            // The reuse has ended the session already.
            Err(Unanswered::Refused(_)) if self.measured.survives_reuse == Some(false) => {
                return Ok(());
            }
            outcome => outcome.map_err(at("logout"))?,
        }
        self.measured.logged_out = true;
        self.measured.access_survives_logout = if self.measured.guarded == Some(true) {
            self.works(&pair.access).await?
        } else {
            // Where no path is known, a second logout tells, if it is refused.
            let again = self.vendor.logout(&pair.access).await;
            again.is_err().then_some(false)
        };
        let refresh = pair.refresh.as_ref().filter(|_| self.vendor.refreshes());
        if let Some(refresh) = refresh {
            let after = self.token_of(refresh, "refresh after the logout").await?;
            self.measured.refresh_survives_logout = Some(after.is_ok());
        }
        Ok(())
    }

    async fn works(&self, access: &Secret) -> Result<Option<bool>, ProbeStop> {
        let Some(path) = self.plan.guarded else {
            return Ok(None);
        };
        let works = self.vendor.works(path, access).await;
        works.map(Some).map_err(at("guarded path"))
    }
}

/// Whether a refusal is about the token, and not about the moment.
fn is_final(refusal: Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::Throttled
            | Refusal::Internal
            | Refusal::Unavailable
            | Refusal::BadGateway
            | Refusal::GatewayTimeout
    )
}

fn at(at: &'static str) -> impl FnOnce(Unanswered) -> ProbeStop {
    move |why| ProbeStop { at, why }
}
