//! The gates every call passes, coverage and explain.
