//! The gate under hyper: it reads the bytes of a connection before hyper does
//! and lets only whole, well-formed heads and well-framed bodies pass.
//!
//! It has to sit here because hyper mends or hides what must be refused (see
//! [`crate::head`]) before a service could see it. Bytes are judged where they
//! lie in hyper's own buffer; only heads that arrive in pieces are copied.
//!
//! In place of a head that it refuses it hands on a plain one that asks for
//! `Connection: close`, and leaves the reason in the [`ConnectionState`]: the service
//! answers that request with the reason, so hyper still orders, dates, flushes
//! and closes as it does for any other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ListenerLimits;
use crate::chunks::{ChunkProgress, ChunkedBody, MalformedChunks};
use crate::connection_state::{ConnectionPhase, ConnectionState, UpgradeState};
use crate::head::{BodyFraming, HeadEnd, judge};
use crate::pace::TransferPace;
use crate::refusal::TransportRefusal;
use crate::refused_page_request;
use crate::tunnel::{StreamHalf, UpgradeTunnel};

/// How much of what a peer still sends is thrown away after the last answer.
/// Closing on unread bytes would reset the connection, and the reset can
/// overtake the answer (RFC 9112 section 9.6).
const LINGER_BYTES: usize = 1024 * 1024;

const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// A stream that hyper reads requests from and writes answers to.
pub(crate) struct RequestGate<Io> {
    io: Io,
    limits: Arc<ListenerLimits>,
    state: Arc<ConnectionState>,
    expecting: ExpectedBytes,
    /// Bytes that hyper has not got: first those that may pass, then a part of a head.
    inbox: BytesMut,
    cleared: usize,
    head_end: HeadEnd,
    answers: TransferPace,
    lingered: usize,
}

enum ExpectedBytes {
    Head,
    /// So many more bytes of a body.
    Body(u64),
    Chunks(ChunkedBody),
    /// Nothing: the service has not said whether it goes on in another protocol.
    /// What comes is held back, be it that or the next head.
    Verdict,
    /// Another protocol, which is none of ours.
    Raw(Arc<UpgradeTunnel>),
    /// Nothing: the chunks are broken.
    Broken,
    /// Nothing: a head was refused, and hyper gets this in its place.
    StandIn(&'static [u8]),
    /// Nothing: hyper has the stand-in.
    Nothing,
}

impl<Io> RequestGate<Io> {
    pub(crate) fn new(io: Io, limits: Arc<ListenerLimits>, state: Arc<ConnectionState>) -> Self {
        Self {
            io,
            state,
            expecting: ExpectedBytes::Head,
            inbox: BytesMut::new(),
            cleared: 0,
            head_end: HeadEnd::default(),
            answers: TransferPace::new(limits.write_timeout, limits.min_rate),
            lingered: 0,
            limits,
        }
    }

    /// How many of the bytes may pass. The rest is part of a head, or refused.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            match self.admit_next(&bytes[passed..]) {
                0 => break,
                more => passed += more,
            }
        }
        self.note(passed < bytes.len());
        passed
    }

    fn admit_next(&mut self, bytes: &[u8]) -> usize {
        match &mut self.expecting {
            ExpectedBytes::Head => self.admit_head(bytes).unwrap_or_else(|refusal| {
                self.refuse(refusal, bytes);
                0
            }),
            ExpectedBytes::Body(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    self.expecting = ExpectedBytes::Head;
                }
                taken
            }
            ExpectedBytes::Chunks(chunks) => {
                let progress = chunks.follow(bytes);
                self.admit_chunks(progress, bytes.len())
            }
            ExpectedBytes::Raw(_) => bytes.len(),
            ExpectedBytes::Verdict
            | ExpectedBytes::Broken
            | ExpectedBytes::StandIn(_)
            | ExpectedBytes::Nothing => 0,
        }
    }

    fn admit_head(&mut self, bytes: &[u8]) -> Result<usize, TransportRefusal> {
        let Some(end) = self.head_end.find(bytes)? else {
            self.head_end.may_grow(bytes.len(), &self.limits)?;
            return Ok(0);
        };
        let head = judge(&bytes[..end], &self.limits)?;
        self.head_end = HeadEnd::default();
        self.expecting = match head.framing {
            BodyFraming::Length(0) if head.upgrade => ExpectedBytes::Verdict,
            BodyFraming::Length(0) => ExpectedBytes::Head,
            BodyFraming::Length(length) => ExpectedBytes::Body(length),
            BodyFraming::Chunked => {
                ExpectedBytes::Chunks(ChunkedBody::new(self.limits.max_header_bytes))
            }
        };
        self.answers.restart();
        self.state.pass();
        self.state.offer_upgrade(head.upgrade);
        Ok(end)
    }

    fn admit_chunks(
        &mut self,
        progress: Result<ChunkProgress, MalformedChunks>,
        available: usize,
    ) -> usize {
        match progress {
            Ok(ChunkProgress::Open) => available,
            Ok(ChunkProgress::Ended(end)) => {
                self.expecting = ExpectedBytes::Head;
                end
            }
            Err(MalformedChunks) => {
                self.expecting = ExpectedBytes::Broken;
                0
            }
        }
    }

    /// Tells the driver and the service what the peer still owes.
    fn note(&self, held: bool) {
        let between = matches!(self.expecting, ExpectedBytes::Head);
        self.state.set_head_begun(between && held);
        self.state.set_body_open(matches!(
            self.expecting,
            ExpectedBytes::Body(_) | ExpectedBytes::Chunks(_) | ExpectedBytes::Broken
        ));
    }

    fn refuse(&mut self, refusal: TransportRefusal, head: &[u8]) {
        self.state
            .refuse(refusal, refused_page_request::in_head(head));
        let for_head = head.starts_with(b"HEAD ");
        self.expecting = ExpectedBytes::StandIn(if for_head { STAND_IN_HEAD } else { STAND_IN });
    }

    fn keeps_rest(&self) -> bool {
        matches!(
            self.expecting,
            ExpectedBytes::Head | ExpectedBytes::Verdict | ExpectedBytes::Raw(_)
        )
    }

    fn awaits_verdict(&self) -> bool {
        matches!(self.state.upgrade(), UpgradeState::Offered)
    }

    /// Goes on as the service has said, with what was held back.
    fn hear_verdict(&mut self) {
        self.expecting = match self.state.upgrade() {
            UpgradeState::Granted(tunnel) => ExpectedBytes::Raw(tunnel),
            UpgradeState::Offered | UpgradeState::None => ExpectedBytes::Head,
        };
        self.admit_inbox();
    }

    fn admit_inbox(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.cleared = self.admit(&inbox);
        if !self.keeps_rest() {
            inbox.truncate(self.cleared);
        }
        self.inbox = inbox;
    }

    fn tunnel(&self) -> Option<Arc<UpgradeTunnel>> {
        match &self.expecting {
            ExpectedBytes::Raw(tunnel) => Some(Arc::clone(tunnel)),
            _ => None,
        }
    }

    fn give_cleared(&mut self, buffer: &mut ReadBuf<'_>) {
        let size = self.cleared.min(buffer.remaining());
        buffer.put_slice(&self.inbox[..size]);
        self.inbox.advance(size);
        self.cleared -= size;
        if self.inbox.is_empty() {
            // An idle connection need not hold it.
            self.inbox = BytesMut::new();
        }
    }
}

