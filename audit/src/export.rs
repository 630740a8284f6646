//! A part of the log as JSON Lines that prove themselves: header, then each chain's opening line and its events, then a
//! closing line that seals all lines before it.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::chain::{Hash, Head, Link, Record};
use crate::seal::{Label, Sealing};
use crate::{AuditError, AuditLog, Range, Scope, Seal, Seals};

const FORMAT: &str = "chancery-audit-export/1";

/// One line. Whoever reads it must get the same bytes when writing it again, so nothing hides in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Line {
    Format(String),
    /// A chain, or a part of one, follows.
    Chain {
        scope: String,
        /// What the first event is linked to.
        previous: Hash,
    },
    Entry {
        sequence: u64,
        hash: Hash,
        record: Box<Record>,
    },
    /// No line follows.
    End(End),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct End {
    events: u64,
    /// Of all bytes before this line.
    sha256: Hash,
    /// The two above, sealed; `None` without a key.
    seal: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Total {
    events: u64,
    sha256: Hash,
}

/// What an export proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportVerification {
    /// The chains in it, in order.
    pub chains: Vec<ExportedChain>,
    /// How many events are in it.
    pub events: u64,
    /// Whether its seal was checked. Unchecked, it is consistent in itself, and anyone may have made it.
    pub seals: Seals,
}

/// A chain, or a part of one, in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedChain {
    /// `platform`, or `tenant:` and an id.
    pub scope: String,
    /// The place of the first event; 0 when there is none.
    pub from: u64,
    /// The place of the last event.
    pub to: u64,
    /// The hash of the last event, to compare with a checkpoint or another export.
    pub hash: Hash,
}

/// Why an export proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It cannot be read.
    #[error("failed to read the export")]
    Read(#[from] std::io::Error),
    /// Its first line is not the one of this format.
    #[error("this is no audit export of a known version")]
    Format,
    /// A line is not as it was written.
    #[error("line {line} is not as an export writes it")]
    Malformed {
        /// Its number, from 1.
        line: u64,
    },
    /// An event is not the one that was exported, or the one before it is not.
    #[error("line {line}, `{scope}`, event {sequence}: does not follow from the line before")]
    Link {
        /// The number of the line, from 1.
        line: u64,
        /// Whose chain.
        scope: String,
        /// The event's place in it.
        sequence: u64,
    },
    /// The end is missing or does not fit.
    #[error("the export ends at line {line} without a fitting end")]
    End {
        /// The number of the last line read, from 1.
        line: u64,
    },
    /// The end was not sealed with this key.
    #[error("the seal is not of this key")]
    Seal,
}

impl AuditLog {
    /// Writes a part of the log, verified on the way by links and checkpoints, and answers how many events that were. The last
    /// line seals all of it, if this log has a key.
    ///
    /// Each event's line has everything that was hashed: times and durations in microseconds, metadata as its JSON text.
    pub async fn export(&self, range: &Range, out: &mut (impl Write + Send)) -> Result<u64, AuditError> {
        let mut writing = Writing { out, hasher: Sha256::new(), failure: None };
        writing.line(&Line::Format(FORMAT.to_owned()));
        let only = range.scope.as_ref().map(Scope::key);
        let mut sealed = self.checkpoints(only.as_deref(), &[]).await?;
        if let Some(broken) = sealed.broken.pop() {
            return Err(AuditError::Broken(broken));
        }
        let scopes = match only {
            Some(scope) => [scope.into_owned()].into(),
            None => self.scopes().await?,
        };
        let mut events = 0;
        for scope in scopes {
            let mut opened = false;
            let walked = self
                .walk(&scope, range.from, range.to, &mut |before: Head, link: &Link| {
                    if !opened {
                        writing.line(&Line::Chain { scope: link.scope.clone(), previous: before.hash });
                        opened = true;
                    }
                    writing.entry(before, link);
                })
                .await?;
            events += walked.events;
            if let Some(broken) = self.judged(&scope, walked, &sealed, range.to).await? {
                return Err(AuditError::Broken(broken));
            }
        }
        let total = Total { events, sha256: Hash::finish(writing.hasher.clone()) };
        let seal = match self.sealing.0 {
            Some(_) => Some(self.sealing.protect(Label::Export, &total)?),
            None => None,
        };
        writing.line(&Line::End(End { events, sha256: total.sha256, seal }));
        writing.failure.map_or(Ok(events), |failure| Err(failure.into()))
    }
}

