//! dlt's dialect of JSONPath, which is jsonpath-ng's (reference, section 4.4), as RFC 9535 has it.

use serde_json_path::JsonPath;
use std::iter::Peekable;
use std::str::Chars;

/// Why a text is no path, and what to write.
type Wrong = (String, String);

/// How paths are written.
const ADVICE: &str = "write a path such as `data`, `data.items`, `data[0].id` or `data[*].items[*]`";

/// Compiles a path, in the RFC's spelling or in that of jsonpath-ng.
pub fn parse(text: &str) -> Result<JsonPath, Wrong> {
    let whole = match text.chars().next() {
        Some('$') => text.to_owned(),
        Some('[') => format!("${text}"),
        Some('.') if text.starts_with("..") => format!("${text}"),
        _ => format!("$.{text}"),
    };
    JsonPath::parse(&whole).or_else(|error| {
        let translated = translate(text)?;
        // The error of what a person wrote says more than that of what became of it.
        let translated = translated.ok_or_else(|| (error.to_string(), ADVICE.to_owned()))?;
        JsonPath::parse(&translated).map_err(|_| (error.to_string(), ADVICE.to_owned()))
    })
}

fn refused(what: &str, advice: &str) -> Wrong {
    (format!("{what} is jsonpath-ng's own, and not carried out"), advice.to_owned())
}

/// The path in the RFC's spelling; none where it is no path in either.
fn translate(text: &str) -> Result<Option<String>, Wrong> {
    let after_root = text.strip_prefix(['$', '@']).filter(|rest| rest.starts_with(['.', '[']));
    let steps = after_root.unwrap_or(text);
    let mut path = String::from("$");
    // Whether a name may stand here.
    let mut is_open = after_root.is_none();
    let mut chars = steps.chars().peekable();
    while let Some(c) = chars.peek().copied() {
        match c {
            '.' => {
                chars.next();
                is_open = true;
                if chars.next_if_eq(&'.').is_some() {
                    path.push_str("..");
                }
            }
            '*' if is_open => {
                chars.next();
                path.push_str("[*]");
                is_open = false;
            }
            '[' => {
                is_open = false;
                let Some(inside) = bracket(&mut chars) else { return Ok(None) };
                match inside.trim_start().strip_prefix('?') {
                    Some(condition) => path.push_str(&format!("[?{}]", filter(condition)?)),
                    None if inside.contains(['\\', '/']) && !inside.contains(['\'', '"']) => {
                        return Err(refused("sorting", "records need no order; leave it out"));
                    }
                    None => path.push_str(&format!("[{inside}]")),
                }
            }
            '`' => {
                let name: String = steps.split('`').nth(1).unwrap_or_default().to_owned();
                return Err(refused(
                    &format!("`{name}` in backquotes"),
                    "a `map` of `processing_steps` can do it, such as `set: {count: record.list|length}`",
                ));
            }
            _ => {
                let Some(mut names) = name(&mut chars).filter(|_| is_open).map(|name| vec![name]) else {
                    return Ok(None);
                };
                is_open = false;
                while let Some(separator) = chars.next_if(|c| ",|".contains(*c)) {
                    // `a.b|c` is `a.b` and `c`, not `a.b` and `a.c`.
                    let is_whole = separator == ',' || path == "$";
                    let Some(name) = name(&mut chars) else { return Ok(None) };
                    if !is_whole || (separator == '|' && chars.peek().is_some_and(|c| *c != '|')) {
                        let advice = "make two resources with the same `table_name`, one for each path";
                        return Err(refused("`|` between paths", advice));
                    }
                    names.push(name);
                }
                let quoted: Vec<String> =
                    names.iter().map(|name| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
                path.push_str(&format!("[{}]", quoted.join(",")));
            }
        }
    }
    Ok((!is_open).then_some(path))
}

/// The keys of a path that has nothing else, such as `a.b` or `a.'b.c'`.
pub fn keys(text: &str) -> Option<Vec<String>> {
    let mut chars = text.chars().peekable();
    let mut keys = vec![name(&mut chars)?];
    while chars.next_if_eq(&'.').is_some() {
        keys.push(name(&mut chars)?);
    }
    chars.next().is_none().then_some(keys)
}

/// A name, bare or quoted.
fn name(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    while chars.next_if_eq(&' ').is_some() {}
    if let Some(quote) = chars.next_if(|c| "'\"".contains(*c)) {
        let mut name = String::new();
        loop {
            match chars.next()? {
                c if c == quote => return Some(name),
                '\\' => name.push(chars.next()?),
                c => name.push(c),
            }
        }
    }
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || "_-@".contains(*c)) {
        name.push(c);
    }
    while chars.next_if_eq(&' ').is_some() {}
    (!name.is_empty()).then_some(name)
}

