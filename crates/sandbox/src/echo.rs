//! The upstream of a sandbox, and of the demo: answers 200 with what it received, as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use countersign_transport::{Request, collect};
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

/// More than any request that is made by hand.
const MAX_BODY: usize = 16 << 20;

/// Answers 200 with the method, path, query, headers and body of the request, as
/// JSON.
pub async fn echo(request: Request) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = collect(body, MAX_BODY).await else {
        return reply(
            StatusCode::BAD_REQUEST,
            &json!({ "error": "the body did not arrive" }),
        );
    };
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|all| all.push_str(&format!(", {value}")))
            .or_insert_with(|| value.into_owned());
    }
    let received = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    reply(StatusCode::OK, &received)
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
