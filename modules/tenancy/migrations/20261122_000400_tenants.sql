CREATE TABLE tenancy_tenant (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    parent TEXT REFERENCES tenancy_tenant (id),
    status TEXT NOT NULL,
    system BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tenancy_tenant_parent ON tenancy_tenant (parent, slug);
