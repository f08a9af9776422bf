//! Schedule, liveness, plan, program and the Backend trait.

#![forbid(unsafe_code)]
