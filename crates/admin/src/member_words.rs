//! Values from a fixed list of words: each list is parsed, written and described in one
//! place.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;

use countersign_domain::account::InvalidText;
use countersign_domain::audit::Action;
use countersign_domain::session::End;
use countersign_domain::{Algorithm, Reason, Refusal, Role};
use countersign_store::KeyPurpose;
use utoipa::openapi::schema::Schema;

use super::member_text::{MemberTextForm, ReadForm, TextMember, WrittenForm, text};

pub(super) type RoleText = TextMember<Role>;
pub(super) type AlgorithmText = TextMember<Algorithm>;
pub(super) type PurposeText = TextMember<KeyPurpose>;
pub(super) type ActionText = TextMember<Action>;
pub(super) type EndText = TextMember<End>;
pub(super) type RefusalCodeText = TextMember<RefusalCode>;

/// The code of a refusal or of its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusalCode(pub(super) String);

fn words<T: Copy>(description: &str, all: &[T], word: fn(T) -> &'static str) -> Schema {
    let words = all.iter().map(|value| word(*value));
    text(description).enum_values(Some(words)).into()
}

/// A fault of a text that must be one of these words.
fn must_be_one_of(names: impl IntoIterator<Item = impl Display>) -> InvalidText {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    InvalidText::new(format!("must be one of {}", names.join(", ")))
}

impl MemberTextForm for Role {
    const NAME: &'static str = "Role";

    fn schema() -> Schema {
        let description = "What an admin key lets its holder do: read looks and changes nothing; \
                           operate changes accounts and credentials and ends sessions, too; own \
                           does everything.";
        words(description, &Self::ALL, Self::name)
    }
}

impl ReadForm for Role {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Self::from_name(text).ok_or_else(|| must_be_one_of(Self::ALL))
    }
}

impl WrittenForm for Role {
    fn written(&self) -> Cow<'_, str> {
        self.name().into()
    }
}

impl MemberTextForm for Algorithm {
    const NAME: &'static str = "Algorithm";

    fn schema() -> Schema {
        let description = "The algorithm of a key (RFC 7518 section 3.1).";
        words(description, &Self::ALL, Self::name)
    }
}

impl ReadForm for Algorithm {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Self::from_name(text).ok_or_else(|| must_be_one_of(Self::ALL))
    }
}

impl WrittenForm for Algorithm {
    fn written(&self) -> Cow<'_, str> {
        self.name().into()
    }
}

impl MemberTextForm for KeyPurpose {
    const NAME: &'static str = "KeyPurpose";

    fn schema() -> Schema {
        let description = "What a key is for: signing signs tokens, pepper keys the hashes of \
                           generated secrets.";
        words(description, &Self::ALL, Self::name)
    }
}

impl WrittenForm for KeyPurpose {
    fn written(&self) -> Cow<'_, str> {
        self.name().into()
    }
}

impl MemberTextForm for Action {
    const NAME: &'static str = "Action";

    fn schema() -> Schema {
        let description = "What happened, as the audit log calls it.";
        words(description, &Self::ALL, Self::code)
    }
}

impl ReadForm for Action {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        Self::from_code(text).ok_or_else(|| must_be_one_of(Self::ALL))
    }
}

impl MemberTextForm for End {
    const NAME: &'static str = "SessionEnd";

    fn schema() -> Schema {
        words("Why a session was ended.", &Self::ALL, Self::code)
    }
}

impl WrittenForm for End {
    fn written(&self) -> Cow<'_, str> {
        self.code().into()
    }
}

impl MemberTextForm for RefusalCode {
    const NAME: &'static str = "RefusalCode";

    fn schema() -> Schema {
        let refusals = Refusal::ALL.iter().map(|refusal| refusal.code());
        let reasons = Reason::ALL.iter().map(|reason| reason.code());
        let codes: BTreeSet<_> = refusals.chain(reasons).collect();
        text("The code of a refusal or of its reason.")
            .enum_values(Some(codes))
            .into()
    }
}

impl ReadForm for RefusalCode {
    fn parse(text: &str) -> Result<Self, InvalidText> {
        if Refusal::from_code(text).is_some() || Reason::from_code(text).is_some() {
            return Ok(Self(text.to_owned()));
        }
        let told = "is not the code of a refusal or of a reason";
        Err(InvalidText::new(told))
    }
}
