//! The body of a request: JSON, the fields of a form, or a text.

use super::document::Document;
use super::template::Part;

/// Query parameters, or the fields of a form: names and values. A value that is no text is sent as JSON.
pub type Fields = Vec<(Vec<Part>, Document)>;

/// A body with placeholders.
pub enum Body {
    /// A JSON document.
    Json(Document),
    /// The fields of a form.
    Form(Fields),
    /// A text of a type that the headers tell.
    Text {
        /// The text.
        parts: Vec<Part>,
        /// The key that has it.
        key: &'static str,
    },
}

impl Body {
    /// The key of the endpoint that has it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Form(_) => "data",
            Self::Text { key, .. } => key,
        }
    }

    /// All parts of its texts.
    pub fn parts(&self) -> Vec<&Part> {
        match self {
            Self::Json(document) => document.parts(),
            Self::Form(fields) => parts_of(fields),
            Self::Text { parts, .. } => parts.iter().collect(),
        }
    }
}

/// All parts of names and values.
pub fn parts_of(fields: &Fields) -> Vec<&Part> {
    fields.iter().flat_map(|(name, value)| name.iter().chain(value.parts())).collect()
}
