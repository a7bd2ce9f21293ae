//! One exchange with the vendor: write the request, send it, and read the reply.

use bytes::Bytes;
use countersign_dialect::{ClientValues, RefusedBy, Secret, UnderstoodReply};
use countersign_domain::TokenOperation;
use http::{Request, Response};

use super::credential_parts::CredentialParts;
use super::setup::SourceSetup;
use super::state::SourceState;
use crate::{Error, ErrorKind, RequestContext, RequestDelivery, SessionRecord};

/// The longest text of a vendor that is repeated in a message.
const LONGEST_DETAIL: usize = 200;

/// The outcome of an exchange.
pub(super) enum VendorReply {
    /// A reply that the dialect describes.
    Understood(Box<UnderstoodReply>),
    /// No reply.
    Lost(RequestDelivery, UnusableReply),
    /// A reply that the dialect does not describe, or whose signature is wrong.
    Garbled(u16, UnusableReply),
}

/// Why there is no reply, or none that can be used.
pub(super) struct UnusableReply {
    pub(super) why: String,
    /// What to do about it, if there is something to do.
    pub(super) help: Option<String>,
}

impl SourceSetup {
    /// Writes the request for an operation.
    pub(super) fn request(
        &self,
        operation: TokenOperation,
        record: &SessionRecord,
        parts: &CredentialParts,
    ) -> Result<Request<Bytes>, Error> {
        let asking = self.asking(record, parts);
        let request = self.dialect.request(operation, self.variant, &asking);
        let mut request = request.ok_or_else(|| {
            let why = self
                .dialect
                .why_unwritable(operation, self.variant, &asking);
            self.unwritable_request(operation, &why)
        })?;
        let (path, query) = (request.uri().path(), request.uri().query());
        let target = self.auth_url.target(path, query);
        *request.uri_mut() = target.map_err(|why| self.unwritable_request(operation, &why))?;
        Ok(request)
    }

    fn asking<'a>(
        &'a self,
        record: &'a SessionRecord,
        parts: &'a CredentialParts,
    ) -> ClientValues<'a> {
        let tokens = record.tokens.as_ref();
        ClientValues {
            login: Some(&self.login),
            secret: parts.secret.as_ref(),
            access_token: tokens.map(|tokens| &tokens.access_token),
            refresh_token: tokens.and_then(|tokens| tokens.refresh_token.as_ref()),
            extra: Some(&parts.extra),
        }
    }

    fn unwritable_request(&self, operation: TokenOperation, why: &dyn std::fmt::Display) -> Error {
        let (name, dialect) = (&self.name, self.dialect.name());
        let message =
            format!("{name}: the request for a {operation} of {dialect} cannot be made: {why}");
        Error::new(ErrorKind::Setup, message)
    }

    /// Sends a request and reads the reply.
    pub(super) async fn exchange(
        &self,
        operation: TokenOperation,
        mut request: Request<Bytes>,
        record: &SessionRecord,
        parts: &CredentialParts,
    ) -> VendorReply {
        let asking = self.asking(record, parts);
        let context = RequestContext::new(operation, &asking);
        request.extensions_mut().insert(context);
        let response = match self.transport.send(request).await {
            Ok(response) => response,
            Err(error) => {
                let (why, help) = (error.message, error.help);
                return VendorReply::Lost(error.delivery, UnusableReply { why, help });
            }
        };
        let now = self.clock.now();
        let understood = self
            .dialect
            .understand(operation, self.variant, &asking, &response, now);
        match understood {
            Ok(UnderstoodReply::Refused(by)) => {
                let refusal = redact_refusal(by, &asking);
                VendorReply::Understood(Box::new(UnderstoodReply::Refused(refusal)))
            }
            Ok(other) => VendorReply::Understood(Box::new(other)),
            Err(fault) => {
                let why = without_secrets(fault.to_string(), &secrets_of(&asking));
                let help = fault.help().map(str::to_owned);
                VendorReply::Garbled(response.status().as_u16(), UnusableReply { why, help })
            }
        }
    }
}

impl SourceState {
    /// Whether the reply of the guarded API says that its access token was
    /// refused.
    pub(super) fn says_token_refused(&self, reply: &Response<Bytes>) -> bool {
        let (guard, nothing) = (TokenOperation::Guard, ClientValues::default());
        let (dialect, variant) = (&self.setup.dialect, self.setup.variant);
        let understood = dialect.understand(guard, variant, &nothing, reply, self.now());
        matches!(understood, Ok(UnderstoodReply::Refused(by)) if self.is_cured_by_token(by.refusal))
    }
}

/// A refusal that may be stored and shown: short, and without the secrets of the request,
/// in case the vendor repeats them.
fn redact_refusal(mut by: RefusedBy, asking: &ClientValues<'_>) -> RefusedBy {
    let secrets = secrets_of(asking);
    for text in [&mut by.code, &mut by.detail, &mut by.pointer] {
        *text = text.take().map(|text| redact(text, &secrets));
    }
    by
}

fn secrets_of<'a>(asking: &ClientValues<'a>) -> Vec<&'a Secret> {
    let secrets = [asking.secret, asking.access_token, asking.refresh_token];
    let extra = asking.extra.into_iter().flat_map(|extra| extra.values());
    secrets.into_iter().flatten().chain(extra).collect()
}

fn redact(text: String, secrets: &[&Secret]) -> String {
    let text = without_secrets(text, secrets);
    text.chars().take(LONGEST_DETAIL).collect()
}

fn without_secrets(mut text: String, secrets: &[&Secret]) -> String {
    let secrets = secrets.iter().map(|it| it.expose());
    for secret in secrets.filter(|it| !it.is_empty()) {
        for spelling in spellings(secret) {
            text = text.replace(spelling.expose(), "…");
        }
    }
    text
}

/// The secret as it is, and as it is written in JSON, in case a vendor repeats a whole
/// request.
fn spellings(secret: &str) -> [Secret; 2] {
    let quoted = serde_json::Value::from(secret).to_string();
    [Secret::from(secret), Secret::from(quoted.trim_matches('"'))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_secret_goes_as_it_is_and_as_json_writes_it() {
        let secret = Secret::from("a\"b");
        for text in ["no a\"b!", "no a\\\"b!"] {
            assert_eq!(redact(text.to_owned(), &[&secret]), "no …!");
        }
    }
}
