//! Metered quotas and stored outcomes: the port, its laws as a suite, memory and SQL.
