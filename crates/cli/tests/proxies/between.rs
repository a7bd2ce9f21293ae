//! What stands between a proxy and Countersign, so that Countersign can be down,
//! slow or somebody else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_testing::listening::{LoopbackListener, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How Countersign seems to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seems {
    /// As it is.
    Well,
    /// It answers 500.
    Broken,
    /// It answers what is not HTTP.
    Garbled,
    /// It answers 200, and nothing that Countersign would say.
    Strange,
    /// It takes requests and never answers.
    Slow,
}

/// A relay to Countersign.
pub(crate) struct Between {
    pub(crate) address: SocketAddr,
    seems: watch::Sender<Seems>,
    /// How often somebody has connected.
    connected: Arc<AtomicU32>,
    listener: LoopbackListener,
}

impl Between {
    pub(crate) fn start(countersign: SocketAddr) -> Self {
        let (seems, seen) = watch::channel(Seems::Well);
        let connected = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connected);
        let listener = listen(move |stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            relay(stream, countersign, seen.clone())
        });
        Self {
            address: listener.address,
            seems,
            connected,
            listener,
        }
    }

    /// How often somebody has connected since this was asked last.
    pub(crate) fn connected(&self) -> u32 {
        self.connected.swap(0, Ordering::SeqCst)
    }

    /// From now on Countersign seems like this; connections of before are cut.
    pub(crate) fn seem(&self, seems: Seems) {
        self.seems.send_replace(seems);
    }

    /// Nobody listens any more.
    pub(crate) async fn go_down(self) {
        self.listener.stop().await;
    }
}

async fn relay(stream: TcpStream, countersign: SocketAddr, mut seen: watch::Receiver<Seems>) {
    let seems = *seen.borrow_and_update();
    tokio::select! {
        () = converse(stream, countersign, seems) => {}
        _ = seen.changed() => {}
    }
}

async fn converse(mut stream: TcpStream, countersign: SocketAddr, seems: Seems) {
    let said: &[u8] = match seems {
        Seems::Well => {
            let mut upstream = TcpStream::connect(countersign).await.unwrap();
            // Either may break off at any time.
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            return;
        }
        Seems::Slow => return std::future::pending().await,
        Seems::Broken => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        Seems::Garbled => b"\x16\x03 garbage\r\n\r\n",
        Seems::Strange => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    };
    let mut heard = [0; 4096];
    while let Ok(1..) = stream.read(&mut heard).await {
        if stream.write_all(said).await.is_err() || seems == Seems::Garbled {
            return;
        }
    }
}
