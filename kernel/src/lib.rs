//! The command bus: commands, contracts, facets, modules, dispatch.
