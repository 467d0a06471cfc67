//! What a person is told, and by which exit code a script tells whose move it is.

use std::fs;

use mock_api::Options;

use crate::{
    program::Call,
    setting::{AS_GIVEN, SHIPPED, Setting, wait_until_held},
};

/// A pipeline that is right, before a test breaks it.
const SHOP: &str = "\
name: shop
source:
  client:
    base_url: https://api.example.com
    auth: { type: bearer, token: { secret: api_key } }
  resource_defaults:
    primary_key: id
    write_disposition: merge
  resources:
    - name: applications
      endpoint:
        path: /v2/users/{user_id}/apps
        data_selector: apps
        paginator: { type: page_number, limit: 20, limit_param: per_page }
";

/// Where the first occurrence of `part` begins, as an error writes it.
fn place(name: &str, text: &str, part: &str) -> String {
    let before = &text[..text.find(part).unwrap_or_else(|| panic!("no {part:?} in the file"))];
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{name}:{}:{column}", before.matches('\n').count() + 1)
}

#[test]
fn a_wrong_token_ends_the_run_after_one_request() {
    let setting = Setting::new(Options::default());
    for command in ["run", "check"] {
        setting.api.reset_stats();
        let wrong = "n0t-the-t0ken";
        let call = setting.call(command, SHIPPED).env("SPILE_TEST_TOKEN", wrong);
        call.outcome().ended_with(3).says(&["401", "applications"]).never_says(wrong);
        assert_eq!(setting.api.stats().total, 1);
    }
}

#[test]
fn no_output_holds_the_token() {
    let token = "t0ken with a blank";
    let setting = Setting::new(Options { token: token.to_owned(), ..Options::default() });
    let secret = setting.file("secret.txt", &format!("{token}\n"));
    let secret = format!("api_key=file:{}", secret.display());
    for (command, arguments) in [("run", &[][..]), ("check", &[]), ("describe", &[]), ("preview", &["applications"])] {
        let call = setting.call(command, SHIPPED).with(arguments).with(["--secret", &secret]);
        call.succeeds().never_says(token).never_says("t0ken%20with");
    }
    // Nor does what a run leaves behind: the database, with the state in it.
    for entry in fs::read_dir(setting.folder()).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let held = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert_eq!(held, entry.file_name() == "secret.txt", "{entry:?}");
    }
}

#[test]
fn a_missing_secret_is_named_before_any_request() {
    let setting = Setting::new(Options::default());
    let call = setting.call("run", SHIPPED).with(["--secret", "api_key=env:SPILE_TEST_NO_SUCH_VARIABLE"]);
    call.outcome().ended_with(3).says(&["api_key", "SPILE_TEST_NO_SUCH_VARIABLE"]);
    assert_eq!(setting.api.stats().total, 0);
}

#[test]
fn a_secret_comes_from_a_file_of_secrets() {
    let setting = Setting::new(Options::default());
    let Options { user, token, .. } = setting.api.options();
    let call = |arguments: &[&str]| {
        Call::new(setting.folder(), &["check", "pipelines/shop.yaml", "--base-url", setting.api.base_url()])
            .with(["--param", &format!("user_id={user}"), "--allow-private", setting.api.base_url()])
            .with(arguments)
    };
    for folder in [".dlt", "pipelines", "pipelines/.dlt"] {
        fs::create_dir(setting.folder().join(folder)).unwrap();
    }
    setting.file("pipelines/shop.yaml", SHOP);
    let missing = call(&[]).outcome().ended_with(3);
    missing.says(&["no value for the secret api_key", "SPILE_SECRET_API_KEY", ".dlt/secrets.toml (not there)"]);
    // Beside the pipeline, and as dlt has it.
    let text = format!("[sources.rest_api.shop]\napi_key = \"{token}\"\n");
    setting.file("pipelines/.dlt/secrets.toml", &text);
    call(&[]).succeeds().never_says(&token);
    // The current folder comes first, and what is given before both.
    setting.file(".dlt/secrets.toml", "api_key = \"n0t-the-t0ken\"\n");
    call(&[]).outcome().ended_with(3).says(&["401"]).never_says("n0t-the-t0ken");
    setting.file("given.toml", &text);
    call(&["--secrets-file", "given.toml"]).succeeds().never_says(&token);
    setting.file("pipelines/shop.yaml", &format!("secrets_file: ../given.toml\n{SHOP}"));
    call(&[]).succeeds().never_says(&token);
    setting.file("given.toml", "api_key = t0ken\n");
    call(&[]).outcome().ended_with(2).says(&["given.toml:1:", "not valid TOML"]).never_says("t0ken");
    call(&[]).env("SPILE_SECRET_API_KEY", &token).succeeds();
}