impl<Io: AsyncRead + Unpin> RequestGate<Io> {
    /// Reads into hyper's buffer and takes back what may not pass.
    /// True when hyper has something, be it the end.
    fn poll_direct(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let start = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let fresh = &buffer.filled()[start..];
        let size = fresh.len();
        let passed = self.admit(fresh);
        if self.keeps_rest() {
            self.inbox.extend_from_slice(&fresh[passed..]);
        }
        buffer.set_filled(start + passed);
        Poll::Ready(Ok(size == 0 || passed > 0))
    }

    /// Reads on behind the part of a head that is held. True at the end.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [0; 2048];
        let mut piece = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut piece))?;
        if piece.filled().is_empty() {
            return Poll::Ready(Ok(true));
        }
        self.inbox.extend_from_slice(piece.filled());
        self.admit_inbox();
        Poll::Ready(Ok(false))
    }

    fn poll_raw(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let Some(tunnel) = self.tunnel() else {
            return read;
        };
        if buffer.filled().len() > before {
            tunnel.flow();
        }
        tunnel.poll(context, StreamHalf::Read, read)
    }

    /// Throws away what still comes, until the peer has closed too.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; 4096];
        while self.lingered < LINGER_BYTES {
            let mut piece = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut piece));
            if read.is_err() || piece.filled().is_empty() {
                break;
            }
            self.lingered += piece.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for RequestGate<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        loop {
            if gate.cleared > 0 {
                gate.give_cleared(buffer);
                return Poll::Ready(Ok(()));
            }
            match gate.expecting {
                // The driver may refuse a head that does not come to its end.
                ExpectedBytes::Head if gate.state.refused() => {
                    let held = std::mem::take(&mut gate.inbox);
                    gate.refuse(TransportRefusal::HeadTooSlow, &held);
                }
                ExpectedBytes::Verdict if !gate.awaits_verdict() => gate.hear_verdict(),
                // The service's word wakes the connection.
                ExpectedBytes::Verdict if !gate.inbox.is_empty() => return Poll::Pending,
                ExpectedBytes::StandIn(head) => {
                    gate.inbox = BytesMut::from(head);
                    gate.cleared = head.len();
                    gate.expecting = ExpectedBytes::Nothing;
                }
                ExpectedBytes::Broken => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                ExpectedBytes::Nothing => return Poll::Pending,
                ExpectedBytes::Raw(_) => return gate.poll_raw(context, buffer),
                _ if gate.inbox.is_empty() => {
                    if ready!(gate.poll_direct(context, buffer))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                _ => {
                    if ready!(gate.poll_held(context))? {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> RequestGate<Io> {
    /// Bounds how slowly the peer may take an answer.
    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = match self.tunnel() {
            Some(tunnel) => {
                if matches!(&written, Poll::Ready(Ok(size)) if *size > 0) {
                    tunnel.flow();
                }
                tunnel.poll(context, StreamHalf::Write, written)
            }
            None => written,
        };
        self.state.set_blocked(written.is_pending());
        match written {
            Poll::Ready(Ok(size)) => self.answers.moved(size),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.answers.poll_too_slow(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RequestGate<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        let written = Pin::new(&mut gate.io).poll_write(context, bytes);
        gate.paced(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        let written = Pin::new(&mut gate.io).poll_write_vectored(context, pieces);
        gate.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Under TLS what was written may still wait here.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let flushed = Pin::new(&mut gate.io).poll_flush(context);
        gate.paced(context, flushed.map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.state.phase() != ConnectionPhase::Closing {
            let shut = Pin::new(&mut gate.io).poll_shutdown(context);
            ready!(gate.paced(context, shut.map_ok(|()| 0)))?;
            gate.state.enter(ConnectionPhase::Closing);
        }
        if gate.keeps_rest() {
            Poll::Ready(Ok(()))
        } else {
            gate.poll_linger(context)
        }
    }
}

impl<Io> Drop for RequestGate<Io> {
    fn drop(&mut self) {
        self.state.leave_tunnel();
    }
}
