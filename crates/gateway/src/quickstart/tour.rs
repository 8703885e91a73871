//! The tour: each step is real HTTP through the gateway, and what comes back is compared with what should.

mod outcome;

use gatewright_wire::code;
use serde_json::{Value, json};

pub(super) use self::outcome::{Mismatch, same};
use self::outcome::{Outcome, tools_in};
use super::{
    Scene,
    client::{Answer, Client},
    people::Caller,
    screen::{Line, Step, Table, Verdict},
};

type Held = Result<String, Mismatch>;

/// Plays every step and shows each as it ends.
pub(super) async fn play(scene: &Scene, show: impl FnMut(&Step)) -> Vec<Step> {
    let tour = Tour {
        scene,
        client: Client::new(),
    };
    let mut reel = Reel {
        show,
        steps: Vec::new(),
    };
    macro_rules! step {
        ($title:literal, $step:ident) => {{
            let mut lines = Vec::new();
            let held = tour.$step(&mut lines).await;
            reel.add($title, lines, held);
        }};
    }
    step!("Nobody gets in without a token", no_token);
    step!("Two people see two tool lists", two_lists);
    step!("Ann pays an invoice", allowed_call);
    step!(
        "Ben may not pay, and learns nothing from trying",
        refused_call
    );
    step!("Ann may not pay that much", refused_argument);
    step!("Ann's agent may not do all that Ann may", delegated_calls);
    step!("A session belongs to one person", bound_session);
    step!("The log proves that it is whole", verified_log);
    step!("One changed byte does not go unnoticed", changed_byte);
    reel.steps
}

struct Reel<F> {
    show: F,
    steps: Vec<Step>,
}

impl<F: FnMut(&Step)> Reel<F> {
    fn add(&mut self, title: &'static str, lines: Vec<Line>, held: Held) {
        let verdict = match held {
            Ok(said) => Verdict::AsSaid(said),
            Err(Mismatch { expected, got }) => Verdict::Otherwise { expected, got },
        };
        let step = Step {
            number: self.steps.len() + 1,
            title,
            lines,
            verdict,
        };
        (self.show)(&step);
        self.steps.push(step);
    }
}

struct Tour<'a> {
    scene: &'a Scene,
    client: Client,
}

