//! Sources of the login secret. It is read again before each login, so that a rotated
//! secret is used without a restart.

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
use crate::{BoxFuture, Error, ErrorKind, NamedFile};

/// A source of the login secret.
pub trait SecretSource: Send + Sync + 'static {
    /// Reads the secret as it is now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Secret`]: it cannot be read.
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>>;
}

/// The longest secret that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// How long a command may take to print the secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The secret in a file, without the line breaks at its end.
#[derive(Clone, Debug)]
pub struct SecretFile(PathBuf);

/// The secret in an environment variable.
#[derive(Clone, Debug)]
pub struct SecretEnv(String);

/// The secret that a command prints to its standard output, without the line break at
/// its end. The command runs without a shell.
#[derive(Clone)]
pub struct SecretCommand {
    program: String,
    arguments: Vec<String>,
}

impl SecretFile {
    /// The secret in the file at `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl SecretEnv {
    /// The secret in the variable with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl SecretCommand {
    /// The secret that the program `argv[0]` prints when it runs with the rest of
    /// `argv` as its arguments. `None` if `argv` is empty.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut argv = argv.into_iter().map(Into::into);
        Some(Self {
            program: argv.next()?,
            arguments: argv.collect(),
        })
    }
}

/// Its arguments may be confidential.
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
        let what = format!("the secret file {} cannot be read", self.0.display());
        Box::pin(async move {
            let path = self.0.clone();
            let read = tokio::task::spawn_blocking(move || {
                let file = NamedFile::open(&path)?;
                warn_if_exposed(&path, file.metadata());
                file.text(NamedFile::LARGEST_SECRET)
            });
            let text = read.await.map_err(|it| SecretFault::of(it).told(&what))?;
            let text = text.map_err(|it| SecretFault::of(it).told(&what))?;
            let secret = one_line(&text).map_err(|it| it.told(&what))?;
            warn_if_odd(&secret, &format!("the secret file {}", self.0.display()));
            Ok(secret)
        })
    }
}

impl SecretSource for SecretEnv {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(std::future::ready(read_variable(&self.0)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the caller names the variable")]
fn read_variable(name: &str) -> Result<Secret, Error> {
    let secret = std::env::var(name).map(Secret::from);
    match secret.ok().filter(|it| !it.expose().is_empty()) {
        Some(secret) => {
            let what = format!("the secret in the variable {name}");
            if let Some(unseen) = secret.unseen_end() {
                let fault = Error::new(ErrorKind::Secret, format!("{what} {unseen}"));
                return Err(fault.with_help(Secret::UNSEEN_HELP));
            }
            warn_if_odd(&secret, &what);
            Ok(secret)
        }
        None => Err(Error::new(
            ErrorKind::Secret,
            format!("the variable {name}, which should hold the secret, is empty or not set"),
        )),
    }
}

impl SecretSource for SecretCommand {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async move {
            let told = tokio::time::timeout(COMMAND_LIMIT, self.run()).await;
            let told = told.unwrap_or_else(|_| Err(SecretFault::late()));
            let program = &self.program;
            let secret = told.map_err(|fault| {
                fault.told(&format!("the command {program} does not print the secret"))
            })?;
            warn_if_odd(&secret, &format!("what the command {program} prints"));
            Ok(secret)
        })
    }
}

impl SecretCommand {
    /// Its standard error goes to ours. It may contain anything, so it is not
    /// repeated in an error.
    async fn run(&self) -> Result<Secret, SecretFault> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SecretFault::of)?;
        let output = child.stdout.take();
        let output = output.ok_or_else(|| SecretFault::of("its output cannot be read"))?;
        let text = read_text(output).await;
        if text.as_ref().is_ok_and(|it| it.len() as u64 > LONGEST) {
            return Err(SecretFault::of("it is too long for a secret"));
        }
        let status = child.wait().await.map_err(SecretFault::of)?;
        match status.success() {
            true => one_line(&text?),
            false => Err(SecretFault::of(format!("it ended with {status}"))),
        }
    }
}

/// Why there is no secret, and what to do about it.
struct SecretFault {
    why: String,
    help: Option<&'static str>,
}

impl SecretFault {
    fn of(why: impl std::fmt::Display) -> Self {
        Self {
            why: why.to_string(),
            help: None,
        }
    }

    fn late() -> Self {
        Self {
            why: format!("it was waited for {} s", COMMAND_LIMIT.as_secs()),
            help: Some("run it by hand: it must end by itself, and ask nobody"),
        }
    }

    fn told(self, what: &str) -> Error {
        let error = Error::new(ErrorKind::Secret, format!("{what}: {}", self.why));
        error.with_help_of(self.help)
    }
}

/// Reads a text, and no more than is needed to see that it is too long.
async fn read_text(from: impl AsyncRead + Unpin) -> Result<Zeroizing<String>, SecretFault> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let read = from.take(LONGEST + 1).read_to_string(&mut text).await;
    read.map_err(SecretFault::of)?;
    Ok(text)
}

/// A text without the line breaks at its end.
fn one_line(text: &str) -> Result<Secret, SecretFault> {
    let line = Secret::from(text.trim_end_matches(['\n', '\r']));
    match line.unseen_end() {
        Some(unseen) => Err(SecretFault {
            why: format!("what it holds {unseen}"),
            help: Some(Secret::UNSEEN_HELP),
        }),
        None if line.expose().is_empty() => Err(SecretFault::of("it is empty")),
        None => Ok(line),
    }
}

/// Warns of what may have come into a secret by mistake.
fn warn_if_odd(secret: &Secret, what: &str) {
    if let Some(odd) = secret.oddity() {
        warn(&format!("{what} {odd}: is that part of the secret?"));
    }
}

/// Warns if others than the owner can read a file with a secret.
fn warn_if_exposed(path: &Path, metadata: &Metadata) {
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        warn(&format!(
            "others can read the secret file {path}: run `chmod 600 {path}`"
        ));
    }
}
