//! The setting of one step: a vendor, a client, and what the card does to them.

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::TokenOperation;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::step::{ClockLeap, SHORT, StepAction, StepNeed, StepSetup, StoryStep};
use super::{
    CardClient, CardPlan, ClientAnswer, ClientSituation, PlayedStep, StepEvent, StepEvidence,
};
use crate::{RecordedRequest, Sandbox, SandboxSetup};

/// Past an end, for the whole seconds in which tokens tell theirs.
const PAST: Duration = Duration::from_secs(2);

/// Longer than a vendor takes a refresh that comes again for one whose reply was
/// lost.
const GRACE: Duration = Duration::from_secs(70);

/// How long a client is given to ask for what is to go wrong.
const STALL: Duration = Duration::from_secs(9);

/// So many calls until one is done: pauses that double take some seconds.
const TRIES: u32 = 40;

/// So many calls more than logins are taken.
const BEYOND: u32 = 10;

const STEADY: Duration = Duration::from_millis(250);

/// The vendor of a step.
pub(super) fn vendor(plan: &CardPlan, step: &StoryStep) -> SandboxSetup {
    let setup = Sandbox::speaking(plan.dialect.clone());
    match step.stage {
        StepSetup::ShortLived => setup.access(SHORT),
        StepSetup::Usual | StepSetup::WrongSecret => setup,
    }
}

/// What its client is told.
pub(super) fn situation(plan: &CardPlan, step: &StoryStep, sandbox: &Sandbox) -> ClientSituation {
    let secret = sandbox.secret().expose();
    ClientSituation {
        url: sandbox.url().to_owned(),
        login: sandbox.login().to_owned(),
        secret: match step.stage {
            StepSetup::WrongSecret => another(secret),
            StepSetup::Usual | StepSetup::ShortLived => secret.to_owned(),
        },
        dialect: plan.terms.dialect.clone(),
        variant: plan.terms.variant.clone(),
    }
}

/// A secret of the same form that is not this one.
fn another(secret: &str) -> String {
    let mut letters: Vec<_> = secret.chars().collect();
    if let Some(last) = letters.last_mut() {
        *last = if *last == 'A' { 'B' } else { 'A' };
    }
    letters.into_iter().collect()
}

/// A step that is being played.
pub(super) struct StepScene<'a> {
    plan: &'a CardPlan,
    sandbox: Sandbox,
    client: Arc<dyn CardClient>,
    evidence: StepEvidence,
    calls: u32,
    taken: usize,
    begun: Instant,
}

impl<'a> StepScene<'a> {
    pub(super) fn new(plan: &'a CardPlan, sandbox: Sandbox, client: Arc<dyn CardClient>) -> Self {
        Self {
            plan,
            sandbox,
            client,
            evidence: StepEvidence::default(),
            calls: 0,
            taken: 0,
            begun: Instant::now(),
        }
    }

    /// Plays it to its end and judges it.
    pub(super) async fn play(mut self, step: &'static StoryStep, secret: &str) -> PlayedStep {
        let complete = self.follow(step.script).await;
        let said = self.client.finish().await;
        self.take_requests();
        match complete {
            Ok(()) => PlayedStep::judged(step, self.evidence, &said, secret, self.begun.elapsed()),
            Err(need) => PlayedStep::skipped(step, need),
        }
    }

    async fn follow(&mut self, script: &[StepAction]) -> Result<(), StepNeed> {
        for act in script {
            if matches!(act, StepAction::AtOnce(_)) && !self.client.is_parallel() {
                return Err(StepNeed::Parallel);
            }
            self.act(*act).await;
        }
        Ok(())
    }

