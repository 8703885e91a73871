use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use gatewright_core::{JsonError, JsonLimits, json};
use gatewright_egress::{Class, Egress, FetchError, FetchLimits};
use serde_json::{Map, Value};
use url::Url;

use crate::{FetchKeys, KeySet, ParseKeySetError};

/// Why an issuer's keys could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchKeysError {
    /// Nothing came back.
    #[error("`{url}` {source}")]
    Fetch {
        /// From where.
        url: String,
        /// Why.
        source: FetchError,
    },
    /// Another status than 200.
    #[error("`{url}` answered with status {status}")]
    Status {
        /// From where.
        url: String,
        /// Which.
        status: u16,
    },
    /// Not a JSON object.
    #[error("`{url}` answered with no acceptable JSON object")]
    Json {
        /// From where.
        url: String,
        /// What is wrong with it, if it is about the text.
        source: Option<JsonError>,
    },
    /// Not a key set.
    #[error("`{url}`: {source}")]
    KeySet {
        /// From where.
        url: String,
        /// What is wrong with it.
        source: ParseKeySetError,
    },
    /// The issuer's metadata is not what it must be (RFC 8414 §3.3, OpenID Connect Discovery §4.3).
    #[error("the metadata of `{issuer}` {problem}")]
    Metadata {
        /// Whose.
        issuer: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Fetches a JSON object.
///
/// # Errors
/// [`FetchKeysError`] when it cannot be had or is no object.
pub async fn fetch_document(
    egress: &Egress,
    class: Class,
    url: &Url,
) -> Result<Map<String, Value>, FetchKeysError> {
    let body = fetch(egress, class, url).await?;
    let invalid = |source| FetchKeysError::Json {
        url: url.to_string(),
        source,
    };
    let text = json::check(&body, &JsonLimits::default()).map_err(|error| invalid(Some(error)))?;
    serde_json::from_str(text).map_err(|_no_object| invalid(None))
}

/// Fetches a key set.
///
/// # Errors
/// [`FetchKeysError`] when it cannot be had or is no key set.
pub async fn fetch_keys(
    egress: &Egress,
    class: Class,
    url: &Url,
) -> Result<KeySet, FetchKeysError> {
    let body = fetch(egress, class, url).await?;
    KeySet::parse(&body).map_err(|source| FetchKeysError::KeySet {
        url: url.to_string(),
        source,
    })
}

async fn fetch(egress: &Egress, class: Class, url: &Url) -> Result<Bytes, FetchKeysError> {
    let fetched = egress.get(class, url, FetchLimits::default()).await;
    let fetched = fetched.map_err(|source| FetchKeysError::Fetch {
        url: url.to_string(),
        source,
    })?;
    if fetched.status.as_u16() != 200 {
        return Err(FetchKeysError::Status {
            url: url.to_string(),
            status: fetched.status.as_u16(),
        });
    }
    Ok(fetched.body)
}

/// A key set at a URL that somebody configured.
#[derive(Clone)]
pub struct JwksUrl {
    egress: Arc<Egress>,
    class: Class,
    url: Url,
}

impl JwksUrl {
    /// A key set at `url`, which `class` chose.
    #[must_use]
    pub fn new(egress: &Egress, class: Class, url: Url) -> Self {
        Self {
            egress: Arc::new(egress.clone()),
            class,
            url,
        }
    }
}

#[async_trait]
impl FetchKeys for JwksUrl {
    async fn fetch(&self) -> Result<KeySet, FetchKeysError> {
        fetch_keys(&self.egress, self.class, &self.url).await
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwksUrl").field(&self.url.as_str()).finish()
    }
}
