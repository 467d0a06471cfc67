//! Records as APIs send them: compact, the same in each run.

use std::fmt::Write as _;

/// 20 fields: texts, instants, integers, doubles, booleans, some nulls.
pub fn flat(to: &mut String, id: u64, random: &mut Random) {
    let _ = write!(
        to,
        r#"{{"id":{id},"uuid":"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}","name":"{} {}","email":"{}.{}@example.com","status":"{}","created_at":"{}","updated_at":"{}","#,
        random.below(1 << 32),
        random.below(1 << 16),
        random.below(1 << 12),
        random.below(1 << 12),
        random.below(1 << 48),
        random.word(),
        random.word(),
        random.word(),
        random.word(),
        random.one_of(&["active", "inactive", "pending"]),
        random.instant(),
        random.instant(),
    );
    let _ = write!(
        to,
        r#""amount":{}.{:02},"score":{},"latitude":{:.6},"longitude":{:.6},"count":{},"balance":-{},"active":{},"verified":{},"country":"{}","note":{},"parent_id":{},"deleted_at":{},"description":"{} {} {} {} {}"}}"#,
        random.below(10_000),
        random.below(100),
        random.unit(),
        random.unit() * 180.0 - 90.0,
        random.unit() * 360.0 - 180.0,
        random.below(1_000),
        random.below(1_000_000),
        random.boolean(),
        random.boolean(),
        random.one_of(&["DE", "FR", "NL", "PL"]),
        random.or_null(|random| format!("\"{}\"", random.word())),
        random.or_null(|random| random.below(1_000_000).to_string()),
        random.or_null(|random| format!("\"{}\"", random.instant())),
        random.word(),
        random.word(),
        random.word(),
        random.word(),
        random.word(),
    );
}

/// Objects two deep, a list of scalars, a list of about three objects.
pub fn nested(to: &mut String, id: u64, random: &mut Random) {
    let _ = write!(
        to,
        r#"{{"id":{id},"number":"{}-{}","created_at":"{}","total":{}.{:02},"paid":{},"customer":{{"id":{},"name":"{} {}","address":{{"street":"{} {}","city":"{}","zip":"{:05}","country":"{}","location":{{"lat":{:.5},"lon":{:.5}}}}}}},"tags":["#,
        random.word(),
        random.below(100_000),
        random.instant(),
        random.below(10_000),
        random.below(100),
        random.boolean(),
        random.below(1_000_000),
        random.word(),
        random.word(),
        random.word(),
        random.below(200),
        random.word(),
        random.below(100_000),
        random.one_of(&["DE", "FR", "NL", "PL"]),
        random.unit() * 180.0 - 90.0,
        random.unit() * 360.0 - 180.0,
    );
    for number in 0..random.below(6) {
        let _ = write!(to, "{}\"{}\"", if number > 0 { "," } else { "" }, random.word());
    }
    to.push_str("],\"lines\":[");
    for number in 0..1 + random.below(5) {
        let _ = write!(
            to,
            r#"{}{{"sku":"{}-{}","quantity":{},"price":{}.{:02},"discount":{},"product":{{"id":{},"title":"{} {}"}},"gift":{}}}"#,
            if number > 0 { "," } else { "" },
            random.word(),
            random.below(10_000),
            1 + random.below(20),
            random.below(500),
            random.below(100),
            random.or_null(|random| random.unit().to_string()),
            random.below(100_000),
            random.word(),
            random.word(),
            random.boolean(),
        );
    }
    to.push_str("]}");
}

/// SplitMix64.
pub struct Random(u64);

impl Default for Random {
    /// The same numbers in each run.
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn boolean(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn one_of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words.get(self.below(words.len() as u64) as usize).copied().unwrap_or_default()
    }

    pub fn word(&mut self) -> &'static str {
        self.one_of(&[
            "amber", "birch", "cooper", "dowel", "elm", "faucet", "grove", "hickory", "juniper", "maple", "sap",
            "spigot",
        ])
    }

    pub fn instant(&mut self) -> String {
        let (month, day) = (1 + self.below(12), 1 + self.below(28));
        format!("2025-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", self.below(24), self.below(60), self.below(60))
    }

    /// Null for one of three.
    fn or_null(&mut self, value: impl FnOnce(&mut Self) -> String) -> String {
        if self.below(3) == 0 { "null".to_owned() } else { value(self) }
    }
}
