//! CPU micro-kernels and packers; knows slices, not graphs.
