//! `countersign config check`: what is valid and perhaps not meant.

use std::fs;

use crate::run::run;

/// What is warned of in a configuration with these routes, as text.
fn warned(guards: &str, routes: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    let source = format!(
        "[apis.pay]\ndialect = 'mypopup'\nupstream = 'http://127.0.0.1:1'\nguards = [{guards}]\n\
         routes = [{routes}]\n"
    );
    fs::write(&file, source).unwrap();
    let file = file.display().to_string();
    let text = run(&["config", "check", &file]).code(0).stdout;
    let document = run(&["config", "check", &file, "--json"]).code(0).json();
    let told = text.matches("\nwarning: ").count();
    let listed = document["warnings"].as_array().unwrap();
    assert_eq!(listed.len(), told);
    for it in listed {
        let words = ["message", "help"].map(|name| it[name].as_str().unwrap());
        assert!(text.contains(&format!("warning: {}\nhelp: {}", words[0], words[1])));
    }
    let (_, warnings) = text.split_once("the api pay\n").unwrap();
    warnings.to_owned()
}

fn public(path: &str) -> String {
    format!("{{ path = '{path}', access = 'public' }},")
}

fn protected(path: &str) -> String {
    format!("{{ path = '{path}', access = 'protected' }},")
}

fn asking(path: &str, scope: &str) -> String {
    format!("{{ path = '{path}', access = 'protected', scopes = ['{scope}'] }},")
}

#[test]
fn a_protected_wildcard_within_a_public_one_is_told_until_the_help_is_followed() {
    let admin = protected("/v2/admin/*");
    let told = warned("'/*'", &(public("/v2/*") + &admin));
    assert_eq!(
        told,
        "warning: api pay: /v2/admin/* is protected, but other spellings of it (letter case, a \
         slash or dot at the end), such as /v2/Admin, fall under /v2/*, which is public\n\
         help: unless the upstream treats them as other paths, protect /v2/* too, and list each \
         public path below without `*` or `{}`\n"
    );
    let cured = protected("/v2/*") + &admin + &public("/v2/rates") + &public("/v2/rates/usd");
    assert_eq!(warned("'/*'", &cured), "");
}

#[test]
fn a_route_below_an_exact_path_does_not_silence_the_warning_of_it() {
    let exact = protected("/v2/x/callback");
    let below = protected("/v2/x/callback/*");
    let told = warned("'/*'", &(public("/v2/*") + &exact + &below));
    assert!(told.contains("such as /v2/x/Callback, fall under /v2/*, which is public"));
    assert!(!told.contains("callback/* too"), "{told}");
}

#[test]
fn a_scope_that_another_spelling_loses_is_told_until_the_help_is_followed() {
    let admin = asking("/v2/admin", "a");
    let told = warned("'/*'", &(protected("/v2/*") + &admin));
    assert_eq!(
        told,
        "warning: api pay: /v2/admin is protected and requires the scope a, but other spellings \
         of it (letter case, a slash or dot at the end), such as /v2/Admin, fall under /v2/*, \
         which requires fewer scopes, and under no rule within /*, so no scope is required\n\
         help: unless the upstream treats them as other paths, protect /v2/* and /* too with a \
         rule that requires the scope a, and list each path below that needs less without `*` or \
         `{}`\n"
    );
    let wide = asking("/v2/*", "a") + &asking("/*", "a");
    let cured = admin + &wide + &protected("/v2/orders") + &public("/v2/rates");
    assert_eq!(warned("'/*'", &cured), "");
}

#[test]
fn a_login_that_another_spelling_loses_is_told_until_the_help_is_followed() {
    let own = protected("/v2/acc/{login}/x");
    let told = warned("'/v2/*'", &own);
    assert_eq!(
        told,
        "warning: api pay: /v2/acc/{login}/x is protected, but other spellings of it (letter \
         case, a slash or dot at the end), such as /v2/acc/x/X, fall under /v2/*, which does not \
         compare that segment with the caller's login\n\
         help: unless the upstream treats them as other paths, write {login} in /v2/* where \
         /v2/acc/{login}/x has it, so that the paths below have it in any spelling\n"
    );
    assert_eq!(warned("'/v2/acc/{login}/*'", &own), "");
}

#[test]
fn the_example_is_not_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    let example = run(&["config", "example"]).code(0).stdout;
    fs::write(&file, example).unwrap();
    let text = run(&["config", "check", file.to_str().unwrap()])
        .code(0)
        .stdout;
    assert!(!text.contains("warning"), "{text}");
}
