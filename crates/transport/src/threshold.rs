//! What comes before HTTP on a connection: the handshake of TLS.
//!
//! All of it together has [`Limits::header_read_timeout`]. Meanwhile the
//! connection holds its place in the crowd as one without a request, so that it
//! can be asked to make room, and delays nobody: each is in a task of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::link::{Link, Order};
use crate::stream::Stream;
use crate::turned_away::part;
use crate::{Limits, Peer};

/// What a listener asks of a connection before it may speak HTTP.
#[derive(Clone, Default)]
pub(crate) struct Threshold {
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// A connection on which HTTP begins.
pub(crate) struct Entered<Io> {
    pub(crate) stream: Stream<Io>,
    pub(crate) peer: Peer,
}

impl Threshold {
    /// None if the connection has ended before HTTP began.
    pub(crate) async fn pass<Io>(
        &self,
        io: Io,
        peer: Peer,
        limits: &Limits,
        link: &Link,
    ) -> Option<Entered<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = &self.tls else {
            let stream = Stream::Plain(io);
            return Some(Entered { stream, peer });
        };
        let deadline = Instant::now() + limits.header_read_timeout;
        let handshake = Box::pin(handshake(Arc::clone(config), io, peer));
        let stream = in_time(link, deadline, handshake).await.flatten()?;
        Some(Entered {
            stream,
            peer: Peer { tls: true, ..peer },
        })
    }
}

async fn handshake<Io>(config: Arc<ServerConfig>, io: Io, peer: Peer) -> Option<Stream<Io>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let accept = TlsAcceptor::from(config).accept(io).into_fallible();
    match accept.await {
        Ok(stream) => Some(Stream::Tls(Box::new(stream))),
        Err((error, io)) => {
            tracing::debug!(%error, %peer.address, "no TLS handshake");
            // The peer has left, or hears with this end that it is not understood.
            if error.kind() != io::ErrorKind::UnexpectedEof {
                part(io).await;
            }
            None
        }
    }
}

/// None if `step` is not done in time, or the connection is asked to go.
async fn in_time<T>(link: &Link, deadline: Instant, step: impl Future<Output = T>) -> Option<T> {
    let (mut step, mut alarm) = (pin!(step), pin!(sleep_until(deadline)));
    poll_fn(|context| {
        link.listen(context.waker());
        if link.order() != Order::None {
            return Poll::Ready(None);
        }
        if let Poll::Ready(done) = step.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        alarm.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::{ALL_VERSIONS, ClientConfig};
    use tempfile::tempdir;
    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    use super::*;
    use crate::certificates::Pair;
    use crate::testing::{GET, House, TlsClient, hello, text};
    use crate::{Served, Tls};

    fn limits() -> Limits {
        Limits {
            max_connections: 3,
            ..Limits::default()
        }
    }

    /// A house behind TLS, and what a client needs to be let in.
    fn secured_house() -> (House, ClientConfig) {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
        };
        let house = House::behind(threshold, limits(), hello);
        (house, pair.client(ALL_VERSIONS))
    }

    async fn secured(house: &House, config: &ClientConfig) -> TlsClient {
        house.connect().secured(config.clone()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn both_versions_are_spoken_and_the_service_is_told() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
        };
        let house = House::behind(threshold, limits(), |_, peer: Peer| async move {
            text(&peer.tls.to_string())
        });
        for version in ALL_VERSIONS {
            let mut client = secured(&house, &pair.client(&[*version])).await;
            assert_eq!(client.get().await.body, "true");
            assert_eq!(client.get().await.body, "true");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_protocol_that_is_served_is_offered() {
        let (house, mut config) = secured_house();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = secured(&house, &config).await;
        let chosen = client.stream.get_ref().1.alpn_protocol();
        assert_eq!(chosen, Some(&b"http/1.1"[..]));
        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(house.connect().secured(config).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stalls_or_trickles_is_ended_in_its_time() {
        let (house, _) = secured_house();
        let began = Instant::now();
        let (mut silent, mut slow) = (house.connect(), house.connect());
        for byte in *b"\x16\x03\x01\x00\xff\x01" {
            slow.stream.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!((silent.rest().await, slow.rest().await), Default::default());
        assert_eq!(began.elapsed(), limits().header_read_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_over_tls_is_refused_in_its_time() {
        let (house, config) = secured_house();
        let mut client = secured(&house, &config).await;
        for byte in GET.chars().take(9) {
            client.send(&byte.to_string()).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(client.answer().await.status, 408);
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_makes_room_for_the_next_connection() {
        let (house, config) = secured_house();
        let mut used = secured(&house, &config).await;
        let mut stalled = Vec::new();
        for _ in 0..100 {
            stalled.push(house.connect());
            assert_eq!(used.get().await.status, 200);
        }
        assert_eq!(secured(&house, &config).await.get().await.status, 200);
        assert_eq!(stalled.remove(0).rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_handshakes_at_once() {
        let (house, _) = secured_house();
        let mut stalled = house.connect();
        sleep(Duration::from_millis(1)).await;
        let signal = Instant::now();
        assert_eq!(house.shut().await.unwrap(), Served { cut: 0 });
        assert_eq!(stalled.rest().await, "");
        assert_eq!(signal.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn plain_http_is_answered_with_a_clean_close() {
        let (house, _) = secured_house();
        let mut client = house.connect();
        client.send(GET).await;
        let said = client.rest().await;
        assert!(said.is_empty() || said.starts_with('\x15'), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_is_cut_under_tls_too() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
        };
        // It fits into what TLS holds back, and not into the stream below.
        let answer = |_, _| async { text(&"x".repeat(100_000)) };
        let house = House::behind(threshold, limits(), answer);
        let mut client = secured(&house, &pair.client(ALL_VERSIONS)).await;
        client.send(GET).await;
        let began = Instant::now();
        sleep(Duration::from_secs(29)).await;
        let served = house.shut();
        assert_eq!(served.await.unwrap(), Served { cut: 0 });
        assert_eq!(began.elapsed(), limits().write_timeout);
    }
}
