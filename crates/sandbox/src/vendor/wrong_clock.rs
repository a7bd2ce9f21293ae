//! Replies of a vendor whose clock is wrong: the times in them are shifted, and signed again
//! where the dialect signs. The tokens stay as they are.

use bytes::Bytes;
use countersign_dialect::{
    ClientValues, GrantedTokens, Secret, TokenCommand, TokenGrant, UnderstoodReply,
};
use countersign_domain::Timestamp;
use http::Response;

use super::SandboxVendor;
use crate::fault::ClockSkew;

impl SandboxVendor {
    /// The same reply with shifted times. One that holds none stays as it is, and
    /// so does one of a dialect that clients cannot read.
    pub(super) fn retold(
        &self,
        response: Response<Bytes>,
        command: &TokenCommand,
        skew: ClockSkew,
    ) -> Response<Bytes> {
        let dialect = self.api.dialect();
        let (TokenCommand::Login { asked, .. } | TokenCommand::Refresh { asked, .. }) = command
        else {
            return response;
        };
        let secret = match command {
            TokenCommand::Login { secret, .. } => Some(secret),
            _ => None,
        };
        let asking = ClientValues {
            login: Some(&self.login),
            secret,
            ..ClientValues::default()
        };
        let now = self.clock.now();
        let (operation, variant) = (asked.operation, asked.variant);
        match dialect.understand(operation, variant, &asking, &response, now) {
            Ok(UnderstoodReply::Granted(granted)) => {
                let grant = self.grant(&granted, secret, skew, now);
                dialect.write_grant(asked, &grant)
            }
            _ => response,
        }
    }

    fn grant<'a>(
        &'a self,
        granted: &'a GrantedTokens,
        secret: Option<&'a Secret>,
        skew: ClockSkew,
        now: Timestamp,
    ) -> TokenGrant<'a> {
        // What the reply does not tell, it does not tell shifted either.
        let refresh_ends = granted.refresh_expires_at.unwrap_or(now);
        TokenGrant {
            login: &self.login,
            client_id: self.account.number(),
            access_token: granted.access_token.expose(),
            refresh_token: granted.refresh_token.as_ref().map(Secret::expose),
            access_expires_at: skew.shift(granted.access_expires_at),
            refresh_expires_at: skew.shift(refresh_ends),
            now: skew.shift(granted.now.unwrap_or(now)),
            secret,
        }
    }
}
