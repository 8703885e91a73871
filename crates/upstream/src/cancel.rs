use std::time::Duration;

use bytes::Bytes;
use gatewright_core::{Call, CallKind};
use gatewright_wire::{Era, headers::MCP_SESSION_ID};
use http::{HeaderMap, Method, Request, Uri, header};
use http_body_util::Full;
use tokio_util::task::TaskTracker;

use crate::service::Client;

/// How long a cancellation may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells a legacy server that nobody waits for a call any more, unless the call is [answered](Self::answered).
///
/// In the modern era closing the stream is the cancellation; in the legacy era it is a message of its own
/// (2025-11-25, Cancellation).
pub(crate) struct CancelOnDrop(Option<Cancellation>);

struct Cancellation {
    client: Client,
    tasks: TaskTracker,
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
        Self(call.id().filter(|_| cancellable).map(|id| Cancellation {
            client: client.clone(),
            tasks: tasks.clone(),
            url: url.clone(),
            headers: headers.clone(),
            id: id.as_json().to_owned(),
        }))
    }

    /// The server has answered, or will not.
    pub(crate) fn answered(&mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(Cancellation {
            client,
            tasks,
            url,
            mut headers,
            id,
        }) = self.0.take()
        else {
            return;
        };
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the client has gone"}}}}"#
        );
        headers.remove(header::CONTENT_LENGTH);
        let mut request = Request::new(Full::new(Bytes::from(message)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        tasks.spawn(async move {
            if tokio::time::timeout(PATIENCE, client.request(request))
                .await
                .is_err()
            {
                tracing::debug!("a cancellation was not taken in time");
            }
        });
    }
}
