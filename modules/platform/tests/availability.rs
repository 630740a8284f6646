//! The matrix of the ways to a tenant (semantics 7.7).

use chancery_platform::onboarding::{ConfigFacts, LicenseFacts, RuntimeFacts, availability};

/// Each line is what is missing, and what that does to each way. `BLESS=1` writes it anew.
#[test]
fn the_availability_matrix_is_the_one_in_the_golden_file() {
    let license = LicenseFacts { usable: true, self_signup: true, subtenants: true };
    let config = ConfigFacts {
        root_tenant_creation: true,
        admin_invite: true,
        self_signup: true,
        subtenant_signup: true,
        email: true,
        challenge_verifier: true,
    };
    let runtime = RuntimeFacts { application_tenant: true, email: true };
    let no_license = LicenseFacts { usable: false, self_signup: false, subtenants: false };
    let plain = LicenseFacts { self_signup: false, subtenants: false, ..license };
    let switched_off = ConfigFacts {
        root_tenant_creation: false,
        admin_invite: false,
        self_signup: false,
        subtenant_signup: false,
        ..config
    };
    let no_config = ConfigFacts { email: false, challenge_verifier: false, ..switched_off };
    let no_runtime = RuntimeFacts { application_tenant: false, email: false };
    let cases = [
        ("nothing", license, config, runtime),
        ("the license", no_license, config, runtime),
        ("both features", plain, config, runtime),
        ("self-signup", LicenseFacts { self_signup: false, ..license }, config, runtime),
        ("subtenants", LicenseFacts { subtenants: false, ..license }, config, runtime),
        ("every switch", license, switched_off, runtime),
        ("e-mail", license, ConfigFacts { email: false, ..config }, runtime),
        ("a verifier", license, ConfigFacts { challenge_verifier: false, ..config }, runtime),
        ("delivery", license, config, RuntimeFacts { email: false, ..runtime }),
        ("the application tenant", license, config, RuntimeFacts { application_tenant: false, ..runtime }),
        ("features and configuration", plain, no_config, runtime),
        ("configuration and runtime", license, no_config, no_runtime),
        ("everything", no_license, no_config, no_runtime),
    ];
    let mut table = String::new();
    for (missing, license, config, runtime) in cases {
        let told = availability(&license, &config, &runtime);
        table += &format!("without {missing}\n");
        for (way, route) in [
            ("applicationTenant", told.application_tenant),
            ("rootTenantCreation", told.root_tenant_creation),
            ("adminInvite", told.admin_invite),
            ("selfSignup", told.self_signup),
            ("subtenants", told.subtenants),
        ] {
            assert_eq!(route.enabled, route.reason.is_none());
            table += &format!("  {way:<18}  {}\n", route.reason.as_deref().unwrap_or("enabled"));
        }
        let email = told.email;
        table += &format!("  {:<18}  configured {}, healthy {}\n", "email", email.configured, email.healthy);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/availability.txt");
    #[expect(clippy::disallowed_methods, reason = "a test run is told to bless by its environment")]
    if std::env::var("BLESS").is_ok() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), table);
}