impl Tour<'_> {
    async fn no_token(&self, lines: &mut Vec<Line>) -> Held {
        let url = self.scene.endpoint("invoices");
        lines.push(Line::Sent(
            "POST /mcp/invoices  tools/list, no token".to_owned(),
        ));
        let answer = self
            .client
            .modern(&url, None, "tools/list", &json!({}))
            .await?;
        let challenge = answer
            .header("www-authenticate")
            .unwrap_or("no WWW-Authenticate")
            .to_owned();
        lines.push(Line::Got(format!("{}  {challenge}", answer.status)));
        same("status", 401, answer.status.as_u16())?;

        let path = "/.well-known/oauth-protected-resource/mcp/invoices";
        let metadata = format!("{}{path}", self.scene.base());
        let wanted = format!("resource_metadata=\"{metadata}\"");
        if !challenge.contains(&wanted) {
            return Err(Mismatch::new(
                format!("a challenge with {wanted}"),
                challenge,
            ));
        }
        let document = self.client.get(&metadata).await?;
        let issuers = at(&document, "/authorization_servers");
        lines.push(Line::Sent(format!("GET {path}")));
        lines.push(Line::Got(format!(
            "{}  tokens come from {issuers}",
            document.status
        )));
        same("resource", &json!(url), at(&document, "/resource"))?;
        same(
            "authorization_servers",
            &json!([self.scene.issuer()]),
            issuers,
        )?;
        self.unreached(0)?;
        Ok("Refused, and told where to get a token.".to_owned())
    }

    async fn two_lists(&self, lines: &mut Vec<Line>) -> Held {
        let people = [self.scene.ann(), self.scene.ben()];
        let mut rows = Vec::new();
        lines.push(Line::Sent(
            "tools/list at both servers, with Ann's token and with Ben's".to_owned(),
        ));
        for server in ["invoices", "notes"] {
            let direct = self.scene.servers().url(server);
            let offered = tools_in(
                &self
                    .client
                    .modern(&direct, None, "tools/list", &json!({}))
                    .await?,
            )?;
            let mut seen = Vec::new();
            for person in people {
                seen.push(tools_in(
                    &self.send(person, server, "tools/list", &json!({})).await?,
                )?);
            }
            let row = |tool: &String| {
                (
                    tool.clone(),
                    seen.iter().map(|list| list.contains(tool)).collect(),
                )
            };
            rows.extend(offered.iter().map(row));
        }
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        let table = Table {
            people: people.iter().map(|person| person.name()).collect(),
            rows,
        };
        lines.push(Line::Table(table.clone()));

        let shown: Vec<String> = table
            .rows
            .iter()
            .map(|(tool, ticks)| {
                let who = table
                    .people
                    .iter()
                    .zip(ticks)
                    .filter(|(_, tick)| **tick)
                    .map(|(name, _)| *name);
                format!("{tool}: {}", who.collect::<Vec<_>>().join(" "))
            })
            .collect();
        let expected = "add_note: Ben, delete_invoice: , list_invoices: Ann Ben, pay_invoice: Ann, \
            search_notes: Ann Ben";
        same("lists", expected, shown.join(", ").as_str())?;
        Ok("Each sees only what their role lets them see; nobody sees delete_invoice.".to_owned())
    }

    async fn allowed_call(&self, lines: &mut Vec<Line>) -> Held {
        let before = self.scene.servers().calls();
        let arguments = json!({"invoice": "INV-1001", "amount": 250});
        let outcome = self
            .call(
                lines,
                self.scene.ann(),
                "invoices",
                "pay_invoice",
                &arguments,
            )
            .await?;
        same(
            "result",
            &Outcome::Result("paid 250 EUR to Paper & Toner for INV-1001".to_owned()),
            &outcome,
        )?;
        same(
            "calls that reached the server",
            before + 1,
            self.scene.servers().calls(),
        )?;
        Ok("Allowed, and the server did it.".to_owned())
    }

    async fn refused_call(&self, lines: &mut Vec<Line>) -> Held {
        let arguments = json!({"invoice": "INV-1002", "amount": 120});
        let reference = self
            .denied(lines, self.scene.ben(), "pay_invoice", &arguments)
            .await?;
        let unknown = self
            .denied(lines, self.scene.ben(), "no_such_tool", &json!({}))
            .await?;
        if unknown == reference {
            return Err(Mismatch::new(
                "a reference of its own",
                format!("{reference} again"),
            ));
        }
        self.recorded(lines, &reference, "pay_invoice").await?;
        Ok("Denied. A tool that does not exist answers alike; the reason is in the log, under the reference."
            .to_owned())
    }

    async fn refused_argument(&self, lines: &mut Vec<Line>) -> Held {
        let arguments = json!({"invoice": "INV-1003", "amount": 5200});
        let reference = self
            .denied(lines, self.scene.ann(), "pay_invoice", &arguments)
            .await?;
        self.recorded(lines, &reference, "pay_invoice").await?;
        Ok("Denied: the same person and tool as in step 3, but over her limit of 1000.".to_owned())
    }

    async fn delegated_calls(&self, lines: &mut Vec<Line>) -> Held {
        let agent = self.scene.agent();
        let arguments = json!({"invoice": "INV-1002", "amount": 120});
        let reference = self.denied(lines, agent, "pay_invoice", &arguments).await?;
        self.recorded(lines, &reference, "pay_invoice").await?;
        let listed = self
            .call(lines, agent, "invoices", "list_invoices", &json!({}))
            .await?;
        match listed {
            Outcome::Result(text) if text.starts_with("INV-1002") => {}
            other => return Err(Mismatch::new("the open invoices, from INV-1002 on", other)),
        }
        Ok(
            "The agent acts for Ann with what both may do: it lists, but it does not pay."
                .to_owned(),
        )
    }

    async fn bound_session(&self, lines: &mut Vec<Line>) -> Held {
        let (ann, url) = (self.scene.ann(), self.scene.endpoint("invoices"));
        lines.push(Line::Sent(
            "Ann, by a client of 2025-11-25: initialize".to_owned(),
        ));
        let opened = self.client.initialize(&url, ann.token("invoices")).await?;
        let session = opened
            .header("mcp-session-id")
            .unwrap_or_default()
            .to_owned();
        let version = opened
            .message
            .pointer("/result/protocolVersion")
            .unwrap_or(&Value::Null)
            .clone();
        let start: String = session.chars().take(16).collect();
        lines.push(Line::Got(format!(
            "{}  version {version}, session {start}…",
            opened.status
        )));
        same("protocol version", &json!("2025-11-25"), &version)?;

        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = self
            .client
            .in_session(&url, ann.token("invoices"), &session, &ready)
            .await?;
        same(
            "status of notifications/initialized",
            202,
            accepted.status.as_u16(),
        )?;
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        let own = self
            .client
            .in_session(&url, ann.token("invoices"), &session, &list)
            .await?;
        lines.push(Line::Sent("Ann: tools/list in that session".to_owned()));
        lines.push(Line::Got(format!(
            "{}  {}",
            own.status,
            tools_in(&own)?.join(", ")
        )));

        let ben = self.scene.ben();
        let stolen = self
            .client
            .in_session(&url, ben.token("invoices"), &session, &list)
            .await?;
        let made_up = self
            .client
            .in_session(&url, ben.token("invoices"), "no-such-session", &list)
            .await?;
        lines.push(Line::Sent("Ben: tools/list in Ann's session".to_owned()));
        lines.push(Line::Got(format!(
            "{}  {}",
            stolen.status,
            error_of(&stolen)
        )));
        same("status for Ben", 404, stolen.status.as_u16())?;
        same(
            "code for Ben",
            &json!(code::UNKNOWN_SESSION),
            at(&stolen, "/error/code"),
        )?;
        same(
            "error of a session that never was",
            error_of(&stolen),
            error_of(&made_up),
        )?;
        Ok("Older clients work too. Ann's session does not exist for Ben.".to_owned())
    }

    async fn verified_log(&self, lines: &mut Vec<Line>) -> Held {
        let verified = self.scene.log().verify().await?;
        lines.push(Line::Logged(verified.to_string()));
        verified.is_whole()?;
        Ok("Every record is in its place, up to the last signed checkpoint.".to_owned())
    }

    async fn changed_byte(&self, lines: &mut Vec<Line>) -> Held {
        let change = self.scene.log().change_a_copy().await?;
        lines.push(Line::Logged(format!("a copy, with {}", change.what)));
        lines.push(Line::Logged(format!("verifier: {}", change.finding)));
        change.names_the_record()?;
        Ok("The verifier names the record that was changed.".to_owned())
    }

    /// Sends one modern request.
    async fn send(
        &self,
        caller: &Caller,
        server: &str,
        method: &str,
        params: &Value,
    ) -> Result<Answer, Mismatch> {
        let url = self.scene.endpoint(server);
        Ok(self
            .client
            .modern(&url, Some(caller.token(server)), method, params)
            .await?)
    }

    /// Calls a tool and notes both ways.
    async fn call(
        &self,
        lines: &mut Vec<Line>,
        caller: &Caller,
        server: &str,
        tool: &str,
        arguments: &Value,
    ) -> Result<Outcome, Mismatch> {
        lines.push(Line::Sent(format!("{}: {tool} {arguments}", caller.name())));
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.send(caller, server, "tools/call", &params).await?;
        let outcome = Outcome::of(&answer);
        lines.push(Line::Got(outcome.to_string()));
        Ok(outcome)
    }

    /// Calls a tool of `invoices` that the gateway has to deny; gives the reference.
    async fn denied(
        &self,
        lines: &mut Vec<Line>,
        caller: &Caller,
        tool: &str,
        arguments: &Value,
    ) -> Result<String, Mismatch> {
        let before = self.scene.servers().calls();
        match self
            .call(lines, caller, "invoices", tool, arguments)
            .await?
        {
            Outcome::Denied { reference } => {
                self.unreached(before)?;
                Ok(reference)
            }
            other => Err(Mismatch::new(
                "error 4403 \"denied by policy\" with a reference",
                other,
            )),
        }
    }

    /// The record under a reference: a denial of this tool, with a reason.
    async fn recorded(
        &self,
        lines: &mut Vec<Line>,
        reference: &str,
        tool: &str,
    ) -> Result<(), Mismatch> {
        let entry = self.scene.log().entry(reference).await?;
        lines.push(Line::Logged(entry.to_string()));
        same("effect in the record", "deny", entry.effect.as_str())?;
        same("tool in the record", tool, entry.target.as_str())?;
        if entry.reason.is_empty() {
            return Err(Mismatch::new("a reason in the record", "none"));
        }
        Ok(())
    }

    /// No tool call has reached a server since there were `before`.
    fn unreached(&self, before: usize) -> Result<(), Mismatch> {
        same(
            "calls that reached the servers",
            before,
            self.scene.servers().calls(),
        )
    }
}

fn at<'a>(answer: &'a Answer, pointer: &str) -> &'a Value {
    answer.message.pointer(pointer).unwrap_or(&Value::Null)
}

/// Code and message of an error, without what differs from one to the next.
fn error_of(answer: &Answer) -> String {
    let message = at(answer, "/error/message").as_str().unwrap_or("no error");
    format!("error {}: {message}", at(answer, "/error/code"))
}
