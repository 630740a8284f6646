//! The running license: sources, statuses, snapshots.
