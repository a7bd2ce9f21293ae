use std::path::Path;

use super::*;

fn parse(source: &str) -> Result<Settings, String> {
    read(source, "c.toml", Path::new(".")).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn the_example_is_valid_and_says_the_defaults() {
    let example = parse(&example::example().unwrap()).unwrap();
    let default = server::ServerSection::default();
    assert_eq!(example.server.listen, default.listen);
    assert_eq!(example.server.admin_listen, default.admin_listen);
    assert_eq!(example.server.limits, default.limits);
    assert_eq!(example.server.hashing_waiting, default.hashing_waiting);
    let known = example.server.hashing_waiting_known;
    assert_eq!(known, default.hashing_waiting_known);
    assert_eq!(example.server.addresses, default.addresses);
    let default = store::StoreSection::default();
    assert_eq!(example.store.data, default.data);
    assert_eq!(example.store.clock_gap, default.clock_gap);

    let least = parse("[apis.pay]\ndialect = 'b2binpay'").unwrap();
    assert_eq!(
        example.apis[0].issuing.lifetimes,
        least.apis[0].issuing.lifetimes
    );
    assert_eq!(
        example.apis[0].issuing.passwords,
        least.apis[0].issuing.passwords
    );
    assert_eq!(example.apis[0].issuing.limits, least.apis[0].issuing.limits);
    assert_eq!(example.apis[0].site, least.apis[0].site);
    let plain = "[apis.pay]\ndialect = 'b2binpay'\nguards = ['/x']\nupstream = 'http://a:1'";
    let plain = parse(plain).unwrap();
    let timeouts = |settings: &Settings| {
        let guard = settings.apis[0].guard.as_ref().unwrap();
        guard.upstream.as_ref().unwrap().settings.timeouts
    };
    assert_eq!(timeouts(&example), timeouts(&plain));
}

#[test]
fn behind_a_proxy_that_forwards_no_upstream_is_needed() {
    let source = "[apis.pay]\ndialect = 'mypopup'\nguards = ['/x']\nforward_auth = 'caddy'";
    let settings = parse(source).unwrap();
    let guard = settings.apis[0].guard.as_ref().unwrap();
    assert_eq!(
        guard.forward_auth,
        Some(countersign_gateway::ProxyFamily::Caddy)
    );
    assert!(guard.upstream.is_none());
}

#[test]
fn an_empty_file_is_valid_and_has_no_api() {
    assert!(parse("").unwrap().apis.is_empty());
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    // Under each line that is wrong stands what is said of it, from the column on.
    let (mut source, mut expected) = (Vec::new(), Vec::new());
    for line in include_str!("mistakes.toml").lines() {
        match line.strip_prefix("#= ") {
            Some(help) if help.starts_with("  help: ") => expected.push(help.to_owned()),
            Some(said) => expected.push(format!("c.toml:{}:{said}", source.len())),
            None => source.push(line),
        }
    }
    let told = parse(&source.join("\n")).unwrap_err();
    assert_eq!(told, expected.join("\n"), "told:\n{told}");
}

/// Of a table in the place of its value, each key of these says something.
fn every_key_is_read<S>(header: &str, pointer: &str, table: &setting::SettingsTable<S>) {
    for setting in &table.0 {
        let key = setting.key;
        let told = parse(&format!("{header}\n{key} = {{}}\n")).unwrap_err();
        let line = header.lines().count() + 1;
        let place = format!("c.toml:{line}:{}: {pointer}/{key}", key.len() + 4);
        assert!(told.contains(&place), "{place}\n{told}");
    }
}

#[test]
fn every_key_that_is_declared_is_read() {
    let server = server::server_settings();
    every_key_is_read("[server]", "/server", &server);
    every_key_is_read("[store]", "/store", &store::store_settings());
    let api = "[apis.pay]";
    every_key_is_read(api, "/apis/pay", &api::api_settings());
    every_key_is_read(api, "/apis/pay", &guard::guard_settings());
    every_key_is_read(api, "/apis/pay", &upstream::upstream_settings());
    let limits = "[apis.pay.limits]";
    every_key_is_read(limits, "/apis/pay/limits", &limits::limits_settings());
    let routes = "[apis.pay]\nguards = ['/*']\n[[apis.pay.routes]]";
    every_key_is_read(routes, "/apis/pay/routes/0", &routes::route_settings());
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let told = parse("[server\nlisten = 1").unwrap_err();
    assert!(told.starts_with("c.toml:1:"), "{told}");
}

#[test]
fn a_broken_dialect_file_is_reported_with_its_own_lines() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("own.toml"), "schema = 1\nname = 3\n").unwrap();
    let source = "[apis.pay]\ndialect = './own.toml'\naccess = '1x'";
    let mistakes = read(source, "c.toml", directory.path())
        .map(|_| ())
        .unwrap_err();
    let told = mistakes.to_string();
    assert!(told.contains("own.toml:2:8"), "{told}");
    assert!(told.contains("c.toml:3:10"), "{told}");
}

