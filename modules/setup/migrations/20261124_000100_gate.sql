CREATE TABLE setup_gate (
    id BIGINT PRIMARY KEY,
    closed_at BIGINT,
    administrator TEXT,
    held_until BIGINT NOT NULL,
    mail TEXT,
    resume_step BIGINT NOT NULL,
    draft TEXT,
    license_request TEXT
);
INSERT INTO setup_gate (id, held_until, resume_step) VALUES (1, 0, 0);
