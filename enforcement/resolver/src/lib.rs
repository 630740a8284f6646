//! The decision whether a command may run: pure, deterministic, traced.
