//! Stale sessions, which are stored but no profile uses any more: how they are shown, and how
//! their end is reported.

use countersign_check::printable;
use countersign_client::profile::StaleSession;
use countersign_client::{
    Error, HttpTransport, LogoutOutcome, Profile, SessionRecord, StoredState, TrustedRoots,
};
use serde_json::{Value, json};

use super::failure::failure;
use super::logout::{clear, name_and_sentence, untold, unusable};
use super::profiles::SelectedProfiles;
use super::transcript::{Transcript, TranscriptContext};
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// The stale sessions of some profiles.
pub(super) struct StaleSessions<'p> {
    selected: &'p SelectedProfiles,
    sessions: Vec<StaleSession>,
}

/// How the attempt to end one of them went.
struct StaleOutcome<'s> {
    session: &'s StaleSession,
    outcome: &'static str,
    said: String,
    /// Why it was not ended.
    error: Option<Error>,
}

impl<'p> StaleSessions<'p> {
    /// Looks through the directories in which the profiles keep their sessions.
    pub(super) fn find(selected: &'p SelectedProfiles) -> Result<Self, Failure> {
        let known = selected.is_whole.then_some(&selected.known[..]);
        let sessions = StaleSession::find(&selected.profiles, known).map_err(unusable)?;
        Ok(Self { selected, sessions })
    }

    /// For people; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        if self.sessions.is_empty() {
            return None;
        }
        let mut table = Table::headless();
        for session in &self.sessions {
            table.row(["stale", &text(session)]);
        }
        let (lost, whole): (Vec<_>, Vec<_>) = self.sessions.iter().partition(|it| it.is_lost());
        let whole =
            (!whole.is_empty()).then_some("`countersign logout --stale` ends stale sessions\n");
        let lost = (!lost.is_empty()).then_some(
            "`countersign logout --stale --forget` also removes files that cannot be read\n",
        );
        Some(table.text() + whole.unwrap_or_default() + lost.unwrap_or_default())
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        self.sessions.iter().map(document).collect()
    }

    /// Ends them. A session is kept if its vendor cannot be told, unless it is to be
    /// forgotten.
    pub(super) async fn end(
        &self,
        forget: bool,
        transcript: &Transcript,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let mut all = Vec::new();
        for session in &self.sessions {
            all.push(self.end_one(session, forget, transcript).await?);
        }
        let items: Vec<_> = all.iter().map(StaleOutcome::document).collect();
        let texts: Vec<_> = all.iter().map(StaleOutcome::text).collect();
        let text = match texts.is_empty() {
            true => "There are no stale sessions.".to_owned(),
            false => texts.join("\n"),
        };
        let document = transcript.added_to(json!({ "items": items }));
        output.document(&document, &text)?;
        verdict(&all)
    }

    async fn end_one<'s>(
        &self,
        session: &'s StaleSession,
        forget: bool,
        transcript: &Transcript,
    ) -> Result<StaleOutcome<'s>, Failure> {
        let why = match &session.stored.state {
            StoredState::Damaged => "it is damaged",
            StoredState::Closed => "it is sealed with another key",
            StoredState::Former => "an older release stored it",
            StoredState::Whole(record) => {
                return self.end_whole(session, record, forget, transcript).await;
            }
        };
        if session.is_lost() && !forget {
            return Ok(StaleOutcome {
                session,
                outcome: "kept",
                said: format!("kept; {why}, so that the vendor cannot be told"),
                error: Some(lacking(why)),
            });
        }
        session.stored.remove().map_err(unusable)?;
        Ok(StaleOutcome {
            session,
            outcome: "forgotten",
            said: format!("forgotten here; {why}, so that the vendor cannot be told"),
            error: None,
        })
    }

    async fn end_whole<'s>(
        &self,
        session: &'s StaleSession,
        record: &SessionRecord,
        forget: bool,
        transcript: &Transcript,
    ) -> Result<StaleOutcome<'s>, Failure> {
        let ended = match &record.tokens {
            Some(_) => self.log_out(session, transcript).await,
            None => Ok(LogoutOutcome::NotLoggedIn),
        };
        let (outcome, said, error) = match ended {
            Ok(outcome) => {
                let (name, said) = name_and_sentence(outcome);
                (name, said, None)
            }
            Err(error) if forget => ("forgotten", untold(&error), None),
            Err(error) => {
                let why = printable(&error.message);
                let said = format!("kept; the vendor could not be told: {why}");
                ("kept", said, Some(error))
            }
        };
        if error.is_none() {
            let store = session.store().map_err(|it| failure(&it))?;
            clear(&store).await?;
        }
        Ok(StaleOutcome {
            session,
            outcome,
            said,
            error,
        })
    }

    async fn log_out(
        &self,
        session: &StaleSession,
        transcript: &Transcript,
    ) -> Result<LogoutOutcome, Error> {
        let profiles = &self.selected.profiles;
        let mut builder = session.source(profiles)?;
        if transcript.is_wanted()
            && let Some(speaker) = speaker(session, profiles)
        {
            let url = &speaker.auth_url;
            let transport = match session.profile(profiles) {
                Some(profile) => profile.transport(url)?,
                None => HttpTransport::new(url, &TrustedRoots::System)?,
            };
            builder = builder.transport(transcript.listening(transport, speaker));
        }
        builder.build()?.logout().await
    }
}

