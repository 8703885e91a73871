use std::fmt;

use gatewright_wire::code;
use serde_json::Value;

use crate::quickstart::client::{Answer, SendError};

/// What a step expected, and what it got instead.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::quickstart) struct Mismatch {
    pub(in crate::quickstart) expected: String,
    pub(in crate::quickstart) got: String,
}

impl Mismatch {
    pub(in crate::quickstart) fn new(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self {
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }
}

impl From<SendError> for Mismatch {
    fn from(error: SendError) -> Self {
        Self::new("an answer", error)
    }
}

/// Compares, and says both where they differ.
pub(in crate::quickstart) fn same<T>(what: &str, expected: &T, got: &T) -> Result<(), Mismatch>
where
    T: PartialEq + fmt::Display + ?Sized,
{
    if expected == got {
        return Ok(());
    }
    Err(Mismatch::new(format_args!("{what} {expected}"), got))
}

/// How a tool call ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The tool answered this text.
    Result(String),
    /// The gateway's one error for a denial.
    Denied {
        /// Leads to the record.
        reference: String,
    },
    /// Anything else.
    Other(String),
}

impl Outcome {
    pub(super) fn of(answer: &Answer) -> Self {
        let at = |pointer| answer.message.pointer(pointer);
        let text = at("/result/content/0/text").and_then(Value::as_str);
        let failed = at("/result/isError")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let denied = at("/error/code").and_then(Value::as_i64) == Some(code::DENIED)
            && at("/error/message").and_then(Value::as_str) == Some("denied by policy");
        let reference = at("/error/data/reference").and_then(Value::as_str);
        match (answer.status.as_u16(), text, reference) {
            (200, Some(text), None) if !failed => Self::Result(text.to_owned()),
            (200, None, Some(reference)) if denied => Self::Denied {
                reference: reference.to_owned(),
            },
            _ => Self::Other(format!("{}  {}", answer.status, answer.message)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(text) => f.write_str(&text.replace('\n', ", ")),
            Self::Denied { reference } => {
                write!(
                    f,
                    "{} denied by policy, reference {reference}",
                    code::DENIED
                )
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The names in an answer to `tools/list`, in its order.
pub(super) fn tools_in(answer: &Answer) -> Result<Vec<String>, Mismatch> {
    let tools = answer
        .message
        .pointer("/result/tools")
        .and_then(Value::as_array);
    let Some(tools) = tools.filter(|_| answer.status.is_success()) else {
        return Err(Mismatch::new(
            "a list of tools",
            format_args!("{}  {}", answer.status, answer.message),
        ));
    };
    let names = tools.iter().filter_map(|tool| tool.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    fn answer(status: u16, message: Value) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            message,
        }
    }

    #[test]
    fn only_the_one_fixed_error_counts_as_a_denial() {
        let denial = |status, code, message| {
            let error = json!({"code": code, "message": message, "data": {"reference": "r"}});
            Outcome::of(&answer(status, json!({"error": error})))
        };
        assert_eq!(
            denial(200, code::DENIED, "denied by policy"),
            Outcome::Denied {
                reference: "r".to_owned()
            }
        );
        for other in [
            denial(403, code::DENIED, "denied by policy"),
            denial(200, code::DENIED, "Ben may not pay"),
            denial(200, -32602, "denied by policy"),
        ] {
            assert!(matches!(other, Outcome::Other(_)), "{other}");
        }
    }

    #[test]
    fn a_tool_that_fails_is_not_a_result() {
        let text = json!([{"type": "text", "text": "no such invoice"}]);
        let failed = answer(200, json!({"result": {"isError": true, "content": text}}));
        assert!(matches!(Outcome::of(&failed), Outcome::Other(_)));
        let good = answer(200, json!({"result": {"content": text}}));
        assert_eq!(
            Outcome::of(&good),
            Outcome::Result("no such invoice".to_owned())
        );
    }

    #[test]
    fn a_difference_names_both_sides() {
        assert_eq!(same("status", &401, &401), Ok(()));
        assert_eq!(
            same("status", &401, &200),
            Err(Mismatch::new("status 401", "200"))
        );
    }
}
