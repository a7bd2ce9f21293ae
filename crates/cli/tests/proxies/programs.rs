//! The real proxies, with the documented configurations, in which only addresses
//! and the places of files are replaced.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proxy {
    Nginx,
    Haproxy,
    Caddy,
    Traefik,
    Envoy,
}

/// Where a proxy listens and whom it asks.
pub(crate) struct Addresses {
    pub(crate) partners: SocketAddr,
    pub(crate) countersign: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// A proxy that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    directory: PathBuf,
}

impl Proxy {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nginx,
        Self::Haproxy,
        Self::Caddy,
        Self::Traefik,
        Self::Envoy,
    ];

    /// The name, as `forward_auth` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Envoy => "envoy",
        }
    }

    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx.conf"],
            Self::Haproxy => &["haproxy.cfg", "countersign.lua"],
            Self::Caddy => &["Caddyfile"],
            Self::Traefik => &["traefik-static.yml", "traefik-dynamic.yml"],
            Self::Envoy => &["envoy.yml"],
        }
    }

    /// Starts the proxy in `directory`, where its logs are written.
    pub(crate) fn start(self, directory: &Path, addresses: &Addresses) -> Running {
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/forward-auth");
        for file in self.files() {
            let text = fs::read_to_string(documented.join(file)).unwrap();
            let placed = addresses.put_into(&text, directory);
            fs::write(directory.join(file), placed).unwrap();
        }
        let log = |name: &str| Stdio::from(File::create(directory.join(name)).unwrap());
        let child = self
            .command(directory)
            .current_dir(directory)
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(log("out.log"))
            .stderr(log("err.log"))
            .spawn()
            .unwrap();
        Running {
            child,
            directory: directory.to_owned(),
        }
    }

    fn command(self, directory: &Path) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Nginx => command
                .args(["-p", ".", "-c", "nginx.conf", "-e", "early.log", "-g"])
                .arg(format!(
                    "daemon off; pid {}/nginx.pid;",
                    directory.display()
                )),
            Self::Haproxy => command.args(["-db", "-f", "haproxy.cfg"]),
            Self::Caddy => command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]),
            Self::Traefik => command.arg("--configFile=traefik-static.yml"),
            Self::Envoy => command.args([
                "-c",
                "envoy.yml",
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "-l",
                "error",
            ]),
        };
        command
    }

    /// The program: Debian's, or the one that `scripts/test` has put below the
    /// target directory.
    fn program(self) -> PathBuf {
        let fetched = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../proxies");
        let places = match self {
            Self::Nginx => vec!["/usr/sbin/nginx".into()],
            Self::Haproxy => vec!["/usr/sbin/haproxy".into()],
            Self::Caddy => vec!["/usr/bin/caddy".into()],
            Self::Traefik => vec![fetched.join("bin/traefik")],
            Self::Envoy => vec![fetched.join("envoy/_bin/envoy")],
        };
        let found = places.iter().find(|place: &&PathBuf| place.exists());
        found.cloned().unwrap_or_else(|| {
            panic!(
                "{} is not at {places:?}: run scripts/test, which installs it",
                self.name()
            )
        })
    }
}

impl Addresses {
    fn put_into(&self, text: &str, directory: &Path) -> String {
        let mut text = text
            .replace("/var/log/nginx/", &format!("{}/", directory.display()))
            .replace(
                "filename: traefik",
                &format!("filename: {}/traefik", directory.display()),
            );
        for (documented, real) in [
            (8000, self.partners),
            (8080, self.countersign),
            (9000, self.api),
        ] {
            let port = real.port();
            text = text
                .replace(&format!("127.0.0.1:{documented}"), &real.to_string())
                .replace(
                    &format!("port_value: {documented} "),
                    &format!("port_value: {port} "),
                );
        }
        text
    }
}

impl Running {
    /// Stops the proxy and gives everything that it has written.
    pub(crate) fn stop(mut self) -> String {
        self.end();
        let mut written = String::new();
        for entry in fs::read_dir(&self.directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "log") {
                written += &String::from_utf8_lossy(&fs::read(path).unwrap());
            }
        }
        written
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it complained about.
    pub(crate) fn complaint(&self) -> String {
        fs::read_to_string(self.directory.join("err.log")).unwrap()
    }

    /// SIGTERM, so that a master ends its workers too.
    fn end(&mut self) {
        let kill = format!("kill -s TERM {}", self.child.id());
        // It may have ended before.
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}
