//! The reader of filters. It works on one pass over the text and keeps no more than what it returns.

use serde_json::Value;

use super::{DEEPEST, Filter, LONGEST, MOST_TERMS, Operator, invalid};
use crate::scim::{
    AttributeName, ScimError,
    attribute::{is_name, is_part},
    error::excerpt,
};

/// Reads filters, and paths that have one in brackets.
#[derive(Debug)]
pub(crate) struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    terms: usize,
    bracketed: bool,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return Err(invalid(format!(
                "the filter has {} bytes, of at most {LONGEST}",
                text.len()
            )));
        }
        Ok(Self {
            rest: text.trim_matches(' '),
            depth: 0,
            terms: 0,
            bracketed: false,
        })
    }

    /// A filter: terms of which any has to fit.
    pub(crate) fn filter(&mut self) -> Result<Filter, ScimError> {
        let mut any = vec![self.all()?];
        while self.word("or") {
            any.push(self.all()?);
        }
        Ok(one_or(any, Filter::Any))
    }

    /// Nothing may be left.
    pub(crate) fn end(&mut self) -> Result<(), ScimError> {
        self.spaces();
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.unexpected("`and`, `or` or the end"))
    }

    /// The name of an attribute.
    pub(crate) fn name(&mut self) -> Result<AttributeName, ScimError> {
        self.spaces();
        let token = self.token();
        AttributeName::parse(token).ok_or_else(|| {
            if token.is_empty() {
                self.unexpected("an attribute")
            } else {
                invalid(format!("`{}` cannot be an attribute", excerpt(token)))
            }
        })
    }

    /// What stands in brackets, if one opens here.
    pub(crate) fn brackets(&mut self) -> Result<Option<Filter>, ScimError> {
        if self.bracketed || !self.take('[') {
            return Ok(None);
        }
        self.bracketed = true;
        let filter = self.nested(']')?;
        self.bracketed = false;
        Ok(Some(filter))
    }

    /// The sub-attribute after brackets, if there is one.
    pub(crate) fn sub(&mut self) -> Result<Option<String>, ScimError> {
        if !self.take('.') {
            return Ok(None);
        }
        let token = self.token();
        if is_name(token) {
            return Ok(Some(token.to_owned()));
        }
        Err(invalid(format!(
            "`{}` cannot be a sub-attribute",
            excerpt(token)
        )))
    }

    fn all(&mut self) -> Result<Filter, ScimError> {
        let mut all = vec![self.unary()?];
        while self.word("and") {
            all.push(self.unary()?);
        }
        Ok(one_or(all, Filter::All))
    }

    fn unary(&mut self) -> Result<Filter, ScimError> {
        self.spaces();
        if self.take('(') {
            return self.nested(')');
        }
        if let Some(after) = keyword(self.rest, "not")
            && let Some(after) = after.trim_start_matches(' ').strip_prefix('(')
        {
            self.rest = after;
            return Ok(Filter::Not(Box::new(self.nested(')')?)));
        }
        self.term()
    }

    /// A filter up to what closes it.
    fn nested(&mut self, close: char) -> Result<Filter, ScimError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(invalid(format!("the filter is more than {DEEPEST} deep")));
        }
        let filter = self.filter()?;
        self.spaces();
        if !self.take(close) {
            return Err(self.unexpected(&format!("`{close}`")));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Result<Filter, ScimError> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(invalid(format!(
                "the filter has more than {MOST_TERMS} terms"
            )));
        }
        let name = self.name()?;
        let Some(within) = self.brackets()? else {
            return self.test(name);
        };
        if name.sub.is_some() {
            return Err(invalid(format!(
                "`{name}` has no values to choose from in brackets"
            )));
        }
        // `emails[type eq "work"].value eq "…"` is not in the grammar; Entra ID asks so.
        let within = match self.sub()? {
            None => within,
            Some(sub) => {
                let sub = AttributeName {
                    urn: None,
                    name: sub,
                    sub: None,
                };
                Filter::All(vec![within, self.test(sub)?])
            }
        };
        Ok(Filter::Within(name, Box::new(within)))
    }

    fn test(&mut self, name: AttributeName) -> Result<Filter, ScimError> {
        if self.word("pr") {
            return Ok(Filter::Present(name));
        }
        let operator = Operator::ALL
            .into_iter()
            .find(|operator| self.word(operator.name()))
            .ok_or_else(|| self.unexpected("an operator, as `eq`"))?;
        self.spaces();
        let value = self.value()?;
        Ok(Filter::Compare(name, operator, value))
    }

    fn value(&mut self) -> Result<Value, ScimError> {
        if self.rest.starts_with('"') {
            let end = end_of_string(self.rest)
                .ok_or_else(|| invalid("a string in the filter does not end"))?;
            let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.rest = rest;
            let text: String = serde_json::from_str(text)
                .map_err(|error| invalid(format!("a string in the filter is no JSON: {error}")))?;
            return Ok(Value::String(text));
        }
        let length = self
            .rest
            .find([' ', ')', ']', '(', '['])
            .unwrap_or(self.rest.len());
        let (token, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        // Entra ID writes `True`.
        let known = [
            ("true", true.into()),
            ("false", false.into()),
            ("null", Value::Null),
        ];
        let value = known
            .into_iter()
            .find(|(word, _)| token.eq_ignore_ascii_case(word))
            .map(|(_, value)| value)
            .or_else(|| {
                serde_json::from_str::<serde_json::Number>(token)
                    .ok()
                    .map(Value::Number)
            })
            .ok_or_else(|| {
                self.unexpected("a string in double quotes, a number, `true`, `false` or `null`")
            })?;
        self.rest = rest;
        Ok(value)
    }

    fn token(&mut self) -> &'a str {
        let length = self
            .rest
            .bytes()
            .position(|byte| !is_part(byte))
            .unwrap_or(self.rest.len());
        let (token, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        token
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word of the grammar, whatever its case.
    fn word(&mut self, word: &str) -> bool {
        let after = keyword(self.rest.trim_start_matches(' '), word);
        if let Some(after) = after {
            self.rest = after;
        }
        after.is_some()
    }

    fn unexpected(&self, wanted: &str) -> ScimError {
        if self.rest.is_empty() {
            return invalid(format!("the filter ends where {wanted} has to be"));
        }
        invalid(format!(
            "there is `{}` where {wanted} has to be",
            excerpt(self.rest)
        ))
    }
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.pop(), filters.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            filters.extend(last);
            many(filters)
        }
    }
}

/// What comes after a word that ends there.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (found, after) = text.split_at_checked(word.len())?;
    let ends = after.bytes().next().is_none_or(|byte| !is_part(byte));
    (ends && found.eq_ignore_ascii_case(word)).then_some(after)
}

/// Where the JSON string that a text starts with ends.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}
