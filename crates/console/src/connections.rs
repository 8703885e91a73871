//! The accept loop: operators' connections in bounded number and time, and none that keeps the gateway from its end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, serve::Listener as _};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::UnixStream, sync::Semaphore, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{AdminSocket, Operator};

/// At a time. Those beyond wait in the kernel's queue.
const MOST: usize = 64;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long answers may take once the gateway stops.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers until it is told to stop, and for a moment longer those who have asked already.
pub(crate) async fn serve(mut socket: AdminSocket, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, socket.accept().await)
        };
        let (place, (stream, operator)) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let watcher = graceful.watcher();
        let serving = watcher.watch(connection(stream, operator, router.clone()));
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection of an operator broke");
            }
        });
    }
    drop(socket);
    if timeout(PATIENCE, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "operators who do not end what they ask, or do not read answers, are cut off"
        );
    }
    connections.shutdown().await;
}

fn connection(
    stream: UnixStream,
    operator: Operator,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(operator));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
}
