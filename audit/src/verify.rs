use std::collections::{BTreeSet, HashMap};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::sqlx::any::AnyRow;
use store::sqlx::{self, AssertSqlSafe, Row as _};

use crate::chain::{COLUMNS, Hash, Head, Link, stored};
use crate::seal::{Checkpoint, Label, Mark, PrunedNote, head};
use crate::sql::parts;
use crate::{AuditLog, Scope};

/// Rows read at once.
const PAGE: i64 = 1000;
/// Checkpoints read at once; one may be long.
const NOTES: i64 = 50;

/// Which part of the log. The default is all of it.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// Only this chain.
    pub scope: Option<Scope>,
    /// From this place in the chain on. What comes before is taken as given.
    pub from: Option<u64>,
    /// Up to and with this place.
    pub to: Option<u64>,
}

/// What a look at every link found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Whether nothing is broken.
    pub intact: bool,
    /// How many chains were looked at.
    pub scopes: u64,
    /// How many events were.
    pub events: u64,
    /// How many checkpoints were.
    pub checkpoints: u64,
    /// Whether the seals of the checkpoints were checked.
    pub seals: Seals,
    /// Events newer than the last checkpoint of their chain: what whoever can write to the database could still cut off.
    pub unsealed: u64,
    /// The last checkpoint that is sound. Kept elsewhere, it proves later that nothing up to there was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<Mark>,
    /// The first broken link of each chain, and every broken checkpoint.
    pub broken: Vec<Broken>,
}

/// Whether seals were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seals {
    /// With the key.
    Checked,
    /// There was no key; checkpoints were taken at their word.
    Unchecked,
}

/// Where a proof fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// Whose chain, `platform` or `tenant:` and an id; `None` for a checkpoint.
    pub scope: Option<String>,
    /// The place in that chain, or the number of the checkpoint.
    pub sequence: u64,
    /// The id of the event at that place, where there is one.
    pub event_id: Option<String>,
    /// What is wrong there.
    pub defect: Defect,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// This is not what was recorded here: it was changed, or belongs elsewhere.
    Changed,
    /// What was recorded here is gone.
    Missing,
    /// Nothing was recorded here, and yet there is something.
    Inserted,
    /// The chain fits in itself, but a checkpoint sealed another one: from here on it was written anew.
    Rewritten,
    /// The table of heads says otherwise.
    Head,
    /// A note that claims what came before was pruned, and is not sealed.
    Pruned,
}

impl Broken {
    fn link(scope: &str, sequence: u64, event: Option<String>, defect: Defect) -> Self {
        Self { scope: Some(scope.to_owned()), sequence, event_id: event, defect }
    }

    pub(crate) fn checkpoint(number: u64, defect: Defect) -> Self {
        Self { scope: None, sequence: number, event_id: None, defect }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(f, "`{scope}`, event {}", self.sequence)?,
            None => write!(f, "checkpoint {}", self.sequence)?,
        }
        if let Some(id) = &self.event_id {
            write!(f, " ({id})")?;
        }
        write!(f, ": {}", self.defect)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "not what was recorded here",
            Self::Missing => "missing",
            Self::Inserted => "never recorded",
            Self::Rewritten => "from here on not what a checkpoint sealed",
            Self::Head => "the table of heads says otherwise",
            Self::Pruned => "the events before it went without a sealed note",
        })
    }
}

/// What one chain came to.
pub(crate) struct Walked {
    pub(crate) events: u64,
    pub(crate) last: Head,
    pub(crate) broken: Option<Broken>,
}

/// What the checkpoints say, chain by chain.
#[derive(Default)]
pub(crate) struct Sealed {
    checkpoints: u64,
    last: Option<Mark>,
    pub(crate) broken: Vec<Broken>,
    /// Up to here they agree with the stored hashes.
    agreed: HashMap<String, u64>,
    /// Here they first do not.
    disputed: HashMap<String, Disputed>,
}

/// A place where another event stands than a checkpoint sealed, or none.
#[derive(Clone, Copy)]
struct Disputed {
    sequence: u64,
    gone: bool,
}

/// What the tables say about the end of a chain, at one instant.
struct End {
    last_event: Option<u64>,
    head: Option<(i64, String)>,
}

