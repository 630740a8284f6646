//! The derive through an author's eyes: the page of the architecture compiles as written, and each misuse is answered
//! at the author's own word.

use chancery_sdk as sdk;
use sdk::{
    descriptors::{
        access::{Access, Audience},
        descriptor::{LicenseDescriptor, ProtectionMode},
        route::HttpRoute,
    },
    kernel::{self, Command as _},
};

#[expect(unreachable_pub, reason = "the page is written for a library")]
#[path = "author/page.rs"]
mod page;

#[test]
fn the_page_of_the_architecture_says_what_it_looks_like() {
    page::main();
    let contract = page::CreateTenant::CONTRACT;
    assert_eq!(contract.id().as_str(), "tenancy.tenants.create");
    assert_eq!(contract.summary(), "Register a tenant, optionally beneath a parent");

    let access: &Access = contract.facet().unwrap();
    assert!(
        matches!(access.audience(), Audience::Permission(permission) if permission.as_str() == "tenants.write")
    );
    assert_eq!(access.aal().get(), 2);

    let license: &LicenseDescriptor = contract.facet().unwrap();
    assert_eq!(license.entitlement_key().to_string(), "chancery.tenancy.tenants.create");
    assert_eq!(license.mode(), ProtectionMode::Licensed);
    assert_eq!(license.features()[0].as_str(), "tenancy.subtenants.v1");
    assert_eq!(license.quotas()[0].key.as_str(), "tenants.total.max");
    assert_eq!(license.cost().get(), 5);
    assert_eq!(license.predicates()[0].to_string(), "environment=production");

    let routes: Vec<_> = contract.facets::<HttpRoute>().map(ToString::to_string).collect();
    assert_eq!(routes, ["POST /api/platform/admin/v1/tenants"]);
}

#[test]
fn deriving_is_registering() {
    let registry = kernel::Registry::linked().unwrap();
    assert!(registry.find("tenancy.tenants.create").is_some());
}

#[test]
fn each_misuse_is_answered_at_the_authors_own_word() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/author/page.rs");
    cases.compile_fail("tests/misuse/*.rs");
}