    async fn act(&mut self, act: StepAction) {
        match act {
            StepAction::Calls { times, every } => self.calls(times, every).await,
            StepAction::Pause(span) => tokio::time::sleep(span).await,
            StepAction::AtOnce(calls) => self.calls_at_once(calls).await,
            StepAction::CallUntilFault(operation) => self.call_until_fault(operation).await,
            StepAction::CallUntilDone => self.call_until_done().await,
            StepAction::Spend { tokens } => self.spend(tokens).await,
            StepAction::OutnumberLogins => self.outnumber_logins().await,
            StepAction::Advance(leap) => self.advance(leap),
            StepAction::Fault(fault, text) => {
                self.incident(text.to_owned());
                self.sandbox.fault(fault);
            }
            StepAction::Mend => {
                self.incident("the vendor is well again".to_owned());
                self.sandbox.clear_faults();
            }
        }
    }

    async fn calls(&mut self, times: u32, every: Duration) {
        for _ in 0..times {
            let begun = Instant::now();
            self.call().await;
            tokio::time::sleep_until(begun + every).await;
        }
    }

    /// Whether it is done.
    async fn call(&mut self) -> bool {
        let (call, path) = self.next_call();
        let answer = self.client.call(&path).await;
        self.take_requests();
        let done = answer.is_success();
        self.evidence.push(StepEvent::Answer { call, answer });
        done
    }

    async fn calls_at_once(&mut self, calls: u32) {
        let mut waiting = JoinSet::new();
        for _ in 0..calls {
            let ((call, path), client) = (self.next_call(), self.client.clone());
            waiting.spawn(async move { (call, client.call(&path).await) });
        }
        while let Some(answered) = waiting.join_next().await {
            self.take_requests();
            let broken = || (0, ClientAnswer::Ended("the call broke off".to_owned()));
            let (call, answer) = answered.unwrap_or_else(|_| broken());
            self.evidence.push(StepEvent::Answer { call, answer });
        }
    }

    async fn call_until_fault(&mut self, operation: TokenOperation) {
        let begun = Instant::now();
        while begun.elapsed() < STALL && !self.has_struck(operation) {
            self.calls(1, STEADY).await;
        }
    }

    fn has_struck(&self, operation: TokenOperation) -> bool {
        let requests = self.sandbox.requests();
        let of_it = |it: &RecordedRequest| it.operation == operation && !it.faults.is_empty();
        requests.iter().any(of_it)
    }

    async fn call_until_done(&mut self) {
        for _ in 0..TRIES {
            let begun = Instant::now();
            if self.call().await {
                return;
            }
            tokio::time::sleep_until(begun + STEADY).await;
        }
    }

    /// A little more than the tokens may make, so that the next one is needed.
    async fn spend(&mut self, tokens: u32) {
        let budget = self.plan.terms.budget.unwrap_or(0);
        for _ in 0..=budget * tokens {
            self.call().await;
        }
    }

    /// More calls than the vendor takes logins from one address in a minute, even
    /// with what comes back while they are made.
    async fn outnumber_logins(&mut self) {
        let logins = self.plan.terms.anonymous_per_minute.unwrap_or(0);
        for _ in 0..logins + BEYOND {
            self.call().await;
        }
    }

    fn advance(&mut self, leap: ClockLeap) {
        let preset = self.plan.preset();
        let (span, end) = match leap {
            ClockLeap::PastAccess => (preset.access + PAST, "the access token has ended"),
            ClockLeap::PastRefresh => (preset.refresh + PAST, "both tokens have ended"),
            ClockLeap::PastGrace => (GRACE, "the access token has ended"),
        };
        let seconds = span.as_secs();
        self.incident(format!(
            "the vendor's clock is moved forward by {seconds} s: {end}"
        ));
        self.sandbox.advance(span);
    }

    fn incident(&mut self, text: String) {
        self.take_requests();
        self.evidence.push(StepEvent::Incident(text));
    }

    fn next_call(&mut self) -> (u32, String) {
        self.calls += 1;
        (self.calls, format!("/card/{}", self.calls))
    }

    /// Takes what reached the vendor since it was looked at last.
    fn take_requests(&mut self) {
        let requests = self.sandbox.requests();
        for request in requests.iter().skip(self.taken) {
            self.evidence.push(StepEvent::Request(request.clone()));
        }
        self.taken = requests.len();
    }
}
