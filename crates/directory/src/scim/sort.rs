use std::cmp::Ordering;

use serde_json::Value;

use super::{
    AttributeName, Attributes, ScimError, ScimType,
    error::excerpt,
    filter::comparable,
    schema::{AttributeType, Named, Place, ResourceType},
};

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum SortOrder {
    #[default]
    Ascending,
    Descending,
}

/// The order of a list (RFC 7644 §3.4.2.3). What has no value comes last where it ascends, first where it descends.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    place: Place,
    order: SortOrder,
}

impl Sort {
    /// By an attribute. Of one that has many values the primary one counts, or else the first.
    ///
    /// # Errors
    /// [`ScimError`] where there is no such attribute, or none that can be compared.
    pub fn by(
        resource_type: &'static ResourceType,
        attribute: &str,
        order: SortOrder,
    ) -> Result<Self, ScimError> {
        let unfit = || {
            let detail = format!(
                "`sortBy` names `{}`, by which {} cannot be sorted",
                excerpt(attribute),
                resource_type.endpoint
            );
            ScimError::new(ScimType::InvalidPath, detail)
        };
        let name = AttributeName::parse(attribute).ok_or_else(unfit)?;
        let Some(Named::Attribute(mut place)) = resource_type.resolve(&name) else {
            return Err(unfit());
        };
        if place.attribute.r#type == AttributeType::Complex && place.sub.is_none() {
            place.sub = Some(place.attribute.sub("value").ok_or_else(unfit)?);
        }
        Ok(Self { place, order })
    }

    /// By what a resource is sorted.
    #[must_use]
    pub fn key(&self, resource: &Attributes) -> SortKey {
        SortKey {
            value: self.value(resource),
            order: self.order,
        }
    }

    fn value(&self, resource: &Attributes) -> Option<String> {
        let value = self.place.value(resource)?;
        let chosen = match value {
            Value::Array(values) => values
                .iter()
                .find(|value| value.get("primary") == Some(&Value::Bool(true)))
                .or_else(|| values.first())?,
            single => single,
        };
        let (leaf, value) = match self.place.sub {
            Some(sub) => (sub, chosen.get(sub.name)?),
            None => (self.place.attribute, chosen),
        };
        Some(match value {
            Value::String(text) => comparable(leaf, text).into_owned(),
            other => other.to_string(),
        })
    }
}

/// What resources are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    value: Option<String>,
    order: SortOrder,
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let ascending = match (&self.value, &other.value) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        match self.order {
            SortOrder::Ascending => ascending,
            SortOrder::Descending => ascending.reverse(),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::USER;

    fn sorted(by: &str, order: SortOrder) -> Vec<String> {
        let mut people: Vec<Attributes> = [
            json!({"id": "1", "userName": "bob", "name": {"familyName": "Ärger"}}),
            json!({"id": "2", "userName": "Ann", "emails": [{"value": "z@x"}, {"value": "b@x", "primary": true}]}),
            json!({"id": "3", "userName": "cid", "emails": [{"value": "C@x"}], "name": {"familyName": "Abel"}}),
        ]
        .into_iter()
        .map(|person| person.as_object().unwrap().clone())
        .collect();
        let sort = Sort::by(&USER, by, order).unwrap();
        people.sort_by_cached_key(|person| sort.key(person));
        people
            .iter()
            .map(|person| person["id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn resources_are_sorted_as_rfc7644_3_4_2_3_says() {
        assert_eq!(sorted("userName", SortOrder::Ascending), ["2", "1", "3"]);
        assert_eq!(sorted("username", SortOrder::Descending), ["3", "1", "2"]);
        assert_eq!(sorted("emails", SortOrder::Ascending), ["2", "3", "1"]);
        assert_eq!(
            sorted("emails.value", SortOrder::Descending),
            ["1", "3", "2"]
        );
        assert_eq!(
            sorted("name.familyName", SortOrder::Ascending),
            ["3", "1", "2"]
        );
    }

    #[test]
    fn what_cannot_be_sorted_by_is_refused() {
        for bad in [
            "shoeSize",
            "name",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "a b",
        ] {
            let error = Sort::by(&USER, bad, SortOrder::Ascending).unwrap_err();
            assert_eq!(error.scim_type(), Some(ScimType::InvalidPath), "{bad}");
        }
    }
}
