//! Very many tenants at once: the example, as a person runs it.

use std::{env, process::Command};

/// Each has its own rows, which the example compares; they take less than 2 GiB together.
#[test]
fn a_thousand_tenants_run_in_one_process() {
    // Cargo builds examples beside the tests.
    let tests = env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples/tenants");
    let output =
        Command::new(&example).arg("1000").output().unwrap_or_else(|error| panic!("{}: {error}", example.display()));
    let (told, failed) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}{failed}");
    print!("{told}");
    assert!(told.contains("1000 tenants in ") && told.contains("30000 rows, all of them right"), "{told}");
    let (before, _) = told.split_once(" MiB resident").unwrap();
    let resident: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(resident < 2048, "{told}");
}
