//! Stored sessions of a url or login that a profile had before, or of a profile that was removed
//! from its file. They are kept until somebody ends them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use countersign_check::printable;
use countersign_client::profile::{KeyPlace, SessionStorage};
use countersign_client::{
    Dialect, Error, HttpTransport, LogoutOutcome, Profile, SealKey, Secret, ServerUrl,
    SessionOwner, SessionRecord, StoredSession, StoredState, TokenSource, TrustedRoots,
};
use serde_json::{Value, json};

use super::failure::failure;
use super::logout::{clear, name_and_sentence, untold, unusable};
use super::profiles::SelectedProfiles;
use super::transcript::{Transcript, TranscriptContext};
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// What lies there from before, of some profiles.
pub(super) struct StaleSessions<'p> {
    selected: &'p SelectedProfiles,
    sessions: Vec<StaleSession>,
}

struct StaleSession {
    kept: StoredSession,
    key: KeyPlace,
}

/// What became of one of them.
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
        let mut places: BTreeMap<&Path, &KeyPlace> = BTreeMap::new();
        for profile in &selected.profiles {
            if let SessionStorage::File { path, key } = &profile.storage
                && let Some(directory) = path.parent()
            {
                places.entry(directory).or_insert(key);
            }
        }
        let mut sessions = Vec::new();
        for (directory, key) in places {
            let opener = opener(key, directory);
            let all = StoredSession::in_directory(directory, opener.as_ref()).map_err(unusable)?;
            let opener = opener.as_ref();
            let stale = all.into_iter().filter(|it| is_stale(it, opener, selected));
            sessions.extend(stale.map(|kept| StaleSession {
                kept,
                key: key.clone(),
            }));
        }
        Ok(Self { selected, sessions })
    }

    /// For people; `None` if there is nothing.
    pub(super) fn text(&self) -> Option<String> {
        if self.sessions.is_empty() {
            return None;
        }
        let mut table = Table::headless();
        for session in &self.sessions {
            table.row(["from before", &session.text()]);
        }
        let (lost, whole): (Vec<_>, Vec<_>) = self.sessions.iter().partition(|it| it.is_lost());
        let whole = (!whole.is_empty())
            .then_some("`countersign logout --stale` ends what lies there from before\n");
        let lost = (!lost.is_empty())
            .then_some("`countersign logout --stale --forget` also removes what cannot be read\n");
        Some(table.text() + whole.unwrap_or_default() + lost.unwrap_or_default())
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        self.sessions.iter().map(StaleSession::document).collect()
    }

    /// Ends them. What a vendor cannot be told of is kept, unless it is to be
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
            true => "Nothing lies there from before.".to_owned(),
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
        let why = match &session.kept.state {
            StoredState::Damaged => "it is damaged",
            StoredState::Closed => "another key sealed it",
            StoredState::Former => "an older release kept it",
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
        session.kept.remove().map_err(unusable)?;
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
        let owner = session.kept.owner.as_ref();
        let owner = owner.ok_or_else(|| lacking("the file does not say whose it is"))?;
        let mut profiles = self.selected.profiles.iter();
        let profile = profiles.find(|it| it.name == owner.profile);
        let dialect = self
            .dialect(owner)
            .ok_or_else(|| lacking(&format!("the dialect {} is not at hand", owner.dialect)))?;
        let mut builder = TokenSource::builder(dialect.clone(), &owner.auth_url)
            .name(&owner.profile)
            .variant(&owner.variant)
            .login(&owner.login)
            .store(session.store()?);
        if let Some(profile) = profile {
            builder = builder.roots(profile.roots()?).proxies(profile.proxies());
            if profile.danger_plain_http {
                builder = builder.danger_plain_http();
            }
            let parts = profile.extra_sources();
            builder = parts.fold(builder, |builder, (name, part)| {
                builder.extra_from(name, part)
            });
        }
        if transcript.is_wanted()
            && let Some(speaker) = speaker(owner, dialect)
        {
            let transport = transport(profile, &speaker.auth_url)?;
            builder = builder.transport(transcript.listening(transport, speaker));
        }
        // A secret is that of a login: another login has another.
        builder = match profile.filter(|it| it.login == owner.login) {
            Some(profile) => builder.secret(profile.secret_source()),
            None => builder.secret(Secret::from("")),
        };
        builder.build()?.logout().await
    }

    /// The dialect of a session: that of a profile of now, or one that comes with
    /// the program.
    fn dialect(&self, owner: &SessionOwner) -> Option<Arc<Dialect>> {
        let mut at_hand = self.selected.profiles.iter().map(|it| &it.dialect);
        let named = at_hand.find(|it| it.name() == owner.dialect);
        let shipped = || Dialect::compile(Dialect::shipped(&owner.dialect)?, &owner.dialect).ok();
        named.cloned().or_else(|| shipped().map(Arc::new))
    }
}

/// Whether all is ended. Where a vendor may answer later, that counts.
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
    Err(failure.with_help("with --forget they are forgotten here"))
}

fn lacking(what: &str) -> Error {
    Error::new(countersign_client::ErrorKind::Setup, what)
}

