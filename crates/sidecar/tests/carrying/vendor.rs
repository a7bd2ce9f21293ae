//! A vendor's API in raw bytes, for what the sandbox does not do.

use std::sync::{Arc, Mutex};

use countersign_testing::listening::listen;
use countersign_testing::raw::{content_length, read_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) type Stream = BufReader<TcpStream>;

/// A server that does the same on every connection.
pub(crate) struct Vendor {
    pub(crate) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// One that acts so once it has read a request's head, which it gets in lower
    /// case.
    pub(crate) fn acting<F, Fut>(act: F) -> Self
    where
        F: Fn(String, Stream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, act) = (heads.clone(), Arc::new(act));
        let listener = listen(move |stream| {
            let (seen, act) = (seen.clone(), act.clone());
            async move {
                let mut stream = BufReader::new(stream);
                let head = read_head(&mut stream).await.unwrap_or_default();
                seen.lock().unwrap().push(head.clone());
                act(head.to_ascii_lowercase(), stream).await;
            }
        });
        let url = listener.url();
        Self { url, heads }
    }

    /// One that reads a request whole, answers these bytes, and closes.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::acting(move |head, mut stream| async move {
            let mut body = vec![0; content_length(&head)];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
    }

    /// The heads that it got.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The only head that it got.
    pub(crate) fn head(&self) -> String {
        let heads = self.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads[0].clone()
    }
}
