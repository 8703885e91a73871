//! The answers to requests without a principal.

use gatewright_core::{
    AnswerBody, AuthenticateError, Fault, Refused, Rejection, Route, bearer_challenge,
    json_rpc_refusal, miswired,
};
use gatewright_wire::code;
use http::{HeaderValue, Response, StatusCode, header};

/// Why there is no principal, as records name it.
pub(crate) fn refused(error: &AuthenticateError) -> Refused {
    let code = match error {
        AuthenticateError::NoCredential => "no-credential",
        AuthenticateError::Rejected(rejection) => rejection.code,
        AuthenticateError::Disabled(_) => "disabled",
        AuthenticateError::Unknown(_) => "unknown-subject",
        AuthenticateError::Undecided(_) => "directory-stale",
        AuthenticateError::Expired => "expired",
        AuthenticateError::Withdrawn => "withdrawn",
        AuthenticateError::NoRoute => "miswired",
        // A reason of a kind that this layer does not know is a refusal.
        _ => "refused",
    };
    Refused {
        layer: "identity",
        code,
    }
}

/// 401 with where to get a token (RFC 9728 §5.1), 400 for a malformed credential (RFC 6750 §3.1), 503 where it cannot
/// be checked.
pub(crate) fn answer(route: &Route, error: &AuthenticateError) -> Response<AnswerBody> {
    let rejection = match error {
        AuthenticateError::NoRoute => return miswired("identity", "Route"),
        AuthenticateError::NoCredential => {
            let message =
                "a credential is needed: send an access token in the Authorization header";
            let mut answer = refusal(
                StatusCode::UNAUTHORIZED,
                error,
                code::INVALID_REQUEST,
                message,
            );
            challenge(&mut answer, route, None);
            return answer;
        }
        AuthenticateError::Rejected(rejection) => rejection.clone(),
        AuthenticateError::Undecided(_) => Rejection {
            fault: Fault::Unavailable,
            code: "",
            message: "it cannot be checked at present who you are; try again soon".to_owned(),
        },
        // Who is switched off, or known to nobody, learns no more than that the credential does not work any longer.
        _ => Rejection {
            fault: Fault::Caller,
            code: "",
            message: "the credential is no longer valid".to_owned(),
        },
    };
    let (status, json_rpc, problem) = match rejection.fault {
        Fault::Request => (
            StatusCode::BAD_REQUEST,
            code::INVALID_REQUEST,
            "invalid_request",
        ),
        Fault::Unavailable => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let mut answer = refusal(status, error, code::UNDECIDED, &rejection.message);
            let soon = HeaderValue::from_static("5");
            answer.headers_mut().insert(header::RETRY_AFTER, soon);
            return answer;
        }
        // A fault of a kind that this layer does not know is the caller's: nobody gets in by it.
        _ => (
            StatusCode::UNAUTHORIZED,
            code::INVALID_REQUEST,
            "invalid_token",
        ),
    };
    let mut answer = refusal(status, error, json_rpc, &rejection.message);
    challenge(&mut answer, route, Some((problem, &rejection.message)));
    answer
}

fn refusal(
    status: StatusCode,
    error: &AuthenticateError,
    json_rpc: i64,
    message: &str,
) -> Response<AnswerBody> {
    json_rpc_refusal(status, refused(error), None, json_rpc, message, None)
}

fn challenge(
    answer: &mut Response<AnswerBody>,
    route: &Route,
    problem: Option<(&'static str, &str)>,
) {
    // The scopes of a first token: nobody's first use depends on a step-up.
    let scopes = route.base_scopes().join(" ");
    let (error, description) = problem.unwrap_or_default();
    let value = bearer_challenge(&[
        ("resource_metadata", route.metadata_url()),
        ("scope", &scopes),
        ("error", error),
        ("error_description", description),
    ]);
    if let Some(value) = value {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::{ScopeRule, Subject};

    use super::*;

    fn route() -> Route {
        Route::single("s", "https://gw.example/mcp/s")
            .unwrap()
            .map_profile(|profile| {
                profile.scopes = vec![ScopeRule {
                    targets: vec![],
                    scopes: vec!["mcp:read".into(), "bad\"scope".into()],
                }];
            })
    }

    fn rejected(fault: Fault) -> AuthenticateError {
        AuthenticateError::Rejected(Rejection {
            fault,
            code: "expired",
            message: "the token has expired, \"planted\", error=\"x\"".into(),
        })
    }

    fn challenge_of(error: &AuthenticateError) -> (u16, Option<String>) {
        let answer = answer(&route(), error);
        let header = answer.headers().get(header::WWW_AUTHENTICATE);
        let challenge = header.map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    }

    #[test]
    fn a_challenge_says_where_to_get_a_token_and_for_what() {
        let (status, challenge) = challenge_of(&AuthenticateError::NoCredential);
        assert_eq!(status, 401);
        assert_eq!(
            challenge.unwrap(),
            "Bearer resource_metadata=\"https://gw.example/.well-known/oauth-protected-resource/mcp/s\", \
             scope=\"mcp:read badscope\""
        );
    }

    #[test]
    fn a_rejected_token_is_named_as_such_and_cannot_break_out_of_the_quotes() {
        let (status, challenge) = challenge_of(&rejected(Fault::Caller));
        assert_eq!(status, 401);
        let challenge = challenge.unwrap();
        assert!(
            challenge.ends_with(
                "error=\"invalid_token\", error_description=\"the token has expired, planted, error=x\""
            ),
            "{challenge}"
        );
    }

    #[test]
    fn each_fault_has_its_status() {
        assert_eq!(challenge_of(&rejected(Fault::Request)).0, 400);
        let (status, challenge) = challenge_of(&rejected(Fault::Unavailable));
        assert_eq!((status, challenge), (503, None));
        let gone = AuthenticateError::Disabled(Subject::new("i", "ann"));
        let (status, challenge) = challenge_of(&gone);
        assert_eq!(status, 401);
        assert!(!challenge.unwrap().contains("ann"));
        assert_eq!(challenge_of(&AuthenticateError::Expired).0, 401);
        assert_eq!(challenge_of(&AuthenticateError::NoRoute).0, 500);
    }
}
