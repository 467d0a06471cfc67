//! Pages as APIs send them: compact, the same in each run.

mod records;

use records::{Random, flat, nested};
use std::fmt::Write as _;

/// A page and its name.
pub struct Page {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub records: u64,
}

/// All pages.
pub fn all() -> Vec<Page> {
    vec![page("flat", 1_000, flat), page("nested", 500, nested), page("escaped", 500, escaped)]
}

fn page(name: &'static str, records: u64, record: fn(&mut String, u64, &mut Random)) -> Page {
    let mut random = Random::default();
    let mut text = "{\"data\":[".to_owned();
    for number in 0..records {
        if number > 0 {
            text.push(',');
        }
        record(&mut text, number, &mut random);
    }
    let _ = write!(text, "],\"total\":{records}}}");
    Page { name, bytes: text.into_bytes(), records }
}

/// Long texts with line ends, quotes, escapes of all kinds, and letters of many scripts.
fn escaped(to: &mut String, id: u64, random: &mut Random) {
    const PARTS: [&str; 12] = [
        r#"line\n"#,
        r#"\tsaid \"so\" and "#,
        r#"C:\\data\\new "#,
        r#"<a href=\"https:\/\/example.com\/\">here<\/a> "#,
        r#"caf\u00e9 na\u00efve "#,
        r#"\ud83d\ude00 "#,
        "Grüße aus Köln, ",
        "Привет из Москвы, ",
        "日本語のテキスト、",
        "مرحبا بالعالم ",
        "🚀 launched ",
        "and plain words in between, ",
    ];
    let _ = write!(to, r#"{{"id":{id},"author":"{} {}","body":""#, random.word(), random.word());
    for _ in 0..24 {
        to.push_str(random.one_of(&PARTS));
    }
    let _ = write!(to, r#"","title":"{}{}","html":""#, random.one_of(&PARTS), random.one_of(&PARTS));
    for _ in 0..12 {
        to.push_str(random.one_of(&PARTS));
    }
    let _ = write!(to, r#"","created_at":"{}","likes":{}}}"#, random.instant(), random.below(10_000));
}
