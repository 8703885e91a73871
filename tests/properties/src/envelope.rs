use std::ops::Range;

use bytes::Bytes;
use gatewright_wire::{
    Envelope, Id, ItemKind, Kind, Limits, ListView, Peer, Splice, Subject, TargetField, headers,
    json,
};
use serde_json::Value;

/// The envelope: what it accepts, `serde_json` reads as the same, place by place; no careless reader finds a second
/// member for one that was decided on; and a splice changes its place and nothing else.
pub fn envelope(text: &[u8]) {
    let limits = Limits::default();
    let checked = json::check(text, &limits);
    if let Ok(text) = checked {
        let value: Value = serde_json::from_str(text).expect("checked text is JSON");
        unique_names(text.trim(), &value, limits.max_depth);
    }
    for from in [Peer::Client, Peer::Server] {
        let Ok(envelope) = Envelope::parse(text, from, &limits) else {
            continue;
        };
        let text = checked.as_ref().expect("an envelope is JSON");
        let value: Value = serde_json::from_str(text).unwrap();
        Message {
            text,
            from,
            envelope: &envelope,
            value: &value,
        }
        .holds();
    }
}

/// An object has as many members for us as for a reader that lets the last of two count, and none nests too deep.
fn unique_names(text: &str, value: &Value, left: usize) {
    match value {
        Value::Object(map) => {
            assert!(left > 0);
            let members = json::members(text).expect("an object has members");
            assert_eq!(members.len(), map.len());
            for (name, raw) in members {
                unique_names(raw, &map[&*name], left - 1);
            }
        }
        Value::Array(list) => {
            assert!(left > 0);
            let items = json::items(text).expect("an array has items");
            assert_eq!(items.len(), list.len());
            for (raw, value) in items.iter().zip(list) {
                unique_names(raw, value, left - 1);
            }
        }
        Value::String(string) => assert_eq!(json::string(text).as_deref(), Some(&**string)),
        _ => {}
    }
}

/// A message that was accepted, and how `serde_json` reads it.
struct Message<'a> {
    text: &'a str,
    from: Peer,
    envelope: &'a Envelope,
    value: &'a Value,
}

