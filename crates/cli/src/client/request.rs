//! `countersign request`: one request to the API, with a fresh token.

mod api_call;
mod call;
mod sink;

use std::path::PathBuf;

use countersign_client::{Profile, RequestCredential, TokenSource, TokenVerdict};
use http::response::Parts;
use http::uri::PathAndQuery;

use self::api_call::ApiCall;
use self::call::{Answer, Caller};
use self::sink::Sink;
use super::failure::failure;
use super::profiles::ProfilesArgs;
use super::transcript::Transcript;
use super::{open, path};
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign request`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The body of the answer is printed as it comes in. The exit code is 0 if the status is 2xx and 1 if it \
is another one. Redirects are not followed. If the vendor does not take the token, the request is \
sent once more with another one.

With -v it shows what was call of the vendor for a token, then the head of the request and of its \
answer, without secrets.

Examples:
  countersign request b2binpay GET '/deposit/?page=2'
  countersign request b2binpay POST /deposit/ --data @deposit.json \\
      -H 'Content-Type: application/vnd.api+json'
  countersign request mypopup POST /api/v1/orders --data @- < order.json
  countersign request mypopup GET /api/v1/cards -i -o cards.json
  countersign request mypopup GET /api/v1/cards -v")]
pub(crate) struct RequestArgs {
    /// The profile
    profile: String,
    /// The method, such as GET
    method: String,
    /// The path, and a query if there is one; the server is the profile's
    #[arg(value_parser = path::parse)]
    path: PathAndQuery,
    #[command(flatten)]
    profiles: ProfilesArgs,
    /// The body: a text, @FILE, or @- for standard input. JSON is sent as such, anything else as
    /// a form, unless a Content-Type is given
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// A header, 'Name: value'
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Also print the status and the headers
    #[arg(short, long)]
    include: bool,
    /// Write the response body to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Sends the request, and prints the answer.
pub(super) async fn run(args: &RequestArgs, output: &mut Output) -> Result<(), Failure> {
    let profile = args.profiles.named(&args.profile)?;
    let call = ApiCall::from_args(args, &profile)?;
    let sink = Sink::open(args.output.as_deref(), output.is_json())?;
    let transcript = Transcript::new(output);
    let answer = Api::new(&profile, &transcript)?
        .send_twice_if_refused(&call)
        .await;
    let answer = answer.map_err(|it| transcript.failed(it))?;
    deliver(answer, sink, args.include, &transcript, output).await
}

/// The API of a profile, and what opens it.
struct Api<'p> {
    profile: &'p Profile,
    source: TokenSource,
    caller: Caller<'p>,
}

impl<'p> Api<'p> {
    fn new(profile: &'p Profile, transcript: &Transcript) -> Result<Self, Failure> {
        Ok(Self {
            profile,
            caller: Caller::new(profile, transcript.clone())?,
            source: open::source(profile, transcript)?,
        })
    }

    /// The answer; the second one, if the token of the first was not taken.
    async fn send_twice_if_refused(&self, call: &ApiCall) -> Result<Answer, Failure> {
        let credential = self.credential().await?;
        let mut answer = self.caller.call(call, &credential).await?;
        if let RequestCredential::Token(token) = &credential
            && is_expired(&self.source, &mut answer).await?
        {
            self.source.report_refused(token);
            return self.caller.call(call, &self.credential().await?).await;
        }
        Ok(answer)
    }

    /// A fresh token; the static key, if the profile says that it is one, while
    /// tokens cannot be had.
    async fn credential(&self) -> Result<RequestCredential, Failure> {
        let credential = match open::reserve(&self.source, 1).await {
            Err(error) if error.is_transient() && self.profile.static_key => {
                let secret = open::stored_secret(self.profile).await;
                secret.map(RequestCredential::StaticKey)
            }
            outcome => outcome.map(RequestCredential::Token),
        };
        credential.map_err(|it| failure(&it))
    }
}

async fn is_expired(source: &TokenSource, answer: &mut Answer) -> Result<bool, Failure> {
    Ok(match source.judge(answer.head.status) {
        TokenVerdict::Refused => true,
        TokenVerdict::NotRefused => false,
        TokenVerdict::Unclear => {
            let whole = answer.whole().await?;
            whole.is_some_and(|whole| source.says_token_refused(&whole))
        }
    })
}

async fn deliver(
    mut answer: Answer,
    mut sink: Sink,
    include: bool,
    transcript: &Transcript,
    output: &mut Output,
) -> Result<(), Failure> {
    sink.begin()?;
    if include && !output.is_json() {
        sink.take(head(&answer.head).as_bytes())?;
    }
    while let Some(piece) = answer.piece().await? {
        if !sink.take(&piece)? {
            break;
        }
    }
    sink.end_line()?;
    if output.is_json() {
        output.document(&sink.document(&answer.head, transcript.document()), "")?;
    }
    let status = answer.head.status;
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::failed(format!("the answer is {status}")))
}

/// The status line and the headers, in the way of `curl -i`.
fn head(head: &Parts) -> String {
    let mut text = format!("{:?} {}\r\n", head.version, head.status);
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}
