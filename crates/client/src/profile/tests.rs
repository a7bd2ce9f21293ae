#![allow(clippy::panic, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt;

use super::*;

/// What a user with a home has.
fn places() -> UserPaths {
    UserPaths::from_variables(|name| (name == "HOME").then(|| "/home/ann".into()))
}

fn read(text: &str) -> Result<Profiles, String> {
    Profiles::parse(text, "p.toml", Path::new("/etc/app"), &places())
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
    let profiles = read(include_str!("mistakes.toml")).unwrap();
    assert_eq!(profiles.iter().count(), 0);
    let faults = profiles.faults().flat_map(|(_, mistakes)| &mistakes.0);
    let mut all: Vec<_> = faults.chain(profiles.stray()).cloned().collect();
    all.sort_by_key(|it| (it.line, it.column));
    let told = Mistakes(all).to_string();
    let expected = include_str!("mistakes.txt");
    assert_eq!(told.trim(), expected.trim(), "told:\n{told}");
    assert!(
        !told.contains("hunter"),
        "a secret in the wrong place is told"
    );
}

#[test]
fn no_mistake_is_behind_the_last_line() {
    // The text of `pay` never ends, and no line break ends the file.
    let text = "[pay]\nurl = \"\"\"\n[gift]\nlogin = 1";
    let profiles = read(text).unwrap();
    let lines: Vec<_> = profiles
        .faults()
        .map(|(name, it)| (name, it.0[0].line))
        .collect();
    assert_eq!(lines, [("gift", 3), ("pay", 4)]);
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
    let state = Path::new("/home/ann/.local/state/countersign");
    assert_eq!(
        profile.storage,
        SessionStorage::File {
            path: profile.session_owner().file(state),
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
        let profile = one(&format!("store_dir = 'kept'\n{written}"));
        let path = profile.session_owner().file(Path::new("/etc/app/kept"));
        assert_eq!(profile.storage, SessionStorage::File { path, key: place });
    }
    assert_eq!(one("store = 'memory'").storage, SessionStorage::Memory);
}

#[test]
fn a_service_without_a_home_says_where_it_keeps_what() {
    let read = |text: &str| Profiles::parse(text, "p.toml", Path::new("/x"), &UserPaths::default());
    let profiles = read(LEAST).unwrap();
    let told = profiles.profile("pay").unwrap_err().to_string();
    assert!(told.contains("needs `store_dir`"), "{told}");
    assert!(told.contains("needs `store_key_file`"), "{told}");
    for enough in [
        "store = 'memory'",
        "store_dir = '/var/lib/x'\nstore_key_env = 'KEY'",
    ] {
        let profiles = read(&format!("{LEAST}{enough}")).unwrap();
        assert!(profiles.profile("pay").is_ok(), "{enough}");
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
            let help = fault.help().unwrap();
            assert!(help.contains("chmod go-w"), "{help}");
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
    let places = UserPaths {
        profiles: Some(usual),
        ..places()
    };
    let names = |found: Profiles| found.names().map(str::to_owned).collect::<Vec<_>>();
    let found = Profiles::find(Some(&named), &places).unwrap();
    assert_eq!(names(found), ["one"]);
    assert_eq!(names(Profiles::find(None, &places).unwrap()), ["two"]);
    let missing = Profiles::find(Some(Path::new("/none.toml")), &places).unwrap_err();
    assert_eq!(missing, ProfilesFault::Missing("/none.toml".into()));
    let nowhere = Profiles::find(None, &UserPaths::default()).unwrap_err();
    assert_eq!(nowhere, ProfilesFault::Nowhere);
}

#[test]
fn a_broken_dialect_file_is_reported_with_its_own_lines() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("own.toml"), "schema = 1\nname = 3\n").unwrap();
    let text = LEAST.replace("b2binpay", "./own.toml") + "budget = 0";
    let profiles = Profiles::parse(&text, "p.toml", directory.path(), &places()).unwrap();
    let told = profiles.profile("pay").unwrap_err().to_string();
    assert!(told.contains("own.toml:2:8"), "{told}");
    assert!(told.contains("p.toml:6:10"), "{told}");
}

#[tokio::test]
async fn another_login_or_url_has_a_session_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let text = text.to_owned() + "store_dir = 'state'\nstore_key_file = 'key'";
        let read = Profiles::parse(&text, "p.toml", directory.path(), &UserPaths::default());
        read.unwrap().profile("pay").unwrap().store()
    };
    let refused = read(LEAST).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("there is no key file"), "{refused}");
    crate::SealKey::own(&directory.path().join("key")).unwrap();
    let record = crate::SessionRecord {
        serial: 1,
        ..crate::SessionRecord::default()
    };
    let mut locked = read(LEAST).unwrap().lock().await.unwrap();
    locked.write(&record).await.unwrap();

    let kept = async |text: &str| read(text).unwrap().read().await;
    assert_eq!(kept(LEAST).await.unwrap(), Some(record.clone()));
    for (from, to) in [("'ann'", "'bob'"), ("api.example", "api.test")] {
        assert_eq!(kept(&LEAST.replace(from, to)).await.unwrap(), None);
    }
    assert_eq!(kept(LEAST).await.unwrap(), Some(record));
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

