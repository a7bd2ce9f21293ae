//! A vendor's API in raw bytes, for what the sandbox does not do.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) type Stream = BufReader<TcpStream>;

/// A server that does the same on every connection.
pub(crate) struct Vendor {
    pub(crate) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// One that acts so once it has read a request's head, which it gets in lower
    /// case.
    pub(crate) async fn acting<F, Fut>(act: F) -> Self
    where
        F: Fn(String, Stream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let act = Arc::new(act);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, act) = (seen.clone(), act.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let head = head(&mut stream).await;
                    seen.lock().unwrap().push(head.clone());
                    act(head.to_ascii_lowercase(), stream).await;
                });
            }
        });
        Self { url, heads }
    }

    /// One that reads a request whole, answers these bytes, and closes.
    pub(crate) async fn answering(answer: &'static str) -> Self {
        Self::acting(move |head, mut stream| async move {
            let mut body = vec![0; length(&head)];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
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

/// The length of the body behind a head in lower case.
pub(crate) fn length(head: &str) -> usize {
    let mut lines = head.lines();
    let told = lines.find_map(|line| line.strip_prefix("content-length: "));
    told.map_or(0, |length| length.parse().unwrap())
}

async fn head(stream: &mut Stream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap() == 0 {
            break;
        }
    }
    head
}
