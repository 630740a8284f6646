//! Tenants through the real pipeline.

mod domains;
mod onboarding;
mod registrations;
mod support;
mod tenants;

testkit::every_command_is_described!(chancery_tenancy::Tenancy);
