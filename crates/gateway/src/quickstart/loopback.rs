use std::{io, net::SocketAddr};

use axum::Router;
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
