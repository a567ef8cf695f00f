//! Somebody between the nodes: passes their HTTP on, and changes of it what an attack says.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The longest message that is passed on.
const MOST: usize = 64 << 20;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a member to its coordinator.
    Asked,
    /// Back.
    Answered,
}

/// One message on its way.
pub(super) struct Message {
    pub(super) way: Way,
    /// Method and path of the request, without query: `GET /v1/coord/round`.
    pub(super) call: String,
    /// Header lines of this message, without the first line.
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

type Lie = Arc<dyn Fn(&mut Message) + Send + Sync>;

/// The way to one node.
#[derive(Default)]
pub(super) struct Middle(Mutex<Option<Lie>>);

impl Middle {
    /// From now on every message leaves as this says.
    pub(super) fn changes(&self, lie: impl Fn(&mut Message) + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(lie));
    }

    /// Passes everything on as it is.
    pub(super) fn honest(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Listens for callers of the node at `port`, until `stop` fires; answers where.
    pub(super) async fn serve(
        self: &Arc<Self>,
        port: u16,
        stop: CancellationToken,
    ) -> anyhow::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let middle = self.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else {
                    continue;
                };
                let middle = middle.clone();
                tokio::spawn(async move {
                    if let Err(e) = middle.pass(stream, port).await {
                        tracing::debug!("a call that was passed on broke: {e:#}");
                    }
                });
            }
        });
        Ok(own)
    }

    /// One call: the connection is closed after it.
    async fn pass(&self, mut from: TcpStream, port: u16) -> anyhow::Result<()> {
        let (first, headers, body) = read(&mut from, false).await?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = target.split('?').next().unwrap_or(target);
        let call = format!("{method} {path}");
        let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let asked = Message {
            way: Way::Asked,
            call: call.clone(),
            headers,
            body,
        };
        self.send(&mut to, &first, asked).await?;
        let (first, headers, body) = read(&mut to, true).await?;
        let answered = Message {
            way: Way::Answered,
            call,
            headers,
            body,
        };
        self.send(&mut from, &first, answered).await?;
        from.shutdown().await?;
        Ok(())
    }

    async fn send(
        &self,
        to: &mut TcpStream,
        first: &str,
        mut message: Message,
    ) -> anyhow::Result<()> {
        let lie = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(lie) = lie {
            lie(&mut message);
        }
        let head = format!(
            "{first}\r\n{}connection: close\r\ncontent-length: {}\r\n\r\n",
            message.headers,
            message.body.len()
        );
        to.write_all(head.as_bytes()).await?;
        to.write_all(&message.body).await?;
        to.flush().await?;
        Ok(())
    }
}

/// First line, other header lines without those about length and connection, and the whole body. An answer without a length goes to the end.
async fn read(
    stream: &mut TcpStream,
    to_the_end: bool,
) -> anyhow::Result<(String, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec())?;
    let mut body = bytes.split_off(head_end + 4);
    let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let (mut length, mut chunked, mut waits, mut headers) = (None, false, false, String::new());
    for line in rest.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').context("no header")?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse::<usize>()?),
            "transfer-encoding" => chunked = value.contains("chunked"),
            "connection" => {}
            "expect" => waits = true,
            _ => {
                headers.push_str(line);
                headers.push_str("\r\n");
            }
        }
    }
    if waits {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if chunked {
        return Ok((first.to_owned(), headers, dechunked(stream, body).await?));
    }
    match length {
        Some(length) => {
            while body.len() < length {
                more(stream, &mut body).await?;
            }
            body.truncate(length);
        }
        None if to_the_end => {
            stream.take(MOST as u64).read_to_end(&mut body).await?;
        }
        None => body.clear(),
    }
    Ok((first.to_owned(), headers, body))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    if bytes.len() > MOST || stream.read_buf(bytes).await? == 0 {
        bail!("it ended early, or is too long")
    }
    Ok(())
}

/// RFC 9112, section 7.1.
async fn dechunked(stream: &mut TcpStream, mut bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(at) = bytes.windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            more(stream, &mut bytes).await?;
        };
        let size = std::str::from_utf8(&bytes[..line])?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)?;
        bytes.drain(..line + 2);
        while bytes.len() < size + 2 {
            more(stream, &mut bytes).await?;
        }
        if size == 0 {
            return Ok(body);
        }
        body.extend(bytes.drain(..size + 2).take(size));
    }
}
