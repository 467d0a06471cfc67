//! When a chain ends: what totals and `has_more` say (reference, section 2.7).

use super::Page;
use crate::error::{Error, Kind, Result};
use crate::select::Selector;
use serde_json::Value;

/// The rules by which a chain ends.
pub struct Stop {
    /// Where the total stands.
    pub total: Option<Selector>,
    /// Where it stands whether there are more pages.
    pub has_more: Option<Selector>,
    /// Whether a page without records is the last one.
    pub after_empty_page: bool,
    /// Whether something else ends the chain.
    pub otherwise: bool,
}

/// What the rules say of a page.
pub enum Said {
    /// It is the last one.
    Ends,
    /// It is not the last one as far as `has_more` tells; the total, where it is known.
    GoesOn(Option<u64>),
}

impl Stop {
    /// The paths that they read.
    pub fn paths(&self) -> Vec<&Selector> {
        self.total.iter().chain(&self.has_more).collect()
    }

    /// Fails where no rule would ever end a chain.
    pub fn check(&self, maximum: &str, pointer: &str) -> Result<()> {
        if self.total.is_some() || self.has_more.is_some() || self.after_empty_page || self.otherwise {
            return Ok(());
        }
        let message = "nothing ends the chain of pages";
        let advice = format!(
            "give `total_path`, `has_more_path`, `{maximum}` or `stop_when`, or let `stop_after_empty_page` be true"
        );
        Err(Error::config(pointer, message).advice(advice))
    }

    /// The total, where the page tells it.
    pub fn total(&self, page: &Page<'_>) -> Result<Option<u64>> {
        self.total.as_ref().map_or(Ok(None), |path| count(path, page.body))
    }

    /// What the rules say of a page. A total or a `has_more` that is missing ends nothing; it is an error only where no other
    /// rule could end the chain.
    pub fn judge(&self, page: &Page<'_>) -> Result<Said> {
        if page.records == 0 && self.after_empty_page {
            return Ok(Said::Ends);
        }
        let total = self.total(page)?;
        let more = self.has_more.as_ref().map_or(Ok(None), |path| flag(path, page.body))?;
        if total.is_none() && more.is_none() && !self.after_empty_page && !self.otherwise {
            // An empty body says nothing, and nothing can follow from it.
            if page.body.is_null() {
                return Ok(Said::Ends);
            }
            let what = match (&self.total, &self.has_more) {
                (Some(_), Some(_)) => "neither the total nor `has_more`, and nothing else ends",
                (Some(_), None) => "no total, and nothing else ends",
                _ => "no `has_more`, and nothing else ends",
            };
            return Err(Error::new(Kind::Upstream, format!("the response has {what} the chain of pages")));
        }
        Ok(if more == Some(false) { Said::Ends } else { Said::GoesOn(total) })
    }
}

/// A count that an API gives: a whole number, or a text that holds one. A negative one stands for "not known".
fn count(path: &Selector, body: &Value) -> Result<Option<u64>> {
    let Some(value) = path.first(body).filter(|value| !value.is_null()) else { return Ok(None) };
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    if let Ok(whole) = text.parse::<i128>() {
        return Ok(u64::try_from(whole).ok());
    }
    // 2^53: beyond it, a float is not exact.
    match text.parse::<f64>() {
        Ok(float) if float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float) => Ok(Some(float as u64)),
        _ => Err(Error::new(Kind::Upstream, format!("the total is {value}, which is not a whole number"))),
    }
}

/// Whether there is more: true, false, 1, 0, or one of the reference's words.
pub fn flag(path: &Selector, body: &Value) -> Result<Option<bool>> {
    let Some(value) = path.first(body).filter(|value| !value.is_null()) else { return Ok(None) };
    let text = match value {
        Value::String(text) => text.trim().to_lowercase(),
        value => value.to_string(),
    };
    match text.as_str() {
        "yes" | "true" | "t" | "y" | "1" => Ok(Some(true)),
        "no" | "false" | "f" | "n" | "0" => Ok(Some(false)),
        _ => Err(Error::new(Kind::Upstream, format!("`has_more` is {value}, which is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn totals_are_whole_numbers() {
        let path = Selector::parse("t", "").unwrap();
        let of = |total: Value| count(&path, &json!({"t": total})).map_err(|error| error.kind);
        assert_eq!(of(json!(3)), Ok(Some(3)));
        assert_eq!(of(json!(" 3 ")), Ok(Some(3)));
        assert_eq!(of(json!(3.0)), Ok(Some(3)));
        assert_eq!(of(json!(-1)), Ok(None));
        assert_eq!(of(json!(null)), Ok(None));
        for wrong in [json!(2.5), json!("many"), json!(true), json!([3]), json!(1e300)] {
            assert_eq!(of(wrong), Err(Kind::Upstream));
        }
    }

    #[test]
    fn more_or_not() {
        let path = Selector::parse("m", "").unwrap();
        let of = |more: Value| flag(&path, &json!({"m": more})).map_err(|error| error.kind);
        for yes in [json!(true), json!("Yes"), json!("T"), json!(1), json!("1")] {
            assert_eq!(of(yes), Ok(Some(true)));
        }
        for no in [json!(false), json!("no"), json!("F"), json!(0), json!("n")] {
            assert_eq!(of(no), Ok(Some(false)));
        }
        assert_eq!(of(json!(null)), Ok(None));
        for wrong in [json!(2), json!("maybe"), json!([]), json!(0.5)] {
            assert_eq!(of(wrong), Err(Kind::Upstream));
        }
    }
}