impl Message<'_> {
    fn holds(&self) {
        self.members();
        self.params();
        self.id_survives();
        self.target_survives();
        self.meta_survives();
        if self.envelope.kind() == Kind::Response {
            self.lists();
        }
    }

    fn read(&self, range: Option<Range<usize>>) -> Option<Value> {
        let raw = &self.text[range?];
        assert_eq!(raw, raw.trim(), "a place has no space around it");
        Some(serde_json::from_str(raw).expect("a place is one value"))
    }

    fn members(&self) {
        let (envelope, value) = (self.envelope, self.value);
        let has = |name| value.get(name).is_some();
        let kind = match (has("method"), has("id"), has("result")) {
            (true, true, _) => Kind::Request,
            (true, false, _) => Kind::Notification,
            (false, _, true) => Kind::Response,
            (false, _, false) => Kind::ErrorResponse,
        };
        assert_eq!(envelope.kind(), kind);
        assert_eq!(value["jsonrpc"], "2.0");
        assert!(!(has("result") && has("error")));
        assert_eq!(envelope.method(), value["method"].as_str());
        assert_eq!(self.read(Some(envelope.range())).as_ref(), Some(value));
        assert_eq!(
            self.read(envelope.params_range()).as_ref(),
            value.get("params")
        );
        assert_eq!(
            self.read(envelope.result_range()).as_ref(),
            value.get("result")
        );
        assert_eq!(
            self.read(envelope.error_range()).as_ref(),
            value.get("error")
        );
        match envelope.id() {
            Some(id) => {
                let read: Value = serde_json::from_str(id.as_json()).unwrap();
                assert_eq!(Some(&read), value.get("id"));
                assert!(read.is_string() || !id.as_json().contains(['.', 'e', 'E']));
                assert_eq!(Some(read), self.read(envelope.id_range()));
            }
            None => assert!(value["id"].is_null()),
        }
        alone(
            value,
            &["jsonrpc", "id", "method", "params", "result", "error"],
        );
    }

    fn params(&self) {
        let envelope = self.envelope;
        let params = &self.value["params"];
        let asks = envelope.method().is_some();
        assert!(!asks || params.is_null() || params.is_object());
        let meta = &params["_meta"];
        assert_eq!(
            self.read(envelope.meta_range()).as_ref(),
            params.get("_meta")
        );
        assert_eq!(
            envelope.protocol_version(),
            meta[headers::META_VERSION].as_str()
        );
        let capabilities = self.read(envelope.client_capabilities_range());
        assert_eq!(capabilities.as_ref(), meta.get(headers::META_CAPABILITIES));
        let token = envelope.progress_token().map(value_of);
        assert_eq!(token.as_ref(), meta.get("progressToken"));
        alone(
            meta,
            &[
                headers::META_VERSION,
                headers::META_CAPABILITIES,
                "progressToken",
            ],
        );

        let target = self.read(envelope.target_range());
        assert_eq!(target.as_ref().and_then(Value::as_str), envelope.target());
        let refers = envelope.refers_to().map(value_of);
        assert_eq!(refers, self.read(envelope.refers_to_range()));
        let Some(info) = envelope.info() else {
            assert!(target.is_none() && refers.is_none() && envelope.arguments_range().is_none());
            return;
        };
        assert_eq!((Some(info.name), info.from), (envelope.method(), self.from));
        alone(
            params,
            &[
                "_meta",
                "name",
                "uri",
                "ref",
                "taskId",
                "arguments",
                "requestId",
                "progressToken",
            ],
        );
        if let Some(arguments) = self.read(envelope.arguments_range()) {
            assert!(arguments.is_object());
            assert_eq!(arguments, params["arguments"]);
        }
        let Some(target) = target else {
            // A modern request for a method that only the older era has is nobody's.
            let foreign = envelope.protocol_version().is_some();
            assert!(info.target == TargetField::None || foreign);
            return;
        };
        let place = match (info.target, envelope.subject()) {
            (TargetField::Name, _) => &params["name"],
            (TargetField::Uri, _) => &params["uri"],
            (TargetField::TaskId, _) => &params["taskId"],
            (TargetField::Ref, Subject::Prompt) => &params["ref"]["name"],
            (TargetField::Ref, _) => &params["ref"]["uri"],
            (TargetField::None, _) => &Value::Null,
        };
        assert_eq!(&target, place);
    }

    /// The message after a splice, read again.
    fn after(splice: Splice<'_>) -> (Bytes, Value) {
        let text = splice.build().expect("one change overlaps none");
        let value = serde_json::from_slice(&text).expect("a splice leaves JSON");
        (text, value)
    }

    fn id_survives(&self) {
        let Some(own) = self.envelope.id() else {
            return;
        };
        for id in [Id::number(i64::MIN), Id::string("\"\n\\é"), own.clone()] {
            let mut splice = Splice::new(self.text.as_bytes());
            splice.set_id(self.envelope, &id).unwrap();
            let (mapped, value) = Self::after(splice);
            let mut expected = self.value.clone();
            expected["id"] = value_of(&id);
            assert_eq!(value, expected);

            // And back, as an answer's id is mapped on its way: every byte is as it was.
            let again = Envelope::parse(&mapped, self.from, &Limits::default()).unwrap();
            assert_eq!(again.id(), Some(&id));
            let mut splice = Splice::new(&mapped);
            splice.set_id(&again, own).unwrap();
            assert_eq!(splice.build().unwrap(), self.text);
        }
    }

    fn target_survives(&self) {
        const OTHER: &str = "\"},{\\";
        let Some(range) = self.envelope.target_range() else {
            return;
        };
        let mut splice = Splice::new(self.text.as_bytes());
        splice.set_target(self.envelope, OTHER).unwrap();
        let (text, _) = Self::after(splice);
        let again = Envelope::parse(&text, self.from, &Limits::default()).unwrap();
        assert_eq!(again.target(), Some(OTHER));
        assert_eq!(again.id(), self.envelope.id());
        let place = again.target_range().unwrap();
        assert_eq!(place.start, range.start);
        assert_eq!(&text[place.end..], &self.text.as_bytes()[range.end..]);
    }

    fn meta_survives(&self) {
        if self.envelope.method().is_none() {
            return;
        }
        let mut splice = Splice::new(self.text.as_bytes());
        let members = [("gw.example/a", "{\"b\":[1.0]}"), ("progressToken", "7")];
        splice.set_meta(self.envelope, &members).unwrap();
        let (text, value) = Self::after(splice);
        let mut expected = self.value.clone();
        for (name, value) in members {
            expected["params"]["_meta"][name] = serde_json::from_str(value).unwrap();
        }
        assert_eq!(value, expected);
        let again = Envelope::parse(&text, self.from, &Limits::default()).unwrap();
        assert_eq!(again.progress_token(), Some(&Id::number(7)));
        assert_eq!(again.target(), self.envelope.target());
    }

    /// Lists lose the items that are hidden, and nothing else.
    fn lists(&self) {
        let kinds = [
            ItemKind::Tool,
            ItemKind::Prompt,
            ItemKind::Resource,
            ItemKind::ResourceTemplate,
        ];
        for kind in kinds {
            let message = Bytes::copy_from_slice(self.text.as_bytes());
            let Ok(view) = ListView::parse(message, kind, &Limits::default()) else {
                continue;
            };
            let keep: Vec<bool> = view
                .items()
                .iter()
                .map(|item| item.name.len() % 2 == 0)
                .collect();
            let all = vec![true; keep.len()];
            assert_eq!(view.retain(&all).unwrap(), self.text);

            let mut expected = self.value.clone();
            let list = expected["result"][kind.result_field()]
                .as_array_mut()
                .unwrap();
            assert_eq!(list.len(), keep.len());
            for (item, value) in view.items().iter().zip(&*list) {
                assert_eq!(value[kind.name_field()], *item.name);
                alone(value, &[kind.name_field()]);
            }
            let mut kept = keep.iter();
            list.retain(|_| *kept.next().unwrap());
            let filtered: Value = serde_json::from_slice(&view.retain(&keep).unwrap()).unwrap();
            assert_eq!(filtered, expected);
        }
    }
}

fn value_of(id: &Id) -> Value {
    serde_json::from_str(id.as_json()).unwrap()
}

/// No member's name is one of these for a reader that ignores case and is not for us.
fn alone(object: &Value, names: &[&str]) {
    let folded = |name: &str| {
        name.replace('ſ', "s")
            .replace('\u{212a}', "k")
            .to_ascii_lowercase()
    };
    for member in object.as_object().into_iter().flatten() {
        let like = names.iter().find(|name| folded(name) == folded(member.0));
        assert!(like.is_none_or(|name| name == member.0), "{}", member.0);
    }
}
