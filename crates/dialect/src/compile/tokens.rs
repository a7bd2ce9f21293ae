//! The section `[tokens.VARIANT.access]` and `….refresh`: the forms of tokens.

use countersign_domain::{Algorithm, TokenKind};

use super::{CompileContext, template};
use crate::document::{TomlTable, TomlValue};
use crate::hole_word::{HoleWord, WordVocabulary};
use crate::template::{JsonTemplate, TemplateShape};
use crate::token_form::{JwtForm, OpaqueForm, TokenForm, VariantTokens};

pub(super) fn compile(root: &TomlTable<'_>, context: &CompileContext<'_>) -> Vec<VariantTokens> {
    let mut tokens: Vec<_> = context
        .variants
        .iter()
        .map(|_| VariantTokens::default())
        .collect();
    let Some(table) = root.get("tokens").and_then(|tokens| tokens.table()) else {
        return tokens;
    };
    for (key, value) in table.entries() {
        let variant = context
            .variant(key.name)
            .and_then(|v| tokens.get_mut(usize::from(v.0)));
        match variant {
            Some(slot) => *slot = variant_tokens(&value).unwrap_or_default(),
            None => table.blame_key(&key, "is not the name of a variant", None),
        }
    }
    tokens
}

fn variant_tokens(value: &TomlValue<'_>) -> Option<VariantTokens> {
    let table = value.table()?;
    Some(VariantTokens {
        access: table
            .get("access")
            .and_then(|form| token_form(&form, TokenKind::Access)),
        refresh: table
            .get("refresh")
            .and_then(|form| token_form(&form, TokenKind::Refresh)),
    })
}

fn token_form(value: &TomlValue<'_>, kind: TokenKind) -> Option<TokenForm> {
    let table = value.table()?;
    match table
        .require("form")?
        .choice(&[("jwt", true), ("opaque", false)])?
    {
        true => jwt(&table, kind).map(TokenForm::Jwt),
        false => Some(TokenForm::Opaque(OpaqueForm)),
    }
}

fn jwt(table: &TomlTable<'_>, kind: TokenKind) -> Option<JwtForm> {
    let names = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    let algorithm = table.require("alg").and_then(|alg| alg.choice(&names));
    let header = table.require("header").and_then(|header| {
        let template = template(&header, &WordVocabulary::TOKEN_HEADER)?;
        names_algorithm(&template).then_some(()).or_else(|| {
            header.blame("has no `\"alg\": \"{alg}\"`", None);
            None
        })?;
        Some(template)
    });
    let claims = table.require("claims").and_then(|claims| {
        let template = template(&claims, &WordVocabulary::CLAIMS)?;
        if let Some(flaw) = claims_flaw(&template, kind) {
            claims.blame(flaw, None);
        }
        Some(template)
    });
    Some(JwtForm {
        algorithm: algorithm?,
        header: header?,
        claims: claims?,
        kind,
    })
}

fn names_algorithm(header: &JsonTemplate) -> bool {
    let TemplateShape::Object(members) = &header.shape else {
        return false;
    };
    members.iter().any(|(key, value)| {
        let hole = match value {
            TemplateShape::Text(pattern) => pattern.as_hole(),
            _ => None,
        };
        key.as_fixed() == Some("alg") && hole.is_some_and(|hole| hole.word == HoleWord::Alg)
    })
}

/// A token must name its session, and its end as `exp` in whole seconds.
fn claims_flaw(claims: &JsonTemplate, kind: TokenKind) -> Option<&'static str> {
    let TemplateShape::Object(members) = &claims.shape else {
        return Some("is not an object");
    };
    if claims.shares() {
        return Some("has two holes in one string, which may run into each other");
    }
    let hole_at = |name: Option<&str>, word: &HoleWord| {
        members.iter().any(|(key, value)| match value {
            TemplateShape::Text(pattern)
                if name.is_none_or(|name| key.as_fixed() == Some(name)) =>
            {
                pattern.as_hole().is_some_and(|hole| {
                    let number = !word.is_time() || hole.codec.is_number(&hole.word);
                    hole.word == *word && !hole.optional && number
                })
            }
            _ => false,
        })
    };
    if !hole_at(None, &HoleWord::Session) {
        return Some("has no member that is `{session}`");
    }
    match kind {
        TokenKind::Access if !hole_at(Some("exp"), &HoleWord::AccessExpiresAt) => {
            Some("has no `\"exp\": \"{access_expires_at:epoch}\"`")
        }
        TokenKind::Refresh if !hole_at(Some("exp"), &HoleWord::RefreshExpiresAt) => {
            Some("has no `\"exp\": \"{refresh_expires_at:epoch}\"`")
        }
        _ => None,
    }
}
