//! Changes of a record: `set`, `rename`, `drop` and `cast`, in this order.

use super::{Scope, VARIABLES, cast, value_of};
use crate::config::model::{Cast, Changes};
use crate::error::{Error, Kind, Result};
use crate::expression::Expression;
use crate::plan::document;
use crate::select;
use serde_json::Value;

/// Keys that lead to a field.
type Keys = Vec<String>;

/// What is changed of a record.
pub struct Change {
    set: Vec<(Keys, Setting)>,
    rename: Vec<(Keys, Keys)>,
    drop: Vec<Keys>,
    cast: Vec<(Keys, Cast)>,
}

/// What a field is set to.
enum Setting {
    Expression(Expression),
    Value(Value),
}

impl Change {
    /// The changes of a configuration. `pointer` is their place.
    pub fn new(config: &Changes, pointer: &str) -> Result<Self> {
        let mut set = Vec::new();
        for (path, value) in &config.set {
            let place = format!("{pointer}/set/{path}");
            let setting = match value {
                Value::String(text) => Setting::Expression(Expression::parse(text, &VARIABLES, "set", &place)?),
                value => Setting::Value(value.clone()),
            };
            set.push((keys(path, &place)?, setting));
        }
        let mut rename = Vec::new();
        for (old, new) in &config.rename {
            let place = format!("{pointer}/rename/{old}");
            rename.push((keys(old, &place)?, keys(new, &place)?));
        }
        let place = |index: usize| format!("{pointer}/drop/{index}");
        let drop =
            config.drop.iter().enumerate().map(|(index, path)| keys(path, &place(index))).collect::<Result<_>>()?;
        let cast = config.cast.iter().map(|(path, to)| Ok((keys(path, &format!("{pointer}/cast/{path}"))?, *to)));
        let change = Self { set, rename, drop, cast: cast.collect::<Result<_>>()? };
        if change.set.is_empty() && change.rename.is_empty() && change.drop.is_empty() && change.cast.is_empty() {
            return Err(Error::config(pointer, "the step changes nothing")
                .advice("it has one or more of `set`, `rename`, `drop` and `cast`"));
        }
        Ok(change)
    }

    /// The expressions.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.set.iter().filter_map(|(_, setting)| match setting {
            Setting::Expression(expression) => Some(expression),
            Setting::Value(_) => None,
        })
    }

    /// Changes a record. Each field that is set sees those before it.
    pub fn run(&self, record: &mut Value, scope: &Scope) -> Result<()> {
        let upstream = |why: String| Error::new(Kind::Upstream, why);
        if !record.is_object() {
            return Err(upstream(format!("there are no fields in {}", select::kind(record))));
        }
        for (keys, setting) in &self.set {
            let value = match setting {
                Setting::Value(value) => value.clone(),
                Setting::Expression(expression) => match expression.path() {
                    // It passes through as it is.
                    Some([variable, path @ ..]) if variable == "record" => {
                        find(record, path).cloned().unwrap_or_default()
                    }
                    _ => expression.json(|name| value_of(expression, name, record, scope))?,
                },
            };
            set(record, keys, value).map_err(upstream)?;
        }
        // All are taken before one is set, so that two can change places.
        let taken: Vec<_> = self.rename.iter().filter_map(|(old, new)| Some((new, take(record, old)?))).collect();
        for (new, value) in taken {
            set(record, new, value).map_err(upstream)?;
        }
        for keys in &self.drop {
            take(record, keys);
        }
        for (keys, to) in &self.cast {
            if let Some(value) = find_mut(record, keys) {
                *value = cast::cast(value, *to)
                    .map_err(|why| upstream(format!("the field `{}` is {why}", keys.join("."))))?;
            }
        }
        Ok(())
    }
}

/// The keys of a path. `pointer` is its place.
pub fn keys(path: &str, pointer: &str) -> Result<Keys> {
    select::keys(path).ok_or_else(|| {
        Error::config(pointer, format!("\"{path}\" is not the path of a field"))
            .advice("write keys joined by dots, such as `owner.name`; quote a key with a dot or a space in it: `owner.'first name'`")
    })
}

fn find<'v>(value: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

fn find_mut<'v>(value: &'v mut Value, keys: &[String]) -> Option<&'v mut Value> {
    keys.iter().try_fold(value, |value, key| value.get_mut(key))
}

/// Takes a field out. The others keep their order.
pub fn take(value: &mut Value, keys: &[String]) -> Option<Value> {
    let (last, before) = keys.split_last()?;
    find_mut(value, before)?.as_object_mut()?.shift_remove(last)
}

/// Sets a field. The objects that lead to it are made.
pub fn set(record: &mut Value, keys: &[String], value: Value) -> Result<(), String> {
    match document::set(record, keys, value) {
        true => Ok(()),
        false => Err(format!("something else than an object is on the way to the field `{}`", keys.join("."))),
    }
}