/// Checks an export without the database: that every event is the one that was recorded, in its place, and that none is
/// missing between the first and the last. With the key also that this deployment wrote it.
pub fn verify_export(
    mut export: impl BufRead,
    seal: Option<impl Seal>,
) -> Result<ExportVerification, ExportError> {
    let sealing = Sealing(seal.map(|seal| std::sync::Arc::new(seal) as _));
    let mut chains: Vec<ExportedChain> = Vec::new();
    let mut hasher = Sha256::new();
    let (mut text, mut line, mut events, mut head) = (String::new(), 0, 0, None);
    loop {
        text.clear();
        let ended = ExportError::End { line };
        if export.read_line(&mut text)? == 0 {
            return Err(if line == 0 { ExportError::Format } else { ended });
        }
        line += 1;
        let said = read(&text).ok_or(match line {
            1 => ExportError::Format,
            _ => ExportError::Malformed { line },
        })?;
        match said {
            Line::Format(format) if line == 1 && format == FORMAT => {}
            Line::Format(_) => return Err(ExportError::Format),
            _ if line == 1 => return Err(ExportError::Format),
            Line::Chain { scope, previous } => {
                if chains.iter().any(|chain| chain.scope == scope) {
                    return Err(ExportError::Malformed { line });
                }
                head = Some(previous);
                chains.push(ExportedChain { scope, from: 0, to: 0, hash: previous });
            }
            Line::Entry { sequence, hash, record } => {
                let Some((chain, previous)) = chains.last_mut().zip(head) else {
                    return Err(ExportError::Malformed { line });
                };
                let follows = chain.from == 0 || sequence == chain.to + 1;
                let starts = (previous == Hash::NONE) == (sequence == 1);
                if !follows || !starts || record.hash(previous, &chain.scope, sequence) != hash {
                    return Err(ExportError::Link { line, scope: chain.scope.clone(), sequence });
                }
                chain.from = if chain.from == 0 { sequence } else { chain.from };
                (chain.to, chain.hash, head) = (sequence, hash, Some(hash));
                events += 1;
            }
            Line::End(end) => {
                let total = Total { events, sha256: Hash::finish(hasher) };
                let fits = end.events == total.events && end.sha256 == total.sha256;
                if !fits || export.read_line(&mut text)? > 0 {
                    return Err(ExportError::End { line });
                }
                let seals = match (&sealing.0, end.seal) {
                    (None, _) => Seals::Unchecked,
                    (Some(_), Some(seal)) if sealing.open(Label::Export, &seal) == Some(total) => {
                        Seals::Checked
                    }
                    (Some(_), _) => return Err(ExportError::Seal),
                };
                return Ok(ExportVerification { chains, events, seals });
            }
        }
        hasher.update(text.as_bytes());
    }
}

/// The line, if it is exactly what [`Writing::line`] makes of it.
fn read(text: &str) -> Option<Line> {
    let line = serde_json::from_str(text.strip_suffix('\n')?).ok()?;
    (serde_json::to_string(&line).ok()? + "\n" == text).then_some(line)
}

struct Writing<'w, W> {
    out: &'w mut W,
    hasher: Sha256,
    failure: Option<std::io::Error>,
}

impl<W: Write> Writing<'_, W> {
    fn entry(&mut self, before: Head, link: &Link) {
        let Head { sequence, hash } = before.next(&link.scope, &link.record);
        self.line(&Line::Entry { sequence, hash, record: Box::new(link.record.clone()) });
    }

    /// Writes one line, unless an earlier one could not be written.
    fn line(&mut self, line: &Line) {
        if self.failure.is_some() {
            return;
        }
        let written = serde_json::to_string(line).map_err(std::io::Error::other).and_then(|text| {
            let text = text + "\n";
            self.hasher.update(text.as_bytes());
            self.out.write_all(text.as_bytes())
        });
        self.failure = written.err();
    }
}
