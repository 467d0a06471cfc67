//! Errors as problem details (RFC 9457).

use serde_json::{Map, Value, json};

/// What went wrong. Absent members are left out of the document.
#[derive(Debug, Default)]
pub struct Problem {
    /// The status of the response.
    pub status: u16,
    /// The kind of error, as the contract names it, or `request` where the request itself is at fault.
    pub kind: &'static str,
    /// What happened, for a person.
    pub detail: String,
    /// What else is known: `resource`, `pointer`, `advice`, `upstream_status`, `url`, `attempts`, `retry_after`, `errors`.
    pub more: Map<String, Value>,
    /// Seconds until it is worth to ask again.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// The content type of the document.
    pub const CONTENT_TYPE: &str = "application/problem+json";

    /// The document, as one line.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:spile:problem:{}", self.kind),
            "title": self.title(),
            "status": self.status,
            "detail": self.detail,
            "kind": self.kind,
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.more.clone());
        }
        document
    }

    /// The problem with every text of it as `hide` gives it.
    #[must_use]
    pub fn hiding(mut self, hide: &dyn Fn(&str) -> String) -> Self {
        self.detail = hide(&self.detail);
        self.more.values_mut().for_each(|value| hide_in(value, hide));
        self
    }

    /// The same for every problem of a kind, as the RFC wants it.
    fn title(&self) -> &'static str {
        match self.kind {
            "request" => "the request cannot be answered",
            "config" => "the configuration cannot be used",
            "auth" => "the API does not accept the credentials",
            "permission" => "the credentials do not permit this, or the platform does not",
            "rate-limited" => "the API limits the rate",
            "transient" => "the API failed, which may pass",
            "schema" => "the data does not fit",
            "limit" => "a limit was reached",
            "upstream" => "the API answered something unexpected",
            _ => "the connector failed",
        }
    }

    /// The status for a kind of error: whether the platform, its configuration or the API is at fault.
    pub fn status_of(kind: &str) -> u16 {
        match kind {
            "auth" | "permission" | "schema" | "upstream" => 502,
            "rate-limited" | "transient" => 503,
            _ => 500,
        }
    }
}

/// Puts what `hide` gives in the place of every text within a value.
pub fn hide_in(value: &mut Value, hide: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = hide(text),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_in(item, hide)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hide_in(field, hide)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_a_problem_is_hidden() {
        let more = json!({"url": "a?k=s3cret", "errors": [{"detail": "s3cret"}], "upstream_status": 401});
        let problem = Problem {
            detail: "s3cret is wrong".to_owned(),
            more: more.as_object().cloned().unwrap_or_default(),
            ..Problem::default()
        };
        let told = problem.hiding(&|text| text.replace("s3cret", "***")).document().to_string();
        assert!(!told.contains("s3cret") && told.matches("***").count() == 3, "{told}");
    }

    #[test]
    fn a_document_has_the_members_of_the_rfc_and_what_else_is_known() {
        let more = json!({"resource": "orders", "upstream_status": 401});
        let problem = Problem {
            status: Problem::status_of("auth"),
            kind: "auth",
            detail: "the API answered 401".to_owned(),
            more: more.as_object().cloned().unwrap_or_default(),
            retry_after: None,
        };
        let expected = json!({
            "type": "urn:spile:problem:auth",
            "title": "the API does not accept the credentials",
            "status": 502,
            "detail": "the API answered 401",
            "kind": "auth",
            "resource": "orders",
            "upstream_status": 401,
        });
        assert_eq!(problem.document(), expected);
    }
}
