use std::os::unix::fs::PermissionsExt;

use super::*;

/// What a user with a home has.
fn places() -> Places {
    Places::told_by(|name| (name == "HOME").then(|| "/home/ann".into()))
}

fn read(text: &str) -> Result<Profiles, String> {
    Profiles::read(text, "p.toml", Path::new("/etc/app"), &places())
        .map_err(|mistakes| mistakes.to_string())
}

const LEAST: &str = "[pay]\ndialect = 'b2binpay'\nurl = 'https://api.example'\nlogin = 'ann'\n\
                     secret_file = 'pay.secret'\n";

fn one(more: &str) -> Profile {
    let profiles = read(&format!("{LEAST}{more}")).unwrap();
    profiles.profile("pay").unwrap().clone()
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let told = read(include_str!("mistakes.toml")).unwrap_err();
    let expected = include_str!("mistakes.txt");
    assert_eq!(told.trim(), expected.trim(), "told:\n{told}");
    assert!(
        !told.contains("hunter"),
        "a secret in the wrong place is told"
    );
}

#[test]
fn four_lines_are_a_profile_and_the_rest_has_defaults() {
    let profile = one("");
    assert_eq!(profile.dialect.name(), "b2binpay");
    assert_eq!(profile.dialect.variant_name(profile.variant), "v2");
    assert_eq!(
        profile.secret,
        SecretPlace::File("/etc/app/pay.secret".into())
    );
    assert_eq!(profile.budget, profile.dialect.preset().budget);
    assert_eq!(
        profile.keeping,
        Keeping::File {
            path: "/home/ann/.local/state/countersign/pay.session".into(),
            key: KeyPlace::Own("/home/ann/.config/countersign/store.key".into()),
        }
    );
    assert!(!profile.static_key && profile.allow.is_empty() && profile.extra.is_empty());
}

#[test]
fn a_profile_that_names_no_secret_has_a_person_asked_for_it() {
    let text = "[pay]\ndialect = 'b2binpay'\nurl = 'https://api.example'\nlogin = 'ann'\n";
    let profiles = read(text).unwrap();
    assert_eq!(profiles.profile("pay").unwrap().secret, SecretPlace::Asked);
}

#[test]
fn the_session_and_its_key_can_be_kept_elsewhere() {
    for (written, place) in [
        (
            "store_key_file = '~/k'",
            KeyPlace::File("/home/ann/k".into()),
        ),
        ("store_key_env = 'PAY_KEY'", KeyPlace::Env("PAY_KEY".into())),
        ("store_key = 'keyring'", KeyPlace::Keyring),
    ] {
        let keeping = one(&format!("store_dir = 'kept'\n{written}")).keeping;
        let path = "/etc/app/kept/pay.session".into();
        assert_eq!(keeping, Keeping::File { path, key: place });
    }
    assert_eq!(one("store = 'memory'").keeping, Keeping::Memory);
}

#[test]
fn a_service_without_a_home_says_where_it_keeps_what() {
    let read = |text: &str| Profiles::read(text, "p.toml", Path::new("/x"), &Places::default());
    let told = read(LEAST).unwrap_err().to_string();
    assert!(told.contains("needs `store_dir`"), "{told}");
    assert!(told.contains("needs `store_key_file`"), "{told}");
    for enough in [
        "store = 'memory'",
        "store_dir = '/var/lib/x'\nstore_key_env = 'KEY'",
    ] {
        assert!(read(&format!("{LEAST}{enough}")).is_ok(), "{enough}");
    }
}

#[test]
fn what_a_sidecar_may_pass_on_is_a_list_of_methods_and_paths() {
    let allow = one("allow = ['GET /deposit/*', '/wallet']").allow;
    let told: Vec<_> = allow
        .iter()
        .map(|it| (it.method.as_ref().map(Method::as_str), it.path.as_str()))
        .collect();
    assert_eq!(told, [(Some("GET"), "/deposit/*"), (None, "/wallet")]);
}

#[test]
fn a_profile_that_is_not_there_is_not_found_and_a_slip_is_recognised() {
    let profiles = read(LEAST).unwrap();
    let told = |name| profiles.profile(name).unwrap_err().to_string();
    assert_eq!(
        told("pey"),
        "there is no profile \"pey\" in p.toml (did you mean `pay`?)"
    );
    assert_eq!(
        told("other"),
        "there is no profile \"other\" in p.toml (it has pay)"
    );
}

