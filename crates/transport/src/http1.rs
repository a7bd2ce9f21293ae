//! hyper's HTTP/1.1 connection, which gives up its stream only if the service has
//! accepted an upgrade.
//!
//! With upgrades enabled from the start, hyper would hand over the stream to whoever
//! asked for an upgrade, accepted or not, and would leave it open. So upgrades are enabled
//! only when the service has accepted one.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::{Connection, UpgradeableConnection};
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;

use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::watch::SteeredConnection;

pub(crate) struct Http1Connection<Io, S: HttpService<Incoming>> {
    connection: Http1State<Io, S>,
    state: Arc<ConnectionState>,
}

enum Http1State<Io, S: HttpService<Incoming>> {
    Plain(Connection<TokioIo<Io>, S>),
    Upgrading(UpgradeableConnection<TokioIo<Io>, S>),
    Changing,
}

impl<Io, S, B> Http1Connection<Io, S>
where
    TokioIo<Io>: Read + Write + Unpin + Send,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(crate) fn new(connection: Connection<TokioIo<Io>, S>, state: Arc<ConnectionState>) -> Self {
        let connection = Http1State::Plain(connection);
        Self { connection, state }
    }

    /// The stream, if hyper has ended and left it open.
    pub(crate) fn into_unclosed(self) -> Option<Io> {
        match self.connection {
            Http1State::Plain(connection) if self.state.phase() != ConnectionPhase::Closing => {
                Some(connection.into_parts().io.into_inner())
            }
            _ => None,
        }
    }

    fn look(&mut self) {
        if self.state.phase() != ConnectionPhase::Tunnel {
            return;
        }
        self.connection = match std::mem::replace(&mut self.connection, Http1State::Changing) {
            Http1State::Plain(connection) => Http1State::Upgrading(connection.with_upgrades()),
            changed => changed,
        };
    }
}

impl<Io, S, B> Future for Http1Connection<Io, S>
where
    TokioIo<Io>: Read + Write + Unpin + Send + 'static,
    Self: Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = hyper::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.look();
        match &mut this.connection {
            Http1State::Plain(connection) => Pin::new(connection).poll(context),
            Http1State::Upgrading(connection) => Pin::new(connection).poll(context),
            Http1State::Changing => Poll::Ready(Ok(())),
        }
    }
}

impl<Io, S, B> SteeredConnection for Http1Connection<Io, S>
where
    TokioIo<Io>: Read + Write + Unpin + Send + 'static,
    Self: Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        match &mut self.get_mut().connection {
            Http1State::Plain(connection) => Pin::new(connection).graceful_shutdown(),
            Http1State::Upgrading(connection) => Pin::new(connection).graceful_shutdown(),
            Http1State::Changing => {}
        }
    }
}
