//! The way to a vendor through a proxy (CONNECT), TLS from end to end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use countersign_testing::certificates::MadeCertificate;
use countersign_testing::listening::{listen, listen_blocking};
use countersign_testing::raw::read_head_blocking;
use tokio::runtime::Runtime;

use crate::run::{Ran, finish};
use crate::stage::Stage;
use crate::support::Server;

/// An HTTP proxy that leads everywhere to one server.
struct Tunnels {
    url: String,
    /// The heads that it was asked with.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// It asks for a user and a password if `authorization` is not empty.
    fn to(server: SocketAddr, authorization: &'static str) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let address = listen_blocking(move |mut client| {
            let head = read_head_blocking(&mut client).unwrap_or_default();
            let good = head.contains(authorization);
            seen.lock().unwrap().push(head);
            if good {
                lead(client, server);
            } else {
                let no = b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n";
                let _ = client.write_all(no);
            }
        });
        let url = format!("http://{address}");
        Self { url, heads }
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

fn lead(mut client: TcpStream, server: SocketAddr) {
    let upstream = TcpStream::connect(server).unwrap();
    // Many proxies still say 1.0.
    let _ = client.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n");
    let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (upstream, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// An issuer over TLS whose name nobody knows but the proxy, and a profile for it.
struct Vendor {
    stage: Stage,
    server: Server,
}

impl Vendor {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        MadeCertificate::make(directory.path(), "tls", 2);
        let server = Server::start_in(
            directory,
            "[server]\ntls_certificate = 'tls.pem'\ntls_key = 'tls.key'\n[apis.pay]\ndialect = 'b2binpay'\n",
        );
        let stage = Stage::start();
        Self { stage, server }
    }

    /// The certificate is for `h`.
    fn profile(&self, login: &str, secret: &str, more: &str) {
        self.stage.write("secret", secret);
        let roots = self.server.file("tls.pem");
        self.stage.profiles(&format!(
            "[pay]\ndialect = 'b2binpay'\nurl = 'https://h'\nlogin = '{login}'\n\
             secret_file = '~/secret'\nroots = '{}'\n{more}\n",
            roots.display()
        ));
    }

    fn run(&self, words: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.stage.command(words);
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        finish(command.envs(environment.iter().copied()))
    }
}

const LOGIN: &str = "proxy-authorization: Basic YW5uOnMzY3JldA==";

#[test]
fn a_vendor_is_reached_through_the_proxy_that_is_named() {
    let vendor = Vendor::start();
    let account = vendor.server.account("pay", "acme", &[]);
    vendor.profile(&account.login, &account.secret, "");
    let proxy = Tunnels::to(vendor.server.address(), LOGIN);
    let named = proxy.url.replace("http://", "http://ann:s3cret@");
    for name in ["HTTPS_PROXY", "https_proxy", "all_proxy"] {
        let ran = vendor.run(&["login", "pay"], &[(name, &named)]).code(0);
        let heads = proxy.asked();
        assert!(
            heads[0].starts_with("CONNECT h:443 HTTP/1.1\r\n"),
            "{heads:?}"
        );
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("s3cret"));
    }
    let ran = vendor
        .run(&["doctor", "pay"], &[("HTTPS_PROXY", &named)])
        .code(0);
    assert!(
        ran.stdout.contains(&proxy.url) && ran.stdout.contains("HTTPS_PROXY"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("s3cret"), "{}", ran.stdout);
    assert!(ran.stdout.contains("TLS 1.3"), "{}", ran.stdout);
    proxy.asked();
    vendor.run(
        &["request", "pay", "GET", "/deposit/"],
        &[("HTTPS_PROXY", &named)],
    );
    assert_eq!(proxy.asked().len(), 1);
    // The profile's own word goes before the environment's.
    vendor.profile(
        &account.login,
        &account.secret,
        &format!("proxy = '{named}'"),
    );
    let elsewhere = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "*")];
    vendor.run(&["login", "pay"], &elsewhere).code(0);
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn without_a_proxy_the_vendor_is_looked_for_directly() {
    let vendor = Vendor::start();
    let proxy = Tunnels::to(vendor.server.address(), "");
    for (more, no) in [
        ("proxy = 'none'", ""),
        ("proxy = 'off'", ""),
        ("", "h"),
        ("", "*"),
    ] {
        vendor.profile("ann", "secret", more);
        let environment = [("HTTPS_PROXY", &*proxy.url), ("NO_PROXY", no)];
        let ran = vendor.run(&["login", "pay"], &environment).code(69);
        assert!(ran.stderr.contains("no connection"), "{}", ran.stderr);
        vendor.run(&["doctor", "pay"], &environment).code(69);
        assert_eq!(proxy.asked(), [""; 0], "{more} {no}");
    }
    // The sandbox is on this machine.
    let vendor = Vendor {
        stage: Stage::start(),
        ..vendor
    };
    vendor
        .run(&["login", "pay"], &[("ALL_PROXY", &proxy.url)])
        .code(0);
    assert_eq!(proxy.asked(), [""; 0], "loopback");
}

