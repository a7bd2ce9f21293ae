//! The service that hyper calls. It passes requests that the gate has let through to the
//! application's function, and answers by itself when that gives no response.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, UPGRADE};
use http::{Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;

use crate::buffers::BufferKind;
use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::refusal::TransportRefusal;
use crate::refused_page_request::{self, RefusedPageRequest};
use crate::{ListenerLimits, Peer, Request, RequestBody};

/// The answer function, bound to one connection.
pub(crate) struct AnswerService<F> {
    pub(crate) answer: F,
    pub(crate) peer: Peer,
    pub(crate) limits: Arc<ListenerLimits>,
    pub(crate) state: Arc<ConnectionState>,
}

impl<F, Fut, B> Service<http::Request<Incoming>> for AnswerService<F>
where
    F: Fn(Request, Peer) -> Fut + Clone,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
{
    type Response = Response<ListenerBody<B>>;
    type Error = Infallible;
    type Future = PendingAnswer<F, Fut, B>;

    fn call(&self, request: http::Request<Incoming>) -> PendingAnswer<F, Fut, B> {
        self.state.set_old(request.version() == Version::HTTP_10);
        let refusal = self.state.call();
        let state = Arc::clone(&self.state);
        if let Some((refusal, asked)) = refusal {
            return PendingAnswer::refuse(refusal, state, asked);
        }
        let asked = refused_page_request::by(&request);
        let request = self.prepare(request);
        let answer = self.answer.clone();
        PendingAnswer::call(answer, request, self.peer, state, asked)
    }
}

impl<F> AnswerService<F> {
    fn prepare(&self, mut request: http::Request<Incoming>) -> Request {
        if !self.state.may_switch() {
            request.extensions_mut().remove::<OnUpgrade>();
        }
        if request.uri().authority().is_some() {
            let target = origin_form(request.uri());
            *request.uri_mut() = target;
        }
        request.map(|incoming| RequestBody::new(incoming, &self.limits, Arc::clone(&self.state)))
    }
}

/// The gate has seen that Host says the same as the authority; with one form of
/// target only, nobody upstream can mistake the other.
fn origin_form(uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).unwrap_or_default()
}

pin_project! {
    /// An answer on its way: that of the service, unless it panics, is overdue
    /// or was never asked.
    pub(crate) struct PendingAnswer<F, Fut, B> {
        call: Option<ServiceCall<F>>,
        #[pin]
        future: Option<Fut>,
        refusal: Option<TransportRefusal>,
        switch: Option<Response<B>>,
        state: Arc<ConnectionState>,
        // The request that a refusal is about.
        asked: Option<Box<RefusedPageRequest>>,
    }
}

/// What the service is called with when the answer is first polled: what it makes of
/// a request may be large, and many requests of an HTTP/2 connection may wait.
struct ServiceCall<F> {
    answer: F,
    request: Request,
    peer: Peer,
}

impl<F, Fut, B> PendingAnswer<F, Fut, B> {
    /// That of the service.
    pub(crate) fn call(
        answer: F,
        request: Request,
        peer: Peer,
        state: Arc<ConnectionState>,
        asked: Option<Box<RefusedPageRequest>>,
    ) -> Self {
        state.enter(ConnectionPhase::Running);
        Self {
            call: Some(ServiceCall {
                answer,
                request,
                peer,
            }),
            future: None,
            refusal: None,
            switch: None,
            state,
            asked,
        }
    }

    /// The refusal, without the service.
    pub(crate) fn refuse(
        refusal: TransportRefusal,
        state: Arc<ConnectionState>,
        asked: Option<Box<RefusedPageRequest>>,
    ) -> Self {
        state.enter(ConnectionPhase::Running);
        Self {
            call: None,
            future: None,
            refusal: Some(refusal),
            switch: None,
            state,
            asked,
        }
    }
}

impl<F, Fut, B> Future for PendingAnswer<F, Fut, B>
where
    F: Fn(Request, Peer) -> Fut,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ListenerBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(response) = this.switch.take() {
            return Poll::Ready(Ok(switch(response, this.state)));
        }
        if let Some(call) = this.call.take() {
            // The state of a caught panic is that of one request, and goes with it.
            let service = || (call.answer)(call.request, call.peer);
            this.future
                .set(catch_unwind(AssertUnwindSafe(service)).ok());
        }
        let answered = match (this.future.as_pin_mut(), *this.refusal) {
            (Some(future), None) => ready!(poll_caught(future, context, this.state)),
            (_, refusal) => Err(refusal.unwrap_or(TransportRefusal::Broken)),
        };
        this.state.enter(ConnectionPhase::Answering);
        Poll::Ready(Ok(match answered {
            Ok(response) if is_switch(&response) => {
                // The driver must know before hyper has written it.
                this.state.grant_upgrade();
                *this.switch = Some(response);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Ok(response) => own(response, this.state),
            Err(refusal) => problem(refusal, this.state, this.asked.as_deref()),
        }))
    }
}

