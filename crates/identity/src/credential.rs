//! Where a credential may be in a request, and what of it is malformed.

use gatewright_core::{Fault, Rejection};
use http::{header, request::Parts};

/// Refuses requests whose credential nobody could point at: more than one `Authorization` (which of them decides?),
/// or a token in the query, which ends up in logs and histories (RFC 6750 §5.3, OAuth 2.1 §5.1.1).
pub(crate) fn check(parts: &Parts) -> Result<(), Rejection> {
    let malformed = |code, message: &str| {
        Err(Rejection {
            fault: Fault::Request,
            code,
            message: message.to_owned(),
        })
    };
    let mut given = parts.headers.get_all(header::AUTHORIZATION).iter();
    if given.next().is_some() && given.next().is_some() {
        return malformed(
            "several-credentials",
            "more than one Authorization header was sent: send one",
        );
    }
    if parts.uri.query().is_some_and(names_a_token) {
        return malformed(
            "token-in-query",
            "a token in the URL is not taken: send it in the Authorization header",
        );
    }
    Ok(())
}

fn names_a_token(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

/// What is in the `Authorization` header, if its scheme is `Bearer` (RFC 6750 §2.1, in any case: RFC 9110 §11.1).
pub(crate) fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?;
    // What is not even text has no scheme that we know.
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| rest.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, authorization: &[&str]) -> Parts {
        let mut request = Request::get(uri);
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn one_header_is_a_credential_and_two_are_none() {
        assert!(check(&parts("/mcp", &[])).is_ok());
        assert!(check(&parts("/mcp", &["Bearer a"])).is_ok());
        for two in [["Bearer a", "Bearer a"], ["Basic a", "Bearer b"]] {
            let refused = check(&parts("/mcp", &two)).unwrap_err();
            assert_eq!(refused.code, "several-credentials");
        }
    }

    #[test]
    fn a_token_in_the_query_is_seen_through_its_encoding() {
        assert!(check(&parts("/mcp?a=access_token", &[])).is_ok());
        for query in [
            "access_token=x",
            "a=b&access_token=x",
            "access%5Ftoken=x",
            "access_token",
        ] {
            let refused = check(&parts(&format!("/mcp?{query}"), &[])).unwrap_err();
            assert_eq!(
                (refused.code, refused.fault),
                ("token-in-query", Fault::Request)
            );
        }
    }

    #[test]
    fn only_the_bearer_scheme_is_read() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer   abc", Some("abc")),
            ("Basic abc", None),
            ("Bearerabc", None),
            ("Bearer", None),
        ] {
            assert_eq!(bearer(&parts("/", &[value])), token, "{value}");
        }
    }
}
