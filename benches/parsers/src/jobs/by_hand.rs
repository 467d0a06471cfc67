//! Written for this work alone, to see what a parser from the shelf leaves on the table: the page is checked to be UTF-8 as a whole, texts are looked
//! through by eight bytes, and nothing is kept but the place.

use crate::Columns;

pub(super) fn one_pass(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let mut pull = Pull { page: str::from_utf8(page).ok()?, at: 0, unescaped: String::new() };
    let mut records = 0;
    pull.fields(|pull, is_data| {
        if !is_data || pull.next()? != b'[' {
            return pull.value(&mut Columns::default());
        }
        pull.items(|pull| {
            records += 1;
            pull.value(columns)
        })
    })?;
    pull.space();
    (pull.at == pull.page.len()).then_some(records)
}

struct Pull<'p> {
    page: &'p str,
    at: usize,
    unescaped: String,
}

impl Pull<'_> {
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.page.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// The first byte of what comes next.
    fn next(&mut self) -> Option<u8> {
        self.space();
        self.page.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.page.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn value(&mut self, columns: &mut Columns) -> Option<()> {
        match self.next()? {
            b'"' => columns.text(self.text()?),
            b'{' => {
                columns.begin_object();
                self.at += 1;
                if self.next()? == b'}' {
                    self.at += 1;
                } else {
                    loop {
                        columns.key(self.text()?);
                        self.take(b':')?;
                        self.value(columns)?;
                        if self.ends(b'}')? {
                            break;
                        }
                    }
                }
                columns.end();
            }
            b'[' => {
                columns.begin_list();
                self.items(|pull| pull.value(columns))?;
                columns.end();
            }
            b'n' => {
                self.word("null")?;
                columns.null();
            }
            b't' => {
                self.word("true")?;
                columns.boolean(true);
            }
            b'f' => {
                self.word("false")?;
                columns.boolean(false);
            }
            _ => columns.number(self.number()?),
        }
        Some(())
    }

    /// Whether an object or a list ends, or another item comes.
    fn ends(&mut self, end: u8) -> Option<bool> {
        match self.next()? {
            b',' => {
                self.at += 1;
                self.space();
                Some(false)
            }
            byte if byte == end => {
                self.at += 1;
                Some(true)
            }
            _ => None,
        }
    }

    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.next()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            if self.ends(b']')? {
                return Some(());
            }
        }
    }

    /// The fields of the page: whether each is `data`.
    fn fields(&mut self, mut field: impl FnMut(&mut Self, bool) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.next()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let is_data = self.text()? == "data";
            self.take(b':')?;
            field(self, is_data)?;
            if self.ends(b'}')? {
                return Some(());
            }
        }
    }

    fn text(&mut self) -> Option<&str> {
        self.take(b'"')?;
        let start = self.at;
        if self.plain()? == b'"' {
            let text = self.page.get(start..self.at)?;
            self.at += 1;
            return Some(text);
        }
        self.unescaped.clear();
        let mut from = start;
        loop {
            self.unescaped.push_str(self.page.get(from..self.at)?);
            let byte = self.page.as_bytes().get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(&self.unescaped),
                b'\\' => self.escape()?,
                _ => return None,
            }
            from = self.at;
            self.plain()?;
        }
    }

    /// Goes to the next quote, backslash or control character.
    fn plain(&mut self) -> Option<u8> {
        const ONES: u64 = u64::MAX / 255;
        const HIGH: u64 = ONES << 7;
        let bytes = self.page.as_bytes();
        while let Some(eight) = bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let eight = u64::from_le_bytes(*eight);
            let zero = |of: u64| of.wrapping_sub(ONES) & !of;
            let found = (zero(eight ^ (ONES * 0x22))
                | zero(eight ^ (ONES * 0x5c))
                | (eight.wrapping_sub(ONES * 0x20) & !eight))
                & HIGH;
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return bytes.get(self.at).copied();
            }
            self.at += 8;
        }
        loop {
            match *bytes.get(self.at)? {
                byte @ (b'"' | b'\\' | ..0x20) => return Some(byte),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = *self.page.as_bytes().get(self.at)?;
        self.at += 1;
        let unescaped = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                if (0xd800..0xdc00).contains(&unit) {
                    self.word("\\u")?;
                    let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)?
                } else {
                    char::from_u32(unit)?
                }
            }
            _ => return None,
        };
        self.unescaped.push(unescaped);
        Some(())
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.page.get(self.at..self.at + 4).filter(|digits| !digits.starts_with('+'))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<&str> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        self.page.get(start..self.at)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.page.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.page.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
