//! The apis that are served.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Number;

use super::AdminState;
use super::key::Operator;
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
    access: Number,
    refresh: Number,
    absolute: Number,
    window: Number,
}

pub(super) async fn list(
    State(admin): State<AdminState>,
    operator: Operator,
) -> Json<Page<ApiView, String>> {
    let apis = operator.apis(&admin);
    Json(Page::whole(apis.values().map(|api| view(api)).collect()))
}

fn view(api: &Api) -> ApiView {
    let lifetimes = api.settings.lifetimes;
    ApiView {
        name: api.name().to_string(),
        dialect: api.dialect().name().to_owned(),
        title: api.dialect().title().to_owned(),
        passwords: api.settings.passwords,
        lifetimes: LifetimesView {
            access: seconds(lifetimes.access),
            refresh: seconds(lifetimes.refresh),
            absolute: seconds(lifetimes.absolute),
            window: seconds(lifetimes.window),
        },
    }
}

/// Whole seconds as a whole number; only a sandbox has others.
fn seconds(span: Duration) -> Number {
    let whole = Number::from(span.as_secs());
    if span.subsec_nanos() == 0 {
        return whole;
    }
    Number::from_f64(span.as_secs_f64()).unwrap_or(whole)
}
