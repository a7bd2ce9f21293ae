//! What never comes from outside is cleared by each of the documented files, and
//! by the proxies that run with them.

use crate::programs::Proxy;
use crate::stage::{PartnerRequest, Stage};
use crate::table::Results;
use countersign_relay::{FieldShape, known_reserved_fields, reserved_shapes};

/// Around the lines of a file that follow from the list of reserved fields.
const BEGIN: &str = "# The list of README.md: what only Countersign and proxies may say.\n";
const END: &str = "# End of the list.\n";

/// What partners send by right, and every proxy must pass on.
const OF_PARTNERS: [&str; 14] = [
    "baggage",
    "idempotency-key",
    "psu-ip-address",
    "signature-input",
    "traceparent",
    "x-account-id",
    "x-api-version",
    "x-client-version",
    "x-customer-ip",
    "x-device-id",
    "x-merchant-id",
    "x-requested-with",
    "x-source-address",
    "x-user-agent",
];

/// Writes the lines of a file that clear what is reserved.
type Lines = fn() -> Vec<String>;

const FILES: [(&str, Lines); 5] = [
    ("nginx.conf", nginx),
    ("haproxy.cfg", haproxy),
    ("Caddyfile", caddy),
    ("traefik-dynamic.yml", traefik),
    ("envoy.yml", envoy),
];

