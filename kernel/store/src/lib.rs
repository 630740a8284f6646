//! One database handle for SQLite and PostgreSQL: pool, unit of work, migrations.
