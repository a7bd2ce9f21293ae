//! The files of a running sandbox: its manifest, the profiles that call it, and the files that
//! these name. They exist as long as it serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_client::{NamedFile, SealKey};
use countersign_dialect::Variant;
use countersign_sandbox::Sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::play_args::{Budget, PlayArgs};
use crate::config::toml_literal;
use crate::exit::Failure;
use crate::serve::data::write_private;

/// The first line of a file of profiles that a sandbox wrote, and may replace.
const MARK: &str = "# Made by `countersign sandbox`, and removed when it ends.";

/// The files of one sandbox.
pub(super) struct Files {
    /// Where the manifest is, if it is written.
    pub(super) manifest: Option<PathBuf>,
    /// Where the profiles are, if they are written.
    pub(super) profiles: Option<PathBuf>,
    published: Vec<PublishedFile>,
    /// Holds what nobody named: the login's secret, sessions, and their key.
    _private: Option<TempDir>,
}

impl Files {
    /// Writes those that were asked for; all of them, if a command needs them.
    pub(super) fn write(args: &PlayArgs, sandbox: &Sandbox) -> Result<Self, Failure> {
        let all = !args.program.is_empty();
        let private = match all || args.profiles.is_some() {
            true => Some(private_directory()?),
            false => None,
        };
        let place = |named: &Option<PathBuf>, name: &str| match (named, &private) {
            (Some(file), _) => absolute(file).map(Some),
            (None, Some(directory)) if all => Ok(Some(directory.path().join(name))),
            _ => Ok(None),
        };
        let manifest = place(&args.manifest, "sandbox.json")?;
        let profiles = place(&args.profiles, "profiles.toml")?;
        check_places(manifest.as_deref(), profiles.as_deref())?;
        let mut files = Self {
            manifest,
            profiles,
            published: Vec::new(),
            _private: None,
        };
        if let (Some(file), Some(private)) = (&files.profiles, &private) {
            let text = profiles_text(args, sandbox, private.path())?;
            files.published.push(PublishedFile::write(file, text)?);
        }
        let document = files.document(sandbox);
        if let Some(file) = &files.manifest {
            let text = format!("{document:#}\n");
            files.published.push(PublishedFile::write(file, text)?);
        }
        Ok(Self {
            _private: private,
            ..files
        })
    }

    /// The manifest, with the profiles and what a client's dialect leaves open.
    pub(super) fn document(&self, sandbox: &Sandbox) -> Value {
        let mut document = sandbox.manifest();
        if let Some(file) = &self.profiles {
            document["profiles"] = json!(file);
        }
        let said = [
            ("made_up", sandbox.made_up()),
            ("not_played", sandbox.not_played()),
        ];
        for (name, sentences) in said.into_iter().filter(|(_, it)| !it.is_empty()) {
            document[name] = json!(sentences);
        }
        for (name, part) in &sandbox.extra() {
            document["extra"][name] = json!(part.expose());
        }
        document
    }

    /// Takes them away.
    pub(super) fn withdraw(self) {
        self.published.into_iter().for_each(PublishedFile::withdraw);
    }
}

/// The name of the profile for a variant: that of the dialect, and for others than
/// the first its own behind it.
pub(super) fn profile_name(sandbox: &Sandbox, variant: Variant) -> String {
    let dialect = sandbox.dialect();
    let name = dialect.name();
    match dialect.variants().next() == Some(variant) {
        true => name.to_owned(),
        false => format!("{name}-{}", dialect.variant_name(variant)),
    }
}

