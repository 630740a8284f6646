//! server: http.
