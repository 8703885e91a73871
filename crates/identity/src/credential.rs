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

/// What the `Authorization` header holds, if its scheme is `Bearer` (RFC 6750 §2.1, in any case: RFC 9110 §11.1).
///
/// # Errors
/// A rejection where the scheme is `Bearer` and what follows can be no token: it was meant as one, so nobody else is
/// asked what it might be.
pub(crate) fn bearer(parts: &Parts) -> Result<Option<&str>, Rejection> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    let (scheme, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = std::str::from_utf8(rest).map(|rest| rest.trim_matches([' ', '\t']));
    match token {
        // Without a way out in the middle, many bytes are looked at together.
        Ok(token)
            if !token.is_empty()
                && token
                    .bytes()
                    .fold(true, |all, byte| all & byte.is_ascii_graphic()) =>
        {
            Ok(Some(token))
        }
        _ => Err(Rejection {
            fault: Fault::Caller,
            code: "malformed-token",
            message: "the Authorization header holds no token".to_owned(),
        }),
    }
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
        ] {
            assert_eq!(bearer(&parts("/", &[value])), Ok(token), "{value}");
        }
        assert_eq!(bearer(&parts("/", &[])), Ok(None));
    }

    #[test]
    fn what_was_meant_as_a_token_is_nobody_elses() {
        for value in [
            &b"Bearer"[..],
            b"bearer ",
            b"Bearer a b",
            b"Bearer\ta\tb",
            b"Bearer \xff\xfe",
        ] {
            let mut parts = parts("/", &[]);
            let value = http::HeaderValue::from_bytes(value).unwrap();
            parts.headers.insert(header::AUTHORIZATION, value);
            assert_eq!(bearer(&parts).unwrap_err().code, "malformed-token");
        }
    }
}
