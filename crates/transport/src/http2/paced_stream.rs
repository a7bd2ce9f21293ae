//! The stream below HTTP/2: it limits how long the peer may leave written data unread.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::FrameFollower;
use super::streams::OpenStreams;
use crate::ListenerLimits;
use crate::buffers::BufferKind;
use crate::pace::TransferPace;

/// How much of all request bodies of a connection may be under way or lie unread here.
pub(super) const CONNECTION_WINDOW: u32 = 1024 * 1024;

pub(super) struct PacedStream<Io> {
    io: Io,
    pace: TransferPace,
    streams: Arc<OpenStreams>,
    frames: FrameFollower,
}

impl<Io> PacedStream<Io> {
    pub(super) fn new(io: Io, limits: &ListenerLimits, streams: Arc<OpenStreams>) -> Self {
        Self {
            io,
            pace: TransferPace::new(limits.write_timeout, limits.min_rate),
            streams,
            frames: FrameFollower::new(),
        }
    }

    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.streams.state().set_blocked(written.is_pending());
        match &written {
            Poll::Ready(Ok(size)) => {
                self.pace.moved(*size);
                self.streams.count_written(*size);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.pace.poll_too_slow(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for PacedStream<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let buffers = this.streams.state().buffers();
        ready!(buffers.poll_room(BufferKind::Unread, context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let of_bodies = this.frames.follow(&buffer.filled()[before..]);
        // No more can lie here than the peer may send unread.
        let room = (CONNECTION_WINDOW as usize).saturating_sub(buffers.held(BufferKind::Unread));
        if of_bodies > 0 {
            buffers.add(BufferKind::Unread, of_bodies.min(room));
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for PacedStream<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.paced(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, pieces);
        this.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Under TLS what was written may still wait here.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.paced(context, flushed.map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.io).poll_shutdown(context);
        this.paced(context, shut.map_ok(|()| 0)).map_ok(|_| ())
    }
}
