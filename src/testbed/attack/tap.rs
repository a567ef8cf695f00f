//! A tap on the way to a hostile coordinator: passes everything on, and keeps what its members send.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The most that is kept of what members send.
const KEPT: usize = 16 << 20;

/// Listens before somebody.
pub(super) struct Tap {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tap {
    /// Takes what is meant for `behind`, a port of this machine.
    pub(super) async fn before(behind: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = heard.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Ends with its connection.
                tokio::spawn(pass_on(stream, behind, kept.clone()));
            }
        });
        Ok(Self { port, heard, task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was sent this way, as text.
    pub(super) fn heard(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }
}

async fn pass_on(mut from: TcpStream, behind: u16, heard: Arc<Mutex<Vec<u8>>>) {
    let Ok(mut to) = TcpStream::connect(("127.0.0.1", behind)).await else {
        return;
    };
    let (mut from_reader, mut from_writer) = from.split();
    let (mut to_reader, mut to_writer) = to.split();
    let there = async {
        let mut piece = vec![0; 1 << 14];
        while let Ok(len) = from_reader.read(&mut piece).await {
            if len == 0 || to_writer.write_all(&piece[..len]).await.is_err() {
                break;
            }
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() < KEPT {
                heard.extend_from_slice(&piece[..len]);
            }
        }
        drop(to_writer.shutdown().await);
    };
    let back = tokio::io::copy(&mut to_reader, &mut from_writer);
    drop(tokio::join!(there, back));
}
