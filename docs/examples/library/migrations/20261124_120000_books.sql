CREATE TABLE library_book (
    tenant TEXT NOT NULL,
    title TEXT NOT NULL,
    lent_to TEXT,
    reserved_for TEXT,
    PRIMARY KEY (tenant, title)
);
