use std::{error::Error, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::{client::legacy, rt::TokioExecutor, rt::TokioTimer};
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use url::Url;

use crate::{
    connector::{ConnectError, Connector, connector},
    guard::{Class, Forbidden, Guard},
};

/// Bounds on one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// The largest body, in bytes.
    pub max_bytes: usize,
    /// The time for everything, from the name's resolution to the last byte.
    pub timeout: Duration,
}

impl Default for FetchLimits {
    /// 256 KiB in 10 seconds.
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The status; redirects are statuses like others, and are not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL may not be fetched.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no connection, or it broke.
    #[error("cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("took too long")]
    Timeout,
    /// The body is larger than allowed.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// The client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Egress {
    guard: Arc<Guard>,
    roots: Arc<[CertificateDer<'static>]>,
    connect_timeout: Duration,
    operator: legacy::Client<Connector, Full<Bytes>>,
    foreign: legacy::Client<Connector, Full<Bytes>>,
}

impl Egress {
    /// With nothing allowed but `https` to the public internet.
    #[must_use]
    pub fn builder() -> EgressBuilder {
        EgressBuilder {
            allow: Vec::new(),
            development: false,
            roots: Vec::new(),
            connect_timeout: Duration::from_secs(5),
        }
    }

    /// What decides.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// A connector under the same guard, for clients that stream.
    #[must_use]
    pub fn connector(&self, class: Class) -> Connector {
        connector(
            Arc::clone(&self.guard),
            class,
            self.connect_timeout,
            &self.roots,
        )
    }

    /// Fetches a document.
    ///
    /// # Errors
    /// [`FetchError`]; every status is an answer and no error.
    pub async fn get(
        &self,
        class: Class,
        url: &Url,
        limits: FetchLimits,
    ) -> Result<Fetched, FetchError> {
        self.guard.check_url(class, url)?;
        let request = Request::get(url.as_str())
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static("gatewright"))
            .body(Full::default());
        let Ok(request) = request else {
            return Err(Forbidden::Host.into());
        };
        let client = match class {
            Class::Operator => &self.operator,
            Class::Foreign => &self.foreign,
        };
        let fetch = async {
            let answer = client
                .request(request)
                .await
                .map_err(|error| cause(&error))?;
            let (parts, body) = answer.into_parts();
            let body = match Limited::new(body, limits.max_bytes).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(FetchError::TooLarge {
                        limit: limits.max_bytes,
                    });
                }
                Err(_) => return Err(FetchError::Unreachable),
            };
            Ok(Fetched {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        match tokio::time::timeout(limits.timeout, fetch).await {
            Ok(fetched) => fetched,
            Err(_elapsed) => Err(FetchError::Timeout),
        }
    }
}

/// What hyper's client wraps, found again.
fn cause(error: &legacy::Error) -> FetchError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = source {
        match error.downcast_ref::<ConnectError>() {
            Some(ConnectError::Forbidden(forbidden)) => {
                return FetchError::Forbidden(forbidden.clone());
            }
            Some(ConnectError::Timeout) => return FetchError::Timeout,
            _ => source = error.source(),
        }
    }
    FetchError::Unreachable
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

/// Settings of an [`Egress`].
#[derive(Clone, Debug)]
pub struct EgressBuilder {
    allow: Vec<IpNet>,
    development: bool,
    roots: Vec<CertificateDer<'static>>,
    connect_timeout: Duration,
}

impl EgressBuilder {
    /// Networks that URLs of the operator may lead to, besides the public internet.
    #[must_use]
    pub fn allow(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.allow.extend(networks);
        self
    }

    /// Opens loopback, also to plain `http`. For development: on a server it lets callers reach what listens there.
    #[must_use]
    pub const fn development(mut self, on: bool) -> Self {
        self.development = on;
        self
    }

    /// Certificates to trust besides those of the public authorities.
    #[must_use]
    pub fn trust(mut self, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.roots.extend(roots);
        self
    }

    /// The time for resolving a name and connecting; 5 seconds unless said otherwise.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The client.
    #[must_use]
    pub fn build(self) -> Egress {
        let guard = Arc::new(Guard::new(self.allow, self.development));
        let client = |class| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_max_idle_per_host(4)
                .build(connector(
                    Arc::clone(&guard),
                    class,
                    self.connect_timeout,
                    &self.roots,
                ))
        };
        Egress {
            operator: client(Class::Operator),
            foreign: client(Class::Foreign),
            roots: self.roots.into(),
            connect_timeout: self.connect_timeout,
            guard,
        }
    }
}

#[cfg(test)]
mod tests;
