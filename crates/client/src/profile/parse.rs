//! Parses the profiles file: every key, how it is written, and what is wrong with it.

mod split;
mod storage;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use countersign_dialect::document::{TomlDocument, TomlKey, TomlTable, TomlValue, did_you_mean};
use countersign_dialect::{Dialect, Mistake, Mistakes, Secret, Variant};
use countersign_outbound::{ProxyRules, ServerUrl};

use super::{ExtraPart, Profile, SecretPlace, UserPaths};
use crate::NamedFile;

/// The content of a file: each profile or its mistakes, and the mistakes that are in
/// no profile.
#[derive(Default)]
pub(super) struct ReadProfiles {
    pub(super) profiles: BTreeMap<String, Result<Profile, Mistakes>>,
    pub(super) stray: Vec<Mistake>,
}

/// A file with more mistakes is parsed one profile at a time, since no more than a
/// hundred mistakes of one text are reported.
const FEW: usize = 50;

pub(super) fn profiles(
    text: &str,
    origin: &str,
    base: &Path,
    places: &UserPaths,
) -> Result<ReadProfiles, Mistakes> {
    let from = ProfileFileContext {
        origin,
        base,
        places,
    };
    let mut read = parse_whole_or_by_profile(text, &from)?;
    read.blame_broken(text, origin);
    Ok(read)
}

fn parse_whole_or_by_profile(
    text: &str,
    from: &ProfileFileContext<'_>,
) -> Result<ReadProfiles, Mistakes> {
    let whole = from.parse(text);
    if whole.as_ref().is_ok_and(|it| it.mistakes() < FEW) {
        return whole;
    }
    // Text that is not TOML may be in one profile only.
    let pieces = split::by_profile(text);
    if pieces.iter().all(|piece| piece.name.is_none()) {
        return whole;
    }
    let mut all = ReadProfiles::default();
    for piece in pieces {
        match (from.parse(&piece.text), piece.name) {
            (Ok(read), _) => {
                all.profiles.extend(read.profiles);
                all.stray.extend(read.stray);
            }
            (Err(mistakes), Some(name)) => {
                all.profiles.insert(name, Err(mistakes));
            }
            (Err(mistakes), None) => all.stray.extend(mistakes.0),
        }
    }
    Ok(all)
}

/// Where a text comes from, and what it is parsed with.
struct ProfileFileContext<'a> {
    origin: &'a str,
    base: &'a Path,
    places: &'a UserPaths,
}

impl ProfileFileContext<'_> {
    fn parse(&self, text: &str) -> Result<ReadProfiles, Mistakes> {
        let document = TomlDocument::parse(text, self.origin)?;
        let mut read = ReadProfiles::default();
        let mut mistakes: Vec<(Option<String>, Mistake)> = Vec::new();
        let root = document.root();
        for (name, value) in root.entries() {
            let Some(table) = value.table() else { continue };
            let mut reader = ProfileReader {
                base: self.base,
                places: self.places,
                foreign: Vec::new(),
                table,
            };
            let profile = reader.read_profile(&name, &root);
            let foreign = reader.foreign.drain(..);
            mistakes.extend(foreign.map(|it| (Some(name.name.to_owned()), it)));
            let profile = profile.ok_or_else(|| Mistakes(Vec::new()));
            read.profiles.insert(name.name.to_owned(), profile);
        }
        drop(root);
        let own = document.finish(Some(())).err().map(|it| it.0);
        let own = own.unwrap_or_default().into_iter();
        mistakes.splice(0..0, own.map(|it| (first_key(&it.pointer), it)));
        for (name, mistake) in mistakes {
            read.blame(name.as_deref(), mistake);
        }
        read.blame_silent(self.origin);
        Ok(read)
    }
}

impl ReadProfiles {
    fn blame(&mut self, name: Option<&str>, mistake: Mistake) {
        let profile = name.and_then(|name| self.profiles.get_mut(name));
        match profile {
            Some(Err(mistakes)) => mistakes.0.push(mistake),
            Some(sound) => *sound = Err(Mistakes(vec![mistake])),
            None => self.stray.push(mistake),
        }
    }

    /// A replacement character stands for what was not UTF-8.
    fn blame_broken(&mut self, text: &str, origin: &str) {
        if !text.contains(char::REPLACEMENT_CHARACTER) {
            return;
        }
        for piece in split::by_profile(text) {
            let found = piece.text.split_once(char::REPLACEMENT_CHARACTER);
            let Some((before, _)) = found else { continue };
            let line = before.rsplit('\n').next().unwrap_or_default();
            let mistake = Mistake {
                origin: origin.to_owned(),
                line: before.matches('\n').count() + 1,
                column: line.chars().count() + 1,
                pointer: piece.name.iter().map(|it| format!("/{it}")).collect(),
                message: "is not UTF-8".to_owned(),
                help: None,
            };
            self.blame(piece.name.as_deref(), mistake);
        }
    }

