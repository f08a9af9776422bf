//! A network's life: state, programs, train, evaluate, predict, resume; generic over the backend.

#![forbid(unsafe_code)]
