//! The answers that the layer gives by itself.

use std::time::Duration;

use gatewright_core::{AnswerBody, Draft, Refused, json_rpc_refusal};
use gatewright_wire::{Id, code};
use http::{HeaderValue, Response, header};
use serde_json::json;

/// Why a request is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key asked too fast; so long until it may again.
    Rate(Duration),
    /// As many calls of the key as may be are under way, and none ended in time.
    Calls,
    /// As many streams of the key as may be stand open.
    Streams,
    /// All keys together are too much, or somebody who waited with less needed the place.
    Overloaded,
}

impl Refusal {
    fn refused(self) -> Refused {
        let code = match self {
            Self::Rate(_) => "rate-limited",
            Self::Calls => "too-many-calls",
            Self::Streams => "too-many-streams",
            Self::Overloaded => "overloaded",
        };
        Refused {
            layer: "guard",
            code,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Rate(_) => "too many requests: slow down",
            Self::Calls => "too many calls at a time: wait for some to end",
            Self::Streams => "too many open streams: close some",
            Self::Overloaded => "the gateway holds more than it can serve: try again",
        }
    }

    const fn code(self) -> i64 {
        match self {
            Self::Rate(_) | Self::Calls | Self::Streams => code::RATE_LIMITED,
            Self::Overloaded => code::OVERLOADED,
        }
    }

    /// In whole seconds (RFC 9110 §10.2.3), at least one, and never too early.
    fn retry_after(self) -> u64 {
        match self {
            Self::Rate(wait) => wait
                .as_secs()
                .saturating_add(u64::from(wait.subsec_nanos() > 0))
                .max(1),
            Self::Calls | Self::Streams | Self::Overloaded => 1,
        }
    }

    /// Notes the refusal in the draft, and answers.
    pub(super) fn answer(
        self,
        counted_by: &'static str,
        id: Option<&Id>,
        draft: Option<&Draft>,
    ) -> Response<AnswerBody> {
        let refused = self.refused();
        let data = draft.map(|draft| {
            draft.refuse_too_much(refused, Some(format!("counted by {counted_by}")));
            json!({"reference": draft.reference().to_string()})
        });
        let mut answer = json_rpc_refusal(
            code::status(self.code()),
            refused,
            id,
            self.code(),
            self.message(),
            data.as_ref(),
        );
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_never_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(
                Refusal::Rate(Duration::from_millis(millis)).retry_after(),
                seconds
            );
        }
    }
}
