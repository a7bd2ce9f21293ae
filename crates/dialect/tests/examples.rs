//! Runs every `examples/*.http` of the shipped dialects in both directions.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use countersign_dialect::{Dialect, examples};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    files
}

fn complaints(dialect: &Dialect, file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    examples::check(dialect, &text, &file.display().to_string())
        .err()
        .map(|wrong| wrong.to_string())
}

#[test]
fn the_shipped_dialects_do_what_their_examples_record() {
    let dialects = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialects");
    let folders = std::fs::read_dir(&dialects)
        .unwrap()
        .map(|entry| entry.unwrap());
    let mut folders: Vec<_> = folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let shipped: Vec<_> = Dialect::SHIPPED.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, shipped, "each folder has its line in shipped.rs");
    for (name, source) in Dialect::SHIPPED {
        let dialect = Dialect::compile(source, name).unwrap();
        let files = files(&dialects.join(name).join("examples"), "http");
        assert!(files.len() >= 4, "{name} has {} example files", files.len());
        let wrong: Vec<_> = files
            .iter()
            .flat_map(|file| complaints(&dialect, file))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn the_catalogue_of_other_vendors_can_be_said_and_does_what_it_says() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogue");
    let mut wrong = Vec::new();
    for file in files(&catalogue, "toml") {
        let source = std::fs::read_to_string(&file).unwrap();
        match Dialect::compile(&source, &file.display().to_string()) {
            Ok(dialect) => wrong.extend(complaints(&dialect, &file.with_extension("http"))),
            Err(mistakes) => wrong.push(mistakes.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_record_that_is_altered_is_noticed() {
    let dialect = Dialect::compile(Dialect::shipped("mypopup").unwrap(), "mypopup").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialects/mypopup/examples");
    let record = std::fs::read_to_string(folder.join("login.http")).unwrap();
    assert_eq!(examples::check(&dialect, &record, "f"), Ok(()));
    for (from, to, told) in [
        (
            "200 OK",
            "201 Created",
            "the status of the reply is written as 200, and recorded as 201",
        ),
        ("Invalid credentials\"}", "Invalid\"}", "the body is"),
        (
            "Retry-After: 60",
            "Retry-After: 61",
            "`retry_after` of the reply is read as `61`, and `60` is expected",
        ),
        ("Allow: POST", "Allow: GET", "allow"),
        (
            "@client_id 123456",
            "@client_id 1",
            "`client_id` of the reply is read as `123456`, and `1` is expected",
        ),
        (
            "@refusal malformed",
            "@refusal missing_field",
            "the request is refused as malformed",
        ),
        ("@refusal bad_login", "@refusal bad_refresh", "bad_login"),
        ("POST /auth/login", "POST /auth/refresh", "missing_field"),
        (
            "\"your_api_username\", ",
            "\"your_api_username\", \"x\": 1, ",
            "the body is",
        ),
        (
            "Cache-Control: no-store",
            "Cache-Control: public",
            "the reply lacks cache-control: public",
        ),
    ] {
        let altered = record.replacen(from, to, 1);
        assert_ne!(altered, record, "{from}");
        let wrong = examples::check(&dialect, &altered, "f")
            .unwrap_err()
            .to_string();
        assert!(wrong.contains(told), "{from}: {wrong}");
    }
}

#[test]
fn a_file_that_is_not_of_the_format_is_told_with_its_line() {
    for (text, told) in [
        (
            "",
            "f:1:1: no exchange\n  help: begin each exchange with a title, such as `### A login`",
        ),
        ("### t\nPOST /x\n\n", "f:1:1: no reply"),
        (
            "# c\n\n### t\nPOST\n\nHTTP/1.1 200\n",
            "f:3:1: no method and path",
        ),
        (
            "### t\nPOST /x\nbroken\n\nHTTP/1.1 200\n",
            "f:1:1: no header: broken",
        ),
        (
            "### t\nPOST /x\n\nHTTP/1.1 9\n",
            "f:1:1: invalid status code",
        ),
    ] {
        let wrong = examples::parse(text, "f").unwrap_err();
        assert_eq!(wrong.to_string(), told, "{text:?}");
    }
}

#[test]
fn an_annotation_that_says_nothing_is_told() {
    let dialect = Dialect::compile(Dialect::shipped("mypopup").unwrap(), "mypopup").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialects/mypopup/examples");
    let record = std::fs::read_to_string(folder.join("login.http")).unwrap();
    for (annotation, told) in [
        (
            "refusal bad_logn",
            "`# @refusal bad_logn` names no refusal\n  help: did you mean `bad_login`?",
        ),
        (
            "understood",
            "`# @understood` names no refusal\n  help: write one of bad_login, bad_refresh,",
        ),
        (
            "now yesterday",
            "`# @now yesterday` is not an instant in RFC 3339",
        ),
        (
            "access_expires_at 2024-01-15",
            "`# @access_expires_at 2024-01-15` is not an instant in RFC 3339",
        ),
        ("operation login", "is not `guard`"),
        (
            "variant v9",
            "names no variant of the dialect\n  help: write one of main",
        ),
        ("only clients", "is neither `issuer` nor `client`"),
        (
            "acces_token x",
            "is not an annotation\n  help: did you mean `access_token`?",
        ),
        (
            "login ann",
            "the reply has no `login`, but `ann` is expected",
        ),
        (
            "client_id",
            "`client_id` of the reply is read as `123456`, and none is expected",
        ),
        (
            "access_expires_at 2024-01-15T10:30:01Z",
            "is read as `2024-01-15T10:30:00Z`, and `2024-01-15T10:30:01Z` is expected",
        ),
    ] {
        let line = format!("\n# @{annotation}\nPOST ");
        let altered = record.replacen("\nPOST ", &line, 1);
        let altered = match annotation.starts_with("client_id") {
            true => altered.replacen("# @client_id 123456\n", "", 1),
            false => altered,
        };
        let wrong = examples::check(&dialect, &altered, "f").unwrap_err();
        let wrong = wrong.to_string();
        assert!(wrong.contains(told), "{annotation}: {wrong}");
    }
}
