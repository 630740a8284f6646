//! The configuration as operators meet it: a file, an environment, and what is said about mistakes in them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use chancery_config as config;
use config::{Address, Config, ConfigError, DenialStatus, LogFormat, Origin, WindowAnchor};
use descriptors::{
    coverage::{Allowlisted, GapMode},
    descriptor::{DeploymentShape, ShapePredicate},
};
use envelope::oid::{self, ObjectIdentifier};
use jiff::{SignedDuration, tz::TimeZone};
use license::RuntimeSettings;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const LEAST: &str = "[database]\nurl = \"sqlite:chancery.db\"\n[deployment]\nid = \"site-1\"\n";

/// A folder with a configuration file in it.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("chancery.toml")
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(Some(&self.file()), variables(environment))
    }
}

/// The policy of a product, as a catalog might state it.
fn products() -> BTreeMap<String, ObjectIdentifier> {
    BTreeMap::from([("chancery".to_owned(), ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3"))])
}

fn variables(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What is said about this file, without the folder's name.
fn refusal(text: &str) -> String {
    let folder = Folder::with(text);
    let error = folder.load(&[]).unwrap_err().to_string();
    error.replace(&folder.file().display().to_string(), "chancery.toml")
}

/// What is said about this variable beside a sound file.
fn refusal_of(name: &str, value: &str) -> String {
    Folder::with(LEAST).load(&[(name, value)]).unwrap_err().to_string()
}

#[test]
fn a_file_that_says_the_least_has_the_documented_defaults() {
    let config = Folder::with(LEAST).load(&[]).unwrap();
    assert!(config.database.migrate && config.database.connections.is_none());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.max_body_bytes, 1_048_576);
    assert_eq!(config.server.request_timeout_seconds.get(), 30);
    assert_eq!(config.server.shutdown_grace_seconds, 10);
    assert_eq!(config.http.denial_status, DenialStatus::ByReason);
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Text, "info"));
    let policy = config.coverage_policy();
    assert!(policy.enforced && policy.allowlist.is_empty() && policy.hard_fail_prefixes.is_empty());
    assert_eq!(policy.gaps, GapMode::Warn);
    let sources = config.license_sources(products()).unwrap();
    assert_eq!(
        (sources.path, sources.development, sources.site.installation.as_str()),
        (None, None, "site-1")
    );
    assert!(sources.recipient.is_none() && sources.trust.root_bundle.is_none() && !sources.site.production);
    assert_eq!(sources.trust.signing_eku.len(), 1);
    assert_eq!(sources.trust.required_policies.len(), 1);
    let partners = sources.trust.partners;
    assert_eq!(partners.markers, [oid::PARTNER_CA_POLICY]);
    assert_eq!(
        partners.allowed,
        products().into_values().collect::<Vec<_>>(),
        "every product of the catalog"
    );
    assert_eq!(partners.products, products());
    assert!(sources.token.is_none() && sources.site.owner.is_none() && sources.trust.crl_bundle.is_none());
    let runtime = sources.runtime;
    assert_eq!((runtime.recovery_days, runtime.grace_cap_days), (7, None));
    assert_eq!(runtime.clock_rollback_tolerance, SignedDuration::from_mins(5));
    assert_eq!(runtime.warning_days, [90, 60, 30, 14, 7, 1]);
}

#[test]
fn every_key_of_the_license_can_be_set_from_the_environment() {
    let folder = Folder::with(LEAST);
    let secret = folder.0.path().join("token");
    fs::write(&secret, "eyJ.of.a.license\n").unwrap();
    let config = folder
        .load(&[
            ("CHANCERY_LICENSE__TOKEN_FILE", secret.to_str().unwrap()),
            ("CHANCERY_LICENSE__INSTALLATION_OWNER", "acme"),
            ("CHANCERY_LICENSE__TRUST__PARTNER_CA_POLICY_OID", "1.2.3, 1.2.4"),
            ("CHANCERY_LICENSE__TRUST__PARTNER_ALLOWED_POLICY_OIDS", ""),
            ("CHANCERY_LICENSE__TRUST__CRL_BUNDLE_PATH", "/etc/chancery/crls.pem"),
            ("CHANCERY_LICENSE__RUNTIME__RECOVERY_DAYS", "3"),
            ("CHANCERY_LICENSE__RUNTIME__EXPIRY_GRACE_CAP_DAYS", "5"),
            ("CHANCERY_LICENSE__RUNTIME__LAST_GOOD_SNAPSHOT_PATH", "/var/lib/chancery/last-good"),
            ("CHANCERY_LICENSE__RUNTIME__LAST_SEEN_TIME_PATH", "/var/lib/chancery/last-seen"),
            ("CHANCERY_LICENSE__RUNTIME__CLOCK_ROLLBACK_TOLERANCE", "PT1H"),
            ("CHANCERY_LICENSE__RUNTIME__WARNING_DAYS", "30,1"),
        ])
        .unwrap();
    assert!(!format!("{config:?}").contains("of.a.license"), "a token does not print");
    assert_eq!(config.license.runtime.last_seen_time_path, Some("/var/lib/chancery/last-seen".into()));
    assert_eq!(config.license.runtime.last_good_snapshot_path, Some("/var/lib/chancery/last-good".into()));
    let sources = config.license_sources(products()).unwrap();
    assert_eq!(sources.token.unwrap().expose_secret(), "eyJ.of.a.license");
    assert_eq!(sources.site.owner.as_deref(), Some("acme"));
    assert_eq!(sources.trust.partners.markers.len(), 2);
    assert!(sources.trust.partners.allowed.is_empty(), "an empty value turns that one check off");
    assert_eq!(sources.trust.crl_bundle, Some("/etc/chancery/crls.pem".into()));
    let runtime = sources.runtime;
    assert_eq!((runtime.recovery_days, runtime.grace_cap_days), (3, Some(5)));
    assert_eq!(runtime.clock_rollback_tolerance, SignedDuration::from_hours(1));
    assert_eq!(runtime.warning_days, [30, 1]);
}

#[test]
fn a_full_file_says_what_it_says() {
    let folder = Folder::with(
        r#"
        [database]
        url = "postgres://user@db/chancery"
        connections = 20
        [server]
        listen = "[::1]:9000"
        public-url = "https://platform.example.com"
        [deployment]
        id = "site-1"
        shape = { packaging = "server", environment = "production" }
        [license]
        path = "licenses/current.lic"
        [license.recipient]
        key-id = "site-1"
        private-key-path = "/etc/chancery/recipient.pem"
        [license.trust]
        root-ca-bundle-path = "roots.pem"
        license-signing-eku = ""
        required-policy-oids = "1.3.6.1.4.1.1, 1.3.6.1.4.1.2"
        [license.dev]
        enabled = true
        path = "dev.lic"
        [license.command-enforcement]
        missing-descriptor-mode = "deny"
        hard-fail-prefixes = ["tenancy."]
        [[license.command-enforcement.allowlist]]
        prefix = "health."
        reason = "liveness must answer without a license"
        [[license.command-enforcement.allowlist]]
        id = "tools.text.echo"
        reason = "a toy"
        [http]
        denial-status = "forbidden"
        [log]
        format = "json"
        filter = "debug"
        "#,
    );
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.database.url, Address::Stated("postgres://user@db/chancery".to_owned()));
    assert_eq!(config.database.connections.unwrap().get(), 20);
    assert_eq!(config.deployment.shape.contradicts(&[ShapePredicate::PRODUCTION]), None);
    assert_eq!(config.http.denial_status, DenialStatus::Forbidden);
    let policy = config.coverage_policy();
    assert_eq!((policy.gaps, policy.hard_fails("tenancy.tenants.create")), (GapMode::Deny, Some("tenancy.")));
    assert_eq!(policy.allowlisted("health.live.read").unwrap().names, Allowlisted::Prefix("health.".into()));
    assert_eq!(policy.allowlisted("tools.text.echo").unwrap().reason, "a toy");
    let sources = config.license_sources(products()).unwrap();
    assert!(sources.site.production);
    assert!(sources.trust.signing_eku.is_empty(), "an empty value turns that check off");
    assert_eq!(sources.trust.required_policies.len(), 2);
    let near = |name: &str| Some(folder.0.path().join(name));
    assert_eq!(sources.path, near("licenses/current.lic"), "relative to the file's folder");
    assert_eq!(sources.trust.root_bundle, near("roots.pem"));
    assert_eq!(sources.development, near("dev.lic"));
    assert_eq!(sources.recipient.unwrap().path, PathBuf::from("/etc/chancery/recipient.pem"));
}

