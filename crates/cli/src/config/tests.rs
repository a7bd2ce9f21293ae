use std::path::Path;

use super::*;

fn parse(source: &str) -> Result<Settings, String> {
    read(source, "c.toml", Path::new(".")).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn the_example_is_valid_and_says_the_defaults() {
    let example = parse(EXAMPLE).unwrap();
    let default = settings::ServerSection::default();
    assert_eq!(example.server.listen, default.listen);
    assert_eq!(example.server.admin_listen, default.admin_listen);
    assert_eq!(example.server.limits, default.limits);
    assert_eq!(example.server.hashing_waiting, default.hashing_waiting);
    assert_eq!(example.server.trusted_proxies, default.trusted_proxies);
    assert_eq!(example.data, Path::new(settings::DEFAULT_DATA));

    let least = parse("[apis.pay]\ndialect = 'b2binpay'").unwrap();
    assert_eq!(example.apis[0].lifetimes, least.apis[0].lifetimes);
    assert_eq!(example.apis[0].passwords, least.apis[0].passwords);
    let guard = example.apis[0].guard.as_ref().unwrap();
    let plain = "[apis.pay]\ndialect = 'b2binpay'\nguards = ['/x']\nupstream = 'http://a:1'";
    assert_eq!(
        guard.timeouts,
        parse(plain).unwrap().apis[0]
            .guard
            .as_ref()
            .unwrap()
            .timeouts
    );
}

#[test]
fn behind_a_proxy_that_forwards_no_upstream_is_needed() {
    let source = "[apis.pay]\ndialect = 'mypopup'\nguards = ['/x']\nforward_auth = 'caddy'";
    let settings = parse(source).unwrap();
    let guard = settings.apis[0].guard.as_ref().unwrap();
    assert_eq!(guard.forward_auth, Some(countersign_gateway::Family::Caddy));
    assert_eq!(guard.upstream, None);
}

#[test]
fn an_empty_file_is_valid_and_has_no_api() {
    assert!(parse("").unwrap().apis.is_empty());
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let told = parse(include_str!("mistakes.toml")).unwrap_err();
    let expected = include_str!("mistakes.txt");
    assert_eq!(told.trim(), expected.trim(), "told:\n{told}");
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
fn the_admin_api_has_a_loopback_address_of_its_own() {
    let told = parse("[server]\nadmin_listen = '0.0.0.0:8081'").unwrap_err();
    assert!(
        told.starts_with("c.toml:2:16: /server/admin_listen: is no loopback"),
        "{told}"
    );
    let told = parse("[server]\nadmin_listen = '127.0.0.1:8080'").unwrap_err();
    assert!(told.contains("is where the API listens"), "{told}");
}

#[test]
fn a_window_of_nothing_may_be_asked_for() {
    let settings = parse("[apis.pay]\ndialect = 'mypopup'\nreplay_window = '0s'").unwrap();
    assert!(settings.apis[0].lifetimes.window.is_zero());
}

#[test]
fn the_demos_configuration_is_valid() {
    let demo = parse(crate::serve::DEMO).unwrap();
    let names: Vec<_> = demo.apis.iter().map(|api| api.name.as_str()).collect();
    assert_eq!(names, ["apirone", "b2binpay", "mypopup"]);
}
