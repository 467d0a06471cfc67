//! The lines of a response: rows, and what is known after them.

use crate::problem::Problem;
use serde_json::{Value, json};

/// The content type of the lines.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Adds a line `{"table": …, "row": …}` for each row of a table. `rows` has one JSON object a line, and goes into the lines as it
/// is.
pub fn push_rows(lines: &mut Vec<u8>, table: &str, rows: &str) {
    let table = Value::from(table).to_string();
    for row in rows.lines().filter(|row| !row.is_empty()) {
        for part in ["{\"table\":", &table, ",\"row\":", row, "}\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
    }
}

/// The line after the rows of a batch: the state with which a request goes on after them.
pub fn state(state: &str) -> Vec<u8> {
    line(&json!({"state": state, "done": false}))
}

/// The last line: all rows were sent.
pub fn done(state: &str) -> Vec<u8> {
    line(&json!({"state": state, "done": true}))
}

/// The last line of a response that a problem ends after it has begun. The state before it is the one to go on with.
pub fn problem(problem: &Problem) -> Vec<u8> {
    line(&json!({"problem": problem.document()}))
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_states_are_lines() {
        let mut lines = Vec::new();
        push_rows(&mut lines, "a\"b", "{\"id\":1}\n{\"id\":2}\n");
        push_rows(&mut lines, "c", "");
        lines.extend(state("{\"v\":1}"));
        lines.extend(done("{}"));
        let expected = concat!(
            "{\"table\":\"a\\\"b\",\"row\":{\"id\":1}}\n",
            "{\"table\":\"a\\\"b\",\"row\":{\"id\":2}}\n",
            "{\"state\":\"{\\\"v\\\":1}\",\"done\":false}\n",
            "{\"state\":\"{}\",\"done\":true}\n",
        );
        assert_eq!(String::from_utf8_lossy(&lines), expected);
    }
}
