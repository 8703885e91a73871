//! Arguments: which paths policies name, and what stands there in a call.

use std::collections::BTreeSet;

use cedar_policy::RestrictedExpression;
use gatewright_wire::json;
use serde_json::Value as Json;

/// A dotted path into the arguments of a call. Each part names a member of an object; a member whose own name
/// has a dot cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Path(Box<str>);

impl Path {
    /// `None` unless every part is there and no character is a control character.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits =
            text.split('.').all(|part| !part.is_empty()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands there. `None` when nothing does.
    fn find(&self, arguments: &str) -> Option<Found> {
        let mut value = arguments;
        for part in self.0.split('.') {
            let mut exact = None;
            for (name, text) in json::members(value)? {
                if name == part {
                    exact = Some(text);
                } else if confusable(&name, part) {
                    // Some servers read member names regardless of case: what they would take is unknown.
                    return Some(Found::Other("ambiguous"));
                }
            }
            value = exact?;
        }
        Some(Found::read(value))
    }
}

/// A value as far as policies may compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Other(&'static str),
}

impl Found {
    fn read(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => json::string(raw).map_or(Self::Other("ambiguous"), |text| {
                Self::Text(text.into_owned())
            }),
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'n') => Self::Other("null"),
            Some(b'[') => Self::Other("array"),
            Some(b'{') => Self::Other("object"),
            // `1e2` and `100.0` may be 100 to one reader and a float to the next: neither is an integer here.
            _ => raw.parse().map_or(Self::Other("number"), Self::Integer),
        }
    }

    fn expression(self) -> Option<RestrictedExpression> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let (kind, value) = match self {
            Self::Text(value) => ("text", Some(RestrictedExpression::new_string(value))),
            Self::Integer(value) => ("integer", Some(RestrictedExpression::new_long(value))),
            Self::Boolean(value) => ("boolean", Some(RestrictedExpression::new_bool(value))),
            Self::Other(kind) => (kind, None),
        };
        let value = value.map(|value| (kind.to_owned(), value));
        RestrictedExpression::new_record([("kind".to_owned(), text(kind))].into_iter().chain(value))
            .ok()
    }
}

/// The record `args` for these paths. `None` only if Cedar cannot hold it.
pub(crate) fn record(
    arguments: Option<&str>,
    paths: &BTreeSet<Path>,
) -> Option<RestrictedExpression> {
    let mut fields = Vec::with_capacity(paths.len());
    for path in paths {
        if let Some(found) = arguments.and_then(|arguments| path.find(arguments)) {
            fields.push((path.as_str().to_owned(), found.expression()?));
        }
    }
    RestrictedExpression::new_record(fields).ok()
}

/// Whether a reader that does not mind the case of names takes one for the other (Unicode simple case folding,
/// as Go's `encoding/json` does).
pub(crate) fn confusable(one: &str, other: &str) -> bool {
    fn folded(text: &str) -> impl Iterator<Item = char> {
        text.chars()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
    }
    one != other && folded(one).eq(folded(other))
}

/// What the schema says of an argument.
const FIELDS: [&str; 4] = ["kind", "text", "integer", "boolean"];

/// What a policy reads of the context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Whether it reads the context at all.
    pub(crate) context: bool,
    /// The argument paths that it names.
    pub(crate) arguments: BTreeSet<String>,
    /// What it reads of an argument and no argument has: `b` of `context.args.a.b`.
    pub(crate) misread: BTreeSet<String>,
}

impl Reads {
    /// Collects from a policy in Cedar's JSON form. What is not found here is missing in the schema, and
    /// validation refuses the policy.
    pub(crate) fn of(policy: &Json) -> Self {
        let mut reads = Self::default();
        if let Some(conditions) = policy.get("conditions") {
            reads.walk(conditions);
        }
        reads
    }

