//! What never comes from outside is cleared by each of the documented files, and
//! by the proxies that run with them.

use crate::programs::Proxy;
use crate::stage::{Asked, Stage};
use crate::table::Results;
use countersign_relay::{FieldShape, ReservedFields, reserved_fields};

/// What a file clears or sets, by the text of it.
type Covers = fn(&str, &ReservedFields) -> Vec<String>;

/// What is missing in a file that names fields by their shape.
fn by_shape(text: &str, line: String) -> Vec<String> {
    let is_there = text.lines().any(|it| it.trim() == line);
    if is_there { vec![] } else { vec![line] }
}

/// What is missing in a file that can only name whole fields.
fn by_name(text: &str, fields: &ReservedFields, before: &str, after: &str) -> Vec<String> {
    let text = text.to_ascii_lowercase();
    let named = |name: &&&str| text.contains(&format!("\n{before}{name}{after}"));
    let missing = fields.known.iter().filter(|name| !named(name));
    missing.map(|name| (*name).to_owned()).collect()
}

const FILES: [(&str, Covers); 5] = [
    ("nginx.conf", |text, fields| {
        let guarded = text.split("location / {").nth(1).unwrap();
        let guarded = guarded.split("location = ").next().unwrap();
        by_name(guarded, fields, "            proxy_set_header ", " ")
    }),
    ("haproxy.cfg", |text, fields| {
        let matched = match fields.shape {
            FieldShape::Is(name) => format!("{name} -m str"),
            FieldShape::Begins(start) => format!("{start} -m beg"),
            FieldShape::Ends(end) => format!("{end} -m end"),
            FieldShape::Has(part) => format!("{part} -m sub"),
        };
        by_shape(text, format!("http-request del-header {matched}"))
    }),
    ("Caddyfile", |text, fields| {
        let matched = match fields.shape {
            FieldShape::Is(name) => name.to_owned(),
            FieldShape::Begins(start) => format!("{start}*"),
            FieldShape::Ends(end) => format!("*{end}"),
            FieldShape::Has(part) => format!("*{part}*"),
        };
        by_shape(
            &text.to_ascii_lowercase(),
            format!("request_header -{matched}"),
        )
    }),
    ("traefik-dynamic.yml", |text, fields| {
        // Traefik itself sets these anew, or takes them from the answer.
        let anew = [
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
        let mut missing = by_name(text, fields, "          ", ": \"\"");
        missing.retain(|name| !anew.contains(&&**name));
        missing
    }),
    ("envoy.yml", |text, fields| {
        let matched = match fields.shape {
            FieldShape::Is(name) => format!("exact: {name}"),
            FieldShape::Begins(start) => format!("prefix: {start}"),
            FieldShape::Ends(end) => format!("suffix: {end}"),
            FieldShape::Has(part) => format!("contains: {part}"),
        };
        by_shape(
            text,
            format!("- remove_on_match: {{ key_matcher: {{ {matched} }} }}"),
        )
    }),
];

#[test]
fn every_file_clears_what_never_comes_from_outside() {
    let documented = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/forward-auth/");
    for (file, missing) in FILES {
        let text = std::fs::read_to_string(format!("{documented}{file}")).unwrap();
        let missing: Vec<_> = reserved_fields()
            .flat_map(|it| missing(&text, it))
            .collect();
        assert!(missing.is_empty(), "{file} lacks {missing:#?}");
    }
}

/// Names that nobody knows, of the same shape.
fn of_the_shape(fields: &ReservedFields) -> Vec<String> {
    match fields.shape {
        FieldShape::Is(_) => vec![],
        FieldShape::Begins(start) => vec![format!("{start}-acme")],
        FieldShape::Ends(end) => vec![format!("acme-{end}")],
        FieldShape::Has(part) => vec![format!("acme-{part}-acme")],
    }
}

/// The names in the spellings that the proxy can clear.
fn spellings(proxy: Proxy) -> Vec<String> {
    let mut spelled = Vec::new();
    for fields in reserved_fields() {
        for name in fields.known {
            spelled.extend([(*name).to_owned(), name.replace('-', "_")]);
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
            spelled.extend(of_the_shape(fields));
        }
    }
    spelled
}

/// Nothing of it reaches the API, wherever it was sent.
pub(crate) async fn play(stage: &Stage, results: &mut Results) {
    for names in spellings(stage.proxy).chunks(40) {
        let mut asked = Asked::get("/public/rates");
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
}