#[test]
fn a_file_that_others_can_write_is_refused_and_one_they_can_read_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profiles.toml");
    std::fs::write(&path, LEAST).unwrap();
    for (mode, fine) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let loaded = Profiles::load(&path, &places());
        assert_eq!(loaded.is_ok(), fine, "{mode:o}");
        if let Err(fault) = loaded {
            assert!(fault.to_string().contains("chmod go-w"), "{fault}");
        }
    }
}

#[test]
fn the_command_line_goes_before_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let [named, usual] = ["named.toml", "usual.toml"].map(|name| directory.path().join(name));
    for (path, name) in [(&named, "[one]"), (&usual, "[two]")] {
        std::fs::write(path, LEAST.replace("[pay]", name)).unwrap();
    }
    let places = Places {
        profiles: Some(usual),
        ..places()
    };
    let names = |found: Profiles| found.names().map(str::to_owned).collect::<Vec<_>>();
    let found = Profiles::find(Some(&named), &places).unwrap();
    assert_eq!(names(found), ["one"]);
    assert_eq!(names(Profiles::find(None, &places).unwrap()), ["two"]);
    let missing = Profiles::find(Some(Path::new("/none.toml")), &places).unwrap_err();
    assert_eq!(missing, ProfilesFault::Missing("/none.toml".into()));
    let nowhere = Profiles::find(None, &Places::default()).unwrap_err();
    assert_eq!(nowhere, ProfilesFault::Nowhere);
}

#[test]
fn a_broken_dialect_file_is_reported_with_its_own_lines() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("own.toml"), "schema = 1\nname = 3\n").unwrap();
    let text = LEAST.replace("b2binpay", "./own.toml") + "budget = 0";
    let told = Profiles::read(&text, "p.toml", directory.path(), &places()).unwrap_err();
    let told = told.to_string();
    assert!(told.contains("own.toml:2:8"), "{told}");
    assert!(told.contains("p.toml:6:10"), "{told}");
}

#[tokio::test]
async fn the_session_of_another_login_or_url_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let text = text.to_owned() + "store_dir = 'state'\nstore_key_file = 'key'";
        let read = Profiles::read(&text, "p.toml", directory.path(), &Places::default());
        read.unwrap().profile("pay").unwrap().store()
    };
    let refused = read(LEAST).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("there is no key file"), "{refused}");
    crate::SealKey::own(&directory.path().join("key")).unwrap();
    let record = crate::Record {
        serial: 1,
        ..crate::Record::default()
    };
    let mut locked = read(LEAST).unwrap().lock().await.unwrap();
    locked.write(&record).await.unwrap();

    let kept = async |text: &str| read(text).unwrap().read().await;
    assert_eq!(kept(LEAST).await.unwrap(), Some(record));
    for (from, to) in [("'ann'", "'bob'"), ("api.example", "api.test")] {
        let told = kept(&LEAST.replace(from, to)).await.unwrap_err();
        assert!(told.to_string().contains("login"), "{told}");
    }
    let memory = one("store = 'memory'").store().unwrap();
    assert_eq!(memory.read().await.unwrap(), None);
}

#[tokio::test]
async fn a_profile_becomes_a_source() {
    let source = one("store = 'memory'\nvariant = 'v3'").source().unwrap();
    let source = source.build().unwrap();
    assert_eq!(source.name(), "pay");
    let bad_roots = one("store = 'memory'\nroots = '/none.pem'").source();
    let told = bad_roots.err().unwrap().to_string();
    assert!(told.starts_with("pay: the roots in /none.pem"), "{told}");
}

#[tokio::test]
async fn a_profile_without_a_secret_says_how_to_log_in() {
    let text = LEAST.replace("secret_file = 'pay.secret'", "");
    let profiles = read(&text).unwrap();
    let secret = profiles.profile("pay").unwrap().secret_source();
    let told = secret.secret().await.unwrap_err().to_string();
    assert!(told.contains("countersign login pay"), "{told}");
}
