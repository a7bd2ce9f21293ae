//! `countersign serve` with one api behind a proxy, and behind its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::programs::Proxy;
use crate::stage::run;

pub(crate) struct Server {
    child: Child,
    data: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(directory: &Path, proxy: Proxy, api: SocketAddr, keys: &str) -> Self {
        let data = directory.join("data");
        let config = directory.join("countersign.toml");
        std::fs::write(&config, configuration(proxy, api, keys)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            log.read_to_string(&mut text).map(|_| text)
        });
        let mut first = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut first).unwrap();
        let Some((_, address)) = first.trim().split_once("http://") else {
            child.kill().unwrap();
            panic!("the server did not start: {:?}", log.join().unwrap());
        };
        Self {
            child,
            data,
            address: address.parse().unwrap(),
        }
    }

    /// Runs an operator's command and gives the JSON that it prints.
    pub(crate) fn operate(&self, words: &[&str]) -> Value {
        run(words, &self.data)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The api's own proxy answers what is sent straight to the server, so that both
/// can be compared.
fn configuration(proxy: Proxy, api: SocketAddr, keys: &str) -> String {
    format!(
        r#"
[server]
trusted_proxies = ["127.0.0.1"]
client_address = "x-forwarded-for"

[apis.shop]
dialect = "apirone"
forward_auth = "{}"
guards = ["/api/v2/accounts/{{login}}/*", "/public/*"]
upstream = "http://{api}"
{keys}

[[apis.shop.routes]]
methods = ["GET"]
path = "/public/*"
access = "public"

[[apis.shop.routes]]
path = "/api/v2/accounts/{{login}}/payouts"
access = "protected"
scopes = ["payout"]
"#,
        proxy.name()
    )
}
