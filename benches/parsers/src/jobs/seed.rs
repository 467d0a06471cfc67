//! Visitors for any serde format: the page, its list, and each value straight into columns.

use crate::Columns;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{Formatter, Result as Fmt};

/// The key under which serde_json gives a number that keeps its digits.
#[cfg(feature = "arbitrary-precision")]
const NUMBER: &str = "$serde_json::private::Number";

/// A page: gives what its list gives.
pub(super) struct Page<L>(pub L);

impl<'de, L: DeserializeSeed<'de, Value: Default>> DeserializeSeed<'de> for Page<L> {
    type Value = L::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<L::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, L: DeserializeSeed<'de, Value: Default>> Visitor<'de> for Page<L> {
    type Value = L::Value;

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<L::Value, A::Error> {
        let (mut list, mut given) = (Some(self.0), L::Value::default());
        while let Some(is_data) = map.next_key_seed(Is("data"))? {
            match list.take_if(|_| is_data) {
                Some(list) => given = map.next_value_seed(list)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(given)
    }
}

/// Whether a key is this one.
struct Is(&'static str);

impl<'de> DeserializeSeed<'de> for Is {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is {
    type Value = bool;

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// The records, one after another: gives their number.
pub(super) struct Records<'c>(pub &'c mut Columns);

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = u64;

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut records = 0;
        while seq.next_element_seed(Record(self.0))?.is_some() {
            records += 1;
        }
        Ok(records)
    }
}

/// Any value.
pub(super) struct Record<'c>(pub &'c mut Columns);

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.null();
        Ok(())
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<(), E> {
        self.0.boolean(boolean);
        Ok(())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<(), E> {
        self.0.integer(integer);
        Ok(())
    }

    fn visit_u64<E>(self, integer: u64) -> Result<(), E> {
        match i64::try_from(integer) {
            Ok(integer) => self.0.integer(integer),
            Err(_) => self.0.double(integer as f64),
        }
        Ok(())
    }

    fn visit_f64<E>(self, double: f64) -> Result<(), E> {
        self.0.double(double);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.begin_list();
        while seq.next_element_seed(Record(self.0))?.is_some() {}
        self.0.end();
        Ok(())
    }

    #[cfg(not(feature = "arbitrary-precision"))]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.begin_object();
        while map.next_key_seed(Key(self.0))?.is_some() {
            map.next_value_seed(Record(self.0))?;
        }
        self.0.end();
        Ok(())
    }

    #[cfg(feature = "arbitrary-precision")]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(first) = map.next_key_seed(FirstKey(self.0))? else {
            self.0.begin_object();
            self.0.end();
            return Ok(());
        };
        if first == First::Number {
            return map.next_value_seed(Digits(self.0));
        }
        map.next_value_seed(Record(self.0))?;
        while map.next_key_seed(Key(self.0))?.is_some() {
            map.next_value_seed(Record(self.0))?;
        }
        self.0.end();
        Ok(())
    }
}

struct Key<'c>(&'c mut Columns);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<(), E> {
        self.0.key(key);
        Ok(())
    }
}

#[cfg(feature = "arbitrary-precision")]
#[derive(PartialEq)]
enum First {
    Number,
    Key,
}

/// The first key of an object, or of a number in the dress of one.
#[cfg(feature = "arbitrary-precision")]
struct FirstKey<'c>(&'c mut Columns);

#[cfg(feature = "arbitrary-precision")]
impl<'de> DeserializeSeed<'de> for FirstKey<'_> {
    type Value = First;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<First, D::Error> {
        deserializer.deserialize_str(self)
    }
}

#[cfg(feature = "arbitrary-precision")]
impl Visitor<'_> for FirstKey<'_> {
    type Value = First;

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<First, E> {
        if key == NUMBER {
            return Ok(First::Number);
        }
        self.0.begin_object();
        self.0.key(key);
        Ok(First::Key)
    }
}

#[cfg(feature = "arbitrary-precision")]
struct Digits<'c>(&'c mut Columns);

#[cfg(feature = "arbitrary-precision")]
impl<'de> DeserializeSeed<'de> for Digits<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

#[cfg(feature = "arbitrary-precision")]
impl Visitor<'_> for Digits<'_> {
    type Value = ();

    fn expecting(&self, to: &mut Formatter<'_>) -> Fmt {
        to.write_str("digits")
    }

    fn visit_str<E>(self, digits: &str) -> Result<(), E> {
        self.0.number(digits);
        Ok(())
    }
}
