//! The tower layer.

use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{AccessToken, BoxFuture, Error, TokenSource, TokenVerdict};

/// Gives each request a fresh token. A request whose token is refused is made once
/// more with another one, if its body can be repeated.
pub struct BearerLayer<B> {
    source: TokenSource,
    again: fn(&B) -> Option<B>,
}

/// The service of a [`BearerLayer`].
pub struct BearerAuth<S, B> {
    inner: S,
    source: TokenSource,
    again: fn(&B) -> Option<B>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum BearerError<E> {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] Error),
    /// The service failed.
    #[error("{0}")]
    Service(#[source] E),
}

impl<B: Clone> BearerLayer<B> {
    /// Takes tokens from `source`, and repeats bodies by cloning them.
    pub fn new(source: TokenSource) -> Self {
        Self::repeating(source, |body| Some(body.clone()))
    }
}

impl<B> BearerLayer<B> {
    /// Takes tokens from `source`, and repeats the bodies that `again` can copy.
    pub fn repeating(source: TokenSource, again: fn(&B) -> Option<B>) -> Self {
        Self { source, again }
    }
}

impl<B> Clone for BearerLayer<B> {
    fn clone(&self) -> Self {
        Self::repeating(self.source.clone(), self.again)
    }
}

impl<S: Clone, B> Clone for BearerAuth<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            source: self.source.clone(),
            again: self.again,
        }
    }
}

impl<S, B> Layer<S> for BearerLayer<B> {
    type Service = BearerAuth<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerAuth {
            inner,
            source: self.source.clone(),
            again: self.again,
        }
    }
}

impl<S, B, R> Service<Request<B>> for BearerAuth<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Send,
{
    type Response = Response<R>;
    type Error = BearerError<S::Error>;
    type Future = BoxFuture<'static, Result<Response<R>, BearerError<S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(BearerError::Service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call.
        let spare = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, spare.clone());
        let (source, again) = (self.source.clone(), self.again);
        Box::pin(async move {
            let token = source.token().await?;
            let copy = copy(&request, again);
            let mut first = ready;
            let answer = first.call(presenting(request, &token)).await;
            let answer = answer.map_err(BearerError::Service)?;
            // A status that does not tell counts as a refusal: the session machine
            // limits how often that may cost a token.
            if source.judge(answer.status()) == TokenVerdict::NotRefused {
                return Ok(answer);
            }
            match again_with(&source, &token, copy).await {
                Some((token, request)) => once_more(spare, presenting(request, &token)).await,
                None => Ok(answer),
            }
        })
    }
}

/// The request to make once more, if it can be repeated, and its token in place of
/// the refused one, if there is one.
pub(super) async fn again_with<R>(
    source: &TokenSource,
    token: &AccessToken,
    copy: Option<R>,
) -> Option<(AccessToken, R)> {
    source.report_refused(token);
    // Without a copy no token is waited for.
    let copy = copy?;
    let other = source.token().await.ok()?;
    (other.expose() != token.expose()).then_some((other, copy))
}

fn copy<B>(request: &Request<B>, again: fn(&B) -> Option<B>) -> Option<Request<B>> {
    let mut copy = Request::new(again(request.body())?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

fn presenting<B>(mut request: Request<B>, token: &AccessToken) -> Request<B> {
    let headers: &mut HeaderMap = request.headers_mut();
    token.present(headers);
    request
}

async fn once_more<S, B>(
    mut service: S,
    request: Request<B>,
) -> Result<S::Response, BearerError<S::Error>>
where
    S: Service<Request<B>>,
{
    std::future::poll_fn(|context| service.poll_ready(context))
        .await
        .map_err(BearerError::Service)?;
    service.call(request).await.map_err(BearerError::Service)
}
