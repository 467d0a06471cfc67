//! What the host answers a connector, other than with responses: clocks, randomness, which waits are over.

use crate::digest::{hex, unhex};

/// An answer, as a word of letters, digits and commas. The first letter says what was asked.
pub(crate) trait Answer: Sized {
    /// That letter.
    const KIND: char;
    /// What was asked, for a person.
    const NAME: &'static str;

    /// The word without its first letter.
    fn write(&self) -> String;

    /// The answer again.
    fn read(text: &str) -> Option<Self>;
}

/// Nanoseconds on the monotonic clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Monotonic(pub u64);

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wall(pub u64, pub u32);

/// Random bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Random(pub Vec<u8>);

/// Which of the pollables in a list were ready.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Polled(pub Vec<u32>);

/// Whether a pollable was ready.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IsReady(pub bool);

impl Answer for Monotonic {
    const KIND: char = 'm';
    const NAME: &'static str = "the monotonic clock";

    fn write(&self) -> String {
        self.0.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl Answer for Wall {
    const KIND: char = 'w';
    const NAME: &'static str = "the time";

    fn write(&self) -> String {
        format!("{},{}", self.0, self.1)
    }

    fn read(text: &str) -> Option<Self> {
        let (seconds, nanoseconds) = text.split_once(',')?;
        Some(Self(seconds.parse().ok()?, nanoseconds.parse().ok()?))
    }
}

impl Answer for Random {
    const KIND: char = 'r';
    const NAME: &'static str = "random bytes";

    fn write(&self) -> String {
        hex(&self.0)
    }

    fn read(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl Answer for Polled {
    const KIND: char = 'p';
    const NAME: &'static str = "what it waits for";

    fn write(&self) -> String {
        self.0.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
    }

    fn read(text: &str) -> Option<Self> {
        text.split(',').map(|index| index.parse().ok()).collect::<Option<_>>().map(Self)
    }
}

impl Answer for IsReady {
    const KIND: char = 'q';
    const NAME: &'static str = "whether a wait is over";

    fn write(&self) -> String {
        u8::from(self.0).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self(false)),
            "1" => Some(Self(true)),
            _ => None,
        }
    }
}

/// What a call of the connector gave, as a digest of it: no answer, but held against the tape in the same way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given(pub String);

impl Answer for Given {
    const KIND: char = 's';
    const NAME: &'static str = "to hand over rows";

    fn write(&self) -> String {
        self.0.clone()
    }

    fn read(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_as_it_was() {
        fn same<A: Answer + PartialEq + std::fmt::Debug>(answer: A, text: &str) {
            assert_eq!(answer.write(), text);
            assert_eq!(A::read(text), Some(answer));
        }
        same(Monotonic(12), "12");
        same(Wall(1_795_422_121, 7), "1795422121,7");
        same(Random(vec![0, 255, 16]), "00ff10");
        same(Random(vec![]), "");
        same(Polled(vec![3, 0]), "3,0");
        same(IsReady(true), "1");
        assert_eq!((Random::read("0"), Random::read("xy"), Polled::read(""), IsReady::read("2")), Default::default());
    }
}
