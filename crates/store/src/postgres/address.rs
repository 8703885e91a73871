use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::OpenStoreError;

/// What our sessions are called at the server.
pub(super) const APPLICATION: &str = "gatewright";

/// How to reach the server that a URL names, over TLS unless it is on this machine.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, OpenStoreError> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Err(OpenStoreError::Url("it is of another scheme".into()));
    }
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| OpenStoreError::Url(error.into()))?;
    let options = options.application_name(APPLICATION);
    if is_here(&options) {
        return Ok(options);
    }
    match options.get_ssl_mode() {
        // `prefer` is what it is when nothing was said.
        PgSslMode::Prefer | PgSslMode::VerifyFull => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
        _weaker => Err(OpenStoreError::Insecure(options.get_host().to_owned())),
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_reached_over_verified_tls_only() {
        for url in [
            "postgres://gw@db.example/gw",
            "postgresql://gw@db.example/gw?sslmode=prefer",
            "postgres://gw@db.example/gw?sslmode=verify-full",
            "postgres://gw@10.0.0.7/gw",
            "postgres://gw@[2001:db8::1]/gw",
            "postgres://gw@localhost.example/gw",
            "postgres://gw@localhost/gw?host=db.example",
        ] {
            let mode = options(url).unwrap().get_ssl_mode();
            assert!(matches!(mode, PgSslMode::VerifyFull), "{url}: {mode:?}");
        }
        for mode in ["disable", "allow", "require", "verify-ca"] {
            let url = format!("postgres://gw:planted@db.example/gw?sslmode={mode}");
            let refused = options(&url).unwrap_err();
            assert!(matches!(refused, OpenStoreError::Insecure(_)), "{mode}");
            assert!(!refused.to_string().contains("planted"));
        }
    }

    #[test]
    fn this_machine_is_reached_as_it_likes() {
        for url in [
            "postgres://gw@127.0.0.1:5433/gw?sslmode=disable",
            "postgres://gw@localhost/gw?sslmode=disable",
            "postgres://gw@[::1]/gw?sslmode=disable",
            "postgres://gw@%2Fvar%2Frun%2Fpostgresql/gw?sslmode=disable",
        ] {
            let mode = options(url).unwrap().get_ssl_mode();
            assert!(matches!(mode, PgSslMode::Disable), "{url}: {mode:?}");
        }
    }

    #[test]
    fn what_is_no_url_of_postgres_is_refused_without_its_password() {
        for url in [
            "mysql://gw:planted@localhost/gw",
            "postgres://gw:planted@localhost:port/gw",
            "postgres://gw:planted@localhost/gw?sslmode=planted",
            "",
        ] {
            let refused = options(url).unwrap_err();
            assert!(matches!(refused, OpenStoreError::Url(_)), "{url}");
            assert!(!refused.to_string().contains("gw:planted"), "{refused}");
        }
    }
}
