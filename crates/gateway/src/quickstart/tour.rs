//! The tour: each step is real HTTP through the gateway, and what comes back is compared with what should.

mod calls;
mod outcome;
mod proofs;

use serde_json::{Value, json};

use self::outcome::Outcome;
pub(super) use self::outcome::{Mismatch, same};
use super::{
    Scene,
    client::{Answer, Client},
    people::Caller,
    screen::{Line, Step, Verdict},
};

/// The sentence that says what just happened, or what was otherwise.
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
        "Ben may not pay, and learns nothing by trying",
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

/// What steps are made of.
impl Tour<'_> {
    /// Sends one modern request.
    async fn send(
        &self,
        caller: &Caller,
        server: &str,
        method: &str,
        params: &Value,
    ) -> Result<Answer, Mismatch> {
        let url = self.scene.endpoint(server);
        let token = Some(caller.token(server));
        Ok(self.client.modern(&url, token, method, params).await?)
    }

    /// Calls a tool of `invoices` and notes both ways.
    async fn call(
        &self,
        lines: &mut Vec<Line>,
        caller: &Caller,
        tool: &str,
        arguments: &Value,
    ) -> Result<Outcome, Mismatch> {
        lines.push(Line::Sent(format!("{}: {tool} {arguments}", caller.name())));
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.send(caller, "invoices", "tools/call", &params).await?;
        let outcome = Outcome::of(&answer);
        lines.push(Line::Got(outcome.to_string()));
        Ok(outcome)
    }

    /// Calls a tool that the gateway has to deny; gives the reference.
    async fn denied(
        &self,
        lines: &mut Vec<Line>,
        caller: &Caller,
        tool: &str,
        arguments: &Value,
    ) -> Result<String, Mismatch> {
        let before = self.scene.servers().calls();
        match self.call(lines, caller, tool, arguments).await? {
            Outcome::Denied { reference } => {
                self.reached(before)?;
                Ok(reference)
            }
            other => Err(Mismatch::new(
                "error 4403 \"denied by policy\" with a reference",
                other,
            )),
        }
    }

    /// The record under a reference: a denial of this tool to these, with a reason.
    async fn recorded(
        &self,
        lines: &mut Vec<Line>,
        reference: &str,
        who: &str,
        tool: &str,
    ) -> Result<(), Mismatch> {
        let entry = self.scene.log().entry(reference).await?;
        lines.push(self.logged(&entry.to_string()));
        same("effect in the record", "deny", entry.effect.as_str())?;
        same("caller in the record", who, entry.who.as_str())?;
        same("tool in the record", tool, entry.target.as_str())?;
        if entry.reason.is_empty() {
            return Err(Mismatch::new("a reason in the record", "none"));
        }
        Ok(())
    }

    /// A line of the log, without what is the same in all of them.
    fn logged(&self, text: &str) -> Line {
        let issuer = format!("{}|", self.scene.issuer());
        let short = text.replace(&issuer, "").replace("Gatewright::", "");
        Line::Logged(format!("in the log: {short}"))
    }

    /// So many tool calls have reached the servers until now.
    fn reached(&self, calls: usize) -> Result<(), Mismatch> {
        let until_now = self.scene.servers().calls();
        same("calls that reached the servers", &calls, &until_now)
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
