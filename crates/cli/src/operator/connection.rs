//! One connection to the admin API: plain to this machine, TLS to any.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use countersign_outbound::{OutboundTls, ServerStream, client_config};
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::Address;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// What requests are sent through.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Connects to the server.
pub(super) async fn connect(address: &Address, uri: &Uri) -> io::Result<Sender> {
    let connected = tokio::time::timeout(CONNECT, reach(address, uri)).await;
    connected.map_err(|_| io::Error::other("the connection was not made in time"))?
}

async fn reach(address: &Address, uri: &Uri) -> io::Result<Sender> {
    let wire = open(uri).await?;
    if !is_https(uri) {
        return speak(wire).await;
    }
    let config = client_config(&address.roots, &[b"http/1.1"]).map_err(io::Error::other)?;
    let name = ServerName::try_from(bare(uri).to_owned()).map_err(io::Error::other)?;
    match OutboundTls::new(config, name).secured(wire).await {
        Ok(wire) => speak(wire).await,
        Err(why) => Err(io::Error::other(why.or_plain(uri, open(uri)).await)),
    }
}

/// A connection on which nothing is said yet.
pub(super) async fn open(uri: &Uri) -> io::Result<ServerStream> {
    let port = uri
        .port_u16()
        .unwrap_or(if is_https(uri) { 443 } else { 80 });
    let stream = TcpStream::connect((bare(uri), port)).await?;
    Ok(ServerStream::plain(stream))
}

pub(super) fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// The host without the brackets of IPv6.
fn bare(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Speaks HTTP/1.1 on a stream.
pub(crate) async fn speak<S>(stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // If the connection ends early, the request that waits for the answer fails with the error.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}
