//! What comes before HTTP on a connection: the PROXY header of a trusted proxy, the TLS
//! handshake, and finding out which version of HTTP the peer speaks.
//!
//! Each step is limited by [`ListenerLimits::header_read_timeout`]. Meanwhile the
//! connection counts as one without a request, so it can be closed to make room for
//! others. Each connection is in a task of its own, so none delays another.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use ipnet::IpNet;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::connection_limit::{ConnectionHolder, ConnectionPlace};
use crate::connection_state::{ConnectionOrder, ConnectionState};
use crate::http2::PREFACE;
use crate::overload::{part, reject};
use crate::refusal::TransportRefusal;
use crate::stream::HttpStream;
use crate::tls::HTTP_2;
use crate::{ExemptAddresses, ListenerLimits, Peer, proxy_protocol};

/// How much of an answer TLS holds if the peer does not read it: one record.
const TLS_BUFFER: usize = 16 * 1024;

/// What a listener requires of a connection before HTTP begins.
#[derive(Clone, Default)]
pub(crate) struct HandshakePolicy {
    /// The proxies that may connect; `None` if everybody may.
    pub(crate) proxies: Option<Arc<[IpNet]>>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Whether HTTP/2 is spoken too.
    pub(crate) http2: bool,
    /// The addresses whose connections are not counted.
    pub(crate) exempt: Option<Arc<ExemptAddresses>>,
}

/// A connection on which HTTP begins.
pub(crate) struct HttpConnection<Io> {
    pub(crate) stream: HttpStream<Io>,
    pub(crate) http2: bool,
    pub(crate) peer: Peer,
    /// When the first request must have arrived.
    pub(crate) deadline: Instant,
}

impl HandshakePolicy {
    /// Whether HTTP begins with the first byte.
    pub(crate) fn is_open(&self) -> bool {
        self.proxies.is_none() && self.tls.is_none()
    }

    /// The holder for which a connection from this address is counted, if it is.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<ConnectionHolder> {
        let address = address.to_canonical();
        let exempt = self.exempt.as_ref().is_some_and(|exempt| exempt(address));
        (!exempt).then(|| ConnectionHolder::new(address))
    }

    /// None if the connection has ended before HTTP began.
    pub(crate) async fn pass<Io>(
        &self,
        io: Io,
        peer: Peer,
        limits: &ListenerLimits,
        place: &ConnectionPlace,
    ) -> Option<HttpConnection<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = limits.header_read_timeout;
        match self.steps(io, peer, limit, place).await {
            Ok(entered) => Some(entered),
            Err(refusal) => {
                let state = place.state();
                state.belongs_to(peer);
                refusal.map(|refusal| state.testify(refusal, None));
                None
            }
        }
    }

    async fn steps<Io>(
        &self,
        mut io: Io,
        mut peer: Peer,
        limit: Duration,
        place: &ConnectionPlace,
    ) -> Result<HttpConnection<Io>, HandshakeEnd>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let state = place.state();
        let mut deadline = Instant::now() + limit;
        if let Some(trusted) = &self.proxies {
            let introduced = Box::pin(introduced(trusted, &mut io, peer));
            let late = Some(TransportRefusal::ProxyCutOff);
            peer = in_time(state, deadline, late, introduced).await?;
            if !self.claims(place, &peer) {
                if self.tls.is_none() {
                    reject(io).await;
                }
                return Err(None);
            }
            deadline = Instant::now() + limit;
        }
        state.belongs_to(peer);
        let (stream, http2) = match &self.tls {
            Some(config) => {
                let handshake = Box::pin(handshake(Arc::clone(config), io, peer));
                let late = Some(TransportRefusal::Handshake);
                let secured = in_time(state, deadline, late, handshake).await?;
                peer.tls = true;
                deadline = Instant::now() + limit;
                secured
            }
            None => self.in_plaintext(io, deadline, state).await?,
        };
        Ok(HttpConnection {
            stream,
            http2,
            peer,
            deadline,
        })
    }

    /// Counts a connection for the client that a proxy has named; false if that
    /// has its share.
    fn claims(&self, place: &ConnectionPlace, peer: &Peer) -> bool {
        let named = peer.via.and_then(|_| self.holder(peer.address.ip()));
        named.is_none_or(|holder| place.claim(holder).is_ok())
    }

    /// Without TLS a client that knows that HTTP/2 is spoken here begins with
    /// its preface (RFC 9113 section 3.3).
    async fn in_plaintext<Io>(
        &self,
        mut io: Io,
        deadline: Instant,
        state: &ConnectionState,
    ) -> Result<(HttpStream<Io>, bool), HandshakeEnd>
    where
        Io: AsyncRead + Unpin,
    {
        let mut begun = BytesMut::new();
        if !self.http2 {
            return Ok((HttpStream::plain(begun, io), false));
        }
        let looking = Box::pin(begins_http2(&mut io, &mut begun));
        let http2 = match in_time(state, deadline, None, looking).await {
            Err(None) if state.order() == ConnectionOrder::None && !begun.is_empty() => {
                state.refuse(TransportRefusal::HeadTooSlow, None);
                false
            }
            known => known?,
        };
        Ok((HttpStream::plain(begun, io), http2))
    }
}

