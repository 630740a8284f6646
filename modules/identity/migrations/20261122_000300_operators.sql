CREATE TABLE identity_operator (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    email TEXT,
    display_name TEXT,
    role TEXT NOT NULL,
    home TEXT NOT NULL,
    status TEXT NOT NULL,
    password_hash TEXT,
    totp_pending TEXT,
    totp_secret TEXT,
    totp_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE identity_session (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    operator TEXT NOT NULL REFERENCES identity_operator (id),
    home TEXT NOT NULL,
    aal BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX identity_session_operator ON identity_session (operator);
CREATE INDEX identity_session_expires_at ON identity_session (expires_at);
CREATE TABLE identity_token (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    operator TEXT NOT NULL REFERENCES identity_operator (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX identity_token_operator ON identity_token (operator);
CREATE TABLE identity_recovery_code (
    operator TEXT NOT NULL REFERENCES identity_operator (id),
    code_hash TEXT NOT NULL,
    PRIMARY KEY (operator, code_hash)
);
CREATE TABLE identity_action (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    operator TEXT NOT NULL REFERENCES identity_operator (id),
    purpose TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX identity_action_operator ON identity_action (operator);
CREATE TABLE identity_throttle (
    subject TEXT PRIMARY KEY,
    free_at BIGINT NOT NULL
);
