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

use crate::warning::warn;
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
            let text = line_of(file).await;
            text.map_err(|it| cannot(&it))
        })
    }
}

impl SecretSource for SecretEnv {
    fn secret(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(std::future::ready(from_environment(&self.0)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the variable is named by whoever set up the source"
)]
fn from_environment(name: &str) -> Result<Secret, Error> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => match seen(&text) {
            Ok(()) => Ok(text.into()),
            Err(why) => Err(fault(format!("the secret in the variable {name} {why}"))),
        },
        _ => Err(fault(format!(
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
        let line = line_of(output).await;
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
async fn line_of(from: impl AsyncRead + Unpin) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let read = from.take(LONGEST + 1).read_to_string(&mut text).await;
    read.map_err(|it| it.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(TOO_LONG.to_owned());
    }
    let line = text.trim_end_matches(['\n', '\r']);
    seen(line).map_err(|why| format!("what it holds {why}"))?;
    match line {
        "" => Err("it is empty".to_owned()),
        line => Ok(line.into()),
    }
}

/// Refuses a secret that begins or ends with what nobody can see and nobody
/// meant, as editors and web pages leave it.
fn seen(text: &str) -> Result<(), String> {
    let ends = [
        ("begins", text.chars().next()),
        ("ends", text.chars().next_back()),
    ];
    let unseen = ends
        .into_iter()
        .find_map(|(verb, c)| Some((verb, c.filter(|c| is_unseen(*c))?)));
    match unseen {
        None => Ok(()),
        Some((verb, c)) => Err(format!(
            "{verb} with {}, which cannot be seen: remove it",
            match c {
                '\u{feff}' => "a byte order mark".to_owned(),
                '\u{a0}' => "a no-break space (U+00A0)".to_owned(),
                c => format!("the character U+{:04X}", u32::from(c)),
            }
        )),
    }
}

/// Blanks beyond ASCII, controls, and what has no width. A blank of ASCII may
/// belong to a password.
fn is_unseen(c: char) -> bool {
    let of_no_width = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    );
    of_no_width || c.is_control() || (c.is_whitespace() && !c.is_ascii())
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
