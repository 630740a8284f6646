//! The derive that registers a command.
