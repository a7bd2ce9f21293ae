//! The apis that are served.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AdminState;
use super::page::Page;
use crate::api::Api;

/// An api in a reply.
#[derive(Serialize)]
pub(super) struct ApiView {
    name: String,
    dialect: String,
    title: String,
    passwords: bool,
    lifetimes: LifetimesView,
}

/// Lifetimes in seconds.
#[derive(Serialize)]
struct LifetimesView {
    access: f64,
    refresh: f64,
    absolute: f64,
    window: f64,
}

pub(super) async fn list(State(admin): State<AdminState>) -> Json<Page<ApiView, String>> {
    Json(Page::whole(
        admin.apis.values().map(|api| view(api)).collect(),
    ))
}

fn view(api: &Api) -> ApiView {
    let lifetimes = api.settings.lifetimes;
    ApiView {
        name: api.name().to_string(),
        dialect: api.dialect().name().to_owned(),
        title: api.dialect().title().to_owned(),
        passwords: api.settings.passwords,
        lifetimes: LifetimesView {
            access: Duration::as_secs_f64(&lifetimes.access),
            refresh: Duration::as_secs_f64(&lifetimes.refresh),
            absolute: Duration::as_secs_f64(&lifetimes.absolute),
            window: Duration::as_secs_f64(&lifetimes.window),
        },
    }
}
