//! A question for resources, in the URL (RFC 7644 §3.4.2) or in the body of `/.search` (§3.4.3).

use serde_json::Value;

use super::{
    Filter, Paging, Projection, ScimError, ScimType, SortOrder, error::excerpt, patch::member,
};

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// What a client wants to see.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which resources.
    pub filter: Option<Filter>,
    /// By which attribute they are sorted.
    pub sort_by: Option<String>,
    /// In which direction.
    pub order: SortOrder,
    /// Which of their attributes.
    pub projection: Projection,
    /// Which page.
    pub paging: Paging,
}

#[derive(Default)]
struct Parts {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    attributes: Vec<String>,
    excluded: Vec<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    cursor: Option<String>,
}

impl Query {
    /// From the parameters of a URL. Unknown ones are left alone.
    ///
    /// # Errors
    /// [`ScimError`] for what cannot be understood, or cannot be meant.
    pub fn from_parameters<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ScimError> {
        let mut parts = Parts::default();
        for (name, value) in parameters {
            match name {
                "filter" => once(&mut parts.filter, name, value)?,
                "sortBy" => once(&mut parts.sort_by, name, value)?,
                "sortOrder" => once(&mut parts.sort_order, name, value)?,
                "cursor" => once(&mut parts.cursor, name, value)?,
                "attributes" => parts.attributes.push(value.to_owned()),
                "excludedAttributes" => parts.excluded.push(value.to_owned()),
                "startIndex" => parts.start_index = Some(number(name, value)?),
                "count" => parts.count = Some(number(name, value)?),
                _ => {}
            }
        }
        parts.read()
    }

    /// From the body of a request to `/.search`.
    ///
    /// # Errors
    /// [`ScimError`] for what is none, cannot be understood, or cannot be meant.
    pub fn from_body(body: &Value) -> Result<Self, ScimError> {
        let named = member(body, "schemas")
            .and_then(Value::as_array)
            .is_some_and(|schemas| {
                let mut schemas = schemas.iter().filter_map(Value::as_str);
                schemas.any(|schema| schema.eq_ignore_ascii_case(SCHEMA))
            });
        if !named {
            return Err(syntax(format!("`schemas` has to name `{SCHEMA}`")));
        }
        let text = |name: &str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(syntax(format!("`{name}` has to be a string"))),
        };
        let integer = |name: &str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| syntax(format!("`{name}` has to be an integer"))),
        };
        let list = |name: &str| match member(body, name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| syntax(format!("`{name}` has to be a list of strings"))),
            Some(_) => Err(syntax(format!("`{name}` has to be a list of strings"))),
        };
        let parts = Parts {
            filter: text("filter")?,
            sort_by: text("sortBy")?,
            sort_order: text("sortOrder")?,
            attributes: list("attributes")?,
            excluded: list("excludedAttributes")?,
            start_index: integer("startIndex")?,
            count: integer("count")?,
            cursor: text("cursor")?,
        };
        parts.read()
    }
}

impl Parts {
    fn read(self) -> Result<Query, ScimError> {
        let order = match self.sort_order.as_deref() {
            None => SortOrder::Ascending,
            Some(order) if order.eq_ignore_ascii_case("ascending") => SortOrder::Ascending,
            Some(order) if order.eq_ignore_ascii_case("descending") => SortOrder::Descending,
            Some(other) => {
                let detail = format!(
                    "`sortOrder` is `ascending` or `descending`, not `{}`",
                    excerpt(other)
                );
                return Err(ScimError::new(ScimType::InvalidValue, detail));
            }
        };
        let filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        Ok(Query {
            filter,
            sort_by: self.sort_by,
            order,
            projection: Projection::new(
                self.attributes.iter().map(String::as_str),
                self.excluded.iter().map(String::as_str),
            )?,
            paging: Paging::new(self.start_index, self.cursor.as_deref(), self.count)?,
        })
    }
}

fn once(part: &mut Option<String>, name: &str, value: &str) -> Result<(), ScimError> {
    match part.replace(value.to_owned()) {
        None => Ok(()),
        Some(_) => Err(syntax(format!("`{name}` is given twice"))),
    }
}

fn number(name: &str, value: &str) -> Result<i64, ScimError> {
    value.parse().map_err(|_no_number| {
        let detail = format!("`{name}` has to be an integer, not `{}`", excerpt(value));
        let scim_type = if name == "count" {
            ScimType::InvalidCount
        } else {
            ScimType::InvalidValue
        };
        ScimError::new(scim_type, detail)
    })
}

fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidSyntax, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_and_a_body_ask_the_same() {
        let url = Query::from_parameters([
            ("filter", r#"userName sw "a""#),
            ("sortBy", "userName"),
            ("sortOrder", "Descending"),
            ("startIndex", "11"),
            ("count", "5"),
            ("tracing", "x"),
        ])
        .unwrap();
        let body = Query::from_body(&json!({
            "schemas": [SCHEMA], "filter": r#"userName sw "a""#, "sortBy": "userName",
            "sortOrder": "descending", "startIndex": 11, "count": 5,
        }))
        .unwrap();
        for query in [url, body] {
            assert!(query.filter.is_some());
            assert_eq!(query.sort_by.as_deref(), Some("userName"));
            assert_eq!(query.order, SortOrder::Descending);
            assert_eq!(
                query.paging,
                Paging::Index {
                    start: 11,
                    count: 5
                }
            );
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (name, value, expected) in [
            ("count", "many", ScimType::InvalidCount),
            ("startIndex", "first", ScimType::InvalidValue),
            ("sortOrder", "up", ScimType::InvalidValue),
            ("filter", "userName", ScimType::InvalidFilter),
            ("attributes", "a b", ScimType::InvalidSyntax),
        ] {
            let error = Query::from_parameters([(name, value)]).unwrap_err();
            assert_eq!(error.scim_type(), Some(expected), "{name}");
        }
        assert!(Query::from_parameters([("filter", "a pr"), ("filter", "b pr")]).is_err());
        for body in [
            json!({}),
            json!({"schemas": ["urn:x"]}),
            json!({"schemas": [SCHEMA], "count": "5"}),
            json!({"schemas": [SCHEMA], "filter": 5}),
            json!({"schemas": [SCHEMA], "attributes": [5]}),
            json!({"schemas": [SCHEMA], "startIndex": 1, "cursor": ""}),
        ] {
            assert!(Query::from_body(&body).is_err(), "{body}");
        }
    }
}
