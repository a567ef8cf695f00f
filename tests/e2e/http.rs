//! A small HTTP/1.1 client: one request, one connection, and no opinion about what it sends.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a node may take for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// Sends these bytes and reads until the other side closes.
pub(crate) fn raw(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A refusal may come, and the connection go, before everything is written.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(e) if answer.is_empty() => Err(e),
        _ => Ok(answer),
    }
}

/// Sends these bytes and is gone.
pub(crate) fn abandon(port: u16, request: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    drop(stream.write_all(request));
}

pub(crate) fn get(port: u16, path: &str) -> io::Result<Reply> {
    send(port, "GET", path, "", &[])
}

/// `content_type` empty: no such header.
pub(crate) fn send(
    port: u16,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<Reply> {
    let kind = match content_type {
        "" => String::new(),
        kind => format!("content-type: {kind}\r\n"),
    };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{kind}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    parse(&raw(port, &request)?)
}

/// A form with one file.
pub(crate) fn upload(port: u16, path: &str, file: &[u8]) -> io::Result<Reply> {
    let body = form(file);
    send(
        port,
        "POST",
        path,
        "multipart/form-data; boundary=e2e",
        &body,
    )
}

/// The body of such a form.
pub(crate) fn form(file: &[u8]) -> Vec<u8> {
    let mut body =
        b"--e2e\r\ncontent-disposition: form-data; name=\"file\"; filename=\"task.delta\"\r\ncontent-type: application/octet-stream\r\n\r\n"
            .to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--e2e--\r\n");
    body
}

fn parse(answer: &[u8]) -> io::Result<Reply> {
    let broken = || {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
        io::Error::other(format!("no HTTP answer: {start:?}"))
    };
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(broken)?;
    let rest = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(rest).ok_or_else(broken)?
    } else {
        rest.to_vec()
    };
    Ok(Reply { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
