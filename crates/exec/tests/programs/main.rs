//! Programs on a backend that is obviously right: plans, random graphs, updates, repetition, diagnosis.

mod backend;
mod diagnose;
mod plan;
mod random_graphs;
