//! Components in a real registry on this machine: pushed, pulled, run by their digest, and verified at every load.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use mock_api::Options;
use spile_host::component::Digest;
use tempfile::TempDir;

use crate::{
    program::{Call, Outcome, PROGRAM},
    server::Server,
    setting::{DATASET, SHIPPED, Setting},
};

/// A user of a registry that lets in only whom it knows, and the line that says so (`htpasswd -nbB`).
const USER: &str = "tester";
const PASSWORD: &str = "pass-of-test";
const HTPASSWD: &str = "tester:$2y$05$abcdefghijklmnopqrstuu1AmUp.Kg9NchQfUJlmTD9YTFzYIepoi\n";

/// A registry of a test. It ends, and what it has is gone, when this is dropped.
struct Registry {
    server: Server,
    folder: TempDir,
}

impl Registry {
    fn start(htpasswd: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(users) = htpasswd {
            fs::write(folder.path().join("htpasswd"), users).unwrap();
        }
        Self { server: Server::start("registry-server.sh", &[folder.path()]), folder }
    }

    /// `oci://…` for this name.
    fn reference(&self, name: &str) -> String {
        format!("oci://127.0.0.1:{}/{name}", self.server.port)
    }

    /// The file in which it keeps what has this digest.
    fn blob(&self, digest: &Digest) -> PathBuf {
        let digits = digest.digits();
        let blobs = self.folder.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&digits[..2]).join(digits).join("data")
    }
}

fn component() -> PathBuf {
    Path::new(PROGRAM).with_file_name("spile.wasm")
}

/// A call whose caches are in the folder, and that nobody has logged in for, except as `config` of Docker says.
fn spile(folder: &Path, command: &str) -> Call {
    let of_folder = |name: &str| folder.join(name).display().to_string();
    Call::new(folder, &[command])
        .env("XDG_CACHE_HOME", &of_folder("cache"))
        .env("XDG_STATE_HOME", &of_folder("state"))
        .env("XDG_RUNTIME_DIR", &of_folder("runtime"))
        .env("DOCKER_CONFIG", &of_folder("docker"))
}

