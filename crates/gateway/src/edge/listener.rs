//! The accept loop: connections in bounded number and time, and none dropped by a drain.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Request, Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Answering, Certificate, Readers};
use crate::{config::Limits, metrics::Metrics};

/// How long a pause follows a failure to accept: the usual one, too many open files, does not end at once.
const PAUSE: Duration = Duration::from_millis(50);
/// The first bytes of every HTTP/2 connection (RFC 9113 §3.4).
const PREFACE_LEN: usize = 24;

/// What a listener needs besides its socket.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Certificate>,
    pub(crate) metrics: Metrics,
    /// Every task that is spawned.
    pub(crate) tasks: TaskTracker,
    /// Ends the accept loop.
    pub(crate) stop: CancellationToken,
}

/// A socket that is listened on.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, bounds: Bounds) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            bounds,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is stopped; ends when the last connection has, or when the drain has lasted long enough.
    pub(crate) async fn serve<F>(self, answer: F)
    where
        F: Fn(Request<Incoming>, SocketAddr) -> Answering + Clone + Send + Sync + 'static,
    {
        let Self { socket, bounds, .. } = self;
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(bounds.limits.connections));
        let http = Arc::new(http(&bounds.limits));
        // Cancelled when the drain has lasted long enough.
        let cut = CancellationToken::new();
        loop {
            // Beyond the limit, connections wait in the kernel's queue, which is bounded too.
            let accepted = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, socket.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = bounds.stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let counted = bounds.metrics.connection();
            let watcher = graceful.watcher();
            let tls = bounds.tls.as_ref().map(Certificate::acceptor);
            let (http, answer) = (Arc::clone(&http), answer.clone());
            let (limits, stop, cut) = (bounds.limits, bounds.stop.clone(), cut.clone());
            bounds.tasks.spawn(async move {
                let _held = (place, counted);
                let readers = Readers::default();
                let watched = readers.clone();
                let service = service_fn(move |mut request: Request<Incoming>| {
                    // On HTTP/1 a client that does not read holds the socket up.
                    if request.version() == Version::HTTP_2 {
                        request.extensions_mut().insert(watched.clone());
                    }
                    answer(request, peer)
                });
                let serving = async {
                    let handshake = timeout(limits.header_timeout, handshake(stream, tls));
                    let stream = tokio::select! {
                        stream = handshake => stream,
                        // Who has not said anything yet is not waited for.
                        () = stop.cancelled() => return,
                    };
                    let Ok(Ok(stream)) = stream else {
                        tracing::debug!(%peer, "no TLS handshake");
                        return;
                    };
                    let stream = TokioIo::new(Impatient::new(stream, &limits));
                    let connection = http.serve_connection(stream, service).into_owned();
                    if let Err(error) = watcher.watch(connection).await {
                        tracing::debug!(%peer, error, "a connection broke");
                    }
                };
                tokio::select! {
                    () = serving => {}
                    () = cut.cancelled() => {}
                    () = readers.stalled(limits.write_timeout) => {
                        tracing::debug!(%peer, "an answer was not read in time");
                    }
                }
            });
        }
        drop(socket);
        if timeout(bounds.limits.drain, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("the drain has lasted long enough: what is still under way is cut off");
            cut.cancel();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.address).finish()
    }
}

fn http(limits: &Limits) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        // Whoever closes their half has gone. Without that, nobody would know until the next byte for them: neither the
        // server whose call that cancels (2026-07-28), nor we, who hold their standing streams.
        .half_close(false);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}

/// A connection, plain or within TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn handshake(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Box<dyn Stream>> {
    // Events are small, and wait for nothing.
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Box::new(tls.accept(stream).await?)),
        None => Ok(Box::new(stream)),
    }
}

/// A connection that fails when it makes us wait. Its first bytes, which tell HTTP/1 from HTTP/2, must come in time:
/// hyper's own timeouts start after them. And what is written must be taken in time: a client that asks and does not
/// read holds its answer, and the place of its call at the server.
struct Impatient {
    stream: Box<dyn Stream>,
    patience: Option<Pin<Box<Sleep>>>,
    read: usize,
    write_timeout: Duration,
    /// Runs while something is to be written and nothing of it is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: Box<dyn Stream>, limits: &Limits) -> Self {
        Self {
            stream,
            patience: Some(Box::pin(sleep(limits.header_timeout))),
            read: 0,
            write_timeout: limits.write_timeout,
            stalled: None,
        }
    }

    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if let Some(patience) = &mut self.patience {
            if read.is_pending() && patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.read += into.filled().len().saturating_sub(before);
            if self.read >= PREFACE_LEN {
                self.patience = None;
            }
        }
        read
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
