//! Reads the file of profiles: every key, how it is written, and what is wrong
//! with it.

mod keeping;
mod word;

use std::path::Path;
use std::sync::Arc;

use countersign_dialect::document::{Document, Key, Table, Value, did_you_mean};
use countersign_dialect::{Dialect, Extra, Mistake, Mistakes, Secret, Variant};
use countersign_outbound::{ProxyRules, ServerUrl};

use super::{Places, Profile, SecretPlace};

pub(super) fn profiles(
    text: &str,
    origin: &str,
    base: &Path,
    places: &Places,
) -> Result<Vec<Profile>, Mistakes> {
    let document = Document::parse(text, origin)?;
    let mut foreign = Vec::new();
    let root = document.root();
    let read = root.entries().into_iter().filter_map(|(name, value)| {
        let mut reader = ProfileReader {
            base,
            places,
            foreign: &mut foreign,
            table: value.table()?,
        };
        reader.read(&name, &root)
    });
    let profiles: Vec<_> = read.collect();
    drop(root);
    let result = document.finish(Some(profiles));
    if foreign.is_empty() {
        return result;
    }
    let mut mistakes = result.err().map(|own| own.0).unwrap_or_default();
    mistakes.extend(foreign);
    Err(Mistakes(mistakes))
}

/// One `[NAME]` table.
struct ProfileReader<'a, 'd> {
    base: &'a Path,
    places: &'a Places,
    /// Mistakes in dialect files.
    foreign: &'a mut Vec<Mistake>,
    table: Table<'d>,
}

impl ProfileReader<'_, '_> {
    /// Each key is read before one that is missing ends it, so that all mistakes
    /// are told.
    fn read(&mut self, name: &Key<'_>, root: &Table<'_>) -> Option<Profile> {
        let named = word::name(name, root);
        let dialect = self.table.require("dialect");
        let dialect = dialect.and_then(|it| self.dialect(&it));
        let variant = self.variant(dialect.as_deref());
        let url = self.table.require("url").and_then(|it| url(&it));
        let login = self.table.require("login").and_then(|it| word::word(&it));
        let secret = self.secret();
        let extra = self.extra();
        let keeping = self.keeping(name.name);
        let budget = self.budget(dialect.as_deref());
        let static_key = self.static_key(dialect.as_deref());
        let [roots, key_file] = ["roots", "key_file"].map(|key| self.file(key));
        let proxy = self.table.get("proxy").map(|it| proxy(&it));
        let allow = self.table.get("allow").map(|it| word::allowed(&it));
        let listen = self.table.get("listen").and_then(|it| word::word(&it));
        Some(Profile {
            name: named?,
            dialect: dialect?,
            variant: variant?,
            url: url?,
            login: login?,
            secret: secret?,
            extra,
            keeping: keeping?,
            budget,
            roots,
            proxy: proxy.unwrap_or_default(),
            static_key,
            allow: allow.unwrap_or_default(),
            key_file,
            listen,
        })
    }

    /// A name without a slash is a dialect that comes with the program, any
    /// other text a file.
    fn dialect(&mut self, value: &Value<'_>) -> Option<Arc<Dialect>> {
        let text = value.text()?;
        let is_file = text.contains('/') || Path::new(text).extension().is_some();
        let (source, origin) = if is_file {
            let path = self.places.path(text, self.base);
            let read = std::fs::read_to_string(&path);
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

    /// The one that is named, or the first.
    fn variant(&self, dialect: Option<&Dialect>) -> Option<Variant> {
        let value = self.table.get("variant");
        let written = value.as_ref().map(Value::text);
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
            let message = format!("is no variant of {}: {}", dialect.name(), names.join(", "));
            value.blame(message, None);
        }
        found
    }

    fn secret(&self) -> Option<SecretPlace> {
        if let Some(value) = self.table.get("secret") {
            let message = "does not stand in this file: put it into one of its own, with mode \
                           0600, and name that with `secret_file`";
            value.blame(message, None);
        }
        let keys = ["secret_file", "secret_env", "secret_command"];
        let Some((key, value)) = word::only_one(&self.table, &keys) else {
            return Some(SecretPlace::Asked);
        };
        match key {
            "secret_file" => Some(SecretPlace::File(self.path(&value)?)),
            "secret_env" => Some(SecretPlace::Env(word::variable(&value)?)),
            _ => Some(SecretPlace::Command(word::command(&value)?)),
        }
    }

    fn extra(&self) -> Extra {
        let table = self.table.get("extra").and_then(|it| it.table());
        let entries = table.iter().flat_map(Table::entries);
        entries
            .filter_map(|(key, value)| Some((key.name.to_owned(), Secret::from(value.text()?))))
            .collect()
    }

    fn budget(&self, dialect: Option<&Dialect>) -> Option<u32> {
        match self.table.get("budget") {
            Some(value) => word::budget(&value),
            None => dialect?.preset().budget,
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
            let message = format!("is nothing that {} has", dialect.name());
            value.blame(message, None);
        }
        wanted
    }

    fn file(&self, key: &str) -> Option<std::path::PathBuf> {
        self.path(&self.table.get(key)?)
    }

    fn path(&self, value: &Value<'_>) -> Option<std::path::PathBuf> {
        Some(self.places.path(&word::word(value)?, self.base))
    }
}

fn shipped(value: &Value<'_>, name: &str) -> Option<&'static str> {
    let found = Dialect::shipped(name);
    if found.is_none() {
        let names = Dialect::SHIPPED.iter().map(|(name, _)| *name);
        value.blame(
            "is not a dialect that comes with the program; name one, or a file \
             (`countersign dialect list` lists them)",
            did_you_mean(name, names),
        );
    }
    found
}

/// A secret goes there, so nobody on the way may read it.
fn url(value: &Value<'_>) -> Option<ServerUrl> {
    let parsed = value.text()?.parse::<ServerUrl>();
    let url = parsed
        .map_err(|fault| value.blame(fault.to_string(), None))
        .ok()?;
    if !url.is_https() && !url.is_loopback() {
        let message = "is not on this machine, and plain HTTP would show the secret on the way: \
                       write https";
        value.blame(message, None);
        return None;
    }
    Some(url)
}

/// A proxy, or none whatever the environment says.
fn proxy(value: &Value<'_>) -> Option<ProxyRules> {
    let text = word::word(value)?;
    if ["none", "off"].contains(&&*text) {
        return Some(ProxyRules::default());
    }
    let rules = ProxyRules::only(&text, "`proxy`");
    if let Err(fault) = &rules {
        let message = format!("cannot be used: {fault}; \"none\" is for no proxy");
        value.blame(message, None);
    }
    rules.ok()
}