#[test]
fn a_proxy_that_does_not_lead_there_is_told_as_that() {
    let vendor = Vendor::start();
    vendor.profile("ann", "secret", "");
    let proxy = Tunnels::to(vendor.server.address(), LOGIN);
    let wrong = proxy.url.replace("http://", "http://ann:wr0ng@");
    for (named, words) in [
        (&*proxy.url, "asks for a user and a password (407)"),
        (
            &wrong,
            "does not accept the user and password of HTTPS_PROXY (407)",
        ),
        (
            "http://127.0.0.1:1",
            "the proxy http://127.0.0.1:1 cannot be reached",
        ),
        ("socks5://127.0.0.1:1", "SOCKS"),
    ] {
        for command in ["login", "doctor"] {
            let ran = vendor.run(&[command, "pay"], &[("HTTPS_PROXY", named)]);
            let told = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                told.contains(words) && !told.contains("wr0ng"),
                "{command}: {told}"
            );
            assert_ne!(ran.code, 0);
        }
    }
}

/// What a sidecar answers over its socket, as soon as there is one.
fn carried(socket: &std::path::Path) -> String {
    let begun = std::time::Instant::now();
    loop {
        if let Ok(mut stream) = UnixStream::connect(socket) {
            let asked = "GET /deposit/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(asked.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            return answer;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        std::thread::yield_now();
    }
}

#[test]
fn a_sidecar_reaches_the_vendor_through_the_proxy() {
    let vendor = Vendor::start();
    let account = vendor.server.account("pay", "acme", &[]);
    vendor.profile(&account.login, &account.secret, "");
    let proxy = Tunnels::to(vendor.server.address(), "");
    let socket = vendor.stage.file("pay.sock");
    let target = format!("pay={}", socket.display());
    let mut command = vendor.stage.command(&["sidecar", &target]);
    command
        .env("HTTPS_PROXY", &proxy.url)
        .env_remove("NO_PROXY");
    let mut sidecar = command.spawn().unwrap();
    let answer = carried(&socket);
    sidecar.kill().unwrap();
    sidecar.wait().unwrap();
    // The api has no upstream: that it says so is its own answer.
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let asked = proxy.asked();
    assert!(asked.len() >= 2, "the login and the request: {asked:?}");
    assert!(
        asked.iter().all(|it| it.starts_with("CONNECT h:443 ")),
        "{asked:?}"
    );
}

/// A proxy that is itself spoken to over TLS, with this certificate, as long as the
/// runtime lives.
fn over_tls(certificate: &MadeCertificate, server: SocketAddr) -> (Runtime, String) {
    let (acceptor, inner) = (certificate.acceptor(&[]), Tunnels::to(server, ""));
    let inner: SocketAddr = inner.url.trim_start_matches("http://").parse().unwrap();
    let runtime = Runtime::new().unwrap();
    let listening = runtime.enter();
    let listener = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut outer) = acceptor.accept(stream).await {
                let mut inner = tokio::net::TcpStream::connect(inner).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        }
    });
    drop(listening);
    (runtime, format!("https://{}", listener.address))
}

#[test]
fn a_proxy_may_be_spoken_to_over_tls_itself() {
    let vendor = Vendor::start();
    let account = vendor.server.account("pay", "acme", &[]);
    vendor.profile(&account.login, &account.secret, "");
    let directory = tempfile::tempdir().unwrap();
    let files = MadeCertificate::make(directory.path(), "proxy", 2);
    let (_running, proxy) = over_tls(&files, vendor.server.address());
    // It is certified by the system's authorities, the vendor by the profile's.
    let system = files.certificate.display().to_string();
    let trusted = [("HTTPS_PROXY", &*proxy), ("SSL_CERT_FILE", &system)];
    vendor.run(&["login", "pay"], &trusted).code(0);
    let other = vendor.server.file("tls.pem").display().to_string();
    let strange = [("HTTPS_PROXY", &*proxy), ("SSL_CERT_FILE", &other)];
    let ran = vendor.run(&["login", "pay"], &strange).code(69);
    assert!(
        ran.stderr.contains(&proxy) && ran.stderr.contains("its certificate"),
        "{}",
        ran.stderr
    );
}
