//! Reads as whom calls reach a server.

use gatewright_core::{CredentialForm, CredentialMode, CredentialRule};
use http::{HeaderName, HeaderValue, header};

use super::{forms::ServerForm, reader::Reader};
use crate::config::document::Item;

impl<'t> Reader<'_, 't> {
    pub(super) fn credential(&mut self, item: &Item<'_, 't, ServerForm>) -> Option<CredentialRule> {
        let form = &item.value;
        let mode = form.credential;
        let is_program = form.command.is_some();
        let said = [
            ("credential_header", form.credential_header.is_some()),
            ("credential_prefix", form.credential_prefix.is_some()),
            ("credential_env", form.credential_env.is_some()),
        ];
        let mut fits = true;
        for (key, _) in said.into_iter().filter(|(_, said)| *said) {
            let (what, fix) = if mode == CredentialMode::None {
                let what = format!("`{key}` is set, and the server gets no credential");
                let fix = "add `credential = \"shared\"`, `\"per-user\"` or `\"per-agent\"`, or remove the key";
                (what, fix)
            } else if is_program && key != "credential_env" {
                let what = format!("`{key}` is set, and a process has no headers");
                (what, "name a variable with `credential_env` instead")
            } else if !is_program && key == "credential_env" {
                let what = "`credential_env` is set, and the server is no process".to_owned();
                (
                    what,
                    "use `credential_header` and `credential_prefix` for a server with a `url`",
                )
            } else {
                continue;
            };
            fits = false;
            self.problems.add(item.at(&[key]), what, fix);
        }
        if !fits {
            return None;
        }
        let form = match mode {
            CredentialMode::None => CredentialForm::default(),
            _ if is_program => CredentialForm::Environment {
                variable: self.credential_variable(item)?,
            },
            _ => self.credential_header(item)?,
        };
        Some(CredentialRule { mode, form })
    }

    fn credential_variable(&mut self, item: &Item<'_, 't, ServerForm>) -> Option<String> {
        let Some(variable) = item.value.credential_env.clone() else {
            self.problems.add(
                item.at(&["credential"]),
                "nothing says how the credential reaches the process",
                "add `credential_env = \"API_KEY\"`, the variable that the server reads it from",
            );
            return None;
        };
        let at = item.at(&["credential_env"]);
        if !super::reach::is_variable(&variable) {
            let what = format!("`{variable}` is no name of a variable");
            self.problems
                .add(at, what, "use letters, digits and `_`, as `API_KEY`");
            return None;
        }
        let fixed = item.value.env.as_ref();
        if fixed.is_some_and(|fixed| fixed.contains_key(&variable)) {
            let what = format!("`env` sets `{variable}` already");
            self.problems.add(at, what, "remove it from `env`");
            return None;
        }
        Some(variable)
    }

    fn credential_header(&mut self, item: &Item<'_, 't, ServerForm>) -> Option<CredentialForm> {
        let given = item.value.credential_header.as_deref();
        let name = match given.map(|name| (name, HeaderName::from_bytes(name.as_bytes()))) {
            None => header::AUTHORIZATION,
            Some((_, Ok(name))) if gatewright_upstream::may_carry_credential(&name) => name,
            Some((given, _)) => {
                let what = format!("no credential can be in the header `{given}`");
                let fix = "name a header that neither HTTP nor MCP uses otherwise, as `x-api-key`";
                self.problems
                    .add(item.at(&["credential_header"]), what, fix);
                return None;
            }
        };
        // RFC 6750 §2.1; other headers take keys as they are.
        let usual = if name == header::AUTHORIZATION {
            "Bearer "
        } else {
            ""
        };
        let prefix = item
            .value
            .credential_prefix
            .clone()
            .unwrap_or_else(|| usual.to_owned());
        if HeaderValue::from_str(&prefix).is_err() || !prefix.is_ascii() {
            let at = item.at(&["credential_prefix"]);
            let fix = "use visible ASCII and spaces, as `\"Bearer \"` or `\"token=\"`";
            self.problems
                .add(at, "the prefix cannot stand in a header", fix);
            return None;
        }
        Some(CredentialForm::Header { name, prefix })
    }
}
