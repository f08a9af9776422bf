//! Instruction sets: what this machine has, and what to use.

#[cfg(target_arch = "aarch64")]
use crate::arch::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::vector::Token;
use thiserror::Error;

/// An instruction set that this machine has: a value exists only where its features do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust; always there.
    Scalar,
    /// AVX2 with FMA, BMI and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ, and all of [`Isa::Avx2`].
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// Why an instruction set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IsaError {
    /// Not a name of an instruction set.
    #[error("unknown instruction set {name:?}: expected one of {}", Isa::NAMES.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A known instruction set that this machine lacks.
    #[error("instruction set {name} is not available on this machine, which has {}", .available.join(", "))]
    Unavailable {
        /// The name asked for.
        name: &'static str,
        /// What there is.
        available: Vec<&'static str>,
    },
}

impl Isa {
    /// Every name that [`from_name`](Self::from_name) knows.
    pub const NAMES: [&'static str; 4] = ["scalar", "avx2", "avx512", "neon"];

    /// The environment variable that forces a choice.
    pub const ENVIRONMENT: &'static str = "BINARY_NETS_ISA";

    /// Everything that this machine can run, slowest first; never empty.
    pub fn available() -> Vec<Self> {
        let mut isas = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            isas.extend(Avx2::detect().map(Self::Avx2));
            isas.extend(Avx512::detect().map(Self::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        isas.extend(Neon::detect().map(Self::Neon));
        isas
    }

    /// The fastest that this machine can run.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// The one that `BINARY_NETS_ISA` names, or the fastest if the variable is unset or empty.
    pub fn from_env() -> Result<Self, IsaError> {
        match std::env::var_os(Self::ENVIRONMENT) {
            Some(name) if !name.is_empty() => Self::from_name(&name.to_string_lossy()),
            _ => Ok(Self::detect()),
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Result<Self, IsaError> {
        let known = Self::NAMES.into_iter().find(|known| *known == name);
        let name = known.ok_or_else(|| IsaError::Unknown { name: name.to_owned() })?;
        let available = Self::available();
        let found = available.iter().copied().find(|isa| isa.name() == name);
        found.ok_or_else(|| IsaError::Unavailable { name, available: available.iter().map(|isa| isa.name()).collect() })
    }

    /// Its name, as `BINARY_NETS_ISA` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::NAME,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => Neon::NAME,
        }
    }

    /// Runs `work` inside a function compiled with these features, so that its plain loops become vector code.
    ///
    /// Mark the closure `#[inline(always)]`; what it calls must be inlined too, or stays plain code (correct, but slow).
    /// Rust never contracts `a * b + c`, so element-wise results are the same on every instruction set.
    #[inline]
    pub fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Scalar => work(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.vectorize(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.vectorize(work),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(token) => token.vectorize(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_or_refused() {
        for isa in Isa::available() {
            assert_eq!(Isa::from_name(isa.name()), Ok(isa));
        }
        assert_eq!(Isa::from_name("sse9"), Err(IsaError::Unknown { name: "sse9".into() }));
        let missing = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        assert!(matches!(Isa::from_name(missing), Err(IsaError::Unavailable { name, .. }) if name == missing));
    }

    #[test]
    fn vectorize_runs_the_work_once_and_returns_its_result() {
        let x: Vec<f32> = (0..100u8).map(f32::from).collect();
        let expected: Vec<f32> = x.iter().map(|x| x * 1.1 + 0.3).collect();
        for isa in Isa::available() {
            let y: Vec<f32> = isa.vectorize(
                #[inline(always)]
                || x.iter().map(|x| x * 1.1 + 0.3).collect(),
            );
            assert_eq!(y, expected, "{}", isa.name());
        }
    }
}
