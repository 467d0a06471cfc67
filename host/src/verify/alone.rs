//! What can be seen of a component without a source.

use super::{Found, Report, told};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::sandbox::{Connector, Instance, SourceConfig};
use serde_json::{Value, json};

/// The checks, in their order.
pub(super) const CHECKS: [&str; 3] = ["spec", "spec-fits", "refusals"];

/// What no connector can take for a configuration.
const RUBBISH: [&str; 5] = ["", "{", "null", "[]", "\"text\""];

pub(super) async fn check(connector: &Connector, config: Option<&Value>, report: &mut Report) {
    let [spec, fits, refusals] = CHECKS;
    match schema(connector).await {
        Err(why) => {
            report.add(spec, Err(why));
            report.skip(&[fits], "there is no schema");
        }
        Ok(schema) => {
            report.add(spec, Ok(()));
            match config {
                None => report.skip(&[fits], "it needs a source: give one with --config"),
                Some(config) => report.add(fits, accepts(&schema, config)),
            }
        }
    }
    report.add(refusals, refuses(connector).await);
}

async fn start(connector: &Connector) -> Result<Instance, String> {
    connector.start(Gate::closed(), Limits::default()).await.map_err(|error| told(&error))
}

/// The schema of the configuration: JSON Schema of 2020-12, and valid.
async fn schema(connector: &Connector) -> Result<Value, String> {
    let text = start(connector).await?.spec().await.map_err(|error| told(&error))?;
    let schema: Value = serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    if let Some(dialect) = schema.get("$schema")
        && dialect != "https://json-schema.org/draft/2020-12/schema"
    {
        return Err(format!("its `$schema` is {dialect}, and not that of 2020-12"));
    }
    jsonschema::draft202012::meta::validate(&schema)
        .map_err(|error| format!("it is not a valid JSON Schema: {error}, at {}", error.instance_path()))?;
    Ok(schema)
}

/// The source that it reads fits its own schema.
fn accepts(schema: &Value, config: &Value) -> Found {
    let validator = jsonschema::draft202012::new(schema).map_err(|error| format!("it cannot be used: {error}"))?;
    match validator.iter_errors(config).next() {
        None => Ok(()),
        // The value is not told: it may be what is secret.
        Some(error) => {
            Err(format!("the source does not fit at `{}`: see {}", error.instance_path(), error.schema_path()))
        }
    }
}

/// What is no configuration is refused as one, with reasons, and neither accepted nor a crash.
async fn refuses(connector: &Connector) -> Found {
    for rubbish in RUBBISH {
        let Err(errors) = start(connector).await?.describe(&SourceConfig::new(rubbish)).await else {
            return Err(format!("it describes {}", json!(rubbish)));
        };
        if let Some(error) = errors.iter().find(|error| error.kind != Some("config")) {
            return Err(format!("it refuses {} with {}", json!(rubbish), told(error)));
        }
    }
    Ok(())
}
