//! The real lighttpd, which answers 411 to a POST, PUT or PATCH without a length.

use std::fs;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::listening::listen_blocking;

/// A server whose `/length.sh` answers with the method of a request and the length
/// that came with it. Each connection has a process of its own, as under inetd.
#[derive(Debug)]
pub struct LighttpdServer {
    /// Where it listens.
    pub url: String,
    running: Arc<Mutex<Vec<Child>>>,
    _directory: tempfile::TempDir,
}

const SCRIPT: &str = r#"printf 'Content-Type: text/plain\r\n\r\n%s %s' "$REQUEST_METHOD" "$CONTENT_LENGTH"
"#;

impl LighttpdServer {
    /// Starts one that ends when it is dropped.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let configuration = format!(
            "server.document-root = \"{0}\"\nserver.errorlog = \"{0}/errors\"\n\
             server.modules = (\"mod_cgi\")\ncgi.assign = (\".sh\" => \"/bin/sh\")\n",
            root.display()
        );
        fs::write(root.join("lighttpd.conf"), configuration).unwrap();
        fs::write(root.join("length.sh"), SCRIPT).unwrap();
        let running = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::clone(&running);
        let address = listen_blocking(move |stream| {
            let child = serve(stream, &root);
            started.lock().unwrap().push(child);
        });
        Self {
            url: format!("http://{address}"),
            running,
            _directory: directory,
        }
    }
}

fn serve(stream: TcpStream, root: &Path) -> Child {
    Command::new("/usr/sbin/lighttpd")
        .args(["-1", "-D", "-f"])
        .arg(root.join("lighttpd.conf"))
        .stdin(OwnedFd::from(stream))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("scripts/test installs lighttpd")
}

impl Drop for LighttpdServer {
    fn drop(&mut self) {
        for child in &mut *self.running.lock().unwrap() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
