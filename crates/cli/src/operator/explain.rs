//! `countersign explain`: why a partner is refused.

mod explanation_text;

use std::net::IpAddr;
use std::path::PathBuf;

use countersign_dialect::percent_encoded;
use serde_json::json;

use super::address::ServerArgs;
use super::admin::Admin;
use super::{reply, secret_file};
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign explain 5f0d3c6be1a2b3c4d5e6
  countersign explain --login acme --since 2h
  countersign explain --from 192.0.2.7 --token - GET /deposit/ < token

A request that would be refused exits 77. \
The server is found as by the other operator commands; see `countersign account --help`.")]
#[command(override_usage = "countersign explain ID
       countersign explain --login LOGIN [--since TIME] [--api NAME]
       countersign explain --from ADDRESS [--token -] METHOD PATH")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// The support id of a refusal, or its first characters; with --from, the method and path of
    /// a request
    #[arg(value_name = "ID | METHOD PATH", num_args = 0..=2, required_unless_present = "login")]
    words: Vec<String>,
    /// Explain every refusal of this login
    #[arg(long, conflicts_with_all = ["words", "from"])]
    login: Option<String>,
    /// Since this time: RFC 3339, or how long ago, such as 2h, 30m or 1d [default: 1d]
    #[arg(long, value_name = "TIME", requires = "login")]
    since: Option<String>,
    /// Only at this api
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Say what the guard would decide about a request from this address
    #[arg(long, value_name = "ADDRESS", requires = "words")]
    from: Option<IpAddr>,
    /// The access token of that request, from this file or standard input (`-`)
    #[arg(long, value_name = "FILE", requires = "from")]
    token: Option<PathBuf>,
    /// Its static key, from this file or standard input (`-`)
    #[arg(long, value_name = "FILE", requires = "from", conflicts_with = "token")]
    static_key: Option<PathBuf>,
    /// Its host, if apis are distinguished by host
    #[arg(long, requires = "from")]
    host: Option<String>,
}

pub(super) fn run(args: &ExplainArgs, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    match (&args.login, args.from, args.words.as_slice()) {
        (Some(login), _, _) => by_login(args, login, admin, output),
        (None, Some(from), [method, path]) => dry_run(args, from, method, path, admin, output),
        // As documents and people shorten it.
        (None, None, [id]) if !id.trim_end_matches(['.', '…']).is_empty() => {
            by_id(id.trim_end_matches(['.', '…']), admin, output)
        }
        (None, Some(_), _) => Err(Failure::usage(
            "the method or the path of the request is missing",
        )
        .with_help("name both, as in `countersign explain --from 192.0.2.7 GET /orders`")),
        (None, None, _) => Err(Failure::usage(
            "neither a support id, a login nor a request is named",
        )
        .with_help(
            "name the support id of a refusal, or a login with --login, or a request with --from",
        )),
    }
}

fn by_id(id: &str, admin: &Admin, output: &mut Output) -> Result<(), Failure> {
    let refusal = admin.get(&format!("/refusals/{}", percent_encoded(id)))?;
    output.document(&refusal, &explanation_text::refusal(&refusal))
}

fn by_login(
    args: &ExplainArgs,
    login: &str,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let query = reply::query(&[
        ("login", Some(login.to_owned())),
        ("since", args.since.clone()),
        ("api", args.api.clone()),
    ]);
    let explanation = admin.get(&format!("/explain{query}"))?;
    output.document(&explanation, &explanation_text::explanation(&explanation))
}

fn dry_run(
    args: &ExplainArgs,
    from: IpAddr,
    method: &str,
    path: &str,
    admin: &Admin,
    output: &mut Output,
) -> Result<(), Failure> {
    let token = args.token.as_deref().map(secret_file::read).transpose()?;
    let key = args.static_key.as_deref().map(secret_file::read);
    let key = key.transpose()?;
    let body = reply::body(vec![
        ("token", token.map(|it| json!(it.expose()))),
        ("static_key", key.map(|it| json!(it.expose()))),
        ("from", Some(json!(from.to_string()))),
        ("method", Some(json!(method))),
        ("path", Some(json!(path))),
        ("host", args.host.as_ref().map(|it| json!(it))),
        ("api", args.api.as_ref().map(|it| json!(it))),
    ]);
    let verdict = admin.post("/explain", &body)?;
    output.document(&verdict, &explanation_text::verdict(&verdict))?;
    match verdict["refusal"]["reason"].as_str() {
        None => Ok(()),
        Some(reason) => Err(Failure::refused(format!(
            "the request would be refused: {reason}"
        ))),
    }
}