/// Whether all are ended. If a vendor may answer later, the exit code says so.
fn verdict(all: &[StaleOutcome<'_>]) -> Result<(), Failure> {
    let errors: Vec<_> = all.iter().filter_map(|it| it.error.as_ref()).collect();
    let said = match errors.len() {
        0 => return Ok(()),
        1 => "1 session could not be ended".to_owned(),
        many => format!("{many} sessions could not be ended"),
    };
    let failure = match errors.iter().any(|it| it.is_transient()) {
        true => Failure::unavailable(said),
        false => Failure::failed(said),
    };
    Err(failure.with_help("use --forget to forget them here without telling the vendor"))
}

fn lacking(what: &str) -> Error {
    Error::new(countersign_client::ErrorKind::Setup, what)
}

fn speaker(session: &StaleSession, profiles: &[Profile]) -> Option<TranscriptContext> {
    let owner = session.stored.owner.as_ref()?;
    let dialect = session.dialect(profiles).ok()?;
    Some(TranscriptContext {
        variant: dialect.variant(&owner.variant)?,
        login: owner.login.clone(),
        auth_url: owner.auth_url.parse().ok()?,
        dialect,
    })
}

/// The file, on one line whatever its name is.
fn file(session: &StaleSession) -> String {
    printable(&session.stored.file.display().to_string())
}

fn profile(session: &StaleSession) -> String {
    printable(session.stored.profile())
}

fn text(session: &StaleSession) -> String {
    let (profile, file) = (profile(session), file(session));
    let whose = match (&session.stored.owner, &session.stored.state) {
        (Some(owner), _) => {
            let whose = format!("{} as {}, {}", owner.auth_url, owner.login, owner.dialect);
            format!("{}: ", printable(&whose))
        }
        (None, StoredState::Former | StoredState::Whole(_)) => {
            "of an earlier url, login or key: ".to_owned()
        }
        // Whose it is cannot be read.
        (None, StoredState::Closed | StoredState::Damaged) => String::new(),
    };
    let state = match &session.stored.state {
        StoredState::Whole(record) if record.tokens.is_some() => "logged in",
        StoredState::Whole(_) => "nobody is logged in",
        StoredState::Closed => "it is sealed with another key",
        StoredState::Former => "an older release stored it, and it cannot be continued",
        StoredState::Damaged => "it is damaged",
    };
    format!("{profile}: {whose}{state} ({file})")
}

fn document(session: &StaleSession) -> Value {
    let owner = session.stored.owner.as_ref();
    let state = match &session.stored.state {
        StoredState::Whole(_) => "whole",
        StoredState::Closed => "closed",
        StoredState::Former => "former",
        StoredState::Damaged => "damaged",
    };
    json!({
        "file": session.stored.file,
        "profile": session.stored.profile(),
        "url": owner.map(|it| &it.url),
        "auth_url": owner.map(|it| &it.auth_url),
        "login": owner.map(|it| &it.login),
        "dialect": owner.map(|it| &it.dialect),
        "state": state,
    })
}

impl StaleOutcome<'_> {
    fn text(&self) -> String {
        let (profile, file) = (profile(self.session), file(self.session));
        format!("{profile} ({file}): {}", self.said)
    }

    fn document(&self) -> Value {
        let mut document = document(self.session);
        document["outcome"] = self.outcome.into();
        document["message"] = self.said.as_str().into();
        if let Some(error) = &self.error {
            document["error"] = failure(error).document();
        }
        document
    }
}
