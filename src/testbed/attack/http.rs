//! A small HTTP/1.1 client without an opinion about what it sends: one request, one connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a node may take for one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most that is read of an answer.
const MAX_ANSWER: u64 = 1 << 20;

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Reply {
    /// Status and the beginning of the text, for the report.
    pub(super) fn line(&self) -> String {
        let text: String = self
            .body
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        format!("{} {text}", self.status)
    }

    /// Whether the node said no, and kept its head.
    pub(super) fn refused(&self) -> bool {
        (400..500).contains(&self.status) || self.status == 503
    }
}

/// The `HOST:PORT` of a node's url.
pub(super) fn host(url: &str) -> anyhow::Result<&str> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("{url}: only http:// can be attacked"))?;
    Ok(rest.split('/').next().unwrap_or(rest))
}

/// Sends these bytes, as far as the node takes them, and reads what comes until the connection is closed.
pub(super) async fn raw(url: &str, request: &[u8]) -> anyhow::Result<Reply> {
    raw_from(url, None, request).await
}

/// As [`raw`], from another address of this machine.
pub(super) async fn raw_from(
    url: &str,
    from: Option<IpAddr>,
    request: &[u8],
) -> anyhow::Result<Reply> {
    let work = async {
        let mut stream = match from {
            None => TcpStream::connect(host(url)?).await?,
            Some(from) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(from, 0))?;
                socket.connect(host(url)?.parse()?).await?
            }
        };
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        // A refusal may come, and the connection go, before everything is written.
        let write = async {
            drop(writer.write_all(request).await);
            std::future::pending::<()>().await;
        };
        let mut bounded = (&mut reader).take(MAX_ANSWER);
        tokio::select! {
            read = bounded.read_to_end(&mut answer) => { if answer.is_empty() { read?; } }
            () = write => {}
        }
        parse(&answer)
    };
    timeout(PATIENCE, work)
        .await
        .with_context(|| format!("no answer within {PATIENCE:?}"))?
}

/// One request with a body. `headers` are whole lines, each ending in CR LF.
pub(super) async fn send(
    url: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> anyhow::Result<Reply> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        host(url)?,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    raw(url, &request).await
}

/// A form with one file.
pub(super) async fn upload(url: &str, path: &str, file: &[u8]) -> anyhow::Result<Reply> {
    upload_with(url, path, "", file).await
}

/// As [`upload`], with further header lines.
pub(super) async fn upload_with(
    url: &str,
    path: &str,
    headers: &str,
    file: &[u8],
) -> anyhow::Result<Reply> {
    let mut body = b"--attack\r\ncontent-disposition: form-data; name=\"file\"; filename=\"task.delta\"\r\ncontent-type: application/octet-stream\r\n\r\n".to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--attack--\r\n");
    send(
        url,
        "POST",
        path,
        &format!("{headers}content-type: multipart/form-data; boundary=attack\r\n"),
        &body,
    )
    .await
}

fn parse(answer: &[u8]) -> anyhow::Result<Reply> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        bail!("the connection was closed without an answer")
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("no HTTP answer")?;
    Ok(Reply {
        status,
        body: body.to_owned(),
    })
}
