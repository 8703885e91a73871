use std::time::Duration;

use bytes::Bytes;
use gatewright_core::{Call, CallKind};
use gatewright_wire::{Era, headers::MCP_SESSION_ID};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::service::Client;

/// How long a cancellation may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells a legacy server that nobody waits for a call any more, unless it is [disarmed](Self::disarm) before.
///
/// In the modern era closing the stream is the cancellation; in the legacy era it is a message of its own
/// (2025-11-25, Cancellation).
pub(crate) struct CancelOnDrop(Option<Cancellation>);

struct Cancellation {
    client: Client,
    tasks: TaskTracker,
    // A body may be dropped anywhere, also where no runtime is entered.
    runtime: Handle,
    url: Uri,
    headers: HeaderMap,
    id: String,
}

impl CancelOnDrop {
    /// For calls that can be cancelled; for others it does nothing.
    pub(crate) fn new(
        client: &Client,
        tasks: &TaskTracker,
        url: &Uri,
        headers: &HeaderMap,
        call: &Call,
    ) -> Self {
        let cancellable = call.era() == Era::Legacy
            && call.kind() == CallKind::Request
            && call.method() != Some("initialize")
            && headers.contains_key(&MCP_SESSION_ID);
        let (Some(id), Ok(runtime)) = (call.id().filter(|_| cancellable), Handle::try_current())
        else {
            return Self(None);
        };
        Self(Some(Cancellation {
            client: client.clone(),
            tasks: tasks.clone(),
            runtime,
            url: url.clone(),
            headers: headers.clone(),
            id: id.as_json().to_owned(),
        }))
    }

    /// The server has answered, or cannot be told, or the client may come back for the answer.
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }

    /// Tells it now.
    pub(crate) fn fire(&mut self) {
        let Some(cancellation) = self.0.take() else {
            return;
        };
        let Cancellation {
            client,
            tasks,
            runtime,
            url,
            headers,
            id,
        } = cancellation;
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"nobody waits for it"}}}}"#
        );
        let mut request = Request::new(Full::new(Bytes::from(message)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        let sent = async move {
            let sent = tokio::time::timeout(PATIENCE, client.request(request)).await;
            if !matches!(sent, Ok(Ok(_))) {
                tracing::debug!("a cancellation was not taken");
            }
        };
        tasks.spawn_on(sent, &runtime);
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.fire();
    }
}