#[test]
fn windows_of_quotas_begin_with_the_license_unless_the_calendar_is_asked_for() {
    let quota = Folder::with(LEAST).load(&[]).unwrap().license.quota;
    assert_eq!((quota.window_anchor, quota.time_zone), (WindowAnchor::License, TimeZone::UTC));

    let text =
        format!("{LEAST}[license.quota]\nwindow-anchor = \"calendar\"\ntime-zone = \"Europe/Berlin\"\n");
    let quota = Folder::with(&text).load(&[]).unwrap().license.quota;
    assert_eq!(quota.window_anchor, WindowAnchor::Calendar);
    assert_eq!(quota.time_zone.iana_name(), Some("Europe/Berlin"));

    let refused = refusal_of("CHANCERY_LICENSE__QUOTA__TIME_ZONE", "Middle/Earth");
    assert!(refused.contains("expected a time zone that this machine knows"), "{refused}");
}

#[test]
fn how_a_license_runs_is_configured_in_the_file_or_the_environment() {
    let standard = Folder::with(LEAST).load(&[]).unwrap().license_sources(products()).unwrap();
    assert_eq!(standard.runtime, RuntimeSettings::standard());
    assert!(!standard.site.sealed_only && standard.trust.crl_bundle.is_none());

    let text = format!(
        "{LEAST}shape = {{ packaging = \"container\" }}\n[license]\ninstallation-owner = \"acme\"\n\
         [license.trust]\ncrl-bundle-path = \"lists.pem\"\n\
         [license.runtime]\nexpiry-grace-cap-days = 3\nrecovery-days = 0\nclock-rollback-tolerance = \"PT1H\"\n",
    );
    let folder = Folder::with(&text);
    let config = folder
        .load(&[
            ("CHANCERY_LICENSE__RUNTIME__WARNING_DAYS", "10, 2"),
            ("CHANCERY_LICENSE__RUNTIME__CLOCK_ROLLBACK_TOLERANCE", "90"),
            ("CHANCERY_LICENSE__TOKEN", "hunter2"),
        ])
        .unwrap();
    let sources = config.license_sources(products()).unwrap();
    assert_eq!(
        sources.runtime,
        RuntimeSettings {
            grace_cap_days: Some(3),
            recovery_days: 0,
            clock_rollback_tolerance: SignedDuration::from_secs(90),
            warning_days: vec![10, 2],
        }
    );
    assert!(sources.site.sealed_only);
    assert_eq!(sources.site.owner.as_deref(), Some("acme"));
    assert_eq!(sources.trust.crl_bundle, Some(folder.0.path().join("lists.pem")));
    assert_eq!(sources.token.as_ref().unwrap().expose_secret(), "hunter2");
    assert!(!format!("{config:?} {sources:?}").contains("hunter2"));

    let words = refusal_of("CHANCERY_LICENSE__RUNTIME__CLOCK_ROLLBACK_TOLERANCE", "-PT5M");
    assert!(words.contains("not negative"), "{words}");
    let words = refusal_of("CHANCERY_LICENSE__RUNTIME__WARNING_DAYS", "soon");
    assert!(words.contains("whole days"), "{words}");
}

