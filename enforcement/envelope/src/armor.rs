//! The paste-able text form of a license or a request: for mail and chat, which break long lines.
//!
//! ```text
//! -----BEGIN CHANCERY LICENSE REQUEST-----
//! ZXlKaGJHY2lPaUpGVXpJMU5pSXNJbXRwWkNJNkluTnBkR1V0TVNJc0luUjVjQ0k2
//! SW1Ob1lXNWpaWEo1TFhKbGNYVmxjM1FyYW5keklpd2lhbmRySWpwN0ltRnNaeUk2
//! -----END CHANCERY LICENSE REQUEST-----
//! ```
//!
//! It is the textual encoding of RFC 7468, in its strict grammar, around the bytes of the compact form. It protects
//! nothing, not even against a lost line: what it holds is sealed or signed. Every reader accepts both forms.

use std::{borrow::Cow, fmt};

use der::pem::{self, LineEnding};

/// The longest text that is read, in bytes. An armored token of the longest kind fits.
pub const MAX_ARMORED_BYTES: usize = 384 * 1024;

const BEGIN: &str = "-----BEGIN ";
const RULE: &str = "-----";

/// What an armored text says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// A license sealed to a deployment.
    License,
    /// A license signed with a pinned key.
    LicenseKey,
    /// A deployment's request.
    LicenseRequest,
}

impl Label {
    const ALL: [Self; 3] = [Self::License, Self::LicenseKey, Self::LicenseRequest];

    /// The words between the rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::License => "CHANCERY LICENSE",
            Self::LicenseKey => "CHANCERY LICENSE KEY",
            Self::LicenseRequest => "CHANCERY LICENSE REQUEST",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is neither the compact nor the armored form. The text itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmorError {
    /// Longer than [`MAX_ARMORED_BYTES`].
    #[error("the text has {bytes} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Something that is neither base64url with dots, nor begins with `-----BEGIN`.
    #[error("the text is neither a token nor a `{BEGIN}…` block, with nothing before or after it")]
    NeitherForm,
    /// The block is not of RFC 7468.
    #[error("the block is damaged")]
    Damaged,
    /// The block holds something else.
    #[error("the block does not hold a {}", expected.map_or("license or a request", Label::thing))]
    Label {
        /// What was to be read, where only one would do.
        expected: Option<Label>,
    },
}

impl Label {
    const fn thing(self) -> &'static str {
        match self {
            Self::License => "sealed license",
            Self::LicenseKey => "license key",
            Self::LicenseRequest => "license request",
        }
    }
}

/// The text form of a token.
pub fn armor(label: Label, token: &str) -> String {
    pem::encode_string(label.as_str(), LineEnding::LF, token.trim().as_bytes())
        .expect("the labels are of RFC 7468, and a token in memory has a length that fits")
}

/// The token in either form, whatever it is a token of. White space around it is ignored, line ends may be of any
/// kind; anything else around it is refused.
pub fn dearmor(text: &str) -> Result<Cow<'_, str>, ArmorError> {
    read(text).map(|(_, token)| token)
}

/// The token in either form, where an armored one must say it holds this.
pub fn dearmor_as(expected: Label, text: &str) -> Result<Cow<'_, str>, ArmorError> {
    match read(text)? {
        (Some(label), _) if label != expected => Err(ArmorError::Label { expected: Some(expected) }),
        (_, token) => Ok(token),
    }
}

fn read(text: &str) -> Result<(Option<Label>, Cow<'_, str>), ArmorError> {
    let text = text.trim();
    if text.len() > MAX_ARMORED_BYTES {
        return Err(ArmorError::TooLarge { bytes: text.len(), limit: MAX_ARMORED_BYTES });
    }
    if is_compact(text) {
        return Ok((None, Cow::Borrowed(text)));
    }
    // The decoder by itself passes over text before the block.
    if !text.starts_with(BEGIN) || !text.ends_with(RULE) {
        return Err(ArmorError::NeitherForm);
    }
    let (label, bytes) = pem::decode_vec(text.as_bytes()).map_err(|_| ArmorError::Damaged)?;
    let label = Label::ALL.into_iter().find(|known| known.as_str() == label);
    let label = label.ok_or(ArmorError::Label { expected: None })?;
    let token = String::from_utf8(bytes).map_err(|_| ArmorError::Damaged)?;
    if is_compact(&token) { Ok((Some(label), Cow::Owned(token))) } else { Err(ArmorError::Damaged) }
}

/// Parts in base64url between dots (RFC 7515 and RFC 7516, section 7.1). A rule of dashes alone has no dot.
fn is_compact(text: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.contains('.') && text.bytes().all(alphabet)
}
