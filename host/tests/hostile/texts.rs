//! Texts that are large, or speak to a terminal: the program shows them, and obeys none.

use crate::obedient::GUEST;
use crate::scripted::{ids, table};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// Clears the screen, sets a title, rings, turns the direction, goes to the beginning of the line.
const UNFIT: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\u{7f}";

/// What the program says, in all, of a pipeline with this script.
fn says(arguments: &[&str], script: &Value, terminal: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guest.wasm"), &*GUEST).unwrap();
    let pipeline = json!({"name": "hostile", "source": {"script": script}, "dataset": "data"});
    std::fs::write(folder.path().join("case.json"), pipeline.to_string()).unwrap();
    let program = env!("CARGO_BIN_EXE_spile");
    let call =
        [arguments, &["case.json", "--component", "guest.wasm", "--allow-private", "http://example.com:80"]].concat();
    let output = match terminal {
        false => Command::new(program).args(&call).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap(),
        // It takes what `script` gives it for a terminal.
        true => Command::new("script")
            .args(["--quiet", "--command", &format!("{program} {}", call.join(" ")), "/dev/null"])
            .env("TERM", "xterm")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    };
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn has(name: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| Path::new(&folder).join(name).exists())
}

/// A script whose every text says it.
fn unfit() -> Value {
    let text = format!("x{UNFIT}y");
    let told = json!({"message": text, "advice": text, "resource": text, "pointer": text, "url": text});
    let mut rows = table("r", &ids(1));
    rows["new_columns"] = json!([{"name": text, "type": "text"}]);
    let change = json!({"table": text, "column": text, "sample": text});
    json!({
        "describe": {"resources": [{"name": "r"}, {"name": text, "table": "t", "url": format!("http://example.com/{text}")}],
            "warnings": [told]},
        "steps": [
            {"wait": {"resource": text, "reason": text}},
            {"batch": {"tables": [rows], "changes": [change], "counts": [{"resource": text}, {"resource": "r"}]}},
            {"done": {"state": "{}", "counts": [{"resource": text}], "warnings": [told]}},
        ],
    })
}

/// What is left of the text where a terminal must not obey it.
#[track_caller]
fn is_tame(said: &str, own_colours: bool) {
    let mut rest = said.to_owned();
    if own_colours {
        // Colours and the drawing over of lines are the program's own, and stand in other places.
        for own in ["\u{1b}[2J", "\u{1b}]0;owned", "\u{9b}31m", "\u{202e}", "\u{7f}", "\u{7}"] {
            assert!(!rest.contains(own), "{own:?} in {rest:?}");
        }
        return;
    }
    rest.retain(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || c == '\u{202e}');
    assert!(rest.is_empty(), "{rest:?} in {said:?}");
}

#[test]
fn no_text_of_a_connector_steers_a_terminal() {
    let mut failing = unfit();
    failing["steps"] = json!([{"fail": {"message": UNFIT, "advice": UNFIT, "resource": UNFIT, "url": UNFIT}}]);
    let mut unreadable = unfit();
    unreadable["steps"] =
        json!([{"batch": {"tables": [{"table": UNFIT, "resource": UNFIT, "rows": 1, "arrow": "00"}]}}]);
    let mut unknown = unfit();
    unknown["steps"] = json!([{"batch": {"tables": [{"table": UNFIT, "resource": UNFIT, "rows": 0,
        "arrow": table("r", &ids(0))["arrow"]}]}}]);
    for (arguments, script) in [
        (["run"].as_slice(), unfit()),
        (&["run"], failing.clone()),
        (&["run"], unreadable),
        (&["run"], unknown),
        (&["check"], failing),
    ] {
        let said = says(arguments, &script, false);
        assert!(said.contains("[2J"), "it says nothing of it: {said}");
        // What goes to a file or a program is as it is on standard output; all else is told to people.
        if arguments != ["run"] || !said.contains("rows now") {
            is_tame(&said, false);
        }
        if has("script") {
            let said = says(arguments, &script, true);
            assert!(said.contains("[2J"), "it says nothing of it: {said}");
            is_tame(&said, true);
        }
    }
    if has("script") {
        for arguments in [["describe"].as_slice(), &["plan"]] {
            let said = says(arguments, &unfit(), true);
            assert!(said.contains("[2J"), "it says nothing of it: {said}");
            is_tame(&said, true);
        }
    }
}

#[test]
fn no_text_of_a_connector_fills_the_screen() {
    let giant = json!({"times": 2_000_000, "of": "x"});
    let told = json!({"message": giant, "advice": giant, "resource": giant, "url": giant});
    let changes = json!([{"table": giant, "column": giant, "sample": giant}]);
    let described = json!({"resources": [{"name": "r"}], "warnings": [told]});
    let batch = json!({"batch": {"tables": [table("r", &ids(1))], "changes": changes}});
    for steps in [
        json!([{"fail": told}]),
        json!([{"wait": {"reason": giant}}, batch, {"done": {"state": "{}", "warnings": [told]}}]),
        json!([{"batch": {"tables": [{"table": giant, "resource": giant, "rows": 1, "arrow": "00"}]}}]),
        json!([{"batch": {"tables": [{"table": giant, "resource": giant, "rows": 0, "arrow": table("r", &ids(0))["arrow"]}]}}]),
        json!([{"wait": {"resource": giant}}]),
    ] {
        let script = json!({"describe": described, "steps": steps});
        let said = says(&["run"], &script, false);
        assert!(said.len() > 500 && said.len() < 500_000, "{} bytes", said.len());
    }
    let many: Vec<Value> = (0..5000).map(|number| json!({"message": format!("warning {number}")})).collect();
    let script =
        json!({"describe": {"resources": [{"name": "r"}]}, "steps": [{"done": {"state": "{}", "warnings": many}}]});
    let said = says(&["run"], &script, false);
    assert!(said.contains("warning 999") && !said.contains("warning 1000"), "{}", said.len());
}
