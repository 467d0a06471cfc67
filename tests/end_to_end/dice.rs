//! Chance that can be repeated.

/// Numbers that look random, each as likely as any other (xorshift64).
pub struct Dice(pub u64);

impl Dice {
    /// From 1 to `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        self.0 % sides + 1
    }
}
