//! The server: connections in, limited in number and in patience; warp answers what they carry.
//!
//! `warp::serve` has no limits on connections or on the time that a request head may take, so the accept loop is ours and warp is
//! the service behind it. HTTP/1.1 only, as in the original: one request at a time a connection, so the number of connections bounds
//! the number of requests.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::http::{Request, StatusCode};
use warp::hyper::body::Incoming;
use warp::hyper::server::conn::http1;
use warp::hyper::service::{Service as _, service_fn};

use super::admission::{Admission, Caller};
use super::call::{Doors, Shared};
use super::counted::Counted;
use super::extract::body::Memory;
use super::options::HttpOptions;
use super::per_address::{Connections, Place};
use super::reply::Response;
use super::routes::routes;
use super::stall::StallGuard;
use super::tls::Tls;
use delta_ports::metrics::{Limit, Observation};
use delta_ports::{PortError, PortErrorKind};

/// A server that is running.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Where it listens: the real port when port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has shut down.
    ///
    /// # Errors
    /// `Internal` when it ended in any other way.
    pub async fn ended(self) -> Result<(), PortError> {
        self.task.await.map_err(|error| {
            PortError::new(PortErrorKind::Internal, "http.serve", "the server broke")
                .with_source(error)
        })
    }
}

/// Starts the server of `doors` on `address`, for those whom `admission` lets in. It runs until `shutdown` is ready, then ends requests under way and closes.
///
/// # Errors
/// `Unavailable` when the address cannot be listened on; what is wrong with the certificate or its key.
pub async fn serve(
    address: SocketAddr,
    doors: Doors,
    admission: Admission,
    options: HttpOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<HttpServer, PortError> {
    let failed = |error| {
        PortError::new(
            PortErrorKind::Unavailable,
            "http.serve",
            format!("cannot listen on {address}"),
        )
        .with_source(error)
    };
    let tls = options.tls.clone().map(Tls::open).transpose()?;
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shared = Arc::new(Shared {
        doors,
        admission,
        tls,
        memory: Memory::new(options.json_memory),
        watching: Arc::new(Semaphore::new(options.max_pages)),
        checking: Semaphore::new(1),
        hashing: Semaphore::new(1),
        stopping: CancellationToken::new(),
        options,
    });
    let task = tokio::spawn(accept(listener, shared, shutdown));
    Ok(HttpServer { address, task })
}

/// Connections that are told to come back later, at a time. Beyond them they are just closed.
const TURNED_AWAY_AT_A_TIME: usize = 64;

async fn accept(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    let filter = routes(&shared);
    let places = Connections::new(
        shared.options.max_connections,
        shared.options.max_connections_each,
    );
    let away = Arc::new(Semaphore::new(TURNED_AWAY_AT_A_TIME));
    let stop = shared.stopping.clone();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(place) = places.enter(peer.ip()) {
                        let serving = converse(stream, peer, place, filter.clone(), shared.clone(), stop.clone());
                        connections.spawn(serving);
                        continue;
                    }
                    let metrics = &shared.options.metrics;
                    metrics.observe(Observation::LimitHit(Limit::Connections));
                    if let Ok(slot) = away.clone().try_acquire_owned() {
                        connections.spawn(async move {
                            turn_away(stream).await;
                            drop(slot);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file handles, most likely: some connection must end first.
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    stop.cancel();
    let ending = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if timeout(shared.options.shutdown_grace, ending)
        .await
        .is_err()
    {
        tracing::warn!("requests are still under way after the grace period; they are cut off");
        connections.shutdown().await;
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request panicked; its connection is closed");
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    filter: BoxedFilter<(Response,)>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let stream = Counted::new(stream, shared.options.metrics.clone());
    let stream = StallGuard::new(stream, shared.options.write_stall);
    let Some(tls) = &shared.tls else {
        return talk(stream, peer, &place, filter, &shared, stop).await;
    };
    let greeting = TlsAcceptor::from(tls.now()).accept(stream);
    let greeted = tokio::select! {
        greeted = timeout(shared.options.head_within, greeting) => greeted,
        // Somebody with a request needs the place.
        () = place.gone().cancelled_owned() => return,
    };
    match greeted {
        Ok(Ok(stream)) => talk(stream, peer, &place, filter, &shared, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not get as far as TLS"),
        Err(_) => tracing::debug!("a connection took too long to agree on TLS"),
    }
}

/// Requests and answers over a connection that stands.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    place: &Place,
    filter: BoxedFilter<(Response,)>,
    shared: &Shared,
    stop: CancellationToken,
) {
    let options = &shared.options;
    let routed = TowerToHyperService::new(warp::service(filter));
    let caller = Caller { address: peer.ip() };
    let admission = &shared.admission;
    let (worker, gone) = (place.worker(), place.gone());
    let service = service_fn(|mut request: Request<Incoming>| {
        let work = worker.begin();
        let welcome = admission.front(request.uri(), request.headers());
        request.extensions_mut().insert(caller);
        let (routed, metrics) = (routed.clone(), options.metrics.clone());
        async move {
            let answer = match welcome {
                Ok(()) => routed.call(request).await,
                Err(rejection) => Ok(rejection.into_response()),
            };
            if let Ok(answer) = &answer {
                let class = answer.status().as_u16() / 100;
                metrics.observe(Observation::Answered { class });
                if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                    metrics.observe(Observation::LimitHit(Limit::Requests));
                }
            }
            // Until the last byte of the answer is sent.
            answer.map(|answer| answer.map(|body| work.until_sent(body)))
        }
    });
    let io = TokioIo::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_within)
        .max_buf_size(64 << 10)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Somebody with a request needs the place.
        () = gone.cancelled() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that vanish or talk nonsense are daily bread.
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn turn_away(mut stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 46\r\nconnection: close\r\nretry-after: 1\r\n\r\n{\"detail\":\"the node is busy; try again later\"}";
    let answering = async {
        let mut head = [0; 8192];
        // The request is read, so that closing does not destroy the answer on its way.
        let _read: usize = stream.read(&mut head).await?;
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        while stream.read(&mut head).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    match timeout(Duration::from_secs(2), answering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection that was turned away broke"),
        Err(_) => tracing::debug!("a connection that was turned away did not close"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_busy_answer_has_the_length_it_claims() {
        assert_eq!(
            r#"{"detail":"the node is busy; try again later"}"#.len(),
            46
        );
    }
}