#[test]
fn the_admin_api_has_a_loopback_address_of_its_own_without_tls() {
    let told = parse("[server]\nadmin_listen = '0.0.0.0:8081'").unwrap_err();
    assert!(
        told.starts_with("c.toml:2:16: /server/admin_listen: is not a loopback"),
        "{told}"
    );
    let told = parse("[server]\nadmin_listen = '127.0.0.1:8080'").unwrap_err();
    assert!(told.contains("is where the API listens"), "{told}");
}

#[test]
fn what_will_be_bound_is_judged_and_not_what_the_file_says_of_it() {
    let parse = |source: &str, over: &Overrides| {
        read_under(source, "c.toml", Path::new("."), over).map_err(|it| it.to_string())
    };
    let address = |text: &str| Some(text.parse().unwrap());
    let open = "[server]\nadmin_listen = '0.0.0.0:8081'";
    let over = Overrides {
        admin_listen: address("127.0.0.1:9"),
        ..Overrides::default()
    };
    let settings = parse(open, &over).unwrap();
    assert_eq!(Some(settings.server.admin_listen), over.admin_listen);
    let over = Overrides {
        listen: address("127.0.0.1:9"),
        ..Overrides::default()
    };
    assert!(parse(open, &over).is_err(), "it is bound as the file says");
    assert!(parse("[server]\nadmin_listen = '127.0.0.1:8080'", &over).is_ok());
    let told = parse("[server]\nadmin_listen = '127.0.0.1:9'", &over).unwrap_err();
    assert!(told.contains("is where the API listens"), "{told}");
}

#[test]
fn a_window_of_nothing_may_be_asked_for() {
    let settings = parse("[apis.pay]\ndialect = 'mypopup'\nreplay_window = '0s'").unwrap();
    assert!(settings.apis[0].issuing.lifetimes.window.is_zero());
}

#[test]
fn the_demos_configuration_is_valid() {
    let demo = parse(crate::serve::demo::CONFIGURATION).unwrap();
    let names: Vec<_> = demo.apis.iter().map(|api| api.name().as_str()).collect();
    assert_eq!(names, ["apirone", "b2binpay", "mypopup"]);
}

/// Every key of a table and of the tables in it, as `explain` spells them; what
/// stands in a list of tables is counted there.
fn keys(table: &toml::Table, above: &str) -> Vec<String> {
    let keys = table.iter().map(|(key, value)| match value {
        toml::Value::Table(inner) => keys(inner, &format!("{above}{key}.")),
        _ => vec![format!("{above}{key}")],
    });
    keys.flatten().collect()
}