/// nginx cannot recognize fields by their shape, and drops names with `$`. What the
/// file sets to its own values must not be cleared beside them.
fn nginx() -> Vec<String> {
    let set_anew = [
        "x-countersign-account",
        "x-countersign-api",
        "x-countersign-login",
        "x-countersign-request-id",
        "x-countersign-session",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    known_reserved_fields()
        .filter(|name| !name.starts_with('-') && !set_anew.contains(name))
        .map(|name| format!("proxy_set_header {} \"\";", capitalized(name)))
        .collect()
}

fn haproxy() -> Vec<String> {
    let lines = shapes().map(|shape| {
        let matched = match shape {
            FieldShape::Is(name) => format!("{name} -m str"),
            FieldShape::Begins(start) => format!("{start} -m beg"),
            FieldShape::Ends(end) => format!("{end} -m end"),
            FieldShape::Has(part) => format!("{part} -m sub"),
        };
        format!("http-request del-header {matched}")
    });
    lines.collect()
}

fn caddy() -> Vec<String> {
    let lines = shapes().map(|shape| {
        let matched = match shape {
            FieldShape::Is(name) => name.to_owned(),
            FieldShape::Begins(start) => format!("{start}*"),
            FieldShape::Ends(end) => format!("*{end}"),
            FieldShape::Has(part) => format!("*{part}*"),
        };
        format!("request_header -{}", capitalized(&matched))
    });
    lines.collect()
}

/// Traefik cannot recognize fields by their shape, either, and passes names with `_`
/// and `$` on. It sets some itself, or takes them from the answer.
fn traefik() -> Vec<String> {
    let set_anew = [
        "x-countersign-account",
        "x-countersign-api",
        "x-countersign-login",
        "x-countersign-request-id",
        "x-countersign-session",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
    ];
    let mut spelled: Vec<_> = known_reserved_fields()
        .flat_map(|name| match name.strip_prefix('-') {
            Some(of_websphere) => vec![format!("${of_websphere}")],
            None if name.starts_with("x-countersign-") => mixtures(name),
            None => vec![name.to_owned(), name.replace('-', "_")],
        })
        .filter(|name| !set_anew.contains(&&**name))
        .collect();
    spelled.dedup();
    let lines = spelled.iter().map(|name| capitalized(name));
    lines.map(|name| format!("{name}: \"\"")).collect()
}

fn envoy() -> Vec<String> {
    let lines = shapes().map(|shape| {
        let matched = match shape {
            FieldShape::Is(name) => format!("exact: {name}"),
            FieldShape::Begins(start) => format!("prefix: {start}"),
            FieldShape::Ends(end) => format!("suffix: {end}"),
            FieldShape::Has(part) => format!("contains: {part}"),
        };
        format!("- remove_on_match: {{ key_matcher: {{ {matched} }} }}")
    });
    lines.collect()
}

/// All shapes but those of names with `$`, which each file clears with other
/// characters.
fn shapes() -> impl Iterator<Item = FieldShape> {
    reserved_shapes().filter(|shape| !matches!(shape, FieldShape::Begins("-ws")))
}

/// The name with each of its hyphens as it is or as `_`.
fn mixtures(name: &str) -> Vec<String> {
    let mut spelled = vec![String::new()];
    for word in name.split_inclusive('-') {
        let stem = word.strip_suffix('-');
        spelled = spelled
            .iter()
            .flat_map(|start| match stem {
                Some(stem) => vec![format!("{start}{stem}-"), format!("{start}{stem}_")],
                None => vec![format!("{start}{word}")],
            })
            .collect();
    }
    spelled
}

/// As these programs write names: a capital at the start and after each hyphen.
fn capitalized(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// The file with its list as it should be.
fn with_the_list(text: &str, lines: &[String]) -> String {
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let indent = &before[before.rfind('\n').unwrap() + 1..];
    let lines = lines.iter().map(|line| format!("{indent}{line}\n"));
    format!(
        "{before}{BEGIN}{}{indent}{END}{after}",
        lines.collect::<String>()
    )
}

fn path(file: &str) -> String {
    format!(
        "{}/../../docs/forward-auth/{file}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn every_file_clears_what_never_comes_from_outside() {
    for (file, lines) in FILES {
        let text = std::fs::read_to_string(path(file)).unwrap();
        assert!(
            text == with_the_list(&text, &lines()),
            "the list in {file} is out of date: write it with \
             `cargo test -p countersign --test proxies write_the_lists -- --ignored`"
        );
    }
}

#[test]
#[ignore = "writes into docs/forward-auth"]
fn write_the_lists() {
    for (file, lines) in FILES {
        let text = std::fs::read_to_string(path(file)).unwrap();
        std::fs::write(path(file), with_the_list(&text, &lines())).unwrap();
    }
}

/// Names that nobody knows, of the same shape.
fn of_the_shape(shape: FieldShape) -> Option<String> {
    match shape {
        FieldShape::Is(_) => None,
        FieldShape::Begins(start) => Some(format!("{start}-acme")),
        FieldShape::Ends(end) => Some(format!("acme-{end}")),
        FieldShape::Has(part) => Some(format!("acme-{part}-acme")),
    }
}

/// The names in the spellings that the proxy can clear.
fn spellings(proxy: Proxy) -> Vec<String> {
    let mut spelled = Vec::new();
    for name in known_reserved_fields() {
        if let Some(of_websphere) = name.strip_prefix('-') {
            spelled.push(format!("${of_websphere}"));
            continue;
        }
        spelled.extend([name.to_owned(), name.replace('-', "_")]);
        match proxy {
            Proxy::Nginx => spelled.push(name.replace('-', ".")),
            Proxy::Traefik => {}
            Proxy::Haproxy | Proxy::Caddy | Proxy::Envoy => spelled.extend([
                name.replace('-', "."),
                name.replace('-', "~"),
                name.replacen('-', "_", 1),
            ]),
        }
    }
    // nginx and Traefik cannot name a field by its shape.
    if matches!(proxy, Proxy::Haproxy | Proxy::Caddy | Proxy::Envoy) {
        spelled.extend(shapes().filter_map(of_the_shape));
    }
    spelled
}

/// Nothing of it reaches the API, wherever it was sent; what partners send does.
pub(crate) async fn play(stage: &Stage, results: &mut Results) {
    for names in spellings(stage.proxy).chunks(40) {
        let mut asked = PartnerRequest::get("/public/rates");
        for name in names {
            asked = asked.with(name, "evil");
        }
        assert_eq!(stage.ask(&asked).await.status, 200, "{names:?}");
        let reached = stage.reached();
        let evil = reached.headers.iter().filter(|(_, value)| *value == "evil");
        let evil: Vec<_> = evil.map(|(name, _)| name.as_str()).collect();
        assert!(evil.is_empty(), "{evil:?}");
    }
    results.add("what never comes from outside", "cleared");
    let mut asked = PartnerRequest::get("/public/rates");
    for name in OF_PARTNERS {
        asked = asked.with(name, "honest");
    }
    assert_eq!(stage.ask(&asked).await.status, 200);
    let reached = stage.reached();
    for name in OF_PARTNERS {
        assert_eq!(reached.header(name), "honest", "{name}");
    }
    results.add("what partners send by right", "passed");
}
