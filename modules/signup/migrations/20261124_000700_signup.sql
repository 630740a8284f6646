CREATE TABLE signup_request (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    parent TEXT NOT NULL, -- empty at the root
    status TEXT NOT NULL,
    token_hash TEXT NOT NULL, -- empty once used
    source_hash TEXT NOT NULL, -- empty for calls from within
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    resends BIGINT NOT NULL,
    last_resend_at BIGINT,
    verified_at BIGINT,
    confirmed_at BIGINT,
    approved_at BIGINT,
    approved_by TEXT,
    rejected_at BIGINT,
    rejected_by TEXT,
    rejected_reason TEXT,
    registered_at BIGINT,
    registered_tenant TEXT,
    failure TEXT
);
CREATE INDEX signup_request_status ON signup_request (status, expires_at);
CREATE INDEX signup_request_email ON signup_request (status, email, id);
CREATE TABLE signup_bucket (
    bucket TEXT PRIMARY KEY,
    began_at BIGINT NOT NULL,
    hits BIGINT NOT NULL
);
