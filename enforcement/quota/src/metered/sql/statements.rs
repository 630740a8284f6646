//! Every statement of metered quotas. Rows go in as a JSON array of arrays, `$1`: as many as there are, in one round trip.

use store::{Engine, Migration};

pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_122_000_100,
    name: "quota buckets and reservations",
    sql: "
        CREATE TABLE quota_bucket (
            bucket TEXT PRIMARY KEY,
            scope TEXT NOT NULL,
            tenant TEXT NOT NULL,
            quota TEXT NOT NULL,
            window_start BIGINT NOT NULL,
            window_end BIGINT NOT NULL,
            used BIGINT NOT NULL CHECK (used >= 0),
            held BIGINT NOT NULL CHECK (held >= 0)
        );
        CREATE TABLE quota_hold (
            bucket TEXT NOT NULL,
            grp TEXT NOT NULL,
            units BIGINT NOT NULL CHECK (units > 0),
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (bucket, grp)
        );
        CREATE INDEX quota_hold_expiry ON quota_hold (expires_at);
        -- sqlite
        CREATE VIEW quota_batch AS SELECT NULL AS accounts, NULL AS holds;
        CREATE TRIGGER quota_batch_granted INSTEAD OF INSERT ON quota_batch BEGIN
            SELECT RAISE(ABORT, 'a batch cannot be granted as a whole') WHERE (
                SELECT count(*) FROM json_each(NEW.accounts) AS item
                JOIN quota_bucket b ON b.bucket = item.value->>0
                WHERE item.value->>3 <= (item.value->>4) - b.used - b.held
            ) < json_array_length(NEW.accounts) OR EXISTS (
                SELECT 1 FROM json_each(NEW.holds) AS item
                LEFT JOIN quota_hold h ON h.bucket = item.value->>1 AND h.grp = item.value->>0
                WHERE COALESCE(h.units, 0) + (item.value->>2) < 0
            );
            UPDATE quota_bucket SET used = used + w.more_used, held = held + w.more_held FROM (
                SELECT item.value->>0 AS bucket, item.value->>1 AS more_used, item.value->>2 AS more_held
                FROM json_each(NEW.accounts) AS item
            ) AS w WHERE quota_bucket.bucket = w.bucket;
            DELETE FROM quota_hold WHERE (bucket, grp, units) IN (
                SELECT item.value->>1, item.value->>0, -(item.value->>2) FROM json_each(NEW.holds) AS item
            );
            UPDATE quota_hold SET units = units + w.more FROM (
                SELECT item.value->>0 AS grp, item.value->>1 AS bucket, item.value->>2 AS more
                FROM json_each(NEW.holds) AS item
            ) AS w WHERE quota_hold.bucket = w.bucket AND quota_hold.grp = w.grp;
            INSERT INTO quota_hold (grp, bucket, units, expires_at)
                SELECT item.value->>0, item.value->>1, item.value->>2, item.value->>3
                FROM json_each(NEW.holds) AS item WHERE item.value->>2 > 0;
        END;
        -- both
    ",
};

/// What the trigger of [`MIGRATION`] does on SQLite. Row by row and by key, so that no plan depends on what the statistics
/// happened to say when it was made: holds come and go, and a plan for none reads the index of all there ever were.
pub(crate) const GRANTING: Migration = Migration {
    version: 20_261_130_000_300,
    name: "quota batches are granted by a function",
    sql: "
        -- postgres
        CREATE FUNCTION quota_grant(accounts TEXT, holds TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
            DECLARE item RECORD;
            BEGIN
                FOR item IN SELECT value->>0 AS bucket, CAST(value->>1 AS BIGINT) AS used,
                    CAST(value->>2 AS BIGINT) AS held, CAST(value->>3 AS BIGINT) AS need,
                    CAST(value->>4 AS BIGINT) AS most
                    FROM json_array_elements(CAST(accounts AS json)) ORDER BY 1
                LOOP
                    UPDATE quota_bucket b SET used = b.used + item.used, held = b.held + item.held
                    WHERE b.bucket = item.bucket AND item.need <= item.most - b.used - b.held;
                    IF NOT FOUND THEN RAISE SQLSTATE 'QG001'; END IF;
                END LOOP;
                INSERT INTO quota_hold (grp, bucket, units, expires_at)
                    SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT), CAST(value->>3 AS BIGINT)
                    FROM json_array_elements(CAST(holds AS json)) WHERE CAST(value->>2 AS BIGINT) > 0;
                FOR item IN SELECT value->>0 AS grp, value->>1 AS bucket, -CAST(value->>2 AS BIGINT) AS fewer
                    FROM json_array_elements(CAST(holds AS json)) WHERE CAST(value->>2 AS BIGINT) < 0
                LOOP
                    DELETE FROM quota_hold h
                    WHERE h.bucket = item.bucket AND h.grp = item.grp AND h.units = item.fewer;
                    CONTINUE WHEN FOUND;
                    UPDATE quota_hold h SET units = h.units - item.fewer
                    WHERE h.bucket = item.bucket AND h.grp = item.grp;
                    IF NOT FOUND THEN RAISE SQLSTATE 'QG001'; END IF;
                END LOOP;
                RETURN true;
            EXCEPTION WHEN SQLSTATE 'QG001' OR check_violation THEN
                RETURN false;
            END $$;
    ",
};