/// What stands between a bracket and its partner.
fn bracket(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    chars.next_if_eq(&'[')?;
    let (mut inside, mut depth, mut quote) = (String::new(), 0, None);
    loop {
        let c = chars.next()?;
        match (quote, c) {
            (None, ']') if depth == 0 => return Some(inside),
            (None, '[') => depth += 1,
            (None, ']') => depth -= 1,
            (None, '\'' | '"') => quote = Some(c),
            (Some(_), '\\') => {
                inside.push(c);
                inside.push(chars.next()?);
                continue;
            }
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        inside.push(c);
    }
}

/// A condition: `=` is `==`, `&` is `&&`, and a bare name is a field.
fn filter(text: &str) -> Result<String, Wrong> {
    let mut condition = String::new();
    let mut chars = text.chars().peekable();
    // Whether a field may begin here.
    let mut is_start = true;
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                condition.push(c);
                while let Some(inner) = chars.next() {
                    condition.push(inner);
                    match inner {
                        '\\' => condition.extend(chars.next()),
                        inner if inner == c => break,
                        _ => {}
                    }
                }
                is_start = false;
            }
            '=' if chars.next_if_eq(&'~').is_some() => {
                let advice = "take all records, and leave some out with `processing_steps: [{filter: …}]`, such as \
                              `record.name is startingwith(\"a\")`";
                return Err(refused("the operator `=~`", advice));
            }
            '=' => {
                condition.push_str("==");
                chars.next_if_eq(&'=');
            }
            '!' | '<' | '>' => {
                condition.push(c);
                condition.extend(chars.next_if_eq(&'='));
                is_start = c == '!' && !condition.ends_with('=');
            }
            '&' => {
                condition.push_str("&&");
                chars.next_if_eq(&'&');
                is_start = true;
            }
            ' ' => condition.push(c),
            '(' | '|' => {
                condition.push(c);
                is_start = true;
            }
            c if is_start && (c.is_alphabetic() || c == '_') => {
                let mut name = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                let is_call = chars.peek() == Some(&'(');
                let is_value = ["true", "false", "null"].contains(&name.as_str());
                condition.push_str(if is_call || is_value { "" } else { "@." });
                condition.push_str(&name);
                is_start = false;
            }
            c => {
                condition.push(c);
                is_start = false;
            }
        }
    }
    Ok(condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn found(path: &str, body: &Value) -> Vec<Value> {
        let path = parse(path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        path.query(body).all().into_iter().cloned().collect()
    }

    #[test]
    fn the_spelling_of_jsonpath_ng_is_read() {
        let body = json!({"a": {"k k": 1, "f.g": 2, "b-c": [{"x": 1, "y": 5}, {"x": 2, "y": 6, "s": "t & u = ]"}], "it's": 3}, "b": 4, "@t": [7]});
        for (path, expected) in [
            ("a.'k k'", json!([1])),
            ("$.a.\"f.g\"", json!([2])),
            ("a.\"it's\"", json!([3])),
            ("a.b-c[0].x", json!([1])),
            ("a.b-c.[1].x", json!([2])),
            ("@t[0]", json!([7])),
            ("a['k k'],b", json!(null)),
            ("a.'k k','f.g'", json!([1, 2])),
            ("b|@t", json!([4, [7]])),
            ("..x", json!([1, 2])),
            ("a.b-c[*]..y", json!([5, 6])),
            ("a.b-c[?x>1].y", json!([6])),
            ("a.b-c[?(@.x = 1)].y", json!([5])),
            ("a.b-c[?(x >= 1 & y != 5)].x", json!([2])),
            ("a.b-c[?(@.s == 't & u = ]')].x", json!([2])),
            ("a.b-c[?s].x", json!([2])),
            ("a.b-c[::2].x", json!([1])),
            ("a.b-c[-1:].x", json!([2])),
            ("a.b-c.*.x", json!([1, 2])),
        ] {
            match expected {
                Value::Array(expected) => assert_eq!(found(path, &body), expected, "{path}"),
                _ => assert!(parse(path).is_err(), "{path}"),
            }
        }
    }

    #[test]
    fn what_is_its_own_is_refused_with_advice() {
        for (path, what) in [
            ("a.`len`", "`len` in backquotes"),
            ("a.`parent`.b", "`parent` in backquotes"),
            ("a.b|c", "`|` between paths"),
            ("a|b.c", "`|` between paths"),
            ("a[?(@.n =~ 'x')]", "the operator `=~`"),
            ("a[\\n]", "sorting"),
        ] {
            let (why, advice) = parse(path).unwrap_err();
            assert_eq!(why, format!("{what} is jsonpath-ng's own, and not carried out"), "{path}");
            assert!(!advice.is_empty());
        }
        for path in ["a[", "a b", "a.'b", "", "a + b", "a[?", "$$", "a..", "a where b"] {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn keys_of_a_path() {
        let of = |text: &str| keys(text).map(|keys| keys.join("/"));
        assert_eq!(of("a.b-c.@d"), Some("a/b-c/@d".to_owned()));
        assert_eq!(of("a.'b.c'"), Some("a/b.c".to_owned()));
        for text in ["", "a.", ".a", "a..b", "a[0]", "a b", "a.'b"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[a-c.\\[\\]'\"?@$()&|=~`<>!*,:\\\\ 0-9é-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
