-- `children` and `descendants` count live tenants. Those of the system tenant are of the whole tree: its row is the lock
-- under which the tree changes.
CREATE TABLE tenancy_tenant (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    tenant_type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    parent TEXT REFERENCES tenancy_tenant (id),
    depth BIGINT NOT NULL,
    status TEXT NOT NULL,
    system BIGINT NOT NULL,
    children BIGINT NOT NULL,
    descendants BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX tenancy_tenant_system ON tenancy_tenant (system) WHERE system = 1;
CREATE INDEX tenancy_tenant_parent_slug ON tenancy_tenant (parent, slug);
CREATE INDEX tenancy_tenant_parent_created ON tenancy_tenant (parent, created_at, id);
CREATE INDEX tenancy_tenant_created ON tenancy_tenant (created_at, id);
CREATE INDEX tenancy_tenant_status ON tenancy_tenant (status, slug);

CREATE TABLE tenancy_domain (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenancy_tenant (id),
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    is_primary BIGINT NOT NULL,
    challenge TEXT,
    verified_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant, domain)
);
CREATE UNIQUE INDEX tenancy_domain_verified ON tenancy_domain (domain) WHERE verified_at IS NOT NULL;
CREATE UNIQUE INDEX tenancy_domain_primary ON tenancy_domain (tenant) WHERE is_primary = 1;

-- What a registration has done. The tenant may be gone again, so nothing refers to its row.
CREATE TABLE tenancy_registration (
    id TEXT PRIMARY KEY,
    correlation TEXT NOT NULL,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    completed_at BIGINT,
    expires_at BIGINT NOT NULL,
    last_error TEXT
);
CREATE INDEX tenancy_registration_correlation ON tenancy_registration (correlation, started_at);
CREATE INDEX tenancy_registration_tenant ON tenancy_registration (tenant);
CREATE INDEX tenancy_registration_status ON tenancy_registration (status, expires_at);

CREATE TABLE tenancy_registration_step (
    registration TEXT NOT NULL REFERENCES tenancy_registration (id),
    position BIGINT NOT NULL,
    step TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    completed_at BIGINT,
    undone_at BIGINT,
    error TEXT,
    PRIMARY KEY (registration, position)
);

-- One row. Whoever wants a tenant for themselves is turned away until an operator says otherwise.
CREATE TABLE tenancy_onboarding (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    root_tenant_creation_enabled BIGINT NOT NULL,
    admin_invite_enabled BIGINT NOT NULL,
    self_signup_enabled BIGINT NOT NULL,
    subtenant_signup_enabled BIGINT NOT NULL,
    require_approval_for_self_signup BIGINT NOT NULL,
    updated_at BIGINT
);
INSERT INTO tenancy_onboarding VALUES (1, 1, 1, 0, 0, 1, NULL);