    fn walk(&mut self, node: &Json) {
        if let Some(path) = context_path(node) {
            self.context = true;
            if let [first, argument, rest @ ..] = path.as_slice()
                && first == "args"
            {
                self.arguments.insert(argument.clone());
                if let Some(field) = rest
                    .first()
                    .filter(|field| !FIELDS.contains(&field.as_str()))
                {
                    self.misread.insert(format!("{argument}.{field}"));
                }
            }
        }
        match node {
            Json::Object(members) => members.values().for_each(|value| self.walk(value)),
            Json::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

/// `["args", "amount"]` for `context.args.amount`, `context.args has amount` and `context has args.amount`.
fn context_path(node: &Json) -> Option<Vec<String>> {
    let (key, inner) = node
        .as_object()
        .filter(|members| members.len() == 1)?
        .iter()
        .next()?;
    match key.as_str() {
        "Var" => (inner.as_str() == Some("context")).then(Vec::new),
        "." | "has" => {
            let mut path = context_path(inner.get("left")?)?;
            match inner.get("attr")? {
                Json::String(name) => path.push(name.clone()),
                Json::Array(names) => {
                    path.extend(names.iter().filter_map(Json::as_str).map(str::to_owned));
                }
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return None,
            }
            Some(path)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::*;

    fn find(arguments: &str, path: &str) -> Option<Found> {
        Path::new(path).unwrap().find(arguments)
    }

    #[test]
    fn only_plain_integers_of_64_bits_are_integers() {
        for (raw, found) in [
            ("100", Found::Integer(100)),
            ("-7", Found::Integer(-7)),
            ("9223372036854775807", Found::Integer(i64::MAX)),
            ("9223372036854775808", Found::Other("number")),
            ("99999999999999999999", Found::Other("number")),
            ("1e2", Found::Other("number")),
            ("100.0", Found::Other("number")),
            ("null", Found::Other("null")),
            (r#""100""#, Found::Text("100".into())),
            ("true", Found::Boolean(true)),
            ("[100]", Found::Other("array")),
            (r#"{"v":100}"#, Found::Other("object")),
        ] {
            assert_eq!(
                find(&format!(r#"{{"amount": {raw} }}"#), "amount"),
                Some(found),
                "{raw}"
            );
        }
        assert_eq!(find("{}", "amount"), None);
        assert_eq!(find("[]", "amount"), None);
    }

    #[test]
    fn dots_go_into_objects_and_never_into_names() {
        assert_eq!(
            find(r#"{"transfer":{"amount":5}}"#, "transfer.amount"),
            Some(Found::Integer(5))
        );
        assert_eq!(find(r#"{"transfer.amount":5}"#, "transfer.amount"), None);
        assert_eq!(find(r#"{"transfer":[5]}"#, "transfer.amount"), None);
        assert_eq!(
            find(r#"{"\u0061mount":5}"#, "amount"),
            Some(Found::Integer(5)),
            "compared after unescaping"
        );
    }

    #[test]
    fn names_that_readers_confuse_have_no_value() {
        for arguments in [
            r#"{"amount":5,"Amount":5000}"#,
            r#"{"AMOUNT":5000}"#,
            r#"{"amount":5,"\u0041mount":1}"#,
        ] {
            assert_eq!(
                find(arguments, "amount"),
                Some(Found::Other("ambiguous")),
                "{arguments}"
            );
        }
        assert_eq!(
            find("{\"\u{17f}um\":5000}", "sum"),
            Some(Found::Other("ambiguous"))
        );
        assert_eq!(find(r#"{"amounts":5000}"#, "amount"), None);
    }

    #[test]
    fn paths_have_no_empty_parts_and_no_control_characters() {
        for bad in ["", ".", "a.", ".a", "a..b", "a\nb"] {
            assert_eq!(Path::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_way_to_name_an_argument_is_found() {
        let text = r#"permit(principal, action, resource) when {
            context.args has a && context.args.a has integer && context.args["b.c"].kind == "text"
            && context has args.d && context["args"]["e"].integer > 1
            && (if context.args has f.text then true else false)
            && ["x"].contains(context.args.g.text) && !(context.args.h.text like "*") };"#;
        let policy: Policy = text.parse().unwrap();
        let reads = Reads::of(&policy.to_json().unwrap());
        let expected: BTreeSet<String> = ["a", "b.c", "d", "e", "f", "g", "h"]
            .map(str::to_owned)
            .into_iter()
            .collect();
        assert_eq!(
            reads,
            Reads {
                context: true,
                arguments: expected,
                misread: BTreeSet::new()
            }
        );
        let none: Policy = "permit(principal, action, resource);".parse().unwrap();
        assert_eq!(Reads::of(&none.to_json().unwrap()), Reads::default());
    }
}
