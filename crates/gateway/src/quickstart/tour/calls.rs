//! The steps that call servers, or are not let through to one.

use gatewright_wire::code;
use serde_json::{Value, json};

use super::{
    Held, Line, Mismatch, Tour, at, error_of,
    outcome::{Outcome, tools_in},
    same,
};
use crate::quickstart::{SERVERS, screen::Table};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp/invoices";

/// Who sees what, as `org.toml` of the demo has it.
const SEEN: [(&str, [bool; 2]); 5] = [
    ("add_note", [false, true]),
    ("delete_invoice", [false, false]),
    ("list_invoices", [true, true]),
    ("pay_invoice", [true, false]),
    ("search_notes", [true, true]),
];

impl Tour<'_> {
    pub(super) async fn no_token(&self, lines: &mut Vec<Line>) -> Held {
        let (url, base) = (self.scene.endpoint("invoices"), self.scene.base());
        let sent = "POST /mcp/invoices  tools/list, without a token";
        lines.push(Line::Sent(sent.to_owned()));
        let params = json!({});
        let answer = self
            .client
            .modern(&url, None, "tools/list", &params)
            .await?;
        let challenge = answer.header("www-authenticate").unwrap_or("no challenge");
        let shown = challenge.replace(base, "…");
        lines.push(Line::Got(format!("{}  {shown}", answer.status)));
        same("status", &401, &answer.status.as_u16())?;

        let metadata = format!("{base}{METADATA}");
        let wanted = format!("resource_metadata=\"{metadata}\"");
        if !challenge.contains(&wanted) {
            let wanted = format!("a challenge with {wanted}");
            return Err(Mismatch::new(wanted, challenge));
        }
        let document = self.client.get(&metadata).await?;
        let issuers = at(&document, "/authorization_servers");
        lines.push(Line::Sent(format!("GET {METADATA}")));
        lines.push(Line::Got(format!(
            "{}  authorization_servers {issuers}",
            document.status
        )));
        same("resource", &json!(url), at(&document, "/resource"))?;
        let issuer = json!([self.scene.issuer()]);
        same("authorization_servers", &issuer, issuers)?;
        self.reached(0)?;
        Ok("Refused, and told where tokens come from.".to_owned())
    }

    pub(super) async fn two_lists(&self, lines: &mut Vec<Line>) -> Held {
        let people = [self.scene.ann(), self.scene.ben()];
        let sent = "tools/list at both servers, with Ann's token and with Ben's";
        lines.push(Line::Sent(sent.to_owned()));
        let mut rows = Vec::new();
        for server in SERVERS {
            let (direct, params) = (self.scene.servers().url(server), json!({}));
            let list = self.client.modern(&direct, None, "tools/list", &params);
            let offered = tools_in(&list.await?)?;
            let mut seen = Vec::new();
            for person in people {
                let list = self.send(person, server, "tools/list", &params);
                seen.push(tools_in(&list.await?)?);
            }
            for tool in offered {
                let ticks = seen.iter().map(|list| list.contains(&tool)).collect();
                rows.push((tool, ticks));
            }
        }
        rows.sort();
        let table = |rows| Table {
            people: people.iter().map(|person| person.name()).collect(),
            rows,
        };
        let expected = SEEN.map(|(tool, ticks)| (tool.to_owned(), ticks.to_vec()));
        let (expected, got) = (table(expected.to_vec()), table(rows));
        lines.push(Line::Table(got.clone()));
        same("who sees what:", &expected, &got)?;
        Ok("Each sees what their roles show; nobody sees delete_invoice.".to_owned())
    }

    pub(super) async fn allowed_call(&self, lines: &mut Vec<Line>) -> Held {
        let before = self.scene.servers().calls();
        let arguments = json!({"invoice": "INV-1001", "amount": 250});
        let outcome = self
            .call(lines, self.scene.ann(), "pay_invoice", &arguments)
            .await?;
        let paid = "paid 250 EUR to Paper & Toner for INV-1001";
        same("result", &Outcome::Result(paid.to_owned()), &outcome)?;
        self.reached(before + 1)?;
        let entry = self.scene.log().admitted("ann", "pay_invoice").await?;
        lines.push(self.logged(&entry.to_string()));
        same("effect in the record", "allow", entry.effect.as_str())?;
        if !entry.policies.iter().any(|policy| policy.contains("clerk")) {
            return Err(Mismatch::new("the role clerk in the record", entry));
        }
        Ok("Allowed, and the server did it. The log names the role that decided.".to_owned())
    }

    pub(super) async fn refused_call(&self, lines: &mut Vec<Line>) -> Held {
        let ben = self.scene.ben();
        let arguments = json!({"invoice": "INV-1002", "amount": 120});
        let reference = self.denied(lines, ben, "pay_invoice", &arguments).await?;
        self.recorded(lines, &reference, "ben", "pay_invoice")
            .await?;
        let unknown = self.denied(lines, ben, "no_such_tool", &json!({})).await?;
        if unknown == reference {
            let again = format!("{reference} again");
            return Err(Mismatch::new("a reference of its own", again));
        }
        Ok(
            "Denied, with the reason in the log only. A tool that does not exist answers alike."
                .to_owned(),
        )
    }

    pub(super) async fn refused_argument(&self, lines: &mut Vec<Line>) -> Held {
        let ann = self.scene.ann();
        let arguments = json!({"invoice": "INV-1003", "amount": 5200});
        let reference = self.denied(lines, ann, "pay_invoice", &arguments).await?;
        self.recorded(lines, &reference, "ann", "pay_invoice")
            .await?;
        Ok("Denied: she and the tool are those of step 3, and the amount is over 1000.".to_owned())
    }

    pub(super) async fn delegated_calls(&self, lines: &mut Vec<Line>) -> Held {
        let agent = self.scene.agent();
        let arguments = json!({"invoice": "INV-1002", "amount": 120});
        let reference = self.denied(lines, agent, "pay_invoice", &arguments).await?;
        self.recorded(lines, &reference, "report-bot for ann", "pay_invoice")
            .await?;
        let listed = self.call(lines, agent, "list_invoices", &json!({})).await?;
        match listed {
            Outcome::Result(text) if text.starts_with("INV-1002") => {}
            other => return Err(Mismatch::new("the open invoices, from INV-1002 on", other)),
        }
        Ok("It may do what Ann and it both may: it lists, and does not pay.".to_owned())
    }

    pub(super) async fn bound_session(&self, lines: &mut Vec<Line>) -> Held {
        let (ann, ben) = (self.scene.ann(), self.scene.ben());
        let (url, client) = (self.scene.endpoint("invoices"), &self.client);
        let (anns, bens) = (ann.token("invoices"), ben.token("invoices"));
        let sent = "Ann, with a client of the older protocol: initialize";
        lines.push(Line::Sent(sent.to_owned()));
        let opened = client.initialize(&url, anns).await?;
        let session = opened.header("mcp-session-id").unwrap_or("none").to_owned();
        let version = at(&opened, "/result/protocolVersion").as_str();
        let version = version.unwrap_or("none");
        let start: String = session.chars().take(16).collect();
        lines.push(Line::Got(format!(
            "{}  version {version}, session {start}…",
            opened.status
        )));
        same("protocol version", "2025-11-25", version)?;

        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = client.in_session(&url, anns, &session, &ready).await?;
        let status = accepted.status.as_u16();
        same("status of notifications/initialized", &202, &status)?;
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        lines.push(Line::Sent("Ann: tools/list in that session".to_owned()));
        let own = client.in_session(&url, anns, &session, &list).await?;
        let tools = tools_in(&own)?.join(", ");
        lines.push(Line::Got(format!("{}  {tools}", own.status)));
        same("tools", "list_invoices, pay_invoice", &tools)?;

        lines.push(Line::Sent("Ben: tools/list in Ann's session".to_owned()));
        let stolen = client.in_session(&url, bens, &session, &list).await?;
        let error = error_of(&stolen);
        lines.push(Line::Got(format!("{}  {error}", stolen.status)));
        same("status for Ben", &404, &stolen.status.as_u16())?;
        let (unknown, code) = (json!(code::UNKNOWN_SESSION), at(&stolen, "/error/code"));
        same::<Value>("code for Ben", &unknown, code)?;
        let never = "no-such-session";
        let never = client.in_session(&url, bens, never, &list).await?;
        same(
            "error of a session that never was",
            &error,
            &error_of(&never),
        )?;
        Ok("For Ben, Ann's session does not exist.".to_owned())
    }
}
