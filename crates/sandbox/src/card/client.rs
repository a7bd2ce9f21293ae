//! The client that the card tests.

use std::pin::Pin;

use super::ClientAnswer;

/// A future in a box.
pub(super) type BoxClientFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a client is started with.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSituation {
    /// The vendor's address, without a slash at the end.
    pub url: String,
    /// The login.
    pub login: String,
    /// The secret.
    pub secret: String,
    /// The dialect's name.
    pub dialect: String,
    /// The name of the dialect's variant.
    pub variant: String,
}

/// A client that makes calls when it is told to. The one behind a command is
/// [`super::ClientProcess`]; a Rust program brings its own.
pub trait CardClient: Send + Sync {
    /// Makes `GET path` with whatever token it has or gets, and tells how it
    /// ended.
    fn call<'a>(&'a self, path: &'a str) -> BoxClientFuture<'a, ClientAnswer>;

    /// Whether calls may come at once. It is asked after the first answer.
    fn is_parallel(&self) -> bool;

    /// Ends it, and gives back what it printed beside its answers.
    fn finish(&self) -> BoxClientFuture<'_, Vec<String>>;
}

impl std::fmt::Debug for ClientSituation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSituation")
            .field("url", &self.url)
            .field("login", &self.login)
            .field("dialect", &self.dialect)
            .field("variant", &self.variant)
            .finish_non_exhaustive()
    }
}
