use serde::{Deserialize, Serialize};

/// The two values that one bit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codes {
    /// −1/+1: bit = (x < 0), so `sign(0) = sign(-0.0) = +1`.
    Sign,
    /// 0/1: bit = (x > 0).
    Step,
}

impl Codes {
    /// The bit that `x` becomes. A NaN becomes 0.
    pub fn bit(self, x: f32) -> bool {
        match self {
            Self::Sign => x < 0.0,
            Self::Step => x > 0.0,
        }
    }

    /// The values of (bit 0, bit 1).
    pub const fn values(self) -> (i32, i32) {
        match self {
            Self::Sign => (1, -1),
            Self::Step => (0, 1),
        }
    }

    /// The value that `bit` stands for.
    pub const fn value(self, bit: bool) -> i32 {
        let (off, on) = self.values();
        if bit { on } else { off }
    }
}
