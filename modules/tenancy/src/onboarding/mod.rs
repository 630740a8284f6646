//! What operators decide about onboarding.

pub mod show;
pub mod update;
