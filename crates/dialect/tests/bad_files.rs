//! Dialect files that are refused, each with the exact text beside it:
//! `tests/bad/NAME.toml` and `tests/bad/NAME.txt`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use countersign_dialect::Dialect;
use proptest::prelude::*;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_bad_file_is_refused_with_its_places() {
    let mut wrong = Vec::new();
    for file in files() {
        let source = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let told = Dialect::compile(&source, name)
            .map_or_else(|m| m.to_string(), |_| "it compiles".into());
        let wanted = std::fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        if told.trim() != wanted.trim() {
            wrong.push(format!("{name}:\n{told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_huge_or_deep_file_costs_bounded_work() {
    let huge = format!("schema = 1\nname = \"{}\"", "a".repeat(2 << 20));
    assert_eq!(
        Dialect::compile(&huge, "f").unwrap_err().to_string(),
        "f:1:1: the file is larger than 1 MiB"
    );
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let deep = format!("x = {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(Dialect::compile(&deep, "f").is_err());
    }
}

#[test]
fn an_opaque_refresh_may_stand_beside_any_jwt() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/two-algorithms-in-a-variant.toml");
    let source = std::fs::read_to_string(file).unwrap();
    let (head, rest) = source.split_once("[tokens.main.refresh]").unwrap();
    let (_, tail) = rest.split_once("[[login]]").unwrap();
    let opaque = format!("{head}[tokens.main.refresh]\nform = 'opaque'\n[[login]]{tail}");
    assert_eq!(Dialect::compile(&opaque, "f").err(), None);
}

/// Each form has one mistake, so as many are compiled as are blamed.
#[test]
fn no_more_forms_are_compiled_than_a_dialect_may_have() {
    let base = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/unknown-hole.toml"),
    );
    let form = |nth: usize| {
        format!(
            "[[login]]\nvariant = 'v{nth}'\npath = '/{nth}'\nrequest.body = '\"{{nothing}}\"'\nreply.body = '@one'\n"
        )
    };
    let (head, rest) = base.as_deref().unwrap().split_once("[[login]]").unwrap();
    let (_, tail) = rest.split_once("[guard]").unwrap();
    let forms: String = (0..300).map(form).collect();
    let source = format!("{head}{forms}[shapes]\none = '\"{{access_token}}\"'\n[guard]{tail}");
    let told = Dialect::compile(&source, "f").unwrap_err().to_string();
    assert_eq!(told.matches("no hole `nothing` here").count(), 32, "{told}");
    assert!(
        told.contains("f:1:1: the file has more than 32 forms of operations"),
        "{told}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_that_is_cut_or_changed_is_read_without_panic(which in 0..4usize, at in 0.0..1.0f64, put in ".{0,3}", cut in 0..9usize) {
        let (_, source) = Dialect::SHIPPED[which];
        let place = |part: f64| source.char_indices().nth((part * source.chars().count() as f64) as usize).map_or(0, |(at, _)| at);
        let start = place(at);
        let end = source[start..].char_indices().nth(cut).map_or(source.len(), |(at, _)| start + at);
        let changed = format!("{}{put}{}", &source[..start], &source[end..]);
        if let Err(mistakes) = Dialect::compile(&changed, "f") {
            prop_assert!(mistakes.0.iter().all(|mistake| mistake.line > 0 && mistake.column > 0));
            prop_assert!(!mistakes.0.is_empty());
        }
    }
}