#[test]
fn a_development_license_is_a_source_only_where_it_is_enabled() {
    let config = Folder::with(&format!("{LEAST}[license.dev]\npath = \"dev.lic\"\n")).load(&[]).unwrap();
    assert_eq!(config.license_sources(products()).unwrap().development, None);
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = Folder::with(&format!("{LEAST}[log]\nfilter = \"warn\"\n"))
        .load(&[
            ("CHANCERY_LOG__FILTER", "debug"),
            ("CHANCERY_DATABASE__CONNECTIONS", "3"),
            ("CHANCERY_DEPLOYMENT__ID", "12"),
            ("CHANCERY_DEPLOYMENT__SHAPE__ENVIRONMENT", "production"),
            ("CHANCERY_LICENSE__TRUST__ROOT_CA_BUNDLE_PATH", "roots.pem"),
            ("CHANCERY_LICENSE__TRUST__REQUIRED_POLICY_OIDS", ""),
            ("CHANCERY_LICENSE__DEV__ENABLED", "true"),
            ("CHANCERY_LICENSE__RECIPIENT__KEY_ID", "site-1"),
            ("CHANCERY_LICENSE__RECIPIENT__PRIVATE_KEY_PATH", "key.pem"),
            ("CHANCERY_LICENSE__COMMAND_ENFORCEMENT__MISSING_DESCRIPTOR_MODE", "deny"),
            ("CHANCERY_LICENSE__COMMAND_ENFORCEMENT__HARD_FAIL_PREFIXES", "tenancy., identity."),
        ])
        .unwrap();
    assert_eq!(config.log.filter, "debug");
    assert_eq!(config.database.connections.unwrap().get(), 3);
    assert_eq!(config.deployment.id, "12", "a text that looks like a number stays a text");
    assert_eq!(config.deployment.shape, DeploymentShape::stating([("environment", "production")]));
    assert_eq!(config.license.recipient.as_ref().unwrap().key_id, "site-1");
    assert!(config.license.dev.enabled);
    assert_eq!(config.coverage_policy().hard_fail_prefixes, ["tenancy.", "identity."]);
    assert_eq!(config.coverage_policy().gaps, GapMode::Deny);
    let trust = config.license_sources(products()).unwrap().trust;
    assert_eq!(trust.root_bundle, Some(PathBuf::from("roots.pem")), "relative to the working folder");
    assert!(trust.required_policies.is_empty());
}

