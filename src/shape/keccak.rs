//! SHAKE-128 of two short texts at once: the permutation is the library's, the pair of lanes that it works on is ours.

use keccak::{LaneSize, keccak_p};
use std::ops::{BitAnd, BitAndAssign, BitXor, BitXorAssign, Not};
use wide::u64x2;

/// Bytes that SHAKE-128 takes in at once (FIPS 202, section 6.2).
pub const RATE: usize = 168;

const LANES: usize = 25;
const ROUNDS: usize = 24;

/// The first 16 bytes of the hash of each of two texts. They are given as padded blocks.
pub fn shake128(blocks: [&[u8; RATE]; 2]) -> [[u8; 16]; 2] {
    let mut state = [Pair::default(); LANES];
    let [(ones, _), (others, _)] = blocks.map(|block| block.as_chunks());
    for ((lane, one), other) in state.iter_mut().zip(ones).zip(others) {
        *lane = Pair(u64x2::new([*one, *other].map(u64::from_le_bytes)));
    }
    keccak_p(&mut state, ROUNDS);
    let [Pair(low), Pair(high), ..] = state;
    let ([low, other_low], [high, other_high]) = (low.to_array(), high.to_array());
    [(low, high), (other_low, other_high)].map(|(low, high)| (u128::from(high) << 64 | u128::from(low)).to_le_bytes())
}

/// A lane of each of two states.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pair(u64x2);

impl LaneSize for Pair {
    const KECCAK_F_ROUND_COUNT: usize = ROUNDS;

    #[inline(always)]
    fn truncate_rc(constant: u64) -> Self {
        Self(u64x2::new([constant; 2]))
    }

    #[inline(always)]
    fn rotate_left(self, by: u32) -> Self {
        Self((self.0 << by) | (self.0 >> (u64::BITS - by)))
    }
}

impl BitAnd for Pair {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitXor for Pair {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl Not for Pair {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl BitAndAssign for Pair {
    #[inline(always)]
    fn bitand_assign(&mut self, other: Self) {
        *self = *self & other;
    }
}

impl BitXorAssign for Pair {
    #[inline(always)]
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}
