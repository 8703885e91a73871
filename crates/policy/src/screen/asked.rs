//! Requests to the client that stand within results and errors.

use gatewright_core::{Call, PolicyEngine};
use gatewright_wire::{Envelope, Era, Id, code, json};

use super::{Members, Passage, Screen, Unfit, text, unreadable};
use crate::service::is_relayed;

/// How many requests one message may put to the client; each costs a decision.
const MOST: usize = 100;

impl<E: PolicyEngine> Screen<E> {
    /// `inputRequests` of a result or a task (2026-07-28): one that is denied denies the whole.
    pub(super) async fn input_requests(&self, within: &Members<'_>) -> Result<(), Unfit> {
        let Some(requests) = within.find("inputRequests")?.filter(|text| *text != "null") else {
            return Ok(());
        };
        let requests = json::members(requests)
            .ok_or_else(|| Unfit::Unreadable("`inputRequests` is no object".to_owned()))?;
        if requests.len() > MOST {
            return Err(Unfit::Unreadable("too many input requests".to_owned()));
        }
        for (key, request) in requests {
            self.input_request(&key, request).await?;
        }
        Ok(())
    }

    async fn input_request(&self, key: &str, request: &str) -> Result<(), Unfit> {
        let request = Members::of(request);
        let method = request
            .find("method")?
            .ok_or_else(|| Unfit::Unreadable("an input request has no method".to_owned()))?;
        let params = request
            .find("params")?
            .map_or_else(String::new, |params| format!(r#","params":{params}"#));
        let id = Id::string(key);
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method}{params}}}"#);
        // The requests themselves are those of 2025-11-25, which sent them as messages of their own.
        let route = self.call.route();
        let call = Call::from_server(route, Era::Legacy, message.into(), &self.limits)
            .map_err(unreadable)?;
        if call.info().is_none() && !is_relayed(&call) {
            return Err(Unfit::Denied(
                "the server asks the client for something unknown".to_owned(),
            ));
        }
        self.may_send(&call).await
    }

    /// `-32042` sends the client to URLs (2025-11-25): elicitation by another name.
    pub(super) async fn error(&self, call: &Call, envelope: &Envelope) -> Result<Passage, Unfit> {
        let error = Members::of(text(call.bytes(), envelope.error_range()));
        let number = error
            .find("code")?
            .and_then(|code| code.parse::<f64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "error codes are small")]
        let sends_to_url = number == Some(code::URL_ELICITATION_REQUIRED as f64);
        if !sends_to_url {
            return Ok(Passage::Untouched);
        }
        let none = || Unfit::Unreadable("no elicitations in the error".to_owned());
        let data = Members::of(error.find("data")?.ok_or_else(none)?);
        let elicitations = data
            .find("elicitations")?
            .and_then(json::items)
            .filter(|elicitations| elicitations.len() <= MOST)
            .ok_or_else(none)?;
        for params in elicitations {
            let request = format!(r#"{{"method":"elicitation/create","params":{params}}}"#);
            self.input_request("url", &request).await?;
        }
        Ok(Passage::Untouched)
    }
}
