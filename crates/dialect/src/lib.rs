//! Compiles dialect files, and turns bytes into commands and replies, in both directions.
//! No I/O, no clock, no randomness.
//!
//! A [`Dialect`] is a wire format as data. The issuer reads requests and writes replies
//! with it, the guard finds the credential of a request, and the client writes requests
//! and reads replies, all from the same templates. Tokens are built and read here as
//! text; signing them is left to others.

#![warn(clippy::missing_errors_doc)]

mod accept;
mod client;
mod codec;
mod coding;
mod command;
mod compile;
mod cookies;
mod credential_form;
mod dialect;
pub mod document;
pub mod examples;
mod expiry;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod hole_word;
mod instant;
mod json;
mod media;
mod mistake;
mod pattern;
mod placement;
mod playable_dialect;
mod policy;
mod read;
mod reference;
mod refusals;
mod reply;
mod reply_head;
mod secret;
mod shipped;
mod signature;
mod template;
mod token_form;
mod understand;

pub use client::{
    ClientValues, GrantedTokens, RefusedBy, UnderstoodReply, UnintelligibleReply, UnwritableValue,
};
pub use command::{
    ExtraParts, FoundEndpoint, OperationInfo, RequestReadError, RequestedForm, TokenCommand,
    TokenGrant, TokenRefusal, Variant,
};
pub use credential_form::CredentialForm;
pub use dialect::Dialect;
pub use guard::{PresentedCredential, StaticKeyPlace};
pub use media::percent_encoded;
pub use mistake::{Mistake, Mistakes};
pub use playable_dialect::PlayableDialect;
pub use policy::{ClientPolicy, DialectSide, LostRefresh, PresetLifetimes, VendorPreset};
pub use reference::REFERENCE;
pub use reply_head::{ReplyHead, redirect_target};
pub use secret::Secret;
pub use token_form::{JwtForm, OpaqueForm, ParsedClaims, TokenClaims, TokenForm};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
