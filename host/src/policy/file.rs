//! The policy as it stands in a file: under `policy` of a pipeline, or in a file of its own for the whole host.

use super::Operator;
use crate::gate::OriginPattern;
use crate::limits::{LIMITS, Limit, Limits};
use crate::pipeline::document::Document;
use crate::{Class, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spile_connector::config::validate;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a source may do.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "policy")]
pub struct PolicyFile {
    /// The only origins that are reached, such as `https://api.example.com` or `https://*.example.com:*`. All that the source
    /// names, if absent.
    origins: Option<Vec<String>>,
    /// Origins that may have an address on this machine or in its network, such as `http://127.0.0.1:8080`.
    #[serde(default)]
    allow_private: Vec<String>,
    /// Caps on a run, by name. `spile limits` lists them.
    #[serde(default)]
    #[schemars(schema_with = "limits_schema")]
    limits: BTreeMap<String, Value>,
    /// The proxy that requests go through, such as `http://proxy.example.com:3128`. Proxies that the environment names are not used.
    proxy: Option<String>,
    /// The only component that runs the source, by its digest: `sha256:` and 64 hexadecimal digits.
    component: Option<String>,
    /// The reach that was approved, by its digest, as `spile plan` prints it. A source that asks for anything else is refused.
    approved: Option<String>,
}

/// An object with a key for each cap.
fn limits_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let property = |limit: &Limit| {
        let default = limit.show(&Limits::default());
        let description = format!("The limit on {}: {}. {default} if absent.", limit.on, limit.unit.written());
        (limit.name.to_owned(), json!({"type": ["string", "integer"], "description": description}))
    };
    let properties: Map<String, Value> = LIMITS.iter().map(property).collect();
    schemars::json_schema!({"type": "object", "properties": properties, "additionalProperties": false})
}

impl PolicyFile {
    /// Reads a policy for the whole host. Errors say where in the file.
    pub fn read(path: &Path) -> Result<Operator> {
        let document = Document::read(path)?;
        let defects = validate(&schemars::schema_for!(Self).to_value(), &document.value).into_iter().map(|defect| {
            let place = document.place(&defect.pointer.unwrap_or_default());
            let error = Error::new(Class::Config, defect.message).in_file(&document, &place);
            Error { advice: defect.advice, ..error }
        });
        if let Some(error) = Error::all(defects) {
            return Err(error);
        }
        let file: Self = serde_json::from_value(document.value.clone())
            .map_err(|error| Error::new(Class::Config, error.to_string()).in_file(&document, &document.place("")))?;
        file.operator(&document, "")
    }

    /// What it permits. It stands at this JSON pointer of the document.
    pub fn operator(&self, document: &Document, at: &str) -> Result<Operator> {
        let mut operator = Operator::default();
        let mut defects = Vec::new();
        let mut take = |pointer: String, taken: Result<()>| {
            if let Err(error) = taken {
                defects.push(error.in_file(document, &document.place(&format!("{at}/{pointer}"))));
            }
        };
        if let Some(origins) = &self.origins {
            let mut list: Vec<OriginPattern> = Vec::new();
            for (index, origin) in origins.iter().enumerate() {
                take(format!("origins/{index}"), origin.parse().map(|origin| list.push(origin)));
            }
            operator.within.push(list);
        }
        for (index, origin) in self.allow_private.iter().enumerate() {
            let origin = origin.parse::<OriginPattern>();
            take(format!("allow_private/{index}"), origin.map(|origin| operator.allow_private(origin)));
        }
        for (name, value) in &self.limits {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let set = Limit::named(name).and_then(|limit| limit.set(&mut operator.limits, &text));
            take(format!("limits/{name}"), set);
        }
        if let Some(proxy) = &self.proxy {
            take("proxy".to_owned(), operator.set_proxy(proxy));
        }
        if let Some(digest) = &self.component {
            take("component".to_owned(), sha256(digest).map(|digest| operator.components.push(digest)));
        }
        if let Some(digest) = &self.approved {
            take("approved".to_owned(), sha256(digest).map(|digest| operator.approved = Some(digest)));
        }
        Error::all(defects).map_or(Ok(operator), Err)
    }
}

/// The hexadecimal digits of `sha256:…`.
fn sha256(text: &str) -> Result<Arc<str>> {
    match text.strip_prefix("sha256:") {
        Some(digits) if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(digits.to_ascii_lowercase().into())
        }
        _ => Err(Error::new(Class::Config, "not a digest")
            .advice("write `sha256:` and 64 hexadecimal digits, as `spile plan` prints them")),
    }
}