#[test]
fn a_defect_of_the_file_is_shown_at_its_place() {
    let setting = Setting::new(Options::default());
    let broken = |from: &str, to: &str| {
        let text = SHOP.replacen(from, to, 1);
        assert_ne!(text, SHOP);
        text
    };
    for (text, part, says) in [
        // An unknown key, in the source and around it.
        (broken("data_selector", "data_selektor"), "data_selektor", "did you mean `data_selector`?"),
        (broken("name: shop", "nam: shop\nname: shop"), "nam: shop", "did you mean `name`?"),
        // A bad type.
        (broken("limit: 20", "limit: twenty"), "limit: twenty", "expected"),
        (broken("primary_key: id", "primary_key: 7"), "primary_key: 7", "expected"),
        // A wrong word.
        (broken("disposition: merge", "disposition: merg"), "write_disposition: merg\n", "did you mean `merge`?"),
        (broken("type: page_number", "type: page_numbr"), "type: page_numbr", "did you mean `page_number`?"),
        // An unbound path variable.
        (broken("{user_id}", "{usr_id}"), "path: /v2/users", "--param usr_id="),
        // Invalid YAML.
        (broken("resources:", "resources: ]"), "]", "not valid YAML"),
    ] {
        let file = setting.file("shop.yaml", &text);
        let place = place("shop.yaml", &text, part);
        let outcome = setting.call("run", &file).outcome().ended_with(2).says(&[&place, says]);
        // The line stands there, for who reads no numbers.
        let line = text.lines().find(|line| line.contains(part.trim_end())).unwrap();
        outcome.says(&[line.trim()]);
        setting.call("check", &file).outcome().ended_with(2).says(&[&place, says]);
    }
    assert_eq!(setting.api.stats().total, 0);
    assert!(!setting.target().to_string().is_empty() && !setting.folder().join("shop.duckdb").exists());
}

#[test]
fn the_other_formats_show_places_too() {
    let setting = Setting::new(Options::default());
    let json = AS_GIVEN.replacen("\"limit\": 20", "\"limit\": \"20\"", 1);
    let file = setting.file("tap.json", &json);
    let at = place("tap.json", &json, "\"limit\": \"20\"");
    setting.call("run", &file).outcome().ended_with(2).says(&[&at, "expected"]);

    let json = AS_GIVEN.replacen("\"limit\": 20", "\"limit\": 20,", 1);
    let file = setting.file("tap.json", &json);
    setting.call("run", &file).outcome().ended_with(2).says(&["tap.json:", "not valid JSON"]);

    let toml =
        "name = \"shop\"\n[source.client]\nbase_url = 'https://api.example.com'\n[[source.resources]]\nnam = 'x'\n";
    let file = setting.file("shop.toml", toml);
    setting
        .call("run", &file)
        .outcome()
        .ended_with(2)
        .says(&[&place("shop.toml", toml, "nam = 'x'"), "did you mean `name`?"]);

    let toml = "name = \"shop\"\n[source.client\n";
    let file = setting.file("shop.toml", toml);
    setting.call("run", &file).outcome().ended_with(2).says(&["shop.toml:2:", "not valid TOML"]);
}

#[test]
fn a_wrong_call_is_a_configuration_error() {
    let setting = Setting::new(Options::default());
    setting.call("run", "no-such-file.yaml").outcome().ended_with(2).says(&["no-such-file.yaml"]);
    setting.call("run", SHIPPED).with(["--no-such-flag"]).outcome().ended_with(2);
    setting.call("run", SHIPPED).with(["--resource", "aplications"]).outcome().ended_with(2).says(&["`applications`"]);
    setting.call("run", SHIPPED).with(["--to", "mysql:x"]).outcome().ended_with(2).says(&["duckdb:PATH"]);
    setting.call("preview", SHIPPED).with(["aplications"]).outcome().ended_with(2).says(&["`applications`"]);
    Call::new(setting.folder(), &[]).outcome().ended_with(2);
    assert_eq!(setting.api.stats().total, 0);
}

