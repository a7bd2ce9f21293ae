//! The middleware for reqwest.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::tower_bearer::again_with;
use crate::{TokenSource, TokenVerdict};

/// Longer responses are not read to find out whether a token was refused.
const LONGEST_REFUSAL: u64 = 64 * 1024;

/// Gives each request a fresh token. A request whose token is refused is made once
/// more with another one, unless its body is a stream.
#[derive(Clone, Debug)]
pub struct BearerMiddleware(TokenSource);

impl BearerMiddleware {
    /// Takes tokens from `source`.
    pub fn new(source: TokenSource) -> Self {
        Self(source)
    }

    /// Whether the token was refused, and the response, of which the body may have
    /// been read.
    async fn judged(&self, answer: Response) -> Result<(bool, Response)> {
        let is_short = answer
            .content_length()
            .is_some_and(|it| it <= LONGEST_REFUSAL);
        match self.0.judge(answer.status()) {
            TokenVerdict::NotRefused => Ok((false, answer)),
            TokenVerdict::Unclear if is_short => {
                let mut head = http::Response::new(());
                *head.status_mut() = answer.status();
                *head.version_mut() = answer.version();
                *head.headers_mut() = answer.headers().clone();
                let body = answer.bytes().await?;
                let whole = head.map(|()| body);
                Ok((self.0.says_token_refused(&whole), Response::from(whole)))
            }
            TokenVerdict::Unclear | TokenVerdict::Refused => Ok((true, answer)),
        }
    }
}

#[async_trait::async_trait]
impl Middleware for BearerMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let token = self.0.token().await.map_err(Error::middleware)?;
        let copy = request.try_clone();
        token.present(request.headers_mut());
        let answer = next.clone().run(request, extensions).await?;
        let (is_refused, answer) = self.judged(answer).await?;
        if !is_refused {
            return Ok(answer);
        }
        match again_with(&self.0, &token, copy).await {
            Some((token, mut request)) => {
                token.present(request.headers_mut());
                next.run(request, extensions).await
            }
            None => Ok(answer),
        }
    }
}
