//! Patches of SCIM.

use gatewright_directory::scim::{
    Patch, canonical,
    schema::{GROUP, USER},
};
use serde_json::{Value, json};

/// A resource that was valid is so after every patch that is taken, and a name that it has to have is there. Of a group's
/// members nobody is both added and removed.
pub fn scim_patch(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if let Ok(patch) = Patch::parse(&USER, &body) {
        let mut ann = json!({
            "userName": "ann", "active": true, "name": {"givenName": "Ann"},
            "emails": [{"type": "work", "value": "ann@work", "primary": true}, {"type": "home", "value": "ann@home"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales", "manager": {"value": "m"}},
        });
        let ann = ann.as_object_mut().expect("an object");
        if patch.apply("u1", ann, &[]).is_ok() {
            let mut document = Value::Object(ann.clone());
            document["schemas"] = json!([USER.schema.id]);
            assert_eq!(canonical(&USER, &document).as_ref(), Ok(&*ann));
        }
    }
    if let Ok(patch) = Patch::parse(&GROUP, &body) {
        let mut group = json!({"displayName": "Staff"});
        let group = group.as_object_mut().expect("an object");
        if let Ok(edits) = patch.apply("g1", group, &[]) {
            assert!(group.contains_key("displayName") && !group.contains_key("members"));
            assert!(edits.remove.iter().all(|id| !edits.add.contains_key(id)));
            assert!(!edits.clear || edits.remove.is_empty());
        }
    }
}