impl AuditLog {
    /// Looks at every link and every checkpoint in the range, and names the first that is broken in each chain: an event
    /// that was changed, deleted, inserted or moved, and events cut off at the end.
    ///
    /// Whoever can write to the database can cut off what is newer than a checkpoint, and with it all later checkpoints.
    /// `kept` are [marks](Mark) or whole notes of checkpoints that were kept elsewhere: nothing they speak of can have been cut
    /// off unseen. A note names the events that were; a mark names the checkpoint.
    pub async fn verify(&self, range: &Range, kept: &[String]) -> Result<Verification, StoreError> {
        let only = range.scope.as_ref().map(Scope::key);
        let mut sealed = self.checkpoints(only.as_deref(), kept).await?;
        let mut scopes = match &only {
            Some(scope) => BTreeSet::from([scope.to_string()]),
            None => self.scopes().await?,
        };
        scopes.extend(sealed.disputed.keys().cloned());

        let mut found = Verification {
            intact: true,
            scopes: scopes.len() as u64,
            events: 0,
            checkpoints: sealed.checkpoints,
            seals: if self.sealing.0.is_some() { Seals::Checked } else { Seals::Unchecked },
            unsealed: 0,
            last_checkpoint: sealed.last,
            broken: std::mem::take(&mut sealed.broken),
        };
        for scope in scopes {
            let walked = self.walk_unseen(&scope, range.from, range.to).await?;
            found.events += walked.events;
            found.unsealed += walked.last.sequence.saturating_sub(sealed.agreed(&scope));
            let broken = self.judged(&scope, walked, &sealed, range.to).await?;
            found.broken.extend(broken.filter(|broken| !found.broken.contains(broken)));
        }
        found.intact = found.broken.is_empty();
        Ok(found)
    }

    pub(crate) async fn scopes(&self) -> Result<BTreeSet<String>, StoreError> {
        let sql = "SELECT scope FROM audit_head UNION SELECT scope FROM audit_event
                   UNION SELECT scope FROM audit_pruned UNION SELECT scope FROM audit_sealed";
        let rows = sqlx::query(sql).fetch_all(self.store.reader()).await?;
        Ok(rows.iter().map(|row| row.try_get(0).unwrap_or_default()).collect())
    }