/// One statement in the words of each engine, which differ in how rows are read from JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Statement {
    pub(super) const fn on(self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}

/// The text before and after the rows of `$1`, and what only PostgreSQL needs at the end.
macro_rules! of_items {
    ($before:literal, $after:literal $(, $lock:literal)?) => {
        Statement {
            sqlite: concat!($before, " json_each($1) AS item ", $after),
            postgres: concat!(
                $before, " json_array_elements(CAST($1 AS json)) AS item(value) ", $after $(, $lock)?
            ),
        }
    };
}

pub(super) const MAKE_BUCKETS: Statement = of_items!(
    "INSERT INTO quota_bucket (bucket, scope, tenant, quota, window_start, window_end, used, held)
     SELECT item.value->>0, item.value->>1, item.value->>2, item.value->>3,
        CAST(item.value->>4 AS BIGINT), CAST(item.value->>5 AS BIGINT), 0, 0
     FROM",
    "WHERE true ORDER BY 1 ON CONFLICT (bucket) DO NOTHING"
);

/// Writers of a SQLite file exclude each other from the start.
pub(super) const LOCK_BUCKETS: Statement = of_items!(
    "SELECT b.bucket, b.used, b.held FROM",
    "JOIN quota_bucket b ON b.bucket = item.value->>0 ORDER BY b.bucket",
    " FOR UPDATE OF b"
);

pub(super) const HOLDS: Statement = of_items!(
    "SELECT h.grp, h.bucket, h.units, h.expires_at FROM",
    "JOIN quota_hold h ON h.grp = item.value->>0 AND h.bucket = item.value->>1"
);

pub(super) const EXPIRED_HOLDS: Statement = of_items!(
    "SELECT h.grp, h.bucket, h.units, h.expires_at FROM",
    "JOIN quota_hold h ON h.bucket = item.value->>0 WHERE h.expires_at <= $2"
);

/// Holds of processes other than `$2`, whose groups begin with its id.
pub(super) const HELD_ELSEWHERE: Statement = of_items!(
    "SELECT DISTINCT h.bucket FROM",
    "JOIN quota_hold h ON h.bucket = item.value->>0 WHERE substr(h.grp, 1, 32) <> $2"
);

pub(super) const WRITE_BUCKETS: Statement = of_items!(
    "UPDATE quota_bucket SET used = w.used, held = w.held FROM (
        SELECT item.value->>0 AS bucket, CAST(item.value->>1 AS BIGINT) AS used,
            CAST(item.value->>2 AS BIGINT) AS held
        FROM",
    ") AS w WHERE quota_bucket.bucket = w.bucket"
);

pub(super) const WRITE_HOLDS: Statement = of_items!(
    "INSERT INTO quota_hold (grp, bucket, units, expires_at)
     SELECT item.value->>0, item.value->>1, CAST(item.value->>2 AS BIGINT), CAST(item.value->>3 AS BIGINT)
     FROM",
    "WHERE true ON CONFLICT (bucket, grp) DO UPDATE SET units = excluded.units"
);

pub(super) const END_HOLDS: Statement = of_items!(
    "DELETE FROM quota_hold WHERE (grp, bucket) IN (SELECT item.value->>0, item.value->>1 FROM",
    ")"
);

/// What has expired is not reserved, whether or not somebody has removed it yet.
pub(super) const USAGE_OF_ONE: &str = "SELECT used, CAST(held - COALESCE((SELECT SUM(units) FROM quota_hold h
        WHERE h.bucket = b.bucket AND h.expires_at <= $2), 0) AS BIGINT)
     FROM quota_bucket b WHERE bucket = $1";

pub(super) const USAGE_OF_ALL: &str = "SELECT tenant, quota, window_start, window_end, used,
        CAST(held - COALESCE((SELECT SUM(units) FROM quota_hold h
            WHERE h.bucket = b.bucket AND h.expires_at <= $1), 0) AS BIGINT)
     FROM quota_bucket b";

pub(super) const STALE: &str = "SELECT DISTINCT bucket FROM quota_hold WHERE expires_at <= $1";

/// The hot path: a whole batch in one statement and one round trip, if everything in it can be granted.
///
/// `$1` has rows of bucket, more used, more held, room needed, limit; `$2` of group, bucket, more or fewer units, expiry.
/// On SQLite a trigger of [`MIGRATION`] does it, and refuses with [`REFUSAL`]; on PostgreSQL the function of [`GRANTING`].
///
/// There, locks are taken as everywhere: buckets by key, then holds. Whether there is room is decided on the row as it is
/// once it is locked. That a hold is gone shows by its row, or by a check of a table. What is refused is undone.
pub(super) const GRANT_ALL: Statement = Statement {
    sqlite: "INSERT INTO quota_batch (accounts, holds) VALUES ($1, $2)",
    postgres: "SELECT quota_grant($1, $2)",
};

/// What the trigger says when it is not to be granted as a whole.
pub(super) const REFUSAL: &str = "a batch cannot be granted as a whole";

/// One plan does for all batches; making one takes longer than carrying it out. It is made when the tables are small, and
/// kept while they grow: so it must not read a table from end to end, which is cheapest then.
pub(super) const BY_INDEX: &str = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
