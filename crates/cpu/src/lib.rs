//! The CPU backend and its threads.
