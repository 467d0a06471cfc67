//! Names of tables and columns, by dlt's `snake_case` convention (reference, section 9.1).

use deunicode::deunicode_char;
use std::borrow::Cow;

/// Joins the parts of a path, and splits a key that is one already.
pub const SEPARATOR: &str = "__";

/// A key as a column or table name. A key with `__` in it is a path, whose parts are named one by one.
pub fn path(key: &str) -> String {
    if !key.contains(SEPARATOR) {
        return identifier(key);
    }
    let parts: Vec<String> = key.split(SEPARATOR).filter(|part| !part.is_empty()).map(identifier).collect();
    if parts.is_empty() { identifier("_") } else { parts.join(SEPARATOR) }
}

/// One identifier.
pub fn identifier(key: &str) -> String {
    let key = key.trim();
    if key.is_empty() {
        return "_empty".to_owned();
    }
    let plain = ascii(&transliterated(key));
    let words = break_before_letters(&break_before_words(&plain));
    let mut name: String = words.to_ascii_lowercase();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    let body = name.trim_end_matches('_').len();
    let trailing = name.len() - body;
    name.truncate(body);
    name.extend(std::iter::repeat_n('x', trailing));
    let mut collapsed = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '_' || !collapsed.ends_with('_') {
            collapsed.push(c);
        }
    }
    collapsed
}

/// A name with the letters of other scripts than Latin written in it; dlt drops them, so that different names become one. Latin
/// letters with marks stay, since dlt's names have them as `_`.
fn transliterated(key: &str) -> Cow<'_, str> {
    let is_foreign = |c: char| c.is_alphabetic() && !is_latin(c);
    if key.is_ascii() || !key.contains(is_foreign) {
        return Cow::Borrowed(key);
    }
    let mut plain = String::with_capacity(key.len());
    for c in key.chars() {
        match deunicode_char(c).filter(|_| is_foreign(c)) {
            // A letter with a mark, such as the soft sign's apostrophe, is part of its word.
            Some(letters) => plain.extend(letters.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ')),
            None => plain.push(c),
        }
    }
    Cow::Owned(plain.trim().to_owned())
}

/// Whether a letter is one of the Latin script (Unicode's blocks of that name).
fn is_latin(c: char) -> bool {
    matches!(c, '\0'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' | '\u{2C60}'..='\u{2C7F}' | '\u{A720}'..='\u{A7FF}' | '\u{FF21}'..='\u{FF5A}')
}

/// Maps some signs to letters, and every run of characters other than ASCII letters, digits and `_` to one `_`.
fn ascii(key: &str) -> String {
    let mut plain = String::with_capacity(key.len());
    let mut in_run = false;
    for c in key.chars() {
        let mapped = match c {
            '+' | '*' => 'x',
            '-' => '_',
            '@' => 'a',
            '|' => 'l',
            other => other,
        };
        let valid = mapped.is_ascii_alphanumeric() || mapped == '_';
        if valid {
            plain.push(mapped);
        } else if !in_run {
            plain.push('_');
        }
        in_run = !valid;
    }
    plain
}

/// `_` between any character but `_` and a capitalised word, without overlaps, from the left: `HTTPServer` → `HTTP_Server`.
fn break_before_words(text: &str) -> String {
    let mut broken = String::with_capacity(text.len() + 4);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        broken.push(c);
        let mut ahead = rest.clone();
        let capital = ahead.next().is_some_and(|c| c.is_ascii_uppercase());
        if c != '_' && capital && ahead.next().is_some_and(|c| c.is_ascii_lowercase()) {
            broken.push('_');
            broken.extend(rest.next());
            while let Some(lower) = rest.next_if(char::is_ascii_lowercase) {
                broken.push(lower);
            }
        }
    }
    broken
}

/// `_` between a lower-case letter or digit and a capital: `userID` → `user_ID`.
fn break_before_letters(text: &str) -> String {
    let mut broken = String::with_capacity(text.len() + 4);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        broken.push(c);
        if (c.is_ascii_lowercase() || c.is_ascii_digit())
            && let Some(capital) = rest.next_if(char::is_ascii_uppercase)
        {
            broken.push('_');
            broken.push(capital);
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference, section 9.1: verified with dlt 1.31.
    const EXAMPLES: &[(&str, &str)] = &[
        ("camelCase", "camel_case"),
        ("HTTPServer", "http_server"),
        ("userID", "user_id"),
        ("UserIDs", "user_i_ds"),
        ("URLs", "ur_ls"),
        ("eTag", "e_tag"),
        ("aB1C", "a_b1_c"),
        ("v2API", "v2_api"),
        ("2ndPlace", "_2nd_place"),
        ("a.b", "a_b"),
        ("a/b", "a_b"),
        ("a%b", "a_b"),
        ("a+b", "axb"),
        ("a*b", "axb"),
        ("@type", "atype"),
        ("$id", "_id"),
        ("C#", "cx"),
        ("tail_", "tailx"),
        ("naïve", "na_ve"),
        ("é", "x"),
        ("-", "x"),
        ("_", "x"),
        ("a😀b", "a_b"),
        ("", "_empty"),
        ("  ", "_empty"),
        ("Größe", "gr_e"),
        ("@odata.etag", "aodata_etag"),
    ];

    #[test]
    fn identifiers_are_those_of_dlt() {
        for (key, name) in EXAMPLES {
            assert_eq!(identifier(key), *name, "{key}");
        }
    }

    #[test]
    fn other_scripts_are_written_in_latin_letters() {
        for (key, name) in [
            ("日", "ri"),
            ("本", "ben"),
            ("名前", "ming_qian"),
            ("Имя", "imia"),
            ("имя_пользователя", "imia_polzovatelia"),
            ("größe", "gr_e"),
            ("άδεια", "adeia"),
            ("اسم", "sm"),
            ("가격", "gagyeog"),
            ("a😀b", "a_b"),
        ] {
            assert_eq!(identifier(key), name, "{key}");
        }
    }

    #[test]
    fn paths_are_those_of_dlt() {
        for (key, name) in [("a__b", "a__b"), ("__u", "u"), ("abc__", "abc"), ("x__yZ", "x__y_z"), ("____", "x")] {
            assert_eq!(path(key), name, "{key}");
        }
    }
}
