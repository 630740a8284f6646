//! Where a command is mounted over HTTP, beside `POST /api/commands/{id}`.

use std::fmt;

/// The methods a route may use (RFC 9110 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Safe: reads only. Input comes from path and query.
    GET,
    /// Input comes from path and body.
    POST,
    /// Idempotent replacement.
    PUT,
    /// Partial change.
    PATCH,
    /// Removal. Input comes from path and query.
    DELETE,
}

impl Method {
    /// As HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GET => "GET",
            Self::POST => "POST",
            Self::PUT => "PUT",
            Self::PATCH => "PATCH",
            Self::DELETE => "DELETE",
        }
    }

    /// Whether the input travels in a body.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::POST | Self::PUT | Self::PATCH)
    }
}

/// A route of a command: `#[http(POST "/api/…/{id}")]`, or `#[http(POST "/api/…" => 202)]` where a success has another
/// status. A `{name}` segment becomes the input's field of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpRoute {
    method: Method,
    path: &'static str,
    status: u16,
}

impl HttpRoute {
    /// A route written in source. A path that does not begin with `/` does not compile.
    #[track_caller]
    pub const fn new(method: Method, path: &'static str) -> Self {
        assert!(!path.is_empty() && path.as_bytes()[0] == b'/', "a route's path begins with `/`");
        Self { method, path, status: 200 }
    }

    /// With another status than 200 for a success, such as 202 (RFC 9110 section 15.3). One that means no success does
    /// not compile.
    #[track_caller]
    #[must_use]
    pub const fn answering(mut self, status: u16) -> Self {
        assert!(status >= 200 && status < 300 && status != 204, "a success with a body is 2xx, and not 204");
        self.status = status;
        self
    }

    /// The status of a success.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path with its `{name}` segments.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl fmt::Display for HttpRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}
