//! Private PostgreSQL clusters and databases for the tests.
