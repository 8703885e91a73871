//! SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865): how an identity provider says who there is.
//!
//! The protocol is pure: filters, paths, patches, projections and pages work on JSON, and know neither storage nor HTTP.
//!
//! ```
//! use gatewright_directory::scim::{Filter, schema::USER};
//! use serde_json::json;
//!
//! let filter = Filter::parse(r#"emails[type eq "work" and value ew "@example.com"]"#).unwrap();
//! let condition = filter.bind(&USER).unwrap();
//! let ann = json!({"userName": "ann", "emails": [{"type": "work", "value": "ann@example.com"}]});
//! assert!(condition.matches(ann.as_object().unwrap()));
//! ```

mod attribute;
mod error;
pub mod filter;
mod name;
mod page;
pub mod patch;
mod path;
mod project;
mod query;
pub mod schema;
mod service;
mod sort;
mod token;
mod validate;

pub use attribute::AttributeName;
pub use error::{ScimError, ScimType};
pub use filter::{Condition, Filter};
pub use name::{UnfitName, comparable_name};
pub use page::{CURSOR_SECONDS, Cursor, LARGEST_PAGE, Paging, USUAL_PAGE};
pub use patch::{Member, MemberEdits, Patch};
pub use project::Projection;
pub use query::Query;
pub use service::{PublicCredential, ROUTES, Rate, ScimService};
pub use sort::{Sort, SortKey, SortOrder};
pub use token::{NoRandomness, digest_of_token, new_token};
pub use validate::canonical;

/// The attributes of a resource, by the names of the schema.
pub type Attributes = serde_json::Map<String, serde_json::Value>;