#[test]
fn the_environment_alone_is_enough() {
    let environment =
        [("CHANCERY_DATABASE__URL", "sqlite:a.db"), ("CHANCERY_DEPLOYMENT__ID", "site-1"), ("HOME", "/")];
    assert!(Config::load(None, variables(&environment)).is_ok());
    let error = Config::load(None, variables(&environment[1..])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no configuration file is named, and in the environment: missing field `url` in `database`"
    );
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    let folder = Folder::with(LEAST);
    let secret = folder.0.path().join("url");
    fs::write(&secret, "postgres://from-a-file\n").unwrap();
    let variable = ("CHANCERY_DATABASE__URL_FILE", secret.to_str().unwrap());
    let config = folder.load(&[variable]).unwrap();
    let url = || config.address(&config.database.url).unwrap();
    assert_eq!(url().expose_secret(), "postgres://from-a-file");
    fs::write(&secret, "postgres://replaced\n").unwrap();
    assert_eq!(url().expose_secret(), "postgres://replaced", "it is read when it is needed");

    let error = folder.load(&[variable, ("CHANCERY_DATABASE__URL", "sqlite:b.db")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "variable `CHANCERY_DATABASE__URL_FILE`: `CHANCERY_DATABASE__URL` sets the same key"
    );
    let lacking = folder.load(&[("CHANCERY_DATABASE__URL_FILE", "/nowhere/url")]).unwrap();
    let error = lacking.try_secrets().unwrap_err().to_string();
    assert!(error.starts_with("`database.url`: failed to read the secret `file:/nowhere/url`: "), "{error}");
    assert_eq!(
        refusal_of("CHANCERY_LOG__FILTER_FILE", "x"),
        "variable `CHANCERY_LOG__FILTER_FILE`: unknown key `log.filter-file`"
    );
}

const SECRETS: &str = r#"
[license]
token = "env:LICENSE"
[secrets]
kubernetes-mount = "mounted"
[mail]
from = "no-reply@example.com"
[mail.smtp]
host = "mail.example.com"
username = "platform"
password = "k8s:smtp/password"
[tenant.signup.challenge]
verify-url = "https://challenge.example.com/siteverify"
secret = "env:CHALLENGE"
[audit.webhook.siem]
url = "env:SIEM"
secret = "k8s:siem/key"
[audit.otlp.siem]
endpoint = "https://siem.example.com"
authorization = "env:SIEM_TOKEN"
[telemetry.otlp]
endpoint = "https://telemetry.example.com"
authorization = "env:TELEMETRY_TOKEN"
"#;

#[test]
fn every_secret_is_named_and_each_that_cannot_be_had_is_told_by_its_key() {
    let folder = Folder::with(&LEAST.replace("sqlite:chancery.db", "env:DATABASE"));
    let text = fs::read_to_string(folder.file()).unwrap();
    fs::write(folder.file(), format!("{text}{SECRETS}")).unwrap();
    let told = folder.load(&[("LICENSE", "")]).unwrap().try_secrets().unwrap_err().to_string();
    for part in [
        "`database.url`: the secret `env:DATABASE` is not set",
        "`license.token`: the secret `env:LICENSE` is not a text of 1 to 65536 bytes",
        "`mail.smtp.password`: failed to read the secret `k8s:smtp/password`: No such file",
        "`tenant.signup.challenge.secret`: the secret `env:CHALLENGE` is not set",
        "`audit.webhook.siem.url`: ",
        "`audit.webhook.siem.secret`: ",
        "`audit.otlp.siem.authorization`: ",
        "`telemetry.otlp.authorization`: ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    for (name, key) in [("smtp", "password"), ("siem", "key")] {
        fs::create_dir_all(folder.0.path().join("mounted").join(name)).unwrap();
        fs::write(folder.0.path().join("mounted").join(name).join(key), "hunter2\n").unwrap();
    }
    let variables = ["DATABASE", "LICENSE", "CHALLENGE", "SIEM", "SIEM_TOKEN", "TELEMETRY_TOKEN"]
        .map(|name| (name, "hunter2"));
    let config = folder.load(&variables).unwrap();
    assert_eq!(config.try_secrets().unwrap(), 8);
    assert!(!format!("{config:?} {:?}", config.license_sources(products()).unwrap()).contains("hunter2"));
}

#[test]
fn a_secret_that_is_written_out_is_refused_and_not_repeated() {
    let mut keys = 0;
    for line in SECRETS.lines().filter(|line| line.contains("\"env:") || line.contains("\"k8s:")) {
        let key = line.split(' ').next().unwrap();
        if key == "url" {
            continue;
        }
        for (written, part) in [
            ("\"hunter2\"", "a secret is named by"),
            ("\"vault:hunter2\"", "a secret is named by"),
            ("[\"hunter2\"]", "a text"),
            ("{ hunter2 = 1 }", "a text"),
        ] {
            let said = refusal(&format!("{LEAST}{}", SECRETS.replace(line, &format!("{key} = {written}"))));
            assert!(said.contains(part) && !said.contains("hunter2"), "{key}: {said}");
        }
        keys += 1;
    }
    assert_eq!(keys, 6);
    for url in ["postgres://user:hunter2@db/a", "postgres://db/a?sslmode=require&password=hunter2"] {
        let said = refusal(&LEAST.replace("sqlite:chancery.db", url));
        assert!(said.contains("line 2: it holds a password") && !said.contains("hunter2"), "{said}");
        let text = SECRETS.replace("url = \"env:SIEM\"", &format!("url = \"{url}\""));
        let said = refusal(&format!("{LEAST}{text}"));
        assert!(said.contains("it holds a password") && !said.contains("hunter2"), "{said}");
    }
    for line in ["verify-url", "endpoint"] {
        let text =
            SECRETS.replace(&format!("{line} = \"https://"), &format!("{line} = \"https://user:hunter2@"));
        let said = refusal(&format!("{LEAST}{text}"));
        assert!(
            said.contains("a password does not stand in an address") && !said.contains("hunter2"),
            "{said}"
        );
    }
}

#[test]
fn the_environment_is_a_place_for_secrets() {
    let folder = Folder::with(&format!("{LEAST}{SECRETS}"));
    let read = |value: &str| {
        let config = folder.load(&[("CHANCERY_MAIL__SMTP__PASSWORD", value), ("OTHER", "of-other")]).unwrap();
        let password = config.mail.as_ref().unwrap().smtp.password.clone().unwrap();
        config.secret(&password).read().unwrap().expose_secret().to_owned()
    };
    assert_eq!(read("hunter2"), "hunter2");
    assert_eq!(read("env:OTHER"), "of-other");
    for malformed in ["file:hunter2", "env:hunter 2", "k8s:hunter2"] {
        let said = refusal_of("CHANCERY_LICENSE__TOKEN", malformed);
        assert!(said.contains("a secret is named by") && !said.contains("hunter"), "{said}");
    }
}

#[test]
fn an_unknown_key_refuses_and_names_its_line_or_variable() {
    assert_eq!(
        refusal(&format!("{LEAST}[log]\nlevel = \"info\"\n")),
        "`chancery.toml`, line 6: unknown field `level`, expected `format` or `filter` in `log`"
    );
    assert_eq!(
        refusal_of("CHANCERY_LOG__LEVEL", "info"),
        "variable `CHANCERY_LOG__LEVEL`: unknown key `log.level`"
    );
    assert_eq!(refusal_of("CHANCERY_LOGS", "1"), "variable `CHANCERY_LOGS`: unknown key `logs`");
    assert!(refusal(&format!("{LEAST}[licence]\n")).contains("line 5: unknown field `licence`"));
}

#[test]
fn a_wrong_value_refuses_and_names_its_line_or_variable() {
    for (text, line, part) in [
        ("[server]\nmax-body-bytes = \"1\"\n", 6, "invalid type: string \"1\""),
        ("[server]\nlisten = \"here\"\n", 6, "invalid socket address syntax"),
        ("[server]\nrequest-timeout-seconds = 0\n", 6, "expected a nonzero u32"),
        ("[license.trust]\nrequired-policy-oids = \"signing\"\n", 6, "expected object identifiers"),
        ("[audit]\nbacklog = 999\n", 6, "expected at least 1000"),
        ("[license.recipient]\nkey-id = \"a\"\n", 5, "missing field `private-key-path`"),
        ("[license.command-enforcement]\nmissing-descriptor-mode = \"off\"\n", 6, "unknown variant `off`"),
        ("[[license.command-enforcement.allowlist]]\nid = \"a.b.c\"\n", 5, "missing field `reason`"),
        ("log = 3\n", 5, "unknown field `log`"),
        ("[log\n", 5, "unclosed table"),
    ] {
        let said = refusal(&format!("{LEAST}{text}"));
        assert!(
            said.starts_with(&format!("`chancery.toml`, line {line}: ")) && said.contains(part),
            "{said}"
        );
    }
    for (name, value, part) in [
        ("CHANCERY_SERVER__MAX_BODY_BYTES", "many", "expected an integer, found `many`"),
        ("CHANCERY_SERVER__REQUEST_TIMEOUT_SECONDS", "0", "expected a nonzero u32"),
        ("CHANCERY_LICENSE__DEV__ENABLED", "yes", "expected `true` or `false`, found `yes`"),
        ("CHANCERY_LOG__FORMAT", "xml", "unknown variant `xml`"),
        ("CHANCERY_DEPLOYMENT__ID", "", "not empty"),
        ("CHANCERY_LOG", "info", "this is a section"),
        ("CHANCERY_LICENSE__COMMAND_ENFORCEMENT__ALLOWLIST", "a", "in the file only"),
    ] {
        let said = refusal_of(name, value);
        assert!(said.starts_with(&format!("variable `{name}`: ")) && said.contains(part), "{said}");
    }
}

#[test]
fn variables_of_other_use_are_passed_over() {
    let environment = [
        ("CHANCERY_CREDENTIALS", "/tmp/credentials"),
        ("CHANCERY_CONFIG", "chancery.toml"),
        ("CHANCERY_ISSUER_PASSPHRASE", "x"),
        ("PATH", "/bin"),
    ];
    assert!(Folder::with(LEAST).load(&environment).is_ok());
}

#[test]
fn the_database_url_is_in_no_debug_text_and_no_error() {
    let config = Folder::with(&LEAST.replace("chancery.db", "hunter2")).load(&[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = Folder::with("[database]\nurl = \"postgres://a:hunter2@b\n").load(&[]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(matches!(error, ConfigError::Refused { origin: Origin::File { line: 2, .. }, .. }), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Some("/nowhere/chancery.toml".as_ref()), []).unwrap_err();
    assert_eq!(error.to_string(), "failed to read `/nowhere/chancery.toml`");
}

#[test]
fn the_schema_names_every_section_and_marks_the_secret() {
    let schema = Config::json_schema().to_value();
    let sections: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        sections,
        [
            "database",
            "server",
            "deployment",
            "license",
            "catalog",
            "identity",
            "secrets",
            "http",
            "tenant",
            "mail",
            "audit",
            "telemetry",
            "log"
        ]
    );
    assert_eq!(schema["properties"]["database"]["properties"]["url"]["writeOnly"], true);
    assert_eq!(schema["properties"]["server"]["properties"]["request-timeout-seconds"]["default"], 30);
}

#[test]
fn the_slices_of_the_catalog_stand_beside_the_file_that_names_them() {
    let folder = Folder::with(&format!("{LEAST}[catalog]\nslices = [\"own.toml\", \"/etc/other.toml\"]\n"));
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.catalog.slices, [folder.0.path().join("own.toml"), PathBuf::from("/etc/other.toml")]);
    let config = folder.load(&[("CHANCERY_CATALOG__SLICES", "one.toml, two.toml")]).unwrap();
    assert_eq!(config.catalog.slices, [PathBuf::from("one.toml"), PathBuf::from("two.toml")]);
}

#[test]
fn a_slice_of_the_catalog_that_is_none_is_named() {
    let folder = Folder::with(&format!("{LEAST}[catalog]\nslices = [\"own.toml\"]\n"));
    let told = || folder.load(&[]).unwrap().catalog().unwrap_err().to_string();
    assert!(told().contains("own.toml"));
    fs::write(folder.0.path().join("own.toml"), "[[quotas]]\n").unwrap();
    let told = told();
    assert!(
        told.contains("`catalog.slices`") && told.contains("own.toml") && told.contains("quotas"),
        "{told}"
    );
    assert!(!told.contains('\n'), "{told}");
}

#[test]
fn a_sink_of_the_audit_is_named_by_its_section_and_its_secret_may_stand_in_a_file() {
    let folder = Folder::with(&format!(
        "{LEAST}[audit]\nretention-days = 400\n[audit.webhook.siem]\nurl = \"https://siem.example.com\"\n\
         [audit.json-lines.archive]\npath = \"audit.jsonl\"\n"
    ));
    let secret = folder.0.path().join("secret");
    fs::write(&secret, "whsec_s3cret\n").unwrap();
    let variable = ("CHANCERY_AUDIT__WEBHOOK__SIEM__SECRET_FILE", secret.to_str().unwrap());
    let config = folder.load(&[variable]).unwrap();
    let key = config.secret(&config.audit.webhook["siem"].secret);
    assert_eq!(key.read().unwrap().expose_secret(), "whsec_s3cret");
    assert_eq!(config.audit.json_lines["archive"].path, folder.0.path().join("audit.jsonl"));
    assert_eq!(config.audit.retention_days.map(std::num::NonZeroU32::get), Some(400));
    assert!(!format!("{config:?}").contains("s3cret"));

    let lacking = folder.load(&[]).unwrap_err().to_string();
    assert!(lacking.contains("secret") && lacking.contains("chancery.toml"), "{lacking}");
}

#[test]
fn nothing_leaves_the_machine_unless_it_is_stated() {
    let folder = Folder::with(LEAST);
    assert!(folder.load(&[]).unwrap().telemetry.otlp.is_none());
    let stated = folder.load(&[("CHANCERY_TELEMETRY__OTLP__ENDPOINT", "http://localhost:4318")]).unwrap();
    let otlp = stated.telemetry.otlp.unwrap();
    assert!(otlp.traces && otlp.metrics && otlp.logs && otlp.interval_seconds.get() == 10);
}

#[test]
fn tenants_are_found_as_configured() {
    let text = format!(
        "{LEAST}[tenant]\nplatform-domain = \"Tenants.Example\"\n[tenant.resolution]\nself-tenant = \"acme\"\n"
    );
    let folder = Folder::with(&text);
    let config = folder.load(&[("CHANCERY_TENANT__DNS__SERVERS", "10.0.0.2, [::1]:5353")]).unwrap();
    let tenant = &config.tenant;
    assert_eq!(tenant.platform_domain.as_deref(), Some("tenants.example"));
    assert_eq!(
        (tenant.resolution.custom_domains, tenant.resolution.self_tenant.as_deref()),
        (true, Some("acme"))
    );
    assert_eq!(tenant.dns.servers, ["10.0.0.2:53", "[::1]:5353"].map(|server| server.parse().unwrap()));

    for (name, value) in [
        ("CHANCERY_TENANT__PLATFORM_DOMAIN", "localhost"),
        ("CHANCERY_TENANT__PLATFORM_DOMAIN", "10.0.0.2"),
        ("CHANCERY_TENANT__PLATFORM_DOMAIN", "https://tenants.example"),
        ("CHANCERY_TENANT__DNS__SERVERS", "dns.example"),
    ] {
        let told = refusal_of(name, value);
        assert!(told.contains(name) && told.contains("expected"), "{told}");
    }
}
