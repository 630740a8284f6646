//! What must hold of every command of the platform: whoever has no license, or a bad one, can see that and mend it; and
//! looking is another right than changing.

use chancery_platform as platform;
use kernel::Registry;
use platform::{LICENSE_READ, LICENSE_WRITE};
use sdk::{
    descriptors::{
        access::{Access, Audience},
        descriptor::{LicenseDescriptor, ProtectionMode},
    },
    kernel,
};

#[test]
fn no_command_of_the_platform_asks_for_a_license() {
    let registry = Registry::linked().unwrap();
    for (_, entry) in registry.entries() {
        let contract = entry.contract().unwrap();
        let mode = contract.facet::<LicenseDescriptor>().map(LicenseDescriptor::mode);
        assert_eq!(mode, Some(ProtectionMode::None), "{}", contract.id());
    }
}

#[test]
fn who_may_look_at_the_license_may_not_change_it() {
    let registry = Registry::linked().unwrap();
    let asks = |id: &str| {
        let entry = registry.entry(registry.find(id).unwrap());
        match entry.contract().unwrap().facet::<Access>().unwrap().audience() {
            Audience::Permission(permission) => permission.as_str(),
            _ => "nothing",
        }
    };
    for id in ["platform.license.status", "platform.license-request.show"] {
        assert_eq!(asks(id), LICENSE_READ.as_str(), "{id}");
    }
    for id in [
        "platform.license.preview",
        "platform.license.simulate",
        "platform.license.install",
        "platform.license.uninstall",
        "platform.license-request.generate",
    ] {
        assert_eq!(asks(id), LICENSE_WRITE.as_str(), "{id}");
    }
}
