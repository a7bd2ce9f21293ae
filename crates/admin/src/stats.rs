//! Figures about the store.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AdminState;
use super::problem::AdminProblem;
use countersign_store::StoreStats;

/// The numbers in a reply.
#[derive(Serialize)]
pub(super) struct StatsView {
    accounts: u64,
    credentials: u64,
    sessions: u64,
    active_sessions: u64,
    revocations: u64,
    log_head: u64,
    audit_head: u64,
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