fn poll_caught<Fut, B>(
    future: Pin<&mut Fut>,
    context: &mut Context<'_>,
    state: &ConnectionState,
) -> Poll<Result<Response<B>, TransportRefusal>>
where
    Fut: Future<Output = Response<B>>,
{
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(Poll::Ready(response)) if is_switch(&response) && state.may_switch() => {
            Poll::Ready(Ok(response))
        }
        Ok(Poll::Ready(response)) if response.status().is_informational() => {
            tracing::error!(status = %response.status(), "the service gave an interim answer as its final one");
            Poll::Ready(Err(TransportRefusal::Broken))
        }
        Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
        Ok(Poll::Pending) => match state.given_up() {
            Some(refusal) => Poll::Ready(Err(refusal)),
            None => Poll::Pending,
        },
        Err(_) => Poll::Ready(Err(TransportRefusal::Broken)),
    }
}

/// Whether an answer may be passed on as a switch of protocols: it must name the protocol.
// RFC 9110 section 15.2.2: "The server MUST generate an Upgrade header field in the response
// that indicates which protocol(s) will be in effect after this response."
fn is_switch<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS && response.headers().contains_key(UPGRADE)
}

/// Such an answer has no body.
fn switch<B>(response: Response<B>, state: &Arc<ConnectionState>) -> Response<ListenerBody<B>> {
    let mut response =
        response.map(|_| ListenerBody::new(AnswerContent::Problem { text: None }, state));
    let upgrade = HeaderValue::from_static("upgrade");
    response.headers_mut().insert(CONNECTION, upgrade);
    response
}

fn own<B: Body>(
    mut response: Response<B>,
    state: &Arc<ConnectionState>,
) -> Response<ListenerBody<B>> {
    state.decline_upgrade();
    // Unread bytes of a request stand before the next one, which so cannot come; and
    // HTTP/1.0 knows no other end of an answer of unknown length than the connection's.
    if state.owes_body() || (state.is_old() && !has_length(&response)) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        if state.is_old() {
            // Else hyper adds keep-alive.
            *response.version_mut() = Version::HTTP_10;
        }
    }
    response.map(|body| ListenerBody::new(AnswerContent::Own { body }, state))
}

fn has_length<B: Body>(response: &Response<B>) -> bool {
    response.headers().contains_key(CONTENT_LENGTH) || response.body().size_hint().exact().is_some()
}

fn problem<B>(
    refusal: TransportRefusal,
    state: &Arc<ConnectionState>,
    asked: Option<&RefusedPageRequest>,
) -> Response<ListenerBody<B>> {
    state.decline_upgrade();
    let mut response = refusal.response();
    response.headers_mut().extend(state.testify(refusal, asked));
    response.map(|text| ListenerBody::new(AnswerContent::Problem { text: Some(text) }, state))
}

/// Tells the connection, when it goes, that the answer is complete.
pub(crate) struct AnswerTurn {
    state: Arc<ConnectionState>,
}

impl AnswerTurn {
    /// The first piece of `data`; the others are put into `rest`.
    fn give(&self, mut data: Bytes, rest: &mut Bytes) -> Bytes {
        let piece = data.len().min(self.state.longest_piece());
        self.state.give_piece(piece);
        *rest = data.split_off(piece);
        data
    }
}

impl Drop for AnswerTurn {
    fn drop(&mut self) {
        if self.state.phase() != ConnectionPhase::Tunnel {
            self.state.enter(ConnectionPhase::Waiting);
        }
    }
}

pin_project! {
    /// The body of an answer; hyper drops it when it has all of it.
    pub(crate) struct ListenerBody<B> {
        #[pin]
        content: AnswerContent<B>,
        // What is left of a piece that was too long to be given whole.
        rest: Bytes,
        turn: AnswerTurn,
    }
}

impl<B> ListenerBody<B> {
    fn new(content: AnswerContent<B>, state: &Arc<ConnectionState>) -> Self {
        let state = Arc::clone(state);
        Self {
            content,
            rest: Bytes::new(),
            turn: AnswerTurn { state },
        }
    }
}

pin_project! {
    #[project = ContentProjection]
    enum AnswerContent<B> {
        Own { #[pin] body: B },
        Problem { text: Option<Bytes> },
    }
}

impl<B: Body<Data = Bytes>> Body for ListenerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.turn.state.ask_for_piece();
        let buffers = this.turn.state.buffers();
        let frame = match this.content.project() {
            _ if !this.rest.is_empty() => Some(Ok(Frame::data(std::mem::take(this.rest)))),
            ContentProjection::Own { body } => {
                ready!(buffers.poll_room(BufferKind::Unsent, context));
                let frame = ready!(body.poll_frame(context));
                let hold = |data| buffers.hold(BufferKind::Unsent, data);
                frame.map(|frame| frame.map(|frame| frame.map_data(hold)))
            }
            ContentProjection::Problem { text } => text.take().map(|text| Ok(Frame::data(text))),
        };
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let frame = frame.map_data(|data| this.turn.give(data, this.rest));
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.content {
                AnswerContent::Own { body } => body.is_end_stream(),
                AnswerContent::Problem { text } => text.is_none(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            AnswerContent::Own { body } => body.size_hint(),
            AnswerContent::Problem { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}
