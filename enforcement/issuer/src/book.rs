//! What was issued and revoked: one JSON document a line, appended before anything is handed out.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use envelope::{
    Claims,
    authoring::{Reason, Revoked, Role, Serial},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The book of a folder. While it is open, no other process has it open. Lines are only added, and are on the disk when
/// [`append`](Self::append) returns.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

/// A line of the book.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Entry {
    /// A certificate was made or imported.
    Certificate {
        /// When.
        at: Timestamp,
        /// Its name in the folder.
        name: String,
        /// What it is for: `root`, `intermediate`, `partner`, `signer`.
        role: String,
        /// Its number.
        serial: Serial,
        /// SHA-256 of the certificate.
        fingerprint: String,
        /// The authority of this folder that issued it; absent for a root, and for what came from elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// When it expires.
        not_after: Timestamp,
    },
    /// A key for licenses in key format was made.
    Key {
        /// When.
        at: Timestamp,
        /// Its name.
        kid: String,
    },
    /// A license was minted.
    License {
        /// When.
        at: Timestamp,
        /// `sealed` or `key`.
        format: String,
        /// The name of the signer, or of the key.
        signer: String,
        /// The request it answers.
        request_id: String,
        /// The key it is sealed to.
        recipient_fingerprint: String,
        /// What it says.
        claims: Box<Claims>,
    },
    /// A certificate was revoked.
    Revocation {
        /// When.
        at: Timestamp,
        /// Its name in the folder.
        name: String,
        /// Its number.
        serial: Serial,
        /// The authority whose lists name it from now on.
        issuer: String,
        /// Why.
        reason: Reason,
    },
    /// A list of revoked certificates was signed.
    List {
        /// When.
        at: Timestamp,
        /// By which authority.
        issuer: String,
        /// Its number.
        number: u64,
        /// When it is due to be replaced.
        next_update: Timestamp,
    },
}

/// A certificate of the book.
#[derive(Clone, Debug)]
pub struct Booked<'b> {
    /// Its name in the folder.
    pub name: &'b str,
    /// Its number.
    pub serial: &'b Serial,
    /// The authority that issued it.
    pub issuer: Option<&'b str>,
}

/// Why the book was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The file system refused.
    #[error("the book `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// In its words.
        source: io::Error,
    },
    /// A line is not one of the book. It has to be looked at by people: what it stood for may have been handed out.
    #[error("line {line} of the book `{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which, from one.
        line: usize,
    },
    /// An entry cannot be written.
    #[error("an entry of the book has no JSON form")]
    Entry,
}

impl Book {
    /// Opens the book, making it if need be, and waits until no other process has it open.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let failed = |source| BookError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let mut file = file.map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let entries = text.split_inclusive('\n').enumerate().map(|(index, line)| {
            let complete = line.strip_suffix('\n').and_then(|line| serde_json::from_str(line).ok());
            complete.ok_or_else(|| BookError::Damaged { path: path.to_owned(), line: index + 1 })
        });
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), file, entries })
    }

    /// Adds a line.
    pub fn append(&mut self, entry: Entry) -> Result<(), BookError> {
        let mut line = serde_json::to_string(&entry).map_err(|_| BookError::Entry)?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| BookError::Io { path: self.path.clone(), source })?;
        self.entries.push(entry);
        Ok(())
    }

    /// The certificates, oldest first.
    pub fn certificates(&self) -> impl Iterator<Item = Booked<'_>> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Certificate { name, serial, issuer, .. } => {
                Some(Booked { name, serial, issuer: issuer.as_deref() })
            }
            _ => None,
        })
    }

    /// Since when the certificate of this number is revoked, and why.
    pub fn revocation(&self, sought: &Serial) -> Option<(Timestamp, Reason)> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Revocation { at, serial, reason, .. } if serial == sought => Some((*at, *reason)),
            _ => None,
        })
    }

    /// What an authority has revoked.
    pub fn revoked_by(&self, authority: &str) -> Vec<Revoked> {
        let of_authority = self.entries.iter().filter_map(|entry| match entry {
            Entry::Revocation { at, serial, issuer, reason, .. } if issuer == authority => {
                Some(Revoked { serial: serial.clone(), at: *at, reason: *reason })
            }
            _ => None,
        });
        of_authority.collect()
    }

    /// The number of an authority's next list: above that of every list before (RFC 5280, 5.2.3).
    pub fn next_list_number(&self, authority: &str) -> u64 {
        let numbers = self.entries.iter().filter_map(|entry| match entry {
            Entry::List { issuer, number, .. } if issuer == authority => Some(*number),
            _ => None,
        });
        numbers.max().map_or(1, |last| last + 1)
    }

    /// What a license that was minted here says, and the name of its signer.
    pub fn license(&self, id: &str) -> Option<(&Claims, &str)> {
        self.licenses().find(|(claims, _)| claims.license_id == id)
    }

    /// The licenses, oldest first, each with the name of its signer.
    pub fn licenses(&self) -> impl Iterator<Item = (&Claims, &str)> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::License { claims, signer, .. } => Some((&**claims, signer.as_str())),
            _ => None,
        })
    }
}

impl Entry {
    /// A certificate that `summary` describes.
    pub fn certificate(
        at: Timestamp,
        name: &str,
        issuer: Option<&str>,
        summary: &envelope::authoring::CertificateSummary,
    ) -> Self {
        Self::Certificate {
            at,
            name: name.to_owned(),
            role: Role::as_str(summary.role).to_owned(),
            serial: summary.serial.clone(),
            fingerprint: summary.fingerprint.clone(),
            issuer: issuer.map(str::to_owned),
            not_after: summary.not_after,
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Certificate { name, .. } => ("Certificate", name),
            Self::Key { kid, .. } => ("Key", kid),
            Self::License { claims, .. } => ("License", &claims.license_id),
            Self::Revocation { name, .. } => ("Revocation", name),
            Self::List { issuer, .. } => ("List", issuer),
        };
        write!(f, "{}({})", kind.0, kind.1)
    }
}
