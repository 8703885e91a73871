use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};

/// A router on a free loopback port, until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    _task: Arc<JoinSet<()>>,
}

impl Listening {
    pub(crate) async fn start(router: impl FnOnce(SocketAddr) -> Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let router = router(address);
        let mut task = JoinSet::new();
        task.spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("axum serves until it is dropped");
        });
        Self {
            address,
            _task: Arc::new(task),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
