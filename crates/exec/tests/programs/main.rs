//! Programs on a backend that is obviously right: plans, random graphs, updates, repetition, diagnosis, profiles.

mod backend;
mod diagnose;
mod plan;
mod profile;
mod random_graphs;
mod thrift;