#[test]
fn a_mistake_in_one_profile_stops_that_profile_only() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("own.toml"), "schema = 1\nname = 3\n").unwrap();
    let good = LEAST.replace("[pay]", "[good]");
    let more = (0..300).map(|nth| format!("stray{nth} = 1\n"));
    let many: String = more.collect();
    for broken in [
        LEAST.replace("url", "ulr"),
        LEAST.replace("'b2binpay'", "'./own.toml'"),
        LEAST.replace("'b2binpay'", "'./none.toml'"),
        LEAST.replace("'b2binpay'", "b2binpay"),
        LEAST.replace("'ann'", "'ann"),
        format!("{LEAST}budget = 0\n"),
        format!("{LEAST}[pay.extra]\nkey = {{ file = 'a', env = 'B' }}\n"),
        format!("{LEAST}{LEAST}"),
        format!("{LEAST}secret_command = ['a',\n"),
        format!("{LEAST}{many}"),
    ] {
        for text in [format!("{good}{broken}"), format!("{broken}{good}")] {
            let read = Profiles::parse(&text, "p.toml", directory.path(), &places());
            let read = read.unwrap_or_else(|mistakes| panic!("{mistakes} in {text}"));
            assert!(read.profile("good").is_ok(), "{text}");
            assert_eq!(read.names().collect::<Vec<_>>(), ["good", "pay"]);
            assert_eq!(read.faults().count(), 1, "{text}");
            let told = read.profile("pay").unwrap_err().to_string();
            assert!(told.contains("toml:"), "{told}");
        }
    }
    // What stands above all profiles stops none.
    let read = read(&format!("stray = 1\nnonsense\n{LEAST}")).unwrap();
    assert!(read.profile("pay").is_ok() && !read.stray().is_empty());
    let nothing = Profiles::parse("nonsense", "p.toml", Path::new(""), &places());
    assert!(nothing.is_err());
}

/// A mistake is on its own line, also where the file is read a profile at a time.
#[test]
fn a_name_with_a_blank_and_what_is_no_utf_8_stop_their_own_profile_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("profiles.toml");
    let load = |more: &[u8]| {
        std::fs::write(&file, [LEAST.as_bytes(), more].concat()).unwrap();
        Profiles::load(&file, &places()).unwrap()
    };
    for more in [
        &b"[gift shop]\nurl = 'x'\n"[..],
        b"[gift]\nlogin = 'M\xfcller'\n",
    ] {
        let read = load(more);
        assert!(read.profile("pay").is_ok(), "{read:?}");
        assert_eq!(read.faults().count(), 1, "{read:?}");
    }
    let told = load(b"# Grusse aus K\xf6ln\n").profile("pay").unwrap_err();
    assert!(told.to_string().contains("is not UTF-8"), "{told}");
}

#[test]
fn a_file_that_does_not_parse_keeps_its_lines() {
    let read = read(&format!("{LEAST}\n[gift]\nurl = nonsense\n")).unwrap();
    let told = read.profile("gift").unwrap_err().to_string();
    assert!(told.contains("p.toml:8:"), "{told}");
}

#[test]
fn token_endpoints_may_be_elsewhere() {
    let usual = one("");
    assert_eq!(usual.auth_url, usual.url);
    let apart = one("auth_url = 'https://id.example/v2'");
    assert_eq!(apart.auth_url.to_string(), "https://id.example/v2");
    assert_eq!(apart.url, usual.url);
    assert_ne!(apart.storage, usual.storage);
}

#[test]
fn plain_http_to_another_machine_has_to_be_wanted() {
    let text = LEAST.replace("https://api.example", "http://api.example");
    for (more, fine) in [
        ("", false),
        ("danger_plain_http = false", false),
        ("danger_plain_http = true", true),
        (
            "danger_plain_http = true\nauth_url = 'http://id.example'",
            true,
        ),
    ] {
        let read = read(&format!("{text}{more}")).unwrap();
        assert_eq!(read.profile("pay").is_ok(), fine, "{more}");
    }
    let auth = read(&format!("{LEAST}auth_url = 'http://id.example'")).unwrap();
    let told = auth.profile("pay").unwrap_err().to_string();
    assert!(
        told.contains("/pay/auth_url: is not on this machine"),
        "{told}"
    );
    let wanted = read(&format!("{text}store = 'memory'\ndanger_plain_http = true")).unwrap();
    assert!(
        wanted
            .profile("pay")
            .unwrap()
            .source()
            .unwrap()
            .build()
            .is_ok()
    );
}

