//! The language of expressions: what of Jinja's there is, and what is added.

use super::{json, times};
use minijinja::{Environment, Error, UndefinedBehavior, Value, filters, tests};
use std::sync::OnceLock;

/// How many steps of its virtual machine an evaluation may take; a condition takes some tens.
pub const FUEL: u64 = 1_000_000;

/// The one environment of all expressions: of the language's own filters and tests those that look at data and shape it. The
/// others write documents, and the component would carry them for nothing.
pub fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.add_filter("abs", filters::abs);
        environment.add_filter("batch", filters::batch);
        environment.add_filter("count", filters::length);
        environment.add_filter("d", filters::default);
        environment.add_filter("default", filters::default);
        environment.add_filter("dictsort", filters::dictsort);
        environment.add_filter("first", filters::first);
        environment.add_filter("float", filters::float);
        environment.add_filter("int", filters::int);
        environment.add_filter("items", filters::items);
        environment.add_filter("join", filters::join);
        environment.add_filter("last", filters::last);
        environment.add_filter("length", filters::length);
        environment.add_filter("list", filters::list);
        environment.add_filter("lower", filters::lower);
        environment.add_filter("map", filters::map);
        environment.add_filter("max", filters::max);
        environment.add_filter("min", filters::min);
        environment.add_filter("reject", filters::reject);
        environment.add_filter("rejectattr", filters::rejectattr);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("round", filters::round);
        environment.add_filter("select", filters::select);
        environment.add_filter("selectattr", filters::selectattr);
        environment.add_filter("sort", filters::sort);
        environment.add_filter("split", filters::split);
        environment.add_filter("string", filters::string);
        environment.add_filter("sum", filters::sum);
        environment.add_filter("title", filters::title);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("unique", filters::unique);
        environment.add_filter("upper", filters::upper);
        environment.add_filter("epoch", |value: &Value| times::of(value).map(|instant| instant.as_second()));
        environment.add_filter("strftime", |value: &Value, format: &str| times::format(times::of(value)?, format));
        environment.add_filter("timestamp", |value: &Value| times::of(value).map(|instant| instant.to_string()));
        environment.add_filter("tojson", |value: &Value| -> Result<String, Error> {
            json::of(value).map(|json| json.to_string()).map_err(json::invalid)
        });
        for name in ["==", "eq", "equalto"] {
            environment.add_test(name, tests::is_eq);
        }
        for name in ["!=", "ne"] {
            environment.add_test(name, tests::is_ne);
        }
        for name in ["<", "lt", "lessthan"] {
            environment.add_test(name, tests::is_lt);
        }
        for name in ["<=", "le"] {
            environment.add_test(name, tests::is_le);
        }
        for name in [">", "gt", "greaterthan"] {
            environment.add_test(name, tests::is_gt);
        }
        for name in [">=", "ge"] {
            environment.add_test(name, tests::is_ge);
        }
        environment.add_test("boolean", tests::is_boolean);
        environment.add_test("defined", tests::is_defined);
        environment.add_test("endingwith", tests::is_endingwith);
        environment.add_test("false", tests::is_false);
        environment.add_test("float", tests::is_float);
        environment.add_test("in", tests::is_in);
        environment.add_test("integer", tests::is_integer);
        environment.add_test("iterable", tests::is_iterable);
        environment.add_test("mapping", tests::is_mapping);
        environment.add_test("none", tests::is_none);
        environment.add_test("number", tests::is_number);
        environment.add_test("sequence", tests::is_sequence);
        environment.add_test("startingwith", tests::is_startingwith);
        environment.add_test("string", tests::is_string);
        environment.add_test("true", tests::is_true);
        environment.add_test("undefined", tests::is_undefined);
        // What an API left out is nothing, however deep it is asked for.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment
    })
}
