//! Mistakes in a file that a person wrote: where each is, what is wrong, and what may
//! have been meant.

use std::fmt;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the caller named it.
    pub origin: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// The place in the document as a JSON pointer (RFC 6901), for example
    /// `/refusals/bad_login/status`; empty for the whole document.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What may help, for example the name that was probably meant.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_wrong(f)?;
        let help = self.help.as_ref();
        help.map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl Mistake {
    /// Where it is and what is wrong, without its help.
    pub fn wrong(&self) -> String {
        let without_help = Self {
            help: None,
            ..self.clone()
        };
        without_help.to_string()
    }

    fn write_wrong(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            line,
            column,
            pointer,
            message,
            ..
        } = self;
        write!(f, "{origin}:{line}:{column}: ")?;
        if !pointer.is_empty() {
            write!(f, "{pointer}: ")?;
        }
        f.write_str(message)
    }
}

/// Every mistake in a file, in the order of their places. As text, each is on a line of
/// its own, followed by a line with its help, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.write_wrong(f)?;
            if let Some(help) = &mistake.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
