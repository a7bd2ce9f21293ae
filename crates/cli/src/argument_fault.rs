//! Why a word of the command line cannot be used, apart from what would do.

/// What a parser of arguments says. The command line shows its help where that of
/// every other failure stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArgumentFault {
    what: String,
    help: Option<String>,
}

impl ArgumentFault {
    /// What is wrong.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        Self { what, help: None }
    }

    /// The same with what would do.
    #[must_use]
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { help, ..self }
    }

    /// What would do.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl std::fmt::Display for ArgumentFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ArgumentFault {}
