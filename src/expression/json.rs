//! JSON as the language has it, and back.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use serde_json::{Map, Number, Value as Json};

/// How many values the JSON may have that an expression makes: in the language, a few letters stand for a list without end.
const MOST: usize = 1 << 20;

/// A JSON value as the language has it. Whole numbers keep their digits, as far as 128 bits hold them; others become doubles.
pub fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match number.as_i128() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(fields) => Value::from_pairs(fields.iter().map(|(key, item)| (key.as_str(), value(item)))),
    }
}

/// A value of the language as JSON. The error says why there is none.
pub fn of(value: &Value) -> Result<Json, String> {
    let mut left = MOST;
    json(value, &mut left)
}

/// An error of the language.
pub fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}

fn json(value: &Value, left: &mut usize) -> Result<Json, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("its value has more than {MOST} parts"))?;
    let items = |value: &Value| value.try_iter().map_err(|error| error.to_string());
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::Number => number(value).map(Json::Number),
        ValueKind::Map => {
            let mut fields = Map::new();
            for key in items(value)? {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let item = value.get_item(&key).map_err(|error| error.to_string())?;
                fields.insert(name, json(&item, left)?);
            }
            Ok(Json::Object(fields))
        }
        _ => match value.as_str() {
            Some(text) => {
                // A text counts by its length: few parts could hold much.
                *left = left.checked_sub(text.len() / 64).ok_or_else(|| "its value is too large".to_owned())?;
                Ok(Json::String(text.to_owned()))
            }
            None if matches!(value.kind(), ValueKind::Invalid | ValueKind::Plain | ValueKind::Bytes) => {
                Err(format!("its value is {}, which JSON does not have", value.kind()))
            }
            None => items(value)?.map(|item| json(&item, left)).collect::<Result<_, _>>().map(Json::Array),
        },
    }
}

fn number(value: &Value) -> Result<Number, String> {
    if value.is_integer() {
        let whole = i128::try_from(value.clone()).ok().and_then(Number::from_i128);
        let large = || u128::try_from(value.clone()).ok().and_then(Number::from_u128);
        return whole.or_else(large).ok_or_else(|| "its value is a number that is too large".to_owned());
    }
    let float = f64::try_from(value.clone()).ok().and_then(Number::from_f64);
    float.ok_or_else(|| "its value is not a number".to_owned())
}

#[cfg(test)]
mod checks {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_back_as_they_went() {
        let json = json!({"b": [1, -2.5, true, null, "x"], "a": {"c": {}}, "big": 170_141_183_460_469_231_731u128});
        assert_eq!(of(&value(&json)).unwrap(), json);
        assert_eq!(of(&value(&json)).unwrap().to_string(), json.to_string());
        assert_eq!(of(&Value::from(f64::NAN)), Err("its value is not a number".into()));
        assert_eq!(of(&Value::UNDEFINED), Ok(Json::Null));
        let endless = Value::make_iterable(|| std::iter::repeat(Value::from(1)));
        assert_eq!(of(&endless), Err("its value has more than 1048576 parts".into()));
    }
}
