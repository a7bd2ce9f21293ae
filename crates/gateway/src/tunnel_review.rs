//! Judges the request of an open tunnel again every two seconds, as of the time at which it
//! was opened.
//!
//! So a tunnel ends when its session, account, credential or key is revoked or its address is
//! no longer allowed, but it outlives the expiry of its token: a partner that had to reconnect
//! at each rotation would lose messages, and access is taken away by revocation. A tunnel uses
//! one request of a budget.

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::{Reason, Timestamp};
use http::request;

use crate::api::GuardedApi;
use crate::client::ClientConnection;
use crate::denial::GuardDenial;
use crate::permit::{GuardedRequest, authorize};
use crate::revocation_view::RevocationView;

/// How often a tunnel is judged again.
const JUDGED_EVERY: Duration = Duration::from_secs(2);

/// What ends a tunnel before its two sides do: its request, which is judged again.
pub(crate) struct TunnelReview {
    pub(crate) api: GuardedApi,
    pub(crate) view: Arc<RevocationView>,
    pub(crate) client: ClientConnection,
    pub(crate) asked: request::Parts,
    pub(crate) asked_at: Timestamp,
}

impl TunnelReview {
    /// Waits until the request would not be allowed any more.
    pub(crate) async fn refused(self) -> Reason {
        let mut ticks = tokio::time::interval(JUDGED_EVERY);
        loop {
            ticks.tick().await;
            if let Err(denied) = self.judge() {
                return denied.reason;
            }
        }
    }

    fn judge(&self) -> Result<(), GuardDenial> {
        let (uri, headers) = (&self.asked.uri, &self.asked.headers);
        let asked = GuardedRequest {
            method: &self.asked.method,
            path: uri.path(),
            presented: self.api.dialect().presented(headers, uri.query()),
            address: self.client.address,
        };
        authorize(&self.api, &self.view, &asked, self.asked_at).map(drop)
    }
}