#[test]
fn an_address_of_this_machine_needs_to_be_allowed() {
    let setting = Setting::new(Options::default());
    let url = setting.api.base_url();
    setting
        .call_at(url, "run", SHIPPED)
        .outcome()
        .ended_with(6)
        .says(&["127.0.0.1", &format!("--allow-private {url}")]);
    assert_eq!(setting.api.stats().connections, 0);
}

#[test]
fn an_address_of_this_machine_can_be_allowed_in_the_file() {
    let setting = Setting::new(Options::default());
    let url = setting.api.base_url();
    let text = SHOP.replace("https://api.example.com", url)
        + &format!(
            "policy: {{ allow_private: [\"{url}\"] }}\nsecrets: {{ api_key: \"env:SPILE_TEST_TOKEN\" }}\nparams: {{ user_id: acme }}\n"
        );
    let file = setting.file("shop.yaml", &text);
    Call::new(setting.folder(), &["run"]).with([&file]).env("SPILE_TEST_TOKEN", "mock-token").succeeds();
    let target = spile_host::destination::Target::DuckDb { path: setting.folder().join("shop.duckdb") };
    let tables = crate::tables::Tables::of_database(&target, "shop_dataset");
    assert_eq!(tables.counts()["applications"], setting.api.expected().resources["applications"]);
}

#[test]
fn an_origin_that_is_allowed_but_not_configured_is_not_reached() {
    // To allow a private address is not to name an origin.
    let setting = Setting::new(Options::default());
    let other = Setting::new(Options::default());
    let call = setting.call_at(setting.api.base_url(), "run", SHIPPED).with(["--allow-private", other.api.base_url()]);
    call.outcome().ended_with(6).says(&["127.0.0.1"]);
    assert_eq!(setting.api.stats().connections + other.api.stats().connections, 0);
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let setting = Setting::new(Options::default());
    setting.file("out.duckdb", "this is not a database, and long enough to be taken for one ".repeat(100).as_str());
    setting.run(SHIPPED).outcome().ended_with(5).says(&["out.duckdb"]);
    assert_eq!(setting.api.stats().total, 0);
}

#[test]
fn files_that_would_have_to_be_merged_are_refused_before_any_request() {
    let setting = Setting::new(Options::default());
    let merged = ["Parquet files cannot be merged into", "resource: applications", "`write_disposition: append`"];
    setting.call("run", SHIPPED).with(["--to", "parquet:out"]).outcome().ended_with(2).says(&merged);
    let file = setting.file("shop.yaml", &(SHOP.to_owned() + "destination: parquet:out\n"));
    setting.call("check", &file).outcome().ended_with(2).says(&merged);
    assert_eq!(setting.api.stats().total, 0);
    assert!(!setting.folder().join("out").exists());
}

#[test]
fn a_database_that_another_run_holds_is_a_destination_error() {
    let setting = Setting::new(Options { latency_ms: 200, ..Options::default() });
    let first = setting.run(SHIPPED).start();
    wait_until_held(&setting.target());
    setting.run(SHIPPED).outcome().ended_with(5).says(&["out.duckdb"]);
    setting.api.set_options(Options::default());
    first.end().ended_with(0);
}

#[test]
fn a_selector_that_matches_nothing_is_told() {
    let setting = Setting::new(Options::default());
    let text = AS_GIVEN.replacen("\"data_selector\": \"apps\"", "\"data_selector\": \"aps\"", 1);
    let file = setting.file("tap.json", &text);
    let summary = setting.run_bound(&file).with(["--resource", "applications"]).succeeds().summary();
    let warnings = summary.0["warnings"].to_string();
    assert!(warnings.contains("applications") && warnings.contains("selector"), "{warnings}");
    assert_eq!(summary.of_resource("applications", "rows"), 0);
}

#[test]
fn an_id_that_the_api_does_not_know_is_a_source_error() {
    let setting = Setting::new(Options::default());
    // Regression: the URL was broken into lines of a hundred characters.
    let user = "nobody-".repeat(20);
    let call = setting.call("run", SHIPPED).with(["--param", &format!("user_id={user}")]);
    let url = format!("{}/v2/users/{user}/apps?page=1&per_page=20\n", setting.api.base_url());
    call.outcome().ended_with(4).says(&["applications", "404", &url]);
    assert_eq!(setting.api.stats().total, 1);
}
