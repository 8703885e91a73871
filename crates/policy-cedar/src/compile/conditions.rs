//! Conditions of permissions. What does not fit what is asked of it is not permitted: an absent argument, another
//! type, an unknown client.

use gatewright_core::access::{
    ArgumentCondition, Delegated, Hours, Pattern, Scalar, Weekday, When,
};
use serde_json::Value as Json;

use super::expression::{and, any_of, binary, get, has, like, not, one_of, value, var};
use crate::arguments::Path;

pub(super) fn conditions(when: &When) -> Result<Vec<Json>, String> {
    let mut all = Vec::new();
    for condition in &when.arguments {
        argument(condition, &mut all)?;
    }
    if let Some(clients) = &when.clients {
        if clients.is_empty() {
            return Err("no client is one of none".to_owned());
        }
        all.push(has(var("context"), "client"));
        all.push(one_of(
            clients.iter().map(|client| value(client.as_str())),
            get(var("context"), "client"),
        ));
    }
    if let Some(seconds) = when.authenticated_within {
        all.push(has(var("context"), "authAge"));
        all.push(binary("<=", get(var("context"), "authAge"), value(seconds)));
    }
    if let Some(span) = &when.hours {
        hours(span, &mut all)?;
    }
    match when.delegated {
        Some(Delegated::Only) => all.push(get(var("context"), "delegated")),
        Some(Delegated::Never) => all.push(not(get(var("context"), "delegated"))),
        None => {}
    }
    Ok(all)
}

fn hours(span: &Hours, all: &mut Vec<Json>) -> Result<(), String> {
    if span.from >= span.until || span.until > 24 {
        return Err(format!(
            "`from = {}` and `until = {}` leave no hour between them",
            span.from, span.until
        ));
    }
    let hour = || get(var("context"), "hour");
    all.push(binary(">=", hour(), value(span.from)));
    all.push(binary("<", hour(), value(span.until)));
    if !span.days.is_empty() {
        all.push(one_of(
            span.days.iter().map(|day| value(number(*day))),
            get(var("context"), "weekday"),
        ));
    }
    Ok(())
}

const fn number(day: Weekday) -> u8 {
    match day {
        Weekday::Mon => 1,
        Weekday::Tue => 2,
        Weekday::Wed => 3,
        Weekday::Thu => 4,
        Weekday::Fri => 5,
        Weekday::Sat => 6,
        Weekday::Sun => 7,
    }
}

fn argument(condition: &ArgumentCondition, all: &mut Vec<Json>) -> Result<(), String> {
    let given = &condition.argument;
    if Path::new(given).is_none() {
        return Err(format!("`{given}` is not a path into the arguments"));
    }
    let args = || get(var("context"), "args");
    let found = || get(args(), given);
    let before = all.len();
    let typed = |field: &str, test: Json| and(and(has(args(), given), has(found(), field)), test);
    let equals = |scalar: &Scalar| {
        let field = match scalar {
            Scalar::Bool(_) => "boolean",
            Scalar::Integer(_) => "integer",
            Scalar::Text(_) => "text",
        };
        typed(field, binary("==", get(found(), field), literal(scalar)))
    };
    if let Some(scalar) = &condition.equals {
        all.push(equals(scalar));
    }
    if let Some(scalars) = &condition.one_of {
        let any = any_of(scalars.iter().map(equals));
        all.push(any.ok_or_else(|| format!("no value of the argument `{given}` is one of none"))?);
    }
    if let Some(pattern) = &condition.like {
        let text = || get(found(), "text");
        let mut fits = like(text(), pattern);
        if pattern.literal().is_none() && pattern.as_str().contains(['/', '\\']) {
            // Where `/data/*` is meant, `/data/../etc` is not.
            for climb in ["*/..*", "*\\..*", "../*", "..\\*"] {
                fits = and(fits, not(like(text(), &Pattern::new(climb))));
            }
        }
        all.push(typed("text", fits));
    }
    if let Some(least) = condition.at_least {
        all.push(typed(
            "integer",
            binary(">=", get(found(), "integer"), value(least)),
        ));
    }
    if let Some(most) = condition.at_most {
        all.push(typed(
            "integer",
            binary("<=", get(found(), "integer"), value(most)),
        ));
    }
    if all.len() == before {
        return Err(format!("nothing is asked of the argument `{given}`"));
    }
    Ok(())
}

fn literal(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Bool(flag) => value(*flag),
        Scalar::Integer(number) => value(*number),
        Scalar::Text(text) => value(text.as_str()),
    }
}