/// Pushes a component, and gives the reference by which it is pinned.
fn push(folder: &Path, component: &Path, reference: &str) -> String {
    let said = spile(folder, "push").with([component]).with([reference]).succeeds().stdout;
    let pinned = said.lines().find_map(|line| line.strip_prefix("pinned: "));
    pinned.unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// The file of a store for what has this digest.
fn kept(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("cache/spile/components").join(format!("sha256-{}", digest.digits()))
}

/// `sha256:…` at the end of a reference.
fn digest_of(pinned: &str) -> Digest {
    Digest::parse(pinned.rsplit_once('@').unwrap().1).unwrap()
}

fn built_in() -> Digest {
    Digest::of(spile_host::COMPONENT)
}

#[test]
fn a_component_is_pushed_pulled_and_run_by_its_digest() {
    let registry = Registry::start(None);
    let setting = Setting::new(Options { apps: 3, ..Options::default() });
    let folder = setting.folder();
    let tagged = registry.reference("team/spile:0.1.0");
    let pinned = push(folder, &component(), &tagged);
    assert!(pinned.starts_with(&registry.reference("team/spile@sha256:")), "{pinned}");
    assert_eq!(push(folder, &component(), &registry.reference("team/spile:again")), pinned, "same bytes, same digest");

    let pulled = spile(folder, "pull").with([&*tagged, "--output", "pulled.wasm"]).succeeds().stdout;
    assert!(pulled.starts_with("spile 0.1.0, ") && pulled.contains("wasi:http/outgoing-handler@"), "{pulled}");
    assert!(pulled.contains(&format!("`component: {pinned}`")), "{pulled}");
    assert!(pulled.contains(&format!("`component: {}`", built_in())), "{pulled}");
    assert!(fs::read(folder.join("pulled.wasm")).unwrap() == spile_host::COMPONENT);
    assert!(fs::read(kept(folder, &built_in())).unwrap() == spile_host::COMPONENT);

    // A run finds it in the store, with and without the registry; the file of a pipeline may name it too.
    let shipped = fs::read_to_string(SHIPPED).unwrap();
    let file = setting.file("pipeline.yaml", &format!("component: {pinned}\n{shipped}"));
    let run = |call: Call| call.with(["--to", "duckdb:out.duckdb", "--dataset", DATASET]).outcome();
    let call = |file: &Path| with_caches(folder, setting.call("run", file));
    let in_order = |outcome: Outcome| assert!(outcome.ended_with(0).stdout.contains("applications"));
    in_order(run(call(&file)));
    in_order(run(call(Path::new(SHIPPED)).with(["--component", &pinned])));
    // Under a policy of the whole host, a pipeline does not choose where the host sends requests.
    let api = setting.api.base_url();
    let policy = setting.file("policy.yaml", &format!("origins: ['{api}']\nallow_private: ['{api}']\n"));
    let under_policy = |file: &Path| call(file).with([Path::new("--policy"), &policy]);
    let refused = run(under_policy(&file)).ended_with(6);
    assert!(
        refused.stderr.contains("pipeline.yaml:1:1") && refused.stderr.contains("from this registry"),
        "{refused:?}"
    );
    in_order(run(under_policy(Path::new(SHIPPED)).with(["--component", &pinned])));
    let registry_too =
        format!("origins: ['{api}', 'http://127.0.0.1:{}']\nallow_private: ['{api}']\n", registry.server.port);
    fs::write(&policy, registry_too).unwrap();
    in_order(run(under_policy(&file)));
    drop(registry);
    in_order(run(call(&file)));

    // Damage in the store is told, and healed only from the registry.
    fs::write(kept(folder, &built_in()), "another").unwrap();
    let outcome = run(call(&file)).ended_with(4);
    assert!(outcome.stderr.contains("cannot be reached"), "{outcome:?}");
}

#[test]
fn what_does_not_have_its_digest_is_not_run() {
    let registry = Registry::start(None);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pinned = push(folder, &component(), &registry.reference("spile:1"));
    let verify = || spile(folder, "verify").with([&*pinned]).outcome();

    // In the store: another component is in its place.
    verify().ended_with(0);
    for digest in [built_in(), digest_of(&pinned)] {
        fs::write(kept(folder, &digest), "another").unwrap();
        let healed = verify().ended_with(0);
        assert!(healed.stderr.contains("did not have its digest any more"), "{healed:?}");
        assert!(verify().ended_with(0).stderr.is_empty());
    }

    // In the registry: it sends another one, and a manifest that names another one.
    for digest in [built_in(), digest_of(&pinned)] {
        fs::remove_file(kept(folder, &digest)).unwrap();
        let sound = fs::read(registry.blob(&digest)).unwrap();
        fs::write(registry.blob(&digest), another(&sound)).unwrap();
        let refused = verify().ended_with(6);
        assert!(refused.stderr.contains("does not have its digest"), "{refused:?}");
        assert!(!kept(folder, &digest).exists(), "what is refused is not kept");
        fs::write(registry.blob(&digest), sound).unwrap();
        verify().ended_with(0);
    }
}

/// One letter is another one: in the name that a component has of its own, and in what a manifest says of it.
fn another(sound: &[u8]) -> Vec<u8> {
    let mut other = sound.to_owned();
    let at = memmem::rfind(&other, b"A tap for REST").unwrap();
    other[at] = b'B';
    other
}

#[test]
fn a_registry_that_knows_its_users_is_asked_as_one_of_them() {
    let registry = Registry::start(Some(HTPASSWD));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tagged = registry.reference("spile:1");
    let wasm = component().display().to_string();
    let push = || spile(folder, "push").with([&*wasm, &*tagged]).outcome();
    let log_in = |password: &str| {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        fs::create_dir_all(folder.join("docker")).unwrap();
        let config = format!(r#"{{"auths": {{"127.0.0.1:{}": {{"auth": "{auth}"}}}}}}"#, registry.server.port);
        fs::write(folder.join("docker/config.json"), config).unwrap();
        auth
    };

    let nobody = push().ended_with(3);
    assert!(nobody.stderr.contains("docker login 127.0.0.1"), "{nobody:?}");
    let auth = log_in("pass-of-another");
    let refused = push().ended_with(3);
    for secret in ["pass-of-another", &auth] {
        assert!(!refused.stderr.contains(secret), "{refused:?}");
    }
    log_in(PASSWORD);
    push().ended_with(0);
    spile(folder, "pull").with([&*tagged]).outcome().ended_with(0);
    let helper = format!(r#"{{"credHelpers": {{"127.0.0.1:{}": "none-of-that-name"}}}}"#, registry.server.port);
    fs::write(folder.join("docker/config.json"), helper).unwrap();
    let unreadable = push().ended_with(3);
    assert!(unreadable.stderr.contains("cannot be read"), "{unreadable:?}");
}

#[test]
fn what_cannot_be_fetched_is_told_with_the_reason() {
    let registry = Registry::start(None);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let pinned = push(folder, &component(), &registry.reference("spile:1"));
    let wasm = component().display().to_string();
    let other = format!("{}@sha256:{:064}", registry.reference("spile"), 7);
    let nobody =
        format!("oci://127.0.0.1:{}/spile:1", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    for (command, arguments, code, why) in [
        ("pull", vec![registry.reference("spile:2")], 2, "has no such component"),
        ("pull", vec![registry.reference("nothing:1")], 2, "has no such component"),
        ("pull", vec![other], 2, "has no such component"),
        ("pull", vec![nobody], 4, "cannot be reached"),
        ("pull", vec!["spile.wasm".to_owned()], 2, "does not begin with `oci://`"),
        ("push", vec!["module.wasm".to_owned(), registry.reference("spile:1")], 2, "core module"),
        ("push", vec![wasm, pinned], 2, "under a tag"),
        ("verify", vec![registry.reference("spile:1")], 2, "has no digest"),
        ("verify", vec!["oci://spile:1".to_owned()], 2, "it has no name behind the host"),
    ] {
        let outcome = spile(folder, command).with(&arguments).outcome().ended_with(code);
        assert!(outcome.stderr.contains(why), "{arguments:?}: {outcome:?}");
    }
}

/// The caches of a call that the setting makes are those of the folder.
fn with_caches(folder: &Path, call: Call) -> Call {
    call.env("XDG_CACHE_HOME", &folder.join("cache").display().to_string())
        .env("XDG_STATE_HOME", &folder.join("state").display().to_string())
}
