//! Node and Python: a process each, driven over its standard input and output with a JSON document a line.

use crate::case::Reading;
use crate::outcome::{End, Outcome};
use crate::{Runtime, tools};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Process {
    name: String,
    child: Child,
    /// Taken at the end, which ends the process.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn node() -> Self {
        Self::start(&mut tools::node_runner())
    }

    pub fn streaming() -> Self {
        Self::start(&mut tools::streaming_runner())
    }

    pub fn python() -> Self {
        Self::start(&mut tools::python_runner())
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { name: String::new(), child, input, output };
        let told = process.line();
        let parts = told["parts"].as_object().unwrap().iter().map(|(part, version)| {
            let part = part.rsplit('/').next().unwrap();
            format!("{part} {}", version.as_str().unwrap())
        });
        let parts = parts.collect::<Vec<_>>().join(", ");
        process.name = format!("{} {} ({parts})", told["runtime"].as_str().unwrap(), told["version"].as_str().unwrap());
        process
    }

    fn line(&mut self) -> Value {
        let line = self.output.next().expect("the runtime goes on").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{}: {why}: {line}", self.name))
    }

    /// Hands over what it answers, until the end of the case.
    fn ask(&mut self, case: &Value) -> Vec<Value> {
        writeln!(self.input.as_mut().unwrap(), "{case}").unwrap();
        let mut answers = Vec::new();
        loop {
            let answer = self.line();
            if let Some(name) = answer.get("end") {
                assert_eq!(*name, case["name"]);
                return answers;
            }
            answers.push(answer);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

impl Runtime for Process {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(&mut self, reading: &Reading, base_url: &str) -> Option<Outcome> {
        let case = reading.case;
        let mut outcome = Outcome::new();
        let (mut state, mut schema) = (None, None);
        for batches in case.stop_after.map(Some).into_iter().chain([None]) {
            let answers = self.ask(&json!({
                "name": reading.to_string(),
                "config": case.config(base_url),
                "secrets": case.secrets,
                "params": case.params,
                "bindings": case.bindings(),
                "resources": reading.resource.into_iter().collect::<Vec<_>>(),
                "state": state,
                "schema": schema,
                "window": 8,
                "max_rows": case.batch_rows,
                "max_bytes": 1 << 20,
                "load_id": "1",
                "until": case.until,
                "batches": batches,
            }));
            for answer in answers {
                if let Some(batch) = answer.get("batch") {
                    for table in batch["tables"].as_array().unwrap() {
                        let text = |key: &str| table[key].as_str();
                        outcome.push_rows(text("table").unwrap(), text("parent").is_none(), text("ndjson").unwrap());
                    }
                    outcome.push_state(batch["state"].as_str().unwrap());
                    state = Some(batch["state"].clone());
                    schema = batch.get("schema").filter(|schema| !schema.is_null()).cloned().or(schema);
                } else if let Some(done) = answer.get("done") {
                    outcome.push_state(done["state"].as_str().unwrap());
                    let warnings = done["warnings"].as_array().unwrap().iter();
                    outcome.end = End::Done(warnings.map(|it| it["message"].as_str().unwrap().to_owned()).collect());
                } else {
                    let error = answer.get("error").unwrap_or_else(|| panic!("{answer}"));
                    let facts = ["message", "resource", "pointer", "advice", "status", "url", "attempts"];
                    outcome.fail(error["kind"].as_str().unwrap(), facts.map(|name| (name, error[name].clone())));
                }
            }
        }
        Some(outcome)
    }
}
