//! A module author's one dev-dependency: the real pipeline under a stated license.
