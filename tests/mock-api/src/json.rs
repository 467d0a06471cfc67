//! Writes JSON straight into bytes: no tree stands between a record and its page, so that a benchmark measures the
//! client and not the server.

use serde::Serialize;

/// The bytes of one JSON document in the making.
#[derive(Default)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// A document with this room.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The bytes written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The document's object, or an object in a list.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) -> &mut Self {
        self.comma();
        self.0.push(b'{');
        fields(self);
        self.0.push(b'}');
        self
    }

    /// A value in a list.
    pub(crate) fn item(&mut self, value: impl Serialize) -> &mut Self {
        self.comma();
        self.value(value);
        self
    }

    /// A list in a list.
    pub(crate) fn list(&mut self, count: u64, item: impl FnMut(&mut Self, u64)) -> &mut Self {
        self.comma();
        self.items(count, item)
    }

    /// A field with a scalar: text, number, boolean, or `None` for null.
    pub(crate) fn field(&mut self, key: &str, value: impl Serialize) -> &mut Self {
        self.key(key);
        self.value(value);
        self
    }

    /// A field with an object.
    pub(crate) fn field_object(&mut self, key: &str, fields: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(key);
        self.object(fields)
    }

    /// A field with a list; `item` writes each of its items by the index.
    pub(crate) fn field_list(&mut self, key: &str, count: u64, item: impl FnMut(&mut Self, u64)) -> &mut Self {
        self.key(key);
        self.items(count, item)
    }

    fn items(&mut self, count: u64, mut item: impl FnMut(&mut Self, u64)) -> &mut Self {
        self.0.push(b'[');
        for index in 0..count {
            item(self, index);
        }
        self.0.push(b']');
        self
    }

    /// Keys are words of this crate, and need no escapes.
    fn key(&mut self, key: &str) {
        self.comma();
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn value(&mut self, value: impl Serialize) {
        // Writing scalars into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, &value);
    }

    /// A comma, unless what follows is the first of its object or list, the value of a key, or the document.
    fn comma(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_serde_json_would() {
        let mut json = Json::default();
        json.object(|object| {
            object.field("text", "a \"ü\" {").field("int", i64::MAX).field("none", None::<bool>).field("half", 0.5);
            object.field_object("empty", |_| {}).field_list("none_at_all", 0, |_, _| {});
            object.field_list("scalars", 2, |list, index| {
                list.item(index);
            });
            object.field_list("objects", 2, |list, index| {
                list.object(|inner| {
                    inner.field("n", index);
                });
            });
            object.field_list("lists", 2, |list, _| {
                list.list(2, |inner, index| {
                    inner.item(index);
                });
            });
        });
        let text = String::from_utf8(json.into_bytes()).unwrap();
        let expected = r#"{"text":"a \"ü\" {","int":9223372036854775807,"none":null,"half":0.5,"empty":{},"none_at_all":[],"scalars":[0,1],"objects":[{"n":0},{"n":1}],"lists":[[0,1],[0,1]]}"#;
        assert_eq!(text, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
