//! Whatever a client writes into the header in which proxies tell its address, it
//! stays left of what they add, and changes nothing. The input is the lines of the
//! header; the first byte says which it is.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use countersign_gateway::{AddressPolicy, AddressSource, TrustedProxies, client_address};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

static TRUSTED: LazyLock<TrustedProxies> =
    LazyLock::new(|| TrustedProxies::parse(&["10.0.0.0/8", "fd00::/8"]).expect("networks"));

fuzz_target!(|bytes: &[u8]| {
    let Some((first, lines)) = bytes.split_first() else {
        return;
    };
    let (source, name, forged) = match first % 2 {
        0 => (AddressSource::Forwarded, "forwarded", "for=203.0.113.7"),
        _ => (
            AddressSource::XForwardedFor,
            "x-forwarded-for",
            "203.0.113.7",
        ),
    };
    let policy = AddressPolicy {
        trusted: TRUSTED.clone(),
        source,
    };
    let name = HeaderName::from_static(name);
    let lines = lines.split(|byte| *byte == b'\n');
    let lines: Vec<HeaderValue> = lines
        .filter_map(|it| HeaderValue::from_bytes(it).ok())
        .collect();
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let told = client_address(proxy, &fields(&name, &lines), &policy);
    let Ok(address) = told else {
        return;
    };
    assert_eq!(address, address.to_canonical());
    let mut forged = vec![HeaderValue::from_static(forged)];
    forged.extend(lines);
    let told = client_address(proxy, &fields(&name, &forged), &policy);
    if !TRUSTED.has(address)
        && let Ok(told) = told
    {
        assert_eq!(told, address);
    }
});

fn fields(name: &HeaderName, lines: &[HeaderValue]) -> HeaderMap {
    lines
        .iter()
        .map(|line| (name.clone(), line.clone()))
        .collect()
}
