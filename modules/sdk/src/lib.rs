//! A module author's one dependency.
