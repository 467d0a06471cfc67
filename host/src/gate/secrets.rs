//! Where the values of secret slots come from.

use crate::{Class, Error, Result};
use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The largest file that a secret is read from, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Where one value is.
enum Place {
    Variable(String),
    File(PathBuf),
    Value(Zeroizing<String>),
}

/// Where the values of secret slots are. A value is read when it is asked for, and not before.
pub struct Secrets {
    places: BTreeMap<String, Place>,
    variable: fn(&str) -> Result<String, VarError>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { places: BTreeMap::new(), variable: |name| env::var(name) }
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

    /// The value of a slot. Where nothing was given for it, that is the environment variable `SPILE_SECRET_<NAME>`.
    pub fn value(&self, slot: &str) -> Result<Zeroizing<String>> {
        let value = match self.places.get(slot) {
            Some(Place::Value(value)) => value.clone(),
            Some(Place::File(path)) => read(path).map_err(|message| {
                Error::new(Class::Auth, message).fact("secret", slot).fact("file", path.display())
            })?,
            Some(Place::Variable(variable)) => self.variable(slot, variable)?,
            None => self.variable(slot, &default_variable(slot))?,
        };
        if value.is_empty() {
            return Err(Error::new(Class::Auth, format!("the secret {slot} is empty")).advice(ways(slot)));
        }
        Ok(value)
    }

    fn variable(&self, slot: &str, variable: &str) -> Result<Zeroizing<String>> {
        let message = match (self.variable)(variable) {
            Ok(value) => return Ok(value.into()),
            Err(VarError::NotPresent) => format!("no value for the secret {slot}"),
            Err(VarError::NotUnicode(_)) => format!("the secret {slot} is not UTF-8"),
        };
        Err(Error::new(Class::Auth, message).fact("environment variable", variable).advice(ways(slot)))
    }
}

fn read(path: &PathBuf) -> Result<Zeroizing<String>, String> {
    let mut value = Zeroizing::new(String::new());
    let file = File::open(path).map_err(|error| format!("failed to open the file of a secret: {error}"))?;
    let size = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut value)
        .map_err(|error| format!("failed to read the file of a secret: {error}"))?;
    if size as u64 > MAX_FILE {
        return Err(format!("the file of a secret holds more than {MAX_FILE} bytes"));
    }
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
    format!("set {variable}, or give --secret {slot}=env:VARIABLE or --secret {slot}=file:PATH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn secrets() -> Secrets {
        let variable = |name: &str| match name {
            "TOKEN" | "SPILE_SECRET_API_KEY" => Ok(format!("value of {name}")),
            "EMPTY" => Ok(String::new()),
            _ => Err(VarError::NotPresent),
        };
        Secrets { places: BTreeMap::new(), variable }
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
            "set SPILE_SECRET_OTHER, or give --secret other=env:VARIABLE or --secret other=file:PATH"
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
}