/// Why a connection does not come to HTTP: somebody should hear of it, or not.
type HandshakeEnd = Option<TransportRefusal>;

/// The peer, as the proxy that it is says.
async fn introduced<Io>(trusted: &[IpNet], io: &mut Io, peer: Peer) -> Result<Peer, HandshakeEnd>
where
    Io: AsyncRead + Unpin,
{
    let address = peer.address.ip().to_canonical();
    if !trusted.iter().any(|network| network.contains(&address)) {
        return Err(Some(TransportRefusal::ProxyUntrusted));
    }
    Ok(match proxy_protocol::read(io).await.map_err(Some)? {
        None => peer,
        Some(client) => Peer {
            address: client,
            via: Some(peer.address),
            ..peer
        },
    })
}

async fn handshake<Io>(
    config: Arc<ServerConfig>,
    io: Io,
    peer: Peer,
) -> Result<(HttpStream<Io>, bool), HandshakeEnd>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let bound = |session: &mut ServerConnection| session.set_buffer_limit(Some(TLS_BUFFER));
    let accept = TlsAcceptor::from(config).accept_with(io, bound);
    let accept = accept.into_fallible();
    match accept.await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            Ok((HttpStream::tls(stream), http2))
        }
        Err((error, _)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(None),
        Err((error, io)) => {
            tracing::debug!(%error, %peer.address, "the TLS handshake failed");
            // With the end it hears that it is not understood.
            part(io).await;
            Err(Some(TransportRefusal::Handshake))
        }
    }
}

/// Reads until it is clear whether these are the bytes of HTTP/2; so much of
/// HTTP/1.1 is read as has come.
async fn begins_http2<Io>(io: &mut Io, begun: &mut BytesMut) -> Result<bool, HandshakeEnd>
where
    Io: AsyncRead + Unpin,
{
    begun.reserve(1024);
    loop {
        // An end or an error shows again to whoever reads on.
        let more = io.read_buf(begun).await.unwrap_or_default();
        let common = begun.len().min(PREFACE.len());
        if more == 0 || begun[..common] != PREFACE[..common] {
            return Ok(false);
        }
        if common == PREFACE.len() {
            return Ok(true);
        }
    }
}

/// Ends `step` if it is `late`, or if the connection is asked to go.
async fn in_time<T>(
    state: &ConnectionState,
    deadline: Instant,
    late: HandshakeEnd,
    step: impl Future<Output = Result<T, HandshakeEnd>>,
) -> Result<T, HandshakeEnd> {
    let (mut step, mut alarm) = (pin!(step), pin!(sleep_until(deadline)));
    poll_fn(|context| {
        state.listen(context.waker());
        if state.order() != ConnectionOrder::None {
            return Poll::Ready(Err(None));
        }
        if let Poll::Ready(done) = step.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        alarm.as_mut().poll(context).map(|()| Err(late))
    })
    .await
}

#[cfg(test)]
mod tests;