#[test]
fn every_key_of_the_example_is_explained_with_its_line() {
    let example = example::example().unwrap();
    let whole: toml::Table = toml::from_str(&example).unwrap();
    let settings = parse(&example).unwrap();
    let explained = explain::explained(&settings, &example, "c.toml", &Overrides::default());
    for key in keys(&whole, "") {
        let found = explained.iter().find(|(name, ..)| *name == key);
        assert!(found.is_some(), "{key} is not explained");
        let (_, _, from) = found.unwrap();
        let line = from
            .strip_prefix("c.toml:")
            .unwrap()
            .parse::<usize>()
            .unwrap();
        let written = example.lines().nth(line - 1).unwrap();
        let last = key.rsplit('.').next().unwrap();
        assert!(
            written.contains(last),
            "{key} is not on line {line}: {written}"
        );
    }
    let lines = example.lines().filter_map(|line| line.strip_prefix("# "));
    let word = |key: &&str| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let commented = lines
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(word);
    for key in commented {
        let told = |name: &str| name.rsplit('.').next() == Some(key);
        assert!(explained.iter().any(|(name, ..)| told(name)), "{key}");
    }
}

#[test]
fn what_the_file_does_not_say_comes_from_the_preset_or_a_default_or_an_option() {
    let source = "[apis.pay]\ndialect = 'b2binpay'\naccess = '1m'";
    let over = Overrides {
        listen: Some("127.0.0.1:9".parse().unwrap()),
        ..Overrides::default()
    };
    let mut settings = parse(source).unwrap();
    settings.override_with(&over);
    let explained = explain::explained(&settings, source, "c.toml", &over);
    let line = |key: &str| {
        let found = explained.iter().find(|(name, ..)| name == key);
        let (_, value, from) = found.unwrap();
        (value.as_deref().unwrap_or("none"), from.as_str())
    };
    assert_eq!(line("server.listen"), ("127.0.0.1:9", "--listen"));
    assert_eq!(line("server.http2"), ("true", "default"));
    assert_eq!(line("apis.pay.access"), ("1m", "c.toml:3"));
    assert_eq!(line("apis.pay.refresh"), ("6h", "the preset of b2binpay"));
    assert_eq!(line("apis.pay.budget"), ("40", "the preset of b2binpay"));
    assert_eq!(line("server.tls_key"), ("none", "default"));
    let settings = parse("[apis.crypto]\ndialect = 'apirone'").unwrap();
    let explained = explain::explained(&settings, "", "c.toml", &Overrides::default());
    let budget = explained
        .iter()
        .find(|(name, ..)| name == "apis.crypto.budget");
    let unlimited = Some("unlimited".to_owned());
    let (_, value, from) = budget.unwrap();
    assert_eq!(
        (value, from.as_str()),
        (&unlimited, "default"),
        "no vendor says it"
    );
}

#[test]
fn who_is_believed_about_addresses_is_named() {
    let told = parse("[server]\nclient_address = 'forwarded'").unwrap_err();
    assert!(told.contains("needs `trusted_proxies`"), "{told}");
    let both = "[server]\nclient_address = 'proxy-protocol'\ntrusted_proxies = ['127.0.0.0/8']";
    assert!(parse(both).unwrap().server.proxy_protocol);
}

#[test]
fn a_certificate_needs_its_key_and_files_that_can_be_read() {
    let told = parse("[server]\ntls_certificate = 'a.pem'").unwrap_err();
    assert!(
        told.starts_with("c.toml:2:19: /server/tls_certificate: needs `tls_key`"),
        "{told}"
    );
    let both = "[server]\nadmin_tls_certificate = '/none/a.pem'\nadmin_tls_key = '/none/k.pem'";
    let told = parse(both).unwrap_err();
    assert!(told.contains("/none/a.pem"), "{told}");
}

#[test]
fn two_apis_with_one_path_need_hosts_or_prefixes_of_their_own() {
    let api = |name: &str, site: &str| format!("[apis.{name}]\ndialect = 'mypopup'\n{site}\n");
    assert!(parse(&(api("a", "") + &api("b", ""))).is_err());
    for site in ["prefix = '/b'", "hosts = ['b.test']"] {
        let other = site.replace('b', "a");
        assert!(
            parse(&(api("a", &other) + &api("b", site))).is_ok(),
            "{site}"
        );
    }
    let told = parse(&api("a", "hosts = ['A:1']\nprefix = 'b/'")).unwrap_err();
    assert!(
        told.contains("c.toml:3:9: /apis/a/hosts") && told.contains("c.toml:4:10"),
        "{told}"
    );
}
