//! Where the values go: a column for each place in a record, with its keys in the order in which they are expected.

/// The columns of all places; child objects and items of lists are places of their own.
#[derive(Debug)]
pub struct Columns {
    places: Vec<Place>,
    /// Where the next value goes.
    at: usize,
    around: Vec<usize>,
}

#[derive(Debug, Default)]
struct Place {
    keys: Vec<(Box<str>, usize)>,
    /// The key that most likely comes next.
    expected: usize,
    items: Option<usize>,
    kinds: Vec<Kind>,
    integers: Vec<i64>,
    doubles: Vec<f64>,
    text: String,
    ends: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Null,
    False,
    True,
    Integer,
    Double,
    Text,
    Object,
    List,
}

/// What was seen, to be compared between parsers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The number of values.
    pub values: u64,
    /// Of all keys and values but doubles.
    pub hash: u64,
    /// Of all doubles, to the last bit.
    pub doubles: u64,
}

impl Default for Columns {
    fn default() -> Self {
        Self { places: vec![Place::default()], at: 0, around: Vec::new() }
    }
}

impl Columns {
    /// Forgets the values, and keeps keys and capacity.
    pub fn clear(&mut self) {
        self.at = 0;
        self.around.clear();
        for place in &mut self.places {
            place.kinds.clear();
            place.integers.clear();
            place.doubles.clear();
            place.text.clear();
            place.ends.clear();
        }
    }

    /// An object begins.
    pub fn begin_object(&mut self) {
        if let Some(place) = self.places.get_mut(self.at) {
            place.kinds.push(Kind::Object);
            place.expected = 0;
        }
        self.around.push(self.at);
    }

    /// The value of this key comes next.
    pub fn key(&mut self, key: &str) {
        let Some(object) = self.around.last().copied() else { return };
        let Some(place) = self.places.get_mut(object) else { return };
        let known = match place.keys.get(place.expected) {
            Some((expected, _)) if **expected == *key => Some(place.expected),
            _ => place.keys.iter().position(|(known, _)| **known == *key),
        };
        if let Some(found) = known {
            place.expected = found + 1;
            self.at = place.keys.get(found).map_or(0, |(_, at)| *at);
        } else {
            self.new_key(object, key);
        }
    }

    #[cold]
    fn new_key(&mut self, object: usize, key: &str) {
        self.at = self.places.len();
        self.places.push(Place::default());
        if let Some(place) = self.places.get_mut(object) {
            place.keys.push((key.into(), self.at));
            place.expected = place.keys.len();
        }
    }

    /// An object or a list ends.
    pub fn end(&mut self) {
        self.at = self.around.pop().unwrap_or(0);
    }

    /// A list begins.
    pub fn begin_list(&mut self) {
        let list = self.at;
        self.around.push(list);
        let new = self.places.len();
        let Some(place) = self.places.get_mut(list) else { return };
        place.kinds.push(Kind::List);
        self.at = *place.items.get_or_insert(new);
        if self.at == new {
            self.places.push(Place::default());
        }
    }

    /// A text, without its escapes.
    pub fn text(&mut self, text: &str) {
        if let Some(place) = self.places.get_mut(self.at) {
            place.kinds.push(Kind::Text);
            place.text.push_str(text);
            place.ends.push(place.text.len());
        }
    }

    /// A number, as it stands in the page.
    pub fn number(&mut self, digits: &str) {
        match digits.parse() {
            Ok(integer) => self.integer(integer),
            Err(_) => self.double(digits.parse().unwrap_or(f64::NAN)),
        }
    }

    /// An integer.
    pub fn integer(&mut self, integer: i64) {
        if let Some(place) = self.places.get_mut(self.at) {
            place.kinds.push(Kind::Integer);
            place.integers.push(integer);
        }
    }

    /// A double.
    pub fn double(&mut self, double: f64) {
        if let Some(place) = self.places.get_mut(self.at) {
            place.kinds.push(Kind::Double);
            place.doubles.push(double);
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, boolean: bool) {
        self.plain(if boolean { Kind::True } else { Kind::False });
    }

    /// Null.
    pub fn null(&mut self) {
        self.plain(Kind::Null);
    }

    fn plain(&mut self, kind: Kind) {
        if let Some(place) = self.places.get_mut(self.at) {
            place.kinds.push(kind);
        }
    }

    /// What was seen since the columns were cleared.
    pub fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        for place in &self.places {
            digest.values += place.kinds.len() as u64;
            for (key, at) in &place.keys {
                digest.hash = hash(digest.hash, key.bytes().chain((*at as u64).to_le_bytes()));
            }
            digest.hash = hash(digest.hash, place.kinds.iter().map(|kind| *kind as u8));
            digest.hash = hash(digest.hash, place.integers.iter().flat_map(|integer| integer.to_le_bytes()));
            digest.hash = hash(digest.hash, place.text.bytes());
            digest.hash = hash(digest.hash, place.ends.iter().flat_map(|end| (*end as u64).to_le_bytes()));
            digest.doubles = hash(digest.doubles, place.doubles.iter().flat_map(|double| double.to_le_bytes()));
        }
        digest
    }
}

/// FNV-1a.
fn hash(hash: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(hash ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