/// A profile for each variant. Secret, sessions and key stand in `private`.
fn profiles_text(args: &PlayArgs, sandbox: &Sandbox, private: &Path) -> Result<String, Failure> {
    let secret = private.join("secret");
    write_private(&secret, sandbox.secret().expose())?;
    let key = private.join("store.key");
    SealKey::own(&key).map_err(Failure::failed)?;
    let dialect = sandbox.dialect();
    let named = args.dialect.as_deref().unwrap_or_default();
    let spoken = match countersign_dialect::Dialect::shipped(named) {
        Some(_) => named.to_owned(),
        None => text_of(&absolute(&crate::dialect::file_of(Path::new(named)))?)?,
    };
    let mut text = format!("{MARK}\n");
    for variant in dialect.variants() {
        let lines = [
            ("dialect", spoken.clone()),
            ("variant", dialect.variant_name(variant).to_owned()),
            ("url", sandbox.url().to_owned()),
            ("login", sandbox.login().to_owned()),
            ("secret_file", text_of(&secret)?),
            ("store_dir", text_of(&private.join("sessions"))?),
            ("store_key_file", text_of(&key)?),
        ];
        let name = profile_name(sandbox, variant);
        text.push_str(&format!("\n[{name}]\n"));
        for (key, value) in lines {
            text.push_str(&format!("{key} = {}\n", toml_literal(&json!(value))));
        }
        match args.budget {
            Some(Budget(Some(budget))) if budget > 1 => {
                text.push_str(&format!("budget = {budget}\n"));
            }
            Some(Budget(None)) => text.push_str("budget = \"unlimited\"\n"),
            _ => {}
        }
        let extra = sandbox.extra();
        if !extra.is_empty() {
            text.push_str(&format!("[{name}.extra]\n"));
        }
        for (part, value) in &extra {
            text.push_str(&format!(
                "{part} = {}\n",
                toml_literal(&json!(value.expose()))
            ));
        }
    }
    Ok(text)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::usage(format!("{} is not a path in UTF-8", path.display())))
}

/// A command may be run in another directory.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{} cannot be found: {error}", path.display())))
}

/// Before anything is written.
fn check_places(manifest: Option<&Path>, profiles: Option<&Path>) -> Result<(), Failure> {
    if manifest.is_some() && manifest == profiles {
        let sentence = "the manifest and the profiles cannot be one file";
        return Err(Failure::usage(sentence).with_help("name another file"));
    }
    manifest.map_or(Ok(()), |file| check_free(file, is_manifest))?;
    profiles.map_or(Ok(()), |file| check_free(file, is_profiles))
}

/// What a person wrote is not replaced, and neither is a device or a pipe.
fn check_free(file: &Path, is_ours: fn(&str) -> bool) -> Result<(), Failure> {
    let text = NamedFile::regular(file).and_then(|it| it.text(NamedFile::LARGEST_TEXT));
    let why = match text {
        Ok(text) if text.is_empty() || is_ours(&text) => return Ok(()),
        Ok(_) => "no sandbox made it".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error.to_string(),
    };
    let sentence = format!("{} already exists, and {why}", file.display());
    Err(Failure::usage(sentence).with_help("name another file"))
}

/// Whether a sandbox wrote this file of profiles.
fn is_profiles(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Whether a sandbox wrote this manifest.
fn is_manifest(text: &str) -> bool {
    let document: Option<Value> = serde_json::from_str(text).ok();
    document.is_some_and(|it| {
        ["control_key", "dialect"]
            .iter()
            .all(|name| it.get(name).is_some())
    })
}

/// A directory that only its owner can enter, and that goes with its value.
fn private_directory() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new()
        .prefix("countersign-sandbox-")
        .tempdir();
    made.map_err(|error| Failure::failed(format!("no directory could be made: {error}")))
}

/// A file that stands as long as its sandbox serves.
struct PublishedFile {
    file: PathBuf,
    text: String,
}

impl PublishedFile {
    /// Writes it, for its owner only; that of an earlier sandbox is replaced.
    fn write(file: &Path, text: String) -> Result<Self, Failure> {
        write_private(file, &text)?;
        Ok(Self {
            file: file.to_owned(),
            text,
        })
    }

    /// Takes it away, unless another sandbox has written its own there.
    fn withdraw(self) {
        if fs::read_to_string(&self.file).is_ok_and(|text| text == self.text) {
            // One that stays leads nowhere.
            let _gone = fs::remove_file(&self.file);
        }
    }
}
