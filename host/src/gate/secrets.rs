//! Where the values of secret slots come from.
//!
//! In this order: what was given for the slot by name, the environment variable `SPILE_SECRET_<NAME>`, the files of secrets that
//! were given, and the places where dlt would look.

use super::secrets_file::{self, Node};
use crate::{Class, Error, Result};
use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where one value is.
enum Place {
    Variable(String),
    File(PathBuf),
    Value(Zeroizing<String>),
}

/// Where the values of secret slots are. A value is read when it is asked for, and not before.
pub struct Secrets {
    places: BTreeMap<String, Place>,
    /// Files in dlt's layout that were given; the first that has a value counts.
    files: Vec<PathBuf>,
    /// Files in dlt's layout that may be there.
    files_of_dlt: Vec<PathBuf>,
    /// The name by which dlt's places are looked up.
    source: Option<String>,
    variable: fn(&str) -> Result<String, VarError>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            files: Vec::new(),
            files_of_dlt: Vec::new(),
            source: None,
            variable: |name| env::var(name),
        }
    }
}

/// Shows the names only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places.keys()).finish()
    }
}

impl Secrets {
    /// Takes `name=env:VAR` or `name=file:PATH`, as the flag `--secret` has it. The last one for a name counts.
    pub fn take_flag(&mut self, flag: &str) -> Result<()> {
        match flag.split_once('=') {
            Some((name, place)) if !name.is_empty() => self.give(name, place),
            _ => Err(Error::new(Class::Config, "a secret needs a name and a place")
                .advice("write --secret name=env:VARIABLE or --secret name=file:PATH")),
        }
    }

    /// Takes `env:VAR` or `file:PATH` as the place of a slot's value, as a pipeline's `secrets` has it.
    pub fn give(&mut self, slot: &str, place: &str) -> Result<()> {
        let place = match place.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() => Place::Variable(variable.to_owned()),
            Some(("file", path)) if !path.is_empty() => Place::File(path.into()),
            // The text is not repeated: it may be the secret itself.
            _ => {
                return Err(Error::new(Class::Config, "a secret must be given by its place, not by its value")
                    .fact("secret", slot)
                    .advice(format!("write {slot}=env:VARIABLE or {slot}=file:PATH")));
            }
        };
        self.places.insert(slot.to_owned(), place);
        Ok(())
    }

    /// Takes the value itself, for programs that keep secrets elsewhere.
    pub fn set(&mut self, slot: &str, value: impl Into<Zeroizing<String>>) {
        self.places.insert(slot.to_owned(), Place::Value(value.into()));
    }

    /// Takes a file of secrets in dlt's layout. Of several files the first that has a value counts.
    pub fn give_file(&mut self, path: impl Into<PathBuf>) {
        self.files.push(path.into());
    }

    /// Looks, where nothing else gives a value, where dlt would: in variables such as `SOURCES__<NAME>__API_KEY`, and in
    /// `.dlt/secrets.toml` in these folders.
    pub fn look_as_dlt(&mut self, source: &str, folders: &[&Path]) {
        self.source = Some(source.to_owned());
        for folder in folders {
            let file = folder.join(".dlt").join("secrets.toml");
            if !self.files_of_dlt.contains(&file) {
                self.files_of_dlt.push(file);
            }
        }
    }

    /// The value of a slot.
    pub fn value(&self, slot: &str) -> Result<Zeroizing<String>> {
        let value = match self.places.get(slot) {
            Some(Place::Value(value)) => value.clone(),
            Some(Place::File(path)) => read(path).map_err(|message| {
                Error::new(Class::Auth, message).fact("secret", slot).fact("file", path.display())
            })?,
            Some(Place::Variable(variable)) => self.variable(slot, variable)?.ok_or_else(|| {
                Error::new(Class::Auth, format!("no value for the secret {slot}"))
                    .fact("environment variable", variable)
                    .advice(ways(slot))
            })?,
            None => self.look(slot)?,
        };
        if value.is_empty() {
            return Err(Error::new(Class::Auth, format!("the secret {slot} is empty")).advice(ways(slot)));
        }
        Ok(value)
    }

    /// The value of a slot for which no place was given.
    fn look(&self, slot: &str) -> Result<Zeroizing<String>> {
        let variable = default_variable(slot);
        if let Some(value) = self.variable(slot, &variable)? {
            return Ok(value);
        }
        let mut looked_at = vec![format!("the variable {variable}")];
        let paths = self.paths(slot);
        for file in &self.files {
            let Some(node) = Node::read(file)? else {
                return Err(Error::new(Class::Config, "there is no file of secrets at this path")
                    .fact("file", file.display())
                    .advice("look at `--secrets-file`, or at `secrets_file` in the pipeline"));
            };
            if let Some(value) = in_file(slot, &node, &paths, file)? {
                return Ok(value);
            }
            looked_at.push(file.display().to_string());
        }
        if self.source.is_some() {
            // A bare name, such as `USERNAME`, is too likely to be something else.
            for variable in paths.iter().filter(|path| path.len() > 1).map(|path| path.join("__").to_uppercase()) {
                if let Some(value) = self.variable(slot, &variable)? {
                    return Ok(value);
                }
            }
            if let Some(first) = paths.iter().find(|path| path.len() > 1) {
                looked_at.push(format!("dlt's variables, from {}", first.join("__").to_uppercase()));
            }
        }
        for file in &self.files_of_dlt {
            match Node::read(file)? {
                Some(node) => {
                    if let Some(value) = in_file(slot, &node, &paths, file)? {
                        return Ok(value);
                    }
                    looked_at.push(file.display().to_string());
                }
                None => looked_at.push(format!("{} (not there)", file.display())),
            }
        }
        let mut error = Error::new(Class::Auth, format!("no value for the secret {slot}"));
        error = error.fact("looked at", looked_at.join(", "));
        if let ([first, .., last], true) = (paths.as_slice(), !self.files.is_empty() || !self.files_of_dlt.is_empty()) {
            error = error.fact("keys in files", format!("from {} to {}", first.join("."), last.join(".")));
        }
        Err(error.advice(ways(slot)))
    }

    fn variable(&self, slot: &str, variable: &str) -> Result<Option<Zeroizing<String>>> {
        match (self.variable)(variable) {
            Ok(value) => Ok(Some(value.into())),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(Error::new(Class::Auth, format!("the secret {slot} is not UTF-8"))
                .fact("environment variable", variable)
                .advice(ways(slot))),
        }
    }

    /// The keys under which a slot's value may stand, in dlt's order: a name with dots is the path itself; others are looked for
    /// from the most special section to the bare name.
    fn paths<'s>(&'s self, slot: &'s str) -> Vec<Vec<&'s str>> {
        if slot.contains('.') {
            return vec![slot.split('.').collect()];
        }
        let mut sections: Vec<Vec<&str>> = Vec::new();
        if let Some(source) = self.source.as_deref() {
            sections.push(vec!["sources", "rest_api", source]);
            sections.push(vec!["sources", source, source]);
            sections.push(vec!["sources", "rest_api"]);
            sections.push(vec!["sources", source]);
        }
        sections.extend([vec!["sources"], vec![]]);
        let path = |inner: &[&'s str]| {
            let inner = inner.to_vec();
            sections.iter().map(move |section| [section.as_slice(), &inner].concat()).collect::<Vec<_>>()
        };
        [path(&["credentials", slot]), path(&[slot])].concat()
    }
}

