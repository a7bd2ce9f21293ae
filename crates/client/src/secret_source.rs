//! Where the login secret comes from. It is asked for again before each login, so
//! that a rotated secret is used without a restart.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use countersign_dialect::Secret;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::warnings::warn;
use crate::{BoxFuture, Error, ErrorKind};

/// Tells the login secret.
pub trait SecretSource: Send + Sync + 'static {
    /// The secret, as it is now.
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>>;
}

/// The longest secret that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

const TOO_LONG: &str = "it is too long for a secret";

/// How long a command may take to tell the secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The secret in a file: all of it but the ends of lines after it.
#[derive(Clone, Debug)]
pub struct SecretFile(PathBuf);

/// The secret in a variable of the environment.
#[derive(Clone, Debug)]
pub struct SecretEnv(String);

/// The secret on the standard output of a command, without the line's end. It is
/// run without a shell.
#[derive(Clone)]
pub struct SecretCommand {
    program: String,
    arguments: Vec<String>,
}

impl SecretFile {
    /// The secret in the file there.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl SecretEnv {
    /// The secret in the variable of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl SecretCommand {
    /// The secret that the first of these tells when it is run with the others.
    /// `None` if there is no first.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut argv = argv.into_iter().map(Into::into);
        Some(Self {
            program: argv.next()?,
            arguments: argv.collect(),
        })
    }
}

/// Its arguments may be nobody's business.
impl std::fmt::Debug for SecretCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretCommand")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl SecretSource for Box<dyn SecretSource> {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        (**self).secret()
    }
}

impl SecretSource for Secret {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}

impl SecretSource for SecretFile {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        let cannot = |why: &dyn std::fmt::Display| {
            fault(format!(
                "the secret file {} cannot be read: {why}",
                self.0.display()
            ))
        };
        Box::pin(async move {
            let file = tokio::fs::File::open(&self.0).await;
            let file = file.map_err(|it| cannot(&it))?;
            if let Ok(metadata) = file.metadata().await {
                warn_if_exposed(&self.0, &metadata);
            }
            let text = read_line(file).await;
            text.map_err(|it| cannot(&it))
        })
    }
}

impl SecretSource for SecretEnv {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(std::future::ready(read_variable(&self.0)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the variable is named by whoever set up the source"
)]
fn read_variable(name: &str) -> Result<Secret, Error> {
    let secret = std::env::var(name).map(Secret::from);
    match secret.ok().filter(|it| !it.expose().is_empty()) {
        Some(secret) => match secret.unseen_end() {
            None => Ok(secret),
            Some(why) => Err(fault(format!("the secret in the variable {name} {why}"))),
        },
        None => Err(fault(format!(
            "the variable {name}, which should hold the secret, is empty or not set"
        ))),
    }
}

impl SecretSource for SecretCommand {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async move {
            let told = tokio::time::timeout(COMMAND_LIMIT, self.run()).await;
            let told = told.unwrap_or_else(|_| Err("it takes too long".to_owned()));
            told.map_err(|why| {
                fault(format!(
                    "the command {} does not tell the secret: {why}",
                    self.program
                ))
            })
        })
    }
}

impl SecretCommand {
    /// What it writes to its standard error goes to ours: it may hold anything, so
    /// it is not repeated in an error.
    async fn run(&self) -> Result<Secret, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|it| it.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let line = read_line(output).await;
        if line.as_ref().is_err_and(|why| why == TOO_LONG) {
            return line;
        }
        let status = child.wait().await.map_err(|it| it.to_string())?;
        if status.success() {
            line
        } else {
            Err(format!("it ended with {status}"))
        }
    }
}

/// A text without the end of its last line.
async fn read_line(from: impl AsyncRead + Unpin) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let read = from.take(LONGEST + 1).read_to_string(&mut text).await;
    read.map_err(|it| it.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(TOO_LONG.to_owned());
    }
    let line = Secret::from(text.trim_end_matches(['\n', '\r']));
    match line.unseen_end() {
        Some(unseen) => Err(format!("what it holds {unseen}")),
        None if line.expose().is_empty() => Err("it is empty".to_owned()),
        None => Ok(line),
    }
}

/// A file with a secret is its owner's alone.
fn warn_if_exposed(path: &Path, metadata: &Metadata) {
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        warn(&format!(
            "others can read the secret file {path}: run `chmod 600 {path}`"
        ));
    }
}

fn fault(message: String) -> Error {
    Error::new(ErrorKind::Secret, message)
}
