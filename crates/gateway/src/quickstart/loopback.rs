use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, task::JoinSet};

/// A router on a free loopback port, until it is dropped.
#[derive(Debug)]
pub(super) struct Loopback {
    address: SocketAddr,
    _task: JoinSet<io::Result<()>>,
}

impl Loopback {
    pub(super) async fn serve(router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Self::serve_on(listener, router)
    }

    pub(super) fn serve_on(listener: TcpListener, router: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        // Head and event are written apart, and the second is not to wait for the first.
        let listener = listener.tap_io(|stream| {
            // Where it cannot be set, answers are slower and no less right.
            let _set = stream.set_nodelay(true);
        });
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            _task: task,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}