    /// No profile fails without a message.
    fn blame_silent(&mut self, origin: &str) {
        let faults = self.profiles.iter_mut();
        let faults = faults.filter_map(|(name, it)| Some((name, it.as_mut().err()?)));
        for (name, mistakes) in faults.filter(|(_, it)| it.0.is_empty()) {
            mistakes.0.push(Mistake {
                origin: origin.to_owned(),
                line: 1,
                column: 1,
                pointer: format!("/{name}"),
                message: "cannot be used".to_owned(),
                help: None,
            });
        }
    }

    fn mistakes(&self) -> usize {
        let faults = self.profiles.values().filter_map(|it| it.as_ref().err());
        faults.map(|it| it.0.len()).sum::<usize>() + self.stray.len()
    }
}

/// The profile that a JSON pointer points into.
fn first_key(pointer: &str) -> Option<String> {
    let first = pointer.strip_prefix('/')?.split('/').next()?;
    Some(first.replace("~1", "/").replace("~0", "~"))
}

/// One `[NAME]` table.
struct ProfileReader<'a, 'd> {
    base: &'a Path,
    places: &'a UserPaths,
    /// Mistakes in dialect files.
    foreign: Vec<Mistake>,
    table: TomlTable<'d>,
}

impl ProfileReader<'_, '_> {
    /// Reads each key before a missing one ends it, so that all mistakes are
    /// reported.
    fn read_profile(&mut self, name: &TomlKey<'_>, root: &TomlTable<'_>) -> Option<Profile> {
        let named = values::name(name, root);
        let dialect = self.table.require("dialect");
        let dialect = dialect.and_then(|it| self.dialect(&it));
        let variant = self.variant(dialect.as_deref());
        let danger = self.table.get("danger_plain_http");
        let danger = danger.and_then(|it| it.boolean()).unwrap_or_default();
        let url = self.table.require("url").and_then(|it| url(&it, danger));
        let auth_url = match self.table.get("auth_url") {
            Some(value) => self::url(&value, danger),
            None => url.clone(),
        };
        let login = self.table.require("login").and_then(|it| values::word(&it));
        let secret = self.secret();
        let extra = self.extra(dialect.as_deref());
        let storage = self.storage();
        let budget = self.budget(dialect.as_deref().zip(variant));
        let static_key = self.static_key(dialect.as_deref());
        let [roots, key_file] = ["roots", "key_file"].map(|key| self.file(key));
        let proxy = self.table.get("proxy").map(|it| proxy(&it));
        let allow = self.table.get("allow").map(|it| values::allowed(&it));
        let listen = self.table.get("listen").and_then(|it| values::word(&it));
        let mut profile = Profile {
            name: named?,
            origin: None,
            dialect: dialect?,
            variant: variant?,
            url: url?,
            auth_url: auth_url?,
            danger_plain_http: danger,
            login: login?,
            secret: secret?,
            extra,
            storage: storage?,
            budget,
            roots,
            proxy: proxy.unwrap_or_default(),
            static_key,
            allow: allow.unwrap_or_default(),
            key_file,
            listen,
        };
        profile.name_session_file();
        Some(profile)
    }

    /// A name without a slash or extension is a dialect that comes with the program,
    /// any other text a file.
    fn dialect(&mut self, value: &TomlValue<'_>) -> Option<Arc<Dialect>> {
        let text = value.text()?;
        let is_file = text.contains('/') || Path::new(text).extension().is_some();
        let (source, origin) = if is_file {
            let path = self.places.path(text, self.base);
            let read = dialect_text(&path);
            let read = read.map_err(|error| value.blame(format!("cannot be read: {error}"), None));
            (read.ok()?, path.display().to_string())
        } else {
            (shipped(value, text)?.to_owned(), text.to_owned())
        };
        let dialect = Dialect::compile(&source, &origin)
            .map_err(|mistakes| self.foreign.extend(mistakes.0))
            .ok()?;
        if !dialect.serves().client {
            value.blame("is a dialect for issuers only: it cannot be called", None);
            return None;
        }
        Some(Arc::new(dialect))
    }

    /// The named variant, or the first.
    fn variant(&self, dialect: Option<&Dialect>) -> Option<Variant> {
        let value = self.table.get("variant");
        let written = value.as_ref().map(TomlValue::text);
        let dialect = dialect?;
        let Some((value, written)) = value.as_ref().zip(written) else {
            return dialect.variants().next();
        };
        let found = dialect.variant(written?);
        if found.is_none() {
            let names: Vec<_> = dialect
                .variants()
                .map(|it| format!("`{}`", dialect.variant_name(it)))
                .collect();
            let message = format!(
                "is not a variant of {}, which has {}",
                dialect.name(),
                names.join(", ")
            );
            value.blame(message, None);
        }
        found
    }

    fn secret(&self) -> Option<SecretPlace> {
        if let Some(value) = self.table.get("secret") {
            let help = "put it into a file of its own, with mode 0600, and name that with \
                        `secret_file`";
            value.blame("must not be in this file", Some(help.to_owned()));
        }
        let keys = ["secret_file", "secret_env", "secret_command"];
        let Some((key, value)) = values::only_one(&self.table, &keys) else {
            return Some(SecretPlace::Asked);
        };
        match key {
            "secret_file" => Some(SecretPlace::File(self.path(&value)?)),
            "secret_env" => Some(SecretPlace::Env(values::variable(&value)?)),
            _ => Some(SecretPlace::Command(values::command(&value)?)),
        }
    }

