//! A case, and its API.
//!
//! ```yaml
//! # What it is about, in the first line.
//! script: {…}              # the API: see `mock_api::scripted::Script`
//! platform: {apps: 5}      # or the AI platform: the flags of `mock-api`
//! recorded: crm            # or the first run of a recorded exchange in tests/connectors
//! config: {…}              # the source; `$api` in it is the API's base URL
//! connector: crm           # or that of a connector that ships
//! params: {…}
//! secrets: {…}
//! batch_rows: 100          # the most root rows of a batch
//! stop_after: 2            # read so many batches, then go on with another reader from the state
//! served: [orders]         # resources that are also read one by one, as they are behind HTTP
//! columns_change: true     # a request for the rest does not know the columns of the rows before
//! fails: auth              # the kind of error that it ends with
//! words_differ: true       # the runtime has words of its own for it
//! ```

use crate::outcome::Outcome;
use clap::Parser;
use mock_api::MockApi;
use mock_api::scripted::{Script, ScriptedApi};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spile_host::pipeline::document::Document;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};
use url::Url;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/portability/cases");
const CONNECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors");
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/connectors");

/// The host that the connectors have for want of a real one.
const NO_HOST: &str = "https://api.example.com";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The file's.
    #[serde(skip)]
    pub name: String,
    /// Its first line.
    #[serde(skip)]
    pub title: String,
    script: Option<Value>,
    platform: Option<Map<String, Value>>,
    recorded: Option<String>,
    config: Option<Value>,
    connector: Option<String>,
    #[serde(default)]
    pub params: Map<String, Value>,
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default = "hundred")]
    pub batch_rows: u32,
    pub stop_after: Option<u32>,
    #[serde(default)]
    served: Vec<String>,
    #[serde(default)]
    pub columns_change: bool,
    pub fails: Option<String>,
    #[serde(default)]
    pub words_differ: bool,
    /// Where the cursors of a recorded run end.
    #[serde(skip)]
    pub until: Option<String>,
}

fn hundred() -> u32 {
    100
}

/// What is read at once.
pub struct Reading<'c> {
    pub case: &'c Case,
    /// None for all.
    pub resource: Option<&'c str>,
}

impl fmt::Display for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.case.name, self.resource.map(|name| format!(", {name}")).unwrap_or_default())
    }
}

/// An API that runs while it is held.
pub enum Api {
    Platform(MockApi),
    Scripted(ScriptedApi),
}

impl Api {
    pub fn base_url(&self) -> &str {
        match self {
            Self::Platform(api) => api.base_url(),
            Self::Scripted(api) => api.base_url(),
        }
    }
}

#[derive(Parser)]
struct Platform {
    #[command(flatten)]
    options: mock_api::Options,
}

/// All cases, by name.
pub fn all() -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| Case::read(file)).collect()
}

impl Case {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let document = Document::read(file).unwrap();
        let mut case: Self =
            serde_json::from_value(document.value).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        case.name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        case.title = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
        if let Some(recording) = case.recording() {
            let arguments = |of: &Value| -> Vec<String> {
                of["arguments"].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
            };
            let all = [arguments(&recording), arguments(&recording["runs"][0])].concat();
            for pair in all.chunks(2) {
                match (pair[0].as_str(), &pair[1]) {
                    ("--until", until) => case.until = Some(until.clone()),
                    ("--param", param) => {
                        let (name, value) = param.split_once('=').unwrap();
                        case.params.insert(name.to_owned(), value.into());
                    }
                    (other, _) => panic!("{}: the argument {other}", case.name),
                }
            }
            case.secrets = serde_json::from_value(recording["secrets"].clone()).unwrap_or_default();
        }
        case
    }

    /// What was recorded.
    fn recording(&self) -> Option<Value> {
        let file = Path::new(RECORDED).join(self.recorded.as_ref()?).join("exchange.yaml");
        Some(Document::read(&file).unwrap().value)
    }

    /// Starts its API.
    pub fn start(&self) -> Api {
        if let Some(flags) = &self.platform {
            let flags = flags.iter().flat_map(|(name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                [format!("--{}", name.replace('_', "-")), value]
            });
            let options = Platform::parse_from(["mock-api".to_owned()].into_iter().chain(flags)).options;
            return Api::Platform(MockApi::start(options).unwrap());
        }
        Api::Scripted(ScriptedApi::start(self.script()).unwrap())
    }

    /// Lets an API begin anew: where it can, at the URL that it has, since cursors tell records by all that they hold.
    pub fn restart(&self, api: Api) -> Api {
        match api {
            Api::Platform(_) => self.start(),
            Api::Scripted(scripted) => {
                scripted.replace(self.script());
                Api::Scripted(scripted)
            }
        }
    }

    fn script(&self) -> Script {
        let script = match self.recording() {
            Some(recording) => {
                let exchange = recording["runs"][0]["exchange"].as_array().unwrap();
                let everywhere = recording["headers"].as_object().cloned().unwrap_or_default();
                let exchange = exchange.iter().map(|one| {
                    let mut one = one.clone();
                    let mut headers = everywhere.clone();
                    headers.extend(one["request"]["headers"].as_object().cloned().unwrap_or_default());
                    headers.retain(|_, value| !value.is_null());
                    one["request"]["headers"] = headers.into();
                    one
                });
                json!({"recorded": exchange.collect::<Vec<_>>()})
            }
            None => self.script.clone().unwrap_or_else(|| json!({})),
        };
        serde_json::from_value(script).unwrap()
    }

    /// The configuration for an API.
    pub fn config(&self, base_url: &str) -> Value {
        if let Some(connector) = self.shipped() {
            let text = connector["source"].to_string().replace(NO_HOST, base_url);
            let mut config: Value = serde_json::from_str(&text).unwrap();
            let path = Url::parse(config["client"]["base_url"].as_str().unwrap()).unwrap().path().to_owned();
            config["client"]["base_url"] = format!("{base_url}{}", path.trim_end_matches('/')).into();
            return config;
        }
        let config = self.config.as_ref().unwrap_or_else(|| panic!("{}: no config", self.name));
        serde_json::from_str(&config.to_string().replace("$api", base_url)).unwrap()
    }

    /// What binds path variables.
    pub fn bindings(&self) -> Value {
        self.shipped()
            .map(|connector| connector["bindings"].clone())
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}))
    }

    /// A connector that ships.
    fn shipped(&self) -> Option<Value> {
        let file = Path::new(CONNECTORS).join(self.connector.as_ref()?).with_extension("yaml");
        Some(Document::read(&file).unwrap().value)
    }

    /// All at once, and what is read behind HTTP one by one.
    pub fn readings(&self) -> impl Iterator<Item = Reading<'_>> {
        let single = self.served.iter().map(|name| Some(name.as_str()));
        [None].into_iter().chain(single).map(|resource| Reading { case: self, resource })
    }

    /// What is not as the case says.
    pub fn difference(&self, outcome: &Outcome) -> Option<String> {
        match (self.fails.as_deref(), outcome.kind()) {
            (None, None) if outcome.rows() > 0 => None,
            (None, None) => Some("there are no rows".to_owned()),
            (expected, found) if expected == found => None,
            (expected, _) => Some(format!("is to end with {expected:?}, and ends so: {:?}", outcome.end)),
        }
    }
}
