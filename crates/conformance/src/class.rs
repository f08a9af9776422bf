//! How exact a result must be.

/// How far a backend may be from the f64 reference.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Class {
    /// Not at all; both zeros are equal.
    Exact,
    /// So many units in the last place of the reference rounded to f32.
    Rounded {
        /// The units.
        ulps: u32,
    },
    /// `factor·eps·Σ|terms|` with the eps of f32, 2⁻²³.
    Reduced {
        /// The factor.
        factor: f64,
    },
}

impl Class {
    /// Whether `got` is close enough to `expected`, the f64 reference; `terms` is its `Σ|terms|`.
    pub fn accepts(self, got: f64, expected: f64, terms: f64) -> bool {
        match self {
            Self::Exact => got == expected,
            Self::Rounded { ulps } => ulp_distance(got as f32, expected as f32) <= u64::from(ulps),
            Self::Reduced { factor } => (got - expected).abs() <= factor * f64::from(f32::EPSILON) * terms,
        }
    }
}

/// How many f32 numbers away `b` is from `a`; both zeros are one number, and NaN is infinitely far from all.
fn ulp_distance(a: f32, b: f32) -> u64 {
    if a.is_nan() || b.is_nan() {
        return u64::MAX;
    }
    // Floats of one sign are ordered like their bits.
    let place =
        |x: f32| if x.is_sign_negative() { -i64::from(x.to_bits() & 0x7fff_ffff) } else { i64::from(x.to_bits()) };
    place(a).abs_diff(place(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_numbers_between() {
        assert_eq!(ulp_distance(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(ulp_distance(0.0, -0.0), 0);
        assert_eq!(ulp_distance(f32::from_bits(1), -f32::from_bits(1)), 2);
        assert_eq!(ulp_distance(2.0, 2.0 - f32::EPSILON), 1);
        assert_eq!(ulp_distance(f32::NAN, 1.0), u64::MAX);
    }

    #[test]
    fn classes_refuse_what_is_too_far() {
        assert!(Class::Exact.accepts(-0.0, 0.0, 0.0) && !Class::Exact.accepts(1.0 + f64::from(f32::EPSILON), 1.0, 1.0));
        let (near, far) = (1.0 + 2.0 * f64::from(f32::EPSILON), 1.0 + 3.0 * f64::from(f32::EPSILON));
        assert!(
            Class::Rounded { ulps: 2 }.accepts(near, 1.0, 1.0) && !Class::Rounded { ulps: 2 }.accepts(far, 1.0, 1.0)
        );
        assert!(
            Class::Reduced { factor: 3.0 }.accepts(far, 1.0, 1.0)
                && !Class::Reduced { factor: 2.0 }.accepts(far, 1.0, 1.0)
        );
        assert!(!Class::Reduced { factor: 2.0 }.accepts(f64::NAN, 1.0, 1.0));
    }
}