    /// Follows one chain from one place to another, or to its end. What is pruned meanwhile is not taken for missing.
    pub(crate) async fn walk_unseen(
        &self,
        scope: &str,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Walked, StoreError> {
        loop {
            let base = self.base(scope).await?;
            let walked = self.walk(scope, from, to, &mut |_, _| ()).await?;
            if walked.broken.is_none() || self.base(scope).await? == base {
                return Ok(walked);
            }
        }
    }

    /// Follows one chain, and shows every sound link to `visit`, after the head that it is linked to.
    pub(crate) async fn walk(
        &self,
        scope: &str,
        from: Option<u64>,
        to: Option<u64>,
        visit: &mut (dyn FnMut(Head, &Link) + Send),
    ) -> Result<Walked, StoreError> {
        let end = self.end(scope).await?;
        let mut walked = Walked { events: 0, last: Head::NONE, broken: None };
        match self.base(scope).await? {
            Ok(base) => walked.last = base,
            Err(broken) => {
                walked.broken = Some(broken);
                return Ok(walked);
            }
        }
        let base = walked.last;
        let mut after = i64::MIN;
        if let Some(from) = from.filter(|from| *from > base.sequence + 1) {
            let Some(before) = self.stored_head(scope, from - 1).await? else {
                walked.broken = Some(Broken::link(scope, from - 1, None, Defect::Missing));
                return Ok(walked);
            };
            walked.last = before;
            after = stored(from);
        }

        let head = end.head.as_ref().map_or(0, |(sequence, _)| u64::try_from(*sequence).unwrap_or(0));
        let whole = to.is_none_or(|to| to >= head);
        // What is added while this runs is not looked at, so that it ends.
        let bound = stored(to.unwrap_or(head).min(head.max(base.sequence)));
        let mut id = String::new();
        loop {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit_event
                 WHERE scope = $1 AND sequence >= $2 AND ($3 = '' OR (sequence, id) > ($2, $3)) AND sequence <= $4
                 ORDER BY sequence, id LIMIT {PAGE}"
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(scope)
                .bind(after)
                .bind(&id)
                .bind(bound)
                .fetch_all(self.store.reader())
                .await?;
            for row in &rows {
                match link(scope, walked.last, row) {
                    Ok(link) => {
                        visit(walked.last, &link);
                        walked.last = walked.last.next(scope, &link.record);
                        walked.events += 1;
                        (after, id) = (link.sequence, link.record.event_id);
                    }
                    Err(broken) => {
                        walked.broken = Some(broken);
                        return Ok(walked);
                    }
                }
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                break;
            }
        }
        walked.broken = if whole {
            end.defect(scope, base, walked.last)
        } else {
            let bound = bound.unsigned_abs();
            (walked.last.sequence < bound)
                .then(|| Broken::link(scope, walked.last.sequence + 1, None, Defect::Missing))
        };
        Ok(walked)
    }

    /// Where a chain begins now: nowhere, or after the last event that was pruned.
    pub(crate) async fn base(&self, scope: &str) -> Result<Result<Head, Broken>, StoreError> {
        let sql = "SELECT sequence, note FROM audit_pruned WHERE scope = $1 ORDER BY sequence DESC LIMIT 1";
        let Some(row) = sqlx::query(sql).bind(scope).fetch_optional(self.store.reader()).await? else {
            return Ok(Ok(Head::NONE));
        };
        // In SQLite a column holds whatever somebody put into it.
        let sequence = row.try_get::<i64, _>(0).map_or(0, i64::unsigned_abs);
        let said =
            self.sealing.open::<PrunedNote>(Label::Pruned, &row.try_get::<String, _>(1).unwrap_or_default());
        Ok(match said.filter(|note| note.scope == scope && note.sequence == sequence) {
            Some(note) => Ok(Head { sequence, hash: note.hash }),
            None => Err(Broken::link(scope, sequence + 1, None, Defect::Pruned)),
        })
    }

    async fn stored_head(&self, scope: &str, sequence: u64) -> Result<Option<Head>, StoreError> {
        let sql = "SELECT sequence, hash FROM audit_event WHERE scope = $1 AND sequence = $2";
        let row =
            sqlx::query(sql).bind(scope).bind(stored(sequence)).fetch_optional(self.store.reader()).await?;
        Ok(match row {
            Some(row) => head(row.try_get(0)?, &row.try_get::<String, _>(1)?).ok(),
            None => None,
        })
    }

    async fn end(&self, scope: &str) -> Result<End, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT max(sequence) FROM audit_event WHERE scope = $1),
                 (SELECT sequence FROM audit_head WHERE scope = $1),
                 (SELECT hash FROM audit_head WHERE scope = $1)",
        )
        .bind(scope)
        .fetch_one(self.store.reader())
        .await?;
        // What is no number is greater than any, and what cannot be read is no head.
        let last_event = row.try_get::<Option<i64>, _>(0).unwrap_or(Some(i64::MAX));
        let head = match (row.try_get::<Option<i64>, _>(1), row.try_get::<Option<String>, _>(2)) {
            (Ok(sequence), Ok(hash)) => sequence.zip(hash),
            _ => Some((-1, String::new())),
        };
        Ok(End { last_event: last_event.map(|last| u64::try_from(last).unwrap_or(0)), head })
    }

    /// Reads every checkpoint, in order, and compares what it sealed with what is stored.
    pub(crate) async fn checkpoints(
        &self,
        only: Option<&str>,
        kept: &[String],
    ) -> Result<Sealed, StoreError> {
        let mut sealed = Sealed::default();
        let mut bases = HashMap::new();
        let sql = "SELECT count(*) FROM audit_checkpoint WHERE number IS NULL OR number < 1";
        let unnumbered: i64 = sqlx::query_scalar(sql).fetch_one(self.store.reader()).await?;
        if unnumbered > 0 {
            sealed.broken.push(Broken::checkpoint(0, Defect::Inserted));
        }
        let (mut number, mut previous) = (0, Hash::NONE);
        'notes: loop {
            let rows = sqlx::query(
                "SELECT number, note FROM audit_checkpoint WHERE number > $1 ORDER BY number LIMIT $2",
            )
            .bind(stored(number))
            .bind(NOTES)
            .fetch_all(self.store.reader())
            .await?;
            for row in &rows {
                let Ok(stands_at) = row.try_get::<i64, _>(0) else {
                    sealed.broken.push(Broken::checkpoint(number + 1, Defect::Inserted));
                    break 'notes;
                };
                let (stands_at, note) =
                    (stands_at.unsigned_abs(), row.try_get::<String, _>(1).unwrap_or_default());
                if stands_at != number + 1 {
                    sealed.broken.push(Broken::checkpoint(number + 1, Defect::Missing));
                }
                let fits = |said: &Checkpoint| {
                    said.number == stands_at && (said.previous == previous || stands_at != number + 1)
                };
                match self.sealing.open::<Checkpoint>(Label::Checkpoint, &note).filter(fits) {
                    Some(said) => {
                        self.compare(&said, only, &mut bases, &mut sealed).await?;
                        sealed.last = Some(Mark::of(stands_at, &note));
                    }
                    None => sealed.broken.push(Broken::checkpoint(stands_at, Defect::Changed)),
                }
                sealed.checkpoints += 1;
                (number, previous) = (stands_at, Hash::of(note.as_bytes()));
            }
            if rows.is_empty() {
                break;
            }
        }
        for kept in kept {
            let mark = kept.parse::<Mark>().ok();
            let said = self.sealing.open::<Checkpoint>(Label::Checkpoint, kept);
            let Some(mark) = mark.or_else(|| Some(Mark::of(said.as_ref()?.number, kept))) else {
                sealed.broken.push(Broken::checkpoint(0, Defect::Changed));
                continue;
            };
            let sql = "SELECT note FROM audit_checkpoint WHERE number = $1";
            let note: Option<String> =
                sqlx::query_scalar(sql).bind(stored(mark.number)).fetch_optional(self.store.reader()).await?;
            if note.as_ref().map(|note| Mark::of(mark.number, note)) != Some(mark) {
                let defect = if note.is_some() { Defect::Changed } else { Defect::Missing };
                sealed.broken.push(Broken::checkpoint(mark.number, defect));
                if let Some(said) = said {
                    self.compare(&said, only, &mut bases, &mut sealed).await?;
                }
            }
        }
        Ok(sealed)
    }

    /// What is wrong with a chain that was followed: itself, by the checkpoints, or by what is said of them.
    pub(crate) async fn judged(
        &self,
        scope: &str,
        walked: Walked,
        sealed: &Sealed,
        to: Option<u64>,
    ) -> Result<Option<Broken>, StoreError> {
        if scope.parse::<Scope>().is_err() {
            return Ok(Some(Broken::link(scope, 0, None, Defect::Inserted)));
        }
        match walked.broken.or_else(|| sealed.against(scope, walked.last, to)) {
            None => self.claimed(scope, sealed.agreed(scope), to).await,
            broken => Ok(broken),
        }
    }

    /// What the table that leads to checkpoints says of a chain beyond what they agree on: that one is gone, or seals less.
    async fn claimed(&self, scope: &str, agreed: u64, to: Option<u64>) -> Result<Option<Broken>, StoreError> {
        let sql = "SELECT s.sequence, s.checkpoint, c.note
             FROM audit_sealed s LEFT JOIN audit_checkpoint c ON c.number = s.checkpoint
             WHERE s.scope = $1 AND s.sequence <= $2 ORDER BY s.sequence DESC LIMIT 1";
        let to = to.map_or(i64::MAX, stored);
        let Some(row) = sqlx::query(sql).bind(scope).bind(to).fetch_optional(self.store.reader()).await?
        else {
            return Ok(None);
        };
        let sequence = row.try_get::<i64, _>(0).map_or(u64::MAX, i64::unsigned_abs);
        let number = row.try_get::<i64, _>(1).map_or(0, i64::unsigned_abs);
        if sequence <= agreed {
            return Ok(None);
        }
        let defect = match row.try_get::<Option<String>, _>(2).unwrap_or_default() {
            None => Defect::Missing,
            Some(note) => {
                // It may have been made meanwhile.
                let said = self.sealing.open::<Checkpoint>(Label::Checkpoint, &note);
                let sealed = said.and_then(|said| said.heads.get(scope).copied());
                if sealed.is_some_and(|sealed| sealed.sequence == sequence) {
                    return Ok(None);
                }
                Defect::Changed
            }
        };
        Ok(Some(Broken::checkpoint(number, defect)))
    }

    async fn compare(
        &self,
        said: &Checkpoint,
        only: Option<&str>,
        bases: &mut HashMap<String, Head>,
        sealed: &mut Sealed,
    ) -> Result<(), StoreError> {
        let heads: Vec<_> =
            said.heads.iter().filter(|(scope, _)| only.is_none_or(|only| only == scope.as_str())).collect();
        for part in parts(&heads) {
            let stored = self.stored_hashes(part.iter().map(|(scope, head)| (*scope, head.sequence))).await?;
            for (scope, head) in part {
                if !bases.contains_key(*scope) {
                    // A note that is not sealed is found when the chain itself is followed.
                    let base = self.base(scope).await?.unwrap_or(Head::NONE);
                    bases.insert((*scope).clone(), base);
                }
                let base = bases.get(*scope).copied().unwrap_or(Head::NONE);
                let there = stored.get(&((*scope).clone(), head.sequence));
                let sound = match head.sequence {
                    gone if gone < base.sequence => true,
                    last if last == base.sequence => head.hash == base.hash,
                    _ => there == Some(&head.hash.to_string()),
                };
                let disputed = sealed.disputed.get(*scope).is_some_and(|it| it.sequence <= head.sequence);
                if !sound && !disputed {
                    let disputed = Disputed { sequence: head.sequence, gone: there.is_none() };
                    sealed.disputed.insert((*scope).clone(), disputed);
                }
                if sound && !sealed.disputed.contains_key(*scope) {
                    let agreed = sealed.agreed.entry((*scope).clone()).or_default();
                    *agreed = head.sequence.max(*agreed);
                }
            }
        }
        Ok(())
    }

    async fn stored_hashes<'s>(
        &self,
        places: impl ExactSizeIterator<Item = (&'s String, u64)>,
    ) -> Result<HashMap<(String, u64), String>, StoreError> {
        let wanted: Vec<_> = (0..places.len())
            .map(|n| format!("(scope = ${} AND sequence = ${})", 2 * n + 1, 2 * n + 2))
            .collect();
        let sql = format!("SELECT scope, sequence, hash FROM audit_event WHERE {}", wanted.join(" OR "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (scope, sequence) in places {
            query = query.bind(scope.clone()).bind(stored(sequence));
        }
        let mut found = HashMap::new();
        for row in query.fetch_all(self.store.reader()).await? {
            let sequence: i64 = row.try_get(1)?;
            found.insert((row.try_get(0)?, sequence.unsigned_abs()), row.try_get(2)?);
        }
        Ok(found)
    }
}

impl Sealed {
    fn agreed(&self, scope: &str) -> u64 {
        self.agreed.get(scope).copied().unwrap_or(0)
    }

    /// What the checkpoints hold against a chain whose links are sound up to `last`, not looking beyond `to`.
    fn against(&self, scope: &str, last: Head, to: Option<u64>) -> Option<Broken> {
        let Disputed { sequence, gone } = *self.disputed.get(scope)?;
        let (first, defect) = if gone && last.sequence < sequence {
            (last.sequence + 1, Defect::Missing)
        } else {
            (self.agreed(scope) + 1, Defect::Rewritten)
        };
        to.is_none_or(|to| first <= to).then(|| Broken::link(scope, first, None, defect))
    }
}

/// The next link of a chain, if this row is one.
fn link(scope: &str, before: Head, row: &AnyRow) -> Result<Link, Broken> {
    let expected = before.sequence + 1;
    let event: Option<String> = row.try_get(2).ok();
    let Ok(link) = Link::read(row) else {
        return Err(Broken::link(scope, expected, event, Defect::Changed));
    };
    if link.sequence > stored(expected) {
        return Err(Broken::link(scope, expected, None, Defect::Missing));
    }
    if link.sequence < stored(expected) {
        let place = u64::try_from(link.sequence).unwrap_or(0);
        return Err(Broken::link(scope, place, event, Defect::Inserted));
    }
    if before.next(scope, &link.record).hash.to_string() != link.hash {
        return Err(Broken::link(scope, expected, event, Defect::Changed));
    }
    Ok(link)
}

impl End {
    /// What is wrong at the end of a chain that was sound up to `last`.
    fn defect(&self, scope: &str, base: Head, last: Head) -> Option<Broken> {
        let head = self.head.as_ref().map(|(sequence, hash)| (u64::try_from(*sequence), hash));
        let (sequence, hash) = match head {
            Some((Ok(sequence), hash)) => (sequence, hash),
            None if self.last_event.is_none() && base.sequence == 0 => return None,
            _ => return Some(Broken::link(scope, last.sequence + 1, None, Defect::Head)),
        };
        if last.sequence < sequence {
            return Some(Broken::link(scope, last.sequence + 1, None, Defect::Missing));
        }
        if self.last_event.is_some_and(|event| event > sequence) {
            return Some(Broken::link(scope, sequence + 1, None, Defect::Inserted));
        }
        (last.sequence != sequence || last.hash.to_string() != *hash)
            .then(|| Broken::link(scope, last.sequence, None, Defect::Head))
    }
}
