//! Numbers about the store.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::problem::AdminProblem;
use countersign_store::StoreStats;

/// The contents of the store, in numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
pub(super) struct StatsView {
    /// How many accounts there are.
    accounts: u64,
    /// How many credentials there are.
    credentials: u64,
    /// How many sessions are stored, including those that are over.
    sessions: u64,
    /// How many of them were not ended; some may have expired.
    active_sessions: u64,
    /// How many revocations are kept, because tokens that they concern have not expired.
    revocations: u64,
    /// The number of the newest revocation.
    log_head: u64,
    /// The number of the newest entry of the audit log.
    audit_head: u64,
    /// The size of the database file in bytes, without its write-ahead log.
    database_bytes: u64,
}

pub(super) async fn show(State(admin): State<AdminState>) -> Result<Json<StatsView>, AdminProblem> {
    Ok(Json(admin.store.stats().await?.into()))
}

impl From<StoreStats> for StatsView {
    fn from(stats: StoreStats) -> Self {
        Self {
            accounts: stats.accounts,
            credentials: stats.credentials,
            sessions: stats.sessions,
            active_sessions: stats.active_sessions,
            revocations: stats.revocations,
            log_head: stats.log_head,
            audit_head: stats.audit_head,
            database_bytes: stats.database_bytes,
        }
    }
}
