//! What the traits of this crate return, so that they can be used as objects.

use std::pin::Pin;

/// A future in a box, as the traits here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