/// The first value that a file has for a slot.
fn in_file(slot: &str, node: &Node, paths: &[Vec<&str>], file: &Path) -> Result<Option<Zeroizing<String>>> {
    let Some((path, found)) = paths.iter().find_map(|path| Some((path, node.at(path)?))) else { return Ok(None) };
    let kind = match found {
        Node::Text(text) => return Ok(Some(text.clone())),
        Node::Table(_) => "a table",
        Node::Other(kind) => kind,
    };
    Err(Error::new(Class::Config, format!("the secret {slot} is {kind} in a file of secrets, and not a text"))
        .fact("file", file.display())
        .fact("key", path.join(".")))
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let missing = || "failed to open the file of a secret: there is no file at this path".to_owned();
    let mut value = secrets_file::read(path)?.ok_or_else(missing)?;
    // Editors end a file with a newline; a secret has none.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

/// `SPILE_SECRET_API_KEY` for `api_key`.
fn default_variable(slot: &str) -> String {
    let name = slot.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("SPILE_SECRET_{name}")
}

fn ways(slot: &str) -> String {
    let variable = default_variable(slot);
    format!(
        "set {variable}, or give --secret {slot}=env:VARIABLE or --secret {slot}=file:PATH, or write it into a file of secrets"
    )
}

#[cfg(test)]
mod tests {
    use super::secrets_file::MAX_FILE;
    use super::*;
    use std::io::Write;

    fn secrets() -> Secrets {
        let variable = |name: &str| match name {
            "TOKEN" | "SPILE_SECRET_API_KEY" => Ok(format!("value of {name}")),
            "SOURCES__REST_API__SHOP__TOKEN" => Ok("value as dlt has it".to_owned()),
            "USERNAME" => Ok("someone".to_owned()),
            "EMPTY" => Ok(String::new()),
            _ => Err(VarError::NotPresent),
        };
        Secrets { variable, ..Secrets::default() }
    }

    #[test]
    fn a_value_comes_from_a_variable_or_a_file() {
        let mut secrets = secrets();
        assert_eq!(*secrets.value("api-key").unwrap(), "value of SPILE_SECRET_API_KEY");
        secrets.take_flag("api-key=env:TOKEN").unwrap();
        assert_eq!(*secrets.value("api-key").unwrap(), "value of TOKEN");

        for (text, value) in [("secret\n", "secret"), ("secret\r\n", "secret"), ("secret\n\n", "secret\n"), ("s", "s")]
        {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            secrets.take_flag(&format!("api-key=file:{}", file.path().display())).unwrap();
            assert_eq!(*secrets.value("api-key").unwrap(), value);
        }
    }

    #[test]
    fn a_missing_value_names_the_slot_and_the_ways() {
        let mut secrets = secrets();
        let error = secrets.value("other").unwrap_err();
        assert_eq!(error.class, Class::Auth);
        assert_eq!(error.message, "no value for the secret other");
        assert_eq!(
            error.advice.unwrap(),
            "set SPILE_SECRET_OTHER, or give --secret other=env:VARIABLE or --secret other=file:PATH, or write it into a file of \
             secrets"
        );
        secrets.give("empty", "env:EMPTY").unwrap();
        assert_eq!(secrets.value("empty").unwrap_err().message, "the secret empty is empty");
        secrets.give("gone", "file:/nonexistent/token").unwrap();
        assert_eq!(secrets.value("gone").unwrap_err().class, Class::Auth);
    }

    #[test]
    fn a_value_on_the_command_line_is_refused_and_not_repeated() {
        for flag in ["hunter2", "=env:A", "name=hunter2", "name=env:", "name=file:"] {
            let error = secrets().take_flag(flag).unwrap_err();
            assert_eq!(error.class, Class::Config, "{flag}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'a'; MAX_FILE as usize + 1]).unwrap();
        let mut secrets = secrets();
        secrets.give("large", &format!("file:{}", file.path().display())).unwrap();
        assert!(secrets.value("large").unwrap_err().message.contains("more than"));
    }

    #[test]
    fn values_are_not_shown() {
        let mut secrets = secrets();
        secrets.set("name", "hunter2".to_owned());
        assert_eq!(format!("{secrets:?}"), r#"{"name"}"#);
    }

    /// A folder with this text as `.dlt/secrets.toml` in it.
    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".dlt")).unwrap();
        std::fs::write(folder.path().join(".dlt/secrets.toml"), text).unwrap();
        folder
    }

    #[test]
    fn a_file_of_secrets_is_read_in_the_order_of_dlt() {
        let text = "api_key = 'bare'\nnumber = 7\n[sources]\napi_key = 'of sources'\n[sources.shop]\npin = 'of shop'\n\
                    [sources.rest_api.shop.credentials]\ntoken = 'of credentials'\n[credentials]\npassword = 'general'\n";
        let folder = folder(text);
        let mut secrets = secrets();
        secrets.places.insert("api_key".to_owned(), Place::Value("given".to_owned().into()));
        secrets.look_as_dlt("shop", &[folder.path(), folder.path()]);
        let of = |slot: &str| secrets.value(slot).map(|value| value.to_string()).map_err(|error| error.message);
        assert_eq!(of("api_key").unwrap(), "given");
        for (slot, value) in [
            ("pin", "of shop"),
            ("sources.shop.pin", "of shop"),
            ("sources.api_key", "of sources"),
            // dlt looks at the environment first.
            ("token", "value as dlt has it"),
            ("sources.rest_api.shop.credentials.token", "of credentials"),
            ("password", "general"),
            ("number", "7"),
        ] {
            assert_eq!(of(slot).unwrap(), value, "{slot}");
        }
        assert!(of("sources").unwrap_err().contains("is a table"));
        // A bare variable may be anything.
        assert!(of("username").is_err());
    }

    #[test]
    fn a_file_that_was_given_comes_before_the_places_of_dlt() {
        let (near, far) = (folder("token = 'near'\n"), folder("token = 'far'\nonly_far = 'x'\n"));
        let mut secrets = secrets();
        secrets.look_as_dlt("shop", &[far.path()]);
        secrets.give_file(near.path().join(".dlt/secrets.toml"));
        assert_eq!(*secrets.value("token").unwrap(), "near");
        assert_eq!(*secrets.value("only_far").unwrap(), "x");
        secrets.give_file(near.path().join("gone.toml"));
        assert_eq!(*secrets.value("token").unwrap(), "near");
        let error = secrets.value("only_far").unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (Class::Config, "there is no file of secrets at this path"));
    }

    #[test]
    fn a_missing_value_says_where_it_was_looked_for_and_shows_none() {
        let folder = folder("other = 'hunter2'\n");
        let mut secrets = secrets();
        secrets.look_as_dlt("shop", &[folder.path(), Path::new("/nonexistent")]);
        let error = secrets.value("pin").unwrap_err().to_string();
        for part in
            ["SPILE_SECRET_PIN", "SOURCES__REST_API__SHOP__CREDENTIALS__PIN", "/.dlt/secrets.toml", "(not there)"]
        {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn a_broken_file_is_told_by_its_place_and_not_by_its_text() {
        for text in ["a = 1\nkey = hunter2\n", "key = \"hunter2\nb = 1\n", "hunter2\n", "[hunter2\n"] {
            let folder = folder(text);
            let mut secrets = secrets();
            secrets.look_as_dlt("shop", &[folder.path()]);
            let error = secrets.value("key").unwrap_err();
            assert_eq!(error.class, Class::Config);
            assert!(error.to_string().contains("secrets.toml:"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let large = folder(&format!("key = '{}'\n", "x".repeat(MAX_FILE as usize)));
        let mut secrets = secrets();
        secrets.look_as_dlt("shop", &[large.path()]);
        assert!(secrets.value("key").unwrap_err().message.contains("more than"));
    }
}
