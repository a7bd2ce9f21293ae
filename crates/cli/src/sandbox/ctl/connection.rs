//! One request to the control endpoints, and what its answer means for the exit
//! code.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use countersign_check::printable;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::super::manifest::Control;
use crate::exit::Failure;
use crate::operator::speak;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A sandbox that can be asked.
pub(super) struct SandboxConnection {
    control: Control,
    runtime: Runtime,
}

impl SandboxConnection {
    pub(super) fn to(control: Control) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            control,
            runtime: runtime.map_err(Failure::failed)?,
        })
    }

    /// Asks an endpoint.
    pub(super) fn request(
        &self,
        method: Method,
        endpoint: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let exchange = self.exchange(method, endpoint, body);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER, exchange).await });
        let url = &self.control.url;
        match answer {
            Ok(Ok(answer)) => understand(&answer, url),
            Ok(Err(error)) => Err(Failure::unavailable(format!(
                "the sandbox cannot be reached at {url} ({error})"
            ))
            .with_help("is it running?")),
            Err(_) => Err(Failure::unavailable(format!(
                "{url} does not answer in time"
            ))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        endpoint: &str,
        body: Option<&Value>,
    ) -> io::Result<Response<Bytes>> {
        let host = self.control.url.trim_start_matches("http://");
        let mut sender = speak(TcpStream::connect(host).await?).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/sandbox/v1/{endpoint}"))
            .header(HOST, host)
            .header(AUTHORIZATION, format!("Bearer {}", self.control.key))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(
                body.map(Value::to_string).unwrap_or_default(),
            )))
            .map_err(io::Error::other)?;
        let response = sender.send_request(request).await;
        let (parts, body) = response.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

fn understand(answer: &Response<Bytes>, url: &str) -> Result<Value, Failure> {
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if answer.status().is_success() {
        return Ok(document);
    }
    let Some(detail) = document["detail"].as_str() else {
        return Err(Failure::failed(format!(
            "{url} answered {}, and not as a sandbox does",
            answer.status()
        ))
        .with_help("is the manifest that of an earlier sandbox?"));
    };
    let detail = printable(detail);
    let help = document["help"].as_str().map(printable);
    Err(match answer.status() {
        StatusCode::UNAUTHORIZED => {
            Failure::refused(format!("{url} does not take the key of this manifest"))
                .with_help("is the manifest that of an earlier sandbox?")
        }
        StatusCode::UNPROCESSABLE_ENTITY => Failure::usage(detail).with_help_of(help),
        _ => Failure::failed(detail).with_help_of(help),
    })
}
