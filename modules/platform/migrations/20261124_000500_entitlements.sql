-- One row. It rises with every change below, and each change carries the number it rose to: so whoever knows one number
-- learns what is new by asking for what has a higher one.
CREATE TABLE platform_entitlement_revision (
    latest BIGINT NOT NULL
);
INSERT INTO platform_entitlement_revision (latest) VALUES (0);

-- One row. Without terms, every tenant inherits the whole license.
CREATE TABLE platform_baseline (
    revision BIGINT NOT NULL,
    terms TEXT,
    changed_at BIGINT,
    changed_by TEXT
);
INSERT INTO platform_baseline (revision) VALUES (0);

-- A subscription that was cancelled stays, so that every replica learns of it.
CREATE TABLE platform_subscription (
    tenant TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    status TEXT NOT NULL,
    not_before BIGINT,
    not_after BIGINT,
    terms TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL
);
CREATE INDEX platform_subscription_revision ON platform_subscription (revision);

-- What deny mode would have refused while gaps were only warned of, by all replicas together.
CREATE TABLE platform_gap (
    command TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    calls BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);

-- At most one row: when counting began.
CREATE TABLE platform_gap_watch (
    id BIGINT PRIMARY KEY,
    since BIGINT NOT NULL
);
