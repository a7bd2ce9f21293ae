//! What the fuzz targets reach of this crate. No part of its interface: it changes
//! without notice.

use countersign_domain::Timestamp;

use crate::hole_word::{HoleBindings, HoleValue, HoleValues, HoleWord, WordVocabulary};
use crate::json::{self, JsonRules};
use crate::template::{JsonTemplate, ReadingMode};

/// What is read of a text that may be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonVerdict {
    /// It is JSON.
    Read,
    /// It is not.
    Refused,
    /// It is nested deeper than is read.
    TooDeep,
}

/// Reads a text as the body of a guarded API is read.
pub fn json(text: &[u8]) -> JsonVerdict {
    // The other rules have no outcome of their own, but must end too.
    let _ = json::parse(text, JsonRules::STRICT);
    match json::parse(text, JsonRules::FOREIGN) {
        Ok(_) => JsonVerdict::Read,
        Err(fault) if fault.what.contains("deep") => JsonVerdict::TooDeep,
        Err(_) => JsonVerdict::Refused,
    }
}

/// Compiles a template of a request and one of a reply, and reads `body` with each.
/// What was read of a request is written: the template reads the same in that.
/// Gives the written request, and whether it reads the same.
pub fn template(template: &str, body: &[u8]) -> Option<(String, bool)> {
    const EXTRA: &[&str] = &["team"];
    let now = Timestamp::from_seconds(1_800_000_000);
    let node = json::parse(body, JsonRules::STRICT).ok();
    for vocabulary in [WordVocabulary::reply(EXTRA), WordVocabulary::REFUSAL] {
        let compiled = JsonTemplate::parse(template, &vocabulary);
        if let (Ok(compiled), Some(node)) = (compiled, &node) {
            let _ = compiled.bind(node, ReadingMode::REPLY, &mut HoleBindings::new(now));
        }
    }
    let compiled = JsonTemplate::parse(template, &WordVocabulary::request(EXTRA)).ok()?;
    let mut bound = HoleBindings::new(now);
    compiled
        .bind(&node?, ReadingMode::REQUEST, &mut bound)
        .ok()
        .filter(|()| compiled.can_hold(&BoundHoles(&bound)))?;
    let written = compiled.write(&BoundHoles(&bound));
    let mut again = HoleBindings::new(now);
    let read = json::parse(written.as_bytes(), JsonRules::STRICT);
    let same = read.is_ok_and(|node| {
        let read = compiled.bind(&node, ReadingMode::REQUEST, &mut again);
        read.is_ok() && words().all(|word| bound.text(&word) == again.text(&word))
    });
    Some((written, same))
}

/// What a request may hold.
fn words() -> impl Iterator<Item = HoleWord> {
    use HoleWord::{AccessToken, Extra, Login, RefreshToken, Secret};
    [
        Login,
        Secret,
        AccessToken,
        RefreshToken,
        Extra("team".into()),
    ]
    .into_iter()
}

/// What was read, as values to write.
struct BoundHoles<'b>(&'b HoleBindings);

impl HoleValues for BoundHoles<'_> {
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>> {
        self.0.text(word).map(HoleValue::Text)
    }
}
