//! The grammar all keys share: dotted segments of `[a-z][a-z0-9-]*`.

use std::fmt;

/// Why a key does not parse. Positions count from zero, in bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The key has another number of segments than its kind requires.
    SegmentCount {
        /// Segments found.
        found: usize,
        /// Segments required.
        required: usize,
    },
    /// A segment has no characters, as in `a..b`.
    EmptySegment {
        /// Where the segment should begin.
        at: usize,
    },
    /// A character outside `a-z`, `0-9`, `-`, or a segment that does not begin with `a-z`.
    Character {
        /// Where it stands.
        at: usize,
    },
    /// A feature key does not end in a version segment such as `.v1`.
    Version,
}

impl KeyError {
    /// The message a compiler shows; [`fmt::Display`] adds positions.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::SegmentCount { .. } => "this key has the wrong number of dotted segments",
            Self::EmptySegment { .. } => "this key has an empty segment",
            Self::Character { .. } => "each segment of a key is `[a-z][a-z0-9-]*`",
            Self::Version => "a feature key ends in a version segment, as in `tenancy.subtenants.v1`",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentCount { found, required } => {
                write!(f, "expected {required} dotted segments, found {found}")
            }
            Self::EmptySegment { at } => write!(f, "empty segment at position {at}"),
            Self::Character { at } => {
                write!(f, "character at position {at} does not fit `[a-z][a-z0-9-]*`")
            }
            Self::Version => f.write_str("the last segment is not a version such as `v1`"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Counts the segments of `text`, checking each.
pub(crate) const fn count(text: &str) -> Result<usize, KeyError> {
    let bytes = text.as_bytes();
    let (mut at, mut start, mut segments) = (0, 0, 1);
    while at < bytes.len() {
        match bytes[at] {
            b'.' if at == start => return Err(KeyError::EmptySegment { at }),
            b'.' => {
                segments += 1;
                start = at + 1;
            }
            b'a'..=b'z' => {}
            b'0'..=b'9' | b'-' if at > start => {}
            _ => return Err(KeyError::Character { at }),
        }
        at += 1;
    }
    if start == bytes.len() {
        return Err(KeyError::EmptySegment { at });
    }
    Ok(segments)
}

/// Where the `n`th dot stands, or the text's length.
pub(crate) const fn dot(text: &str, n: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut seen) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'.' {
            seen += 1;
            if seen == n {
                return at;
            }
        }
        at += 1;
    }
    at
}