/// A dialect that presents four further parts.
const WITH_PARTS: &str = r#"
schema = 1
name = "parts"
serves = ["client"]
credential = { extra = ["shop", "a", "b", "c"] }
session = { refresh = "none", login = "keeps" }
[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}"}'
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'
[guard]
present = [
    { header = "Authorization", value = "Bearer {access_token}" },
    { header = "X-Parts", value = "{extra.a}-{extra.b}-{extra.c}-{extra.shop}" },
]
"#;

#[test]
fn a_further_part_stands_there_or_is_kept_as_the_secret_is() {
    let directory = tempfile::tempdir().unwrap();
    let dialect = directory.path().join("parts.toml");
    std::fs::write(&dialect, WITH_PARTS).unwrap();
    let least = LEAST.replace("b2binpay", dialect.to_str().unwrap());
    let with = |parts: &str| {
        let profiles = read(&format!("{least}[pay.extra]\n{parts}")).unwrap();
        let profile = profiles.profile("pay").cloned();
        profile.map_err(|it| it.to_string())
    };
    let profile =
        with("shop = '7'\na = { file = 'k' }\nb = { env = 'K' }\nc = { command = ['k'] }").unwrap();
    let kept = |place| ExtraPart::Kept(place);
    let parts: Vec<_> = profile.extra.into_values().collect();
    assert_eq!(
        parts,
        [
            kept(SecretPlace::File("/etc/app/k".into())),
            kept(SecretPlace::Env("K".into())),
            kept(SecretPlace::Command(vec!["k".into()])),
            ExtraPart::Literal("7".into()),
        ]
    );
    for wrong in [
        "{}",
        "''",
        "{ file = 'a', env = 'B' }",
        "{ path = 'a' }",
        "[1]",
    ] {
        let told = with(&format!("shop = {wrong}")).unwrap_err();
        assert!(told.contains("/pay/extra/shop"), "{wrong}: {told}");
    }
    for (name, help) in [
        ("shopp", "did you mean `shop`?"),
        ("other", "it has `a`, `b`"),
    ] {
        let profiles = read(&format!("{least}[pay.extra]\n{name} = '7'")).unwrap();
        let (_, mistakes) = profiles.faults().next().unwrap();
        let told = mistakes.to_string();
        assert!(
            told.contains("is not a part of a credential of parts"),
            "{told}"
        );
        assert!(told.contains(help), "{told}");
    }
}

#[test]
fn who_has_no_profiles_gets_a_sample_that_can_be_used() {
    let missing = Profiles::load(Path::new("/none.toml"), &places()).unwrap_err();
    assert!(missing.to_string().ends_with("does not exist"), "{missing}");
    let help = missing.help().unwrap();
    let (_, sample) = help.split_once("\n\n").unwrap();
    assert!(read(sample).unwrap().profile("pay").is_ok(), "{sample}");
}

#[test]
fn a_profile_names_its_proxy_or_none() {
    let server = "https://api.example".parse().unwrap();
    let way = |more: &str| {
        let proxies = one(more).proxies();
        let proxy = proxies.proxy_for(&server).unwrap();
        proxy.map(|it| format!("{it} of {}", it.source()))
    };
    let named = way("proxy = 'http://ann:pw@p.example:3128'");
    assert_eq!(
        named.as_deref(),
        Some("http://p.example:3128 of `proxy`"),
        "without the password"
    );
    for none in ["none", "off"] {
        assert_eq!(way(&format!("proxy = '{none}'")), None);
    }
    for bad in ["socks5://hunter:2@p", "ftp://p", "http://", " "] {
        let read = read(&format!("{LEAST}proxy = '{bad}'")).unwrap();
        let told = read.profile("pay").unwrap_err().to_string();
        assert!(told.contains("proxy") && !told.contains("hunter"), "{told}");
    }
}

/// A file of profiles with these lines for `odd` beside one that is sound, whose
/// dialect file is there.
fn beside(dialect: &Path) -> Profiles {
    let odd = LEAST.replace("[pay]", "[odd]");
    let odd = odd.replace("'b2binpay'", &format!("'{}'", dialect.display()));
    read(&format!("{LEAST}{odd}")).unwrap()
}

#[test]
fn a_dialect_that_is_no_file_or_too_large_stops_its_profile_only() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo.toml");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let zero = directory.path().join("zero.toml");
    std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
    let large = directory.path().join("large.toml");
    std::fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
    for (file, why) in [
        (&fifo, "it is not a regular file"),
        (&zero, "it is not a regular file"),
        (
            &directory.path().to_owned().join("."),
            "it is not a regular file",
        ),
        (&large, "it is larger than 1 MiB"),
    ] {
        let profiles = beside(file);
        assert!(profiles.profile("pay").is_ok());
        let told = profiles.profile("odd").unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}