fn speaker(owner: &SessionOwner, dialect: Arc<Dialect>) -> Option<TranscriptContext> {
    Some(TranscriptContext {
        variant: dialect.variant(&owner.variant)?,
        login: owner.login.clone(),
        auth_url: owner.auth_url.parse().ok()?,
        dialect,
    })
}

/// What the source of a session would reach its vendor with.
fn transport(profile: Option<&Profile>, url: &ServerUrl) -> Result<HttpTransport, Error> {
    match profile {
        Some(profile) => HttpTransport::through(&profile.proxies(), url, &profile.roots()?),
        None => HttpTransport::new(url, &TrustedRoots::System),
    }
}

/// The key that opens what lies in a directory. One that is not there yet is not
/// made for a look.
fn opener(key: &KeyPlace, directory: &Path) -> Option<SealKey> {
    match key {
        KeyPlace::Own(path) if !path.exists() => None,
        key => key.key(directory).ok(),
    }
}

/// Whether a file is none that a profile uses or will use. Of profiles of another
/// file of profiles nothing is said, nor of those that cannot be used.
fn is_stale(kept: &StoredSession, key: Option<&SealKey>, selected: &SelectedProfiles) -> bool {
    let is_its = |profile: &Profile| {
        let SessionStorage::File { path, .. } = &profile.storage else {
            return false;
        };
        let to_be_taken_over = || {
            let owner = profile.session_owner();
            !path.exists() && key.is_some_and(|key| kept.is_former_of(&owner, key))
        };
        *path == kept.file || to_be_taken_over()
    };
    if selected.profiles.iter().any(is_its) {
        return false;
    }
    let name = kept.profile();
    let named = selected.profiles.iter().find(|it| it.name == name);
    let origin = selected.profiles.iter().find_map(|it| it.origin.as_ref());
    let is_gone = selected.is_whole && !selected.known.iter().any(|it| it == name);
    match kept.owner.as_ref().map(|it| Path::new(&it.profiles)) {
        // Where it is from is not known, but for its name.
        None => named.is_some(),
        Some(from) if from.as_os_str().is_empty() || !from.exists() => named.is_some(),
        Some(from) => origin.is_some_and(|it| it == from) && (named.is_some() || is_gone),
    }
}

impl StaleSession {
    fn store(&self) -> Result<countersign_client::FileStore, Error> {
        let lost = |why: String| Error::new(countersign_client::ErrorKind::Store, why);
        let directory = self.kept.file.parent().unwrap_or(Path::new("."));
        let key = self.key.key(directory).map_err(|it| lost(it.to_string()))?;
        let store = self.kept.store(key);
        store.ok_or_else(|| lost("the file does not say whose it is".to_owned()))
    }

    /// Whether nobody can read it, so that its vendor cannot be told.
    fn is_lost(&self) -> bool {
        matches!(self.kept.state, StoredState::Damaged | StoredState::Closed)
    }

    /// The file, on one line whatever its name is.
    fn file(&self) -> String {
        printable(&self.kept.file.display().to_string())
    }

    fn profile(&self) -> String {
        printable(self.kept.profile())
    }

    fn text(&self) -> String {
        let (profile, file) = (self.profile(), self.file());
        let whose = match (&self.kept.owner, &self.kept.state) {
            (Some(owner), _) => {
                let whose = format!("{} as {}, {}", owner.auth_url, owner.login, owner.dialect);
                format!("{}: ", printable(&whose))
            }
            (None, StoredState::Former | StoredState::Whole(_)) => {
                "of a former url, login or key: ".to_owned()
            }
            // Whose it is cannot be read.
            (None, StoredState::Closed | StoredState::Damaged) => String::new(),
        };
        let state = match &self.kept.state {
            StoredState::Whole(record) if record.tokens.is_some() => "logged in",
            StoredState::Whole(_) => "nobody is logged in",
            StoredState::Closed => "another key sealed it",
            StoredState::Former => "it cannot be gone on with",
            StoredState::Damaged => "it is damaged",
        };
        format!("{profile}: {whose}{state} ({file})")
    }

    fn document(&self) -> Value {
        let owner = self.kept.owner.as_ref();
        let state = match &self.kept.state {
            StoredState::Whole(_) => "whole",
            StoredState::Closed => "closed",
            StoredState::Former => "former",
            StoredState::Damaged => "damaged",
        };
        json!({
            "file": self.kept.file,
            "profile": self.kept.profile(),
            "url": owner.map(|it| &it.url),
            "auth_url": owner.map(|it| &it.auth_url),
            "login": owner.map(|it| &it.login),
            "dialect": owner.map(|it| &it.dialect),
            "state": state,
        })
    }
}

impl StaleOutcome<'_> {
    fn text(&self) -> String {
        let (profile, file) = (self.session.profile(), self.session.file());
        format!("{profile} ({file}): {}", self.said)
    }

    fn document(&self) -> Value {
        let mut document = self.session.document();
        document["outcome"] = self.outcome.into();
        document["message"] = self.said.as_str().into();
        if let Some(error) = &self.error {
            document["error"] = failure(error).document();
        }
        document
    }
}