    fn extra(&self, dialect: Option<&Dialect>) -> BTreeMap<String, ExtraPart> {
        let table = self.table.get("extra").and_then(|it| it.table());
        let known = dialect.map(|it| (it.name(), it.extra_names()));
        let mut parts = BTreeMap::new();
        for (key, value) in table.iter().flat_map(TomlTable::entries) {
            if let (Some(table), Some((dialect, known))) = (&table, &known)
                && !known.contains(key.name)
            {
                let help = did_you_mean(key.name, known.iter().copied());
                let message = format!("is not a part of a credential of {dialect}");
                table.blame_key(&key, message, help.or_else(|| parts_of(known)));
            }
            if let Some(part) = self.extra_part(&value) {
                parts.insert(key.name.to_owned(), part);
            }
        }
        parts
    }

    /// A text, or a table that says where the part is stored.
    fn extra_part(&self, value: &TomlValue<'_>) -> Option<ExtraPart> {
        if !value.is_table() {
            return Some(ExtraPart::Literal(Secret::from(values::word(value)?)));
        }
        let table = value.table()?;
        let keys = ["file", "env", "command"];
        let Some((key, place)) = values::only_one(&table, &keys) else {
            table.blame("is empty: write one of `file`, `env`, `command`");
            return None;
        };
        Some(ExtraPart::Kept(match key {
            "file" => SecretPlace::File(self.path(&place)?),
            "env" => SecretPlace::Env(values::variable(&place)?),
            _ => SecretPlace::Command(values::command(&place)?),
        }))
    }

    fn budget(&self, spoken: Option<(&Dialect, Variant)>) -> Option<u32> {
        match self.table.get("budget") {
            Some(value) => values::budget(&value),
            None => {
                let (dialect, variant) = spoken?;
                dialect.preset_of(variant).budget
            }
        }
    }

    fn static_key(&self, dialect: Option<&Dialect>) -> bool {
        let Some(value) = self.table.get("static_key") else {
            return false;
        };
        let wanted = value.boolean().unwrap_or_default();
        if let Some(dialect) = dialect
            && wanted
            && dialect.static_key().is_none()
        {
            let message = format!("is not supported by {}", dialect.name());
            value.blame(message, None);
        }
        wanted
    }

    fn file(&self, key: &str) -> Option<std::path::PathBuf> {
        self.path(&self.table.get(key)?)
    }

    fn path(&self, value: &TomlValue<'_>) -> Option<std::path::PathBuf> {
        Some(self.places.path(&values::word(value)?, self.base))
    }
}

/// The parts that may be given.
fn parts_of(known: &BTreeSet<&str>) -> Option<String> {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    (!known.is_empty()).then(|| format!("it has {}", known.join(", ")))
}

/// The largest dialect file, in bytes.
const LARGEST_DIALECT: u64 = 1 << 20;

/// The text of a dialect file. What may hang or have no end is not opened.
fn dialect_text(path: &Path) -> std::io::Result<String> {
    let text = NamedFile::regular(path)?.text(LARGEST_DIALECT)?;
    Ok(text.to_string())
}

fn shipped(value: &TomlValue<'_>, name: &str) -> Option<&'static str> {
    let found = Dialect::shipped(name);
    if found.is_none() {
        let names = Dialect::SHIPPED.iter().map(|(name, _)| *name);
        let help = did_you_mean(name, names).unwrap_or_else(|| {
            "name one that `countersign dialect list` lists, or a file".to_owned()
        });
        value.blame("is not a dialect that comes with the program", Some(help));
    }
    found
}

/// Secrets are sent to this URL. RFC 6750 section 5.3: "Clients MUST always use TLS
/// [RFC5246] (https) or equivalent transport security when making requests with
/// bearer tokens."
fn url(value: &TomlValue<'_>, danger_plain_http: bool) -> Option<ServerUrl> {
    let parsed = value.text()?.parse::<ServerUrl>();
    let url = parsed
        .map_err(|fault| value.blame(fault.to_string(), Some(fault.help().to_owned())))
        .ok()?;
    if !url.is_https() && !url.is_loopback() && !danger_plain_http {
        let help = "write https, or `danger_plain_http = true` if nobody can eavesdrop on the way";
        let message =
            "is not on this machine, and plain HTTP would expose the secret to eavesdroppers";
        value.blame(message, Some(help.to_owned()));
        return None;
    }
    Some(url)
}

/// A proxy, or none whatever the environment names.
fn proxy(value: &TomlValue<'_>) -> Option<ProxyRules> {
    let text = values::word(value)?;
    if ["none", "off"].contains(&&*text) {
        return Some(ProxyRules::default());
    }
    let rules = ProxyRules::only(&text, "`proxy`");
    if let Err(fault) = &rules {
        let own = fault.help().map(|it| format!("{it}; "));
        let help = format!("{}write \"none\" to use no proxy", own.unwrap_or_default());
        value.blame(format!("cannot be used: {fault}"), Some(help));
    }
    rules.ok()
}
