//! The reference of dialect files, which is part of the program.

/// Every key, hole and codec of a dialect file, and the format of recorded exchanges, in
/// Markdown.
pub const REFERENCE: &str = include_str!("../dialects/README.md");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use countersign_domain::Refusal;

    use super::*;
    use crate::document::{forget_noted_keys, noted_keys};
    use crate::hole_word::WordVocabulary;
    use crate::{Dialect, codec, credential_form, examples};

    /// The words of the code in the reference, in spans and in blocks.
    fn words() -> BTreeSet<String> {
        let mut blocks = REFERENCE.split("```");
        let mut words = BTreeSet::new();
        let mut learn = |code: &'static str| {
            let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let found = code.split(|c: char| !inside(c));
            for word in found.map(|it| it.trim_matches('.')) {
                words.insert(word.to_owned());
                words.extend(word.split('.').map(str::to_owned));
            }
        };
        while let Some(prose) = blocks.next() {
            prose.split('`').skip(1).step_by(2).for_each(&mut learn);
            blocks.next().into_iter().for_each(&mut learn);
        }
        words
    }

    fn blocks(language: &str) -> Vec<&'static str> {
        let fence = format!("```{language}\n");
        let blocks = REFERENCE.split(&*fence).skip(1);
        blocks
            .filter_map(|block| block.split("```").next())
            .collect()
    }

    fn files(folder: &str, found: &mut Vec<PathBuf>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(path.to_str().unwrap(), found);
            } else if path.extension().is_some_and(|it| it == "toml") {
                found.push(path);
            }
        }
    }

    /// Every key and value that the compiler has asked files for.
    fn keys() -> BTreeSet<String> {
        let mut found = Vec::new();
        files("../../dialects", &mut found);
        files("tests/catalogue", &mut found);
        files("tests/bad", &mut found);
        forget_noted_keys();
        for file in found {
            let source = std::fs::read_to_string(file).unwrap();
            // The mistakes of bad files are told elsewhere.
            let _ = Dialect::compile(&source, "f");
        }
        let keys = noted_keys();
        assert!(
            keys.contains("max_body") && keys.contains("hmac-sha256"),
            "{keys:?}"
        );
        keys
    }

    #[test]
    fn it_names_all_that_the_compiler_takes() {
        let words = words();
        let others = WordVocabulary::all_names()
            .chain(codec::NAMES)
            .chain(credential_form::CLASSES.map(|(name, _)| name))
            .chain(Refusal::ALL.iter().map(|refusal| refusal.code()))
            .chain(examples::ANNOTATIONS)
            .chain(examples::NAMES);
        let mut taken = keys();
        taken.extend(others.map(str::to_owned));
        // The table of a preset is named by a variant, whose name is the file's own.
        let variants = ["main", "new", "old", "v2", "v3"];
        taken.retain(|name| !words.contains(name) && !variants.contains(&&**name));
        assert_eq!(taken, BTreeSet::new());
    }

    #[test]
    fn its_whole_files_compile_and_its_exchange_is_one() {
        let toml = blocks("toml");
        let whole = toml.iter().filter(|block| block.starts_with("schema"));
        let compiled = whole.map(|source| Dialect::compile(source, "README.md"));
        let compiled: Vec<_> = compiled.map(|it| it.map_err(|m| m.to_string())).collect();
        let names: Vec<_> = compiled
            .iter()
            .map(|it| it.as_ref().unwrap().name())
            .collect();
        assert_eq!(names, ["acme"]);
        let mypopup = Dialect::compile(Dialect::shipped("mypopup").unwrap(), "f").unwrap();
        for exchange in blocks("http") {
            assert_eq!(examples::check(&mypopup, exchange, "README.md"), Ok(()));
        }
    }
}
