//! Plays the story.

use std::sync::Arc;

use countersign_dialect::{Dialect, LostRefresh, Variant, VendorPreset};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::scene::{self, StepScene};
use super::step::StoryStep;
use super::{CardClient, ClientCard, ClientSituation, DialectTerms, PlayedStep, story};
use crate::SetupError;

/// What is played, and how.
#[derive(Clone, Debug)]
pub struct CardPlan {
    pub(super) dialect: Arc<Dialect>,
    pub(super) terms: DialectTerms,
    at_once: usize,
    only: Vec<String>,
}

/// Starts a client for a step.
pub type StartClient<E> = dyn Fn(&ClientSituation) -> Result<Arc<dyn CardClient>, E> + Send + Sync;

/// The card cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError<E: std::fmt::Display> {
    /// The vendor does not start.
    #[error(transparent)]
    Vendor(#[from] SetupError),
    /// The client does not start.
    #[error("{0}")]
    Client(E),
    /// A step broke off: a mistake of the card.
    #[error("the step {0} was interrupted")]
    Broken(&'static str),
}

impl CardPlan {
    /// The story in this dialect's first variant, step by step.
    pub fn new(dialect: Arc<Dialect>) -> Self {
        let first = dialect.variants().next();
        Self {
            terms: terms(&dialect, first),
            dialect,
            at_once: 1,
            only: Vec::new(),
        }
    }

    /// In another variant.
    #[must_use]
    pub fn variant(mut self, variant: Variant) -> Self {
        self.terms = terms(&self.dialect, Some(variant));
        self
    }

    /// So many steps at once: for clients that keep nothing where another of
    /// them finds it.
    #[must_use]
    pub fn at_once(mut self, steps: usize) -> Self {
        self.at_once = steps.max(1);
        self
    }

    /// Only the steps with these names; all if there is none.
    #[must_use]
    pub fn only(mut self, names: Vec<String>) -> Self {
        self.only = names;
        self
    }

    /// The lifetimes of what is played.
    pub(super) fn preset(&self) -> &VendorPreset {
        let variant = self.dialect.variant(&self.terms.variant);
        variant.map_or(self.dialect.preset(), |it| self.dialect.preset_of(it))
    }

    /// What is played, in order.
    pub fn steps(&self) -> Vec<&'static StoryStep> {
        let chosen =
            |step: &&StoryStep| self.only.is_empty() || self.only.iter().any(|it| it == step.name);
        story()
            .filter(|step| self.terms.concern(step))
            .filter(chosen)
            .collect()
    }
}

fn terms(dialect: &Dialect, variant: Option<Variant>) -> DialectTerms {
    let name = variant.map_or("", |it| dialect.variant_name(it));
    let preset = variant.map_or(dialect.preset(), |it| dialect.preset_of(it));
    DialectTerms {
        dialect: dialect.name().to_owned(),
        variant: name.to_owned(),
        refreshes: variant.is_some_and(|it| dialect.refreshes(it)),
        login_after_loss: dialect.client_policy().lost_refresh == LostRefresh::Login,
        budget: preset.budget,
        anonymous_per_minute: preset.anonymous_per_minute,
    }
}

/// Plays the story with the clients that `start` gives.
///
/// # Errors
///
/// A vendor or a client cannot be started at all.
pub async fn play<E>(
    plan: &CardPlan,
    start: Arc<StartClient<E>>,
) -> Result<ClientCard, PlayError<E>>
where
    E: std::fmt::Display + Send + 'static,
{
    let steps = plan.steps();
    let places = Arc::new(Semaphore::new(plan.at_once));
    let mut playing = JoinSet::new();
    for (number, step) in steps.iter().copied().enumerate() {
        let (plan, start, places) = (plan.clone(), start.clone(), places.clone());
        playing.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire_owned().await;
            (number, played(&plan, step, &*start).await)
        });
    }
    let mut done: Vec<Option<PlayedStep>> = steps.iter().map(|_| None).collect();
    while let Some(Ok((number, outcome))) = playing.join_next().await {
        if let Some(place) = done.get_mut(number) {
            *place = Some(outcome?);
        }
    }
    let played = steps.iter().zip(done);
    let played = played.map(|(step, it)| it.ok_or(PlayError::Broken(step.name)));
    Ok(ClientCard {
        terms: plan.terms.clone(),
        steps: played.collect::<Result<_, _>>()?,
    })
}

async fn played<E>(
    plan: &CardPlan,
    step: &'static StoryStep,
    start: &StartClient<E>,
) -> Result<PlayedStep, PlayError<E>>
where
    E: std::fmt::Display,
{
    if let Some(need) = plan.terms.lacks(step) {
        return Ok(PlayedStep::skipped(step, need));
    }
    let sandbox = scene::vendor(plan, step).start().await?;
    let situation = scene::situation(plan, step, &sandbox);
    let client = start(&situation).map_err(PlayError::Client)?;
    let scene = StepScene::new(plan, sandbox, client);
    Ok(scene.play(step, &situation.secret).await)
}
