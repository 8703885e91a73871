//! The way to a gateway that runs: its admin API, over the socket in its data directory.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::PathBuf};

use bytes::Bytes;
use clap::Args;
use gatewright_core::Subject;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::UnixStream, task::JoinSet};
use url::Url;

use super::{ConfigArgs, Failure, block_on, table};

/// The largest answer that is read as a whole.
const LARGEST: usize = 64 << 20;
/// So many items of a list are asked for at a time.
const PAGE: usize = 500;

/// Why a gateway did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error(
        "no gateway runs with the data directory `{}`, and nothing was changed: start one with `gatewright serve --config {}`",
        data_dir.display(),
        config.display()
    )]
    NotRunning { data_dir: PathBuf, config: PathBuf },
    #[error(
        "only root and the user that the gateway runs as may ask it, and nothing was changed: run this as one of them, as with `sudo`"
    )]
    Denied,
    #[error(
        "the gateway went away before it answered; whether it was done is not known: look with `list` or `audit tail`"
    )]
    Gone,
    #[error("the gateway does not answer: {0}")]
    Broken(String),
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Refused(String),
}

/// The gateway of a configuration file.
pub(super) struct Admin<'a> {
    config: &'a ConfigArgs,
}

impl<'a> Admin<'a> {
    pub(super) const fn new(config: &'a ConfigArgs) -> Self {
        Self { config }
    }

    /// Asks, and waits for the whole answer; `null` where there is none.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        block_on(async {
            let (_connection, answer) = self.send(method, path, &[], body).await?;
            whole(answer).await
        })
    }

    /// Asks, and hands over the answer as it comes. The connection lives as long as the set.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: String,
    ) -> Result<(JoinSet<()>, http::Response<Incoming>), Failure> {
        let (stream, operator) = self.connect().await?;
        let broken = |error: hyper::Error| AdminError::Broken(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the gateway ended");
            }
        });
        let request = Request::builder()
            .method(method)
            .uri(target(path, query)?)
            .header(header::HOST, "gatewright")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        // A peer that is not let in is closed upon before it is heard.
        let answer = sender.send_request(request).await.map_err(|error| {
            match error.is_incomplete_message() {
                true if operator => AdminError::Gone,
                true => AdminError::Denied,
                false => broken(error),
            }
        })?;
        if answer.status().is_success() {
            return Ok((tasks, answer));
        }
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let said = said(status, &body);
        Err(match status {
            StatusCode::NOT_FOUND => AdminError::Missing(said),
            _ => AdminError::Refused(said),
        }
        .into())
    }

    /// Looks for one thing; nothing where there is none.
    pub(super) fn find(&self, path: &[&str]) -> Result<Option<Value>, Failure> {
        match self.ask(Method::GET, path, None) {
            Ok(found) => Ok(Some(found)),
            Err(failure) => match failure.downcast_ref() {
                Some(AdminError::Missing(_)) => Ok(None),
                _ => Err(failure),
            },
        }
    }

    /// The items of a list, page by page, and at most so many.
    pub(super) fn items(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        block_on(async {
            let mut items = Vec::new();
            let mut page = query.to_vec();
            page.push(("limit", PAGE.to_string()));
            loop {
                let (_connection, answer) =
                    self.send(Method::GET, path, &page, String::new()).await?;
                let mut answer = whole(answer).await?;
                if let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) {
                    items.extend(more);
                }
                let next = answer.get("next").and_then(Value::as_str);
                let Some(next) = next.filter(|_| items.len() < most) else {
                    items.truncate(most);
                    return Ok(items);
                };
                page.retain(|(name, _)| *name != "cursor");
                page.push(("cursor", next.to_owned()));
            }
        })
    }

    /// The connection, and whether whoever runs this is let in: root, and the gateway's own user.
    async fn connect(&self) -> Result<(UnixStream, bool), Failure> {
        let settings = self.config.settings()?;
        let not_running = || AdminError::NotRunning {
            data_dir: settings.data_dir.clone(),
            config: self.config.config.clone(),
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => not_running(),
            io::ErrorKind::PermissionDenied => AdminError::Denied,
            _ => AdminError::Broken(error.to_string()),
        };
        let (path, _folder) = gatewright_console::path_to(&settings.data_dir).map_err(failed)?;
        let owner = fs::metadata(&path).map_err(failed)?.uid();
        let me = rustix::process::geteuid();
        let operator = me.is_root() || me.as_raw() == owner;
        let stream = UnixStream::connect(path).await.map_err(failed)?;
        Ok((stream, operator))
    }
}

/// The whole of an answer; `null` where there is nothing in it.
pub(super) async fn whole(answer: http::Response<Incoming>) -> Result<Value, Failure> {
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| AdminError::Broken(error.to_string()))?;
    let body = body.to_bytes();
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|error| AdminError::Broken(error.to_string()).into())
}

fn target(path: &[&str], query: &[(&str, String)]) -> Result<String, Failure> {
    let mut url = Url::parse("http://gatewright/api/v1")?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let query = url.query().map(|query| format!("?{query}"));
    Ok(format!("{}{}", url.path(), query.unwrap_or_default()))
}

/// The detail of a problem (RFC 9457).
fn said(status: StatusCode, body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = document
        .get("detail")
        .and_then(Value::as_str)
        .map(ToOwned::to_owned);
    detail.unwrap_or_else(|| format!("the gateway answered {status}"))
}

/// Of which tenant.
#[derive(Debug, Args)]
pub(super) struct TenantArgs {
    /// The tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) tenant: String,
    /// The issuer whose tokens name the person or agent so, or `local` for who has API keys only; the tenant's only one, or
    /// `local` where it has none, if left out
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

impl TenantArgs {
    /// Somebody of the tenant, by the id that tokens have.
    pub(super) fn subject(&self, admin: &Admin<'_>, id: &str) -> Result<Subject, Failure> {
        if let Some(issuer) = &self.issuer {
            return Ok(Subject::new(issuer, id));
        }
        let status = admin.ask(Method::GET, &["status"], None)?;
        let tenant = table::items(&status, "tenants")
            .iter()
            .find(|tenant| tenant.get("name").is_some_and(|name| *name == self.tenant))
            .ok_or_else(|| format!("there is no tenant `{}`", self.tenant))?;
        match table::items(tenant, "issuers") {
            [only] => Ok(Subject::new(only.as_str().unwrap_or_default(), id)),
            [] => Ok(Subject::new(Subject::LOCAL, id)),
            several => {
                let names: Vec<String> = several.iter().map(|name| format!("{name}")).collect();
                let names = names.join(", ");
                Err(
                    format!("the tenant has several issuers: add `--issuer`, one of {names}")
                        .into(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        let owner = "user:https://idp.example/a|b/../c?d";
        let path = target(&["tenants", "default", owner], &[("n", "1&2".into())]).unwrap();
        let owner = "user:https:%2F%2Fidp.example%2Fa|b%2F..%2Fc%3Fd";
        assert_eq!(path, format!("/api/v1/tenants/default/{owner}?n=1%262"));
    }
}
