//! What a license says.

use serde_json::json;

use crate::world::{World, case, claims};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn claims(&self) {
        let not_claims = "the claims are not a JSON object with a schema";
        let misfit = |path: &str| format!("the claim `{path}` does not fit the schema");
        let text = claims().to_string();
        // A member in front of all, or in front of another one.
        let before = |member: &str| text.replacen('{', &format!("{{{member},"), 1);
        let within = |member: &str, first: &str| text.replace(member, &format!("{first},{member}"));
        let everything = r#""products":{},"features":{},"quotas":{},"commands":{"allow":["**"],"deny":[]}"#;
        let everything = format!(r#""grant":{{{everything}}}"#);
        for (name, what, text) in [
            ("claims/empty", "no claims", String::new()),
            ("claims/array", "a list", "[]".to_owned()),
            ("claims/no-schema", "an object without a schema", "{}".to_owned()),
            ("claims/schema-number", "a schema that is a number", r#"{"schema":1}"#.to_owned()),
            ("claims/trailing-text", "another object follows", format!("{text}{text}")),
            (
                "claims/open-json",
                "ten thousand brackets that never close",
                format!(r#"{{"schema":"urn:chancery:license:1","x":{}"#, "[".repeat(10_000)),
            ),
            ("claims/byte-order-mark", "the claims begin with a byte order mark", format!("\u{feff}{text}")),
        ] {
            case(name, what).refused(&self.claiming_text(&text), "claims", not_claims);
        }
        for (name, what, text, error) in [
            (
                "claims/duplicate-schema",
                "the schema stands twice",
                text.replacen('{', r#"{"schema":"urn:chancery:license:2","#, 1),
                "the claims state `schema` twice".to_owned(),
            ),
            (
                "claims/lone-surrogate",
                "half a character",
                text.replace("L-2026-1", r"L-\ud800"),
                not_claims.to_owned(),
            ),
            (
                "claims/huge-number",
                "a number beyond every float",
                text.replace(":14", ":1e999"),
                not_claims.to_owned(),
            ),
            (
                "claims/quota-above-64-bits",
                "a quota of more than 64 bits",
                text.replace(":50", ":18446744073709551616"),
                misfit("grant.quotas.tenants.root.max"),
            ),
        ] {
            case(name, what).refused(&self.claiming_text(&text), "claims", &error);
        }
        for (name, what, text) in [
            (
                "claims/deep-json",
                "a list in a list, ten thousand deep",
                format!(
                    r#"{{"schema":"urn:chancery:license:1","metadata":{{"x":{}{}}}}}"#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
            (
                "claims/duplicate-license-id",
                "the license id stands twice",
                before(r#""licenseId":"L-2026-2""#),
            ),
            ("claims/duplicate-grant", "the grant stands twice", before(&everything)),
            (
                "claims/duplicate-quota",
                "a quota stands twice",
                within(r#""tenants.root.max":50"#, r#""tenants.root.max":5000"#),
            ),
            (
                "claims/duplicate-feature",
                "a feature stands twice",
                within(r#""tenancy.subtenants.v1":true"#, r#""tenancy.subtenants.v1":false"#),
            ),
            (
                "claims/duplicate-product",
                "a product stands twice",
                within(r#""chancery":{"#, r#""chancery":{"edition":"free"}"#),
            ),
            ("claims/duplicate-unknown", "a claim that nobody knows stands twice", before(r#""x":1,"x":2"#)),
        ] {
            case(name, what).refused_at(&self.claiming_text(&text), "claims");
        }
        let escapes = self.claiming(|claims| {
            claims["grant"]["quotas"][format!("\n\u{1b}[31m{}", "x".repeat(10_000))] = json!(-1);
        });
        case("claims/name-with-escapes", "a member whose name would paint the log")
            .refused_at(&escapes, "claims");
        let later = self.claiming(|claims| claims["schema"] = json!("urn:chancery:license:2"));
        case("claims/schema-2", "a schema version of a later build").refused(
            &later,
            "claims",
            "the claims have the schema `urn:chancery:license:2`, which this build does not know",
        );
        let padded = self.claiming(|claims| claims["schema"] = json!("urn:chancery:license:1\u{0}"));
        case("claims/schema-nul", "a schema version that ends in NUL").refused(
            &padded,
            "claims",
            r"the claims have the schema `urn:chancery:license:1\0`, which this build does not know",
        );
        for (name, what, path, value) in [
            ("claims/negative-grace", "a negative grace", "/graceDays", json!(-1)),
            ("claims/long-grace", "a grace of 65536 days", "/graceDays", json!(65_536)),
            ("claims/fractional-grace", "a grace of half a day", "/graceDays", json!(0.5)),
            ("claims/grace-text", "a grace as text", "/graceDays", json!("14")),
            (
                "claims/expiry-without-zone",
                "an expiry without time zone",
                "/expiresAt",
                json!("2027-06-01T00:00:00"),
            ),
            (
                "claims/expiry-year-10000",
                "an expiry beyond the calendar",
                "/expiresAt",
                json!("+10000-01-01T00:00:00Z"),
            ),
            ("claims/expiry-number", "an expiry in seconds", "/expiresAt", json!(1_811_808_000)),
            (
                "claims/party-unknown-member",
                "a party with a member that nobody knows",
                "/licensee",
                json!({ "id": "acme", "name": "Acme", "admin": true }),
            ),
            (
                "claims/binding-unknown-member",
                "a binding that this build cannot check",
                "/binding",
                json!({ "hardwareId": "x" }),
            ),
            (
                "claims/grant-unknown-member",
                "a grant with a member that nobody knows",
                "/grant",
                json!({ "products": {}, "features": {}, "quotas": {}, "commands": { "allow": [], "deny": [] }, "limits": {} }),
            ),
            (
                "claims/rule-too-short",
                "a rule that matches nothing",
                "/grant/commands",
                json!({ "allow": ["chancery.*"], "deny": [] }),
            ),
            (
                "claims/rule-nul",
                "a rule with NUL",
                "/grant/commands",
                json!({ "allow": ["chancery.tenancy\u{0}.**"], "deny": [] }),
            ),
            ("claims/negative-quota", "a negative quota", "/grant/quotas", json!({ "tenants.root.max": -1 })),
            ("claims/fractional-quota", "half a tenant", "/grant/quotas", json!({ "tenants.root.max": 0.5 })),
            (
                "claims/quota-key-unicode",
                "a quota key in look-alike letters",
                "/grant/quotas",
                json!({ "tenants.r\u{43e}\u{43e}t.max": 1 }),
            ),
            (
                "claims/feature-object",
                "a feature that is an object",
                "/grant/features",
                json!({ "tenancy.subtenants.v1": {} }),
            ),
            (
                "claims/feature-negative",
                "a negative feature",
                "/grant/features",
                json!({ "tenancy.subtenants.v1": -1 }),
            ),
            ("claims/products-list", "products as a list", "/grant/products", json!(["chancery"])),
            (
                "claims/revocation-unknown-member",
                "revocation that this build cannot check",
                "/revocation",
                json!({ "ocsp": "AAAA" }),
            ),
        ] {
            let token = self.claiming(|claims| match path.split_once("/grant/") {
                Some((_, member)) => claims["grant"][member] = value,
                None => claims[&path[1..]] = value,
            });
            let path = match name {
                "claims/party-unknown-member" => "licensee.admin".to_owned(),
                "claims/binding-unknown-member" => "binding.hardwareId".to_owned(),
                "claims/grant-unknown-member" => "grant.limits".to_owned(),
                "claims/revocation-unknown-member" => "revocation.ocsp".to_owned(),
                "claims/rule-too-short" | "claims/rule-nul" => "grant.commands.allow[0]".to_owned(),
                "claims/negative-quota" | "claims/fractional-quota" => {
                    "grant.quotas.tenants.root.max".to_owned()
                }
                "claims/feature-object" | "claims/feature-negative" => {
                    "grant.features.tenancy.subtenants.v1".to_owned()
                }
                _ => path[1..].replace('/', "."),
            };
            case(name, what).refused(&token, "claims", &misfit(&path));
        }
        let absent = self.claiming(|claims| drop(claims.as_object_mut().expect("claims").remove("grant")));
        case("claims/no-grant", "no grant").refused(&absent, "claims", "the claim `grant` is absent");
        let blank = self.claiming(|claims| claims["licenseId"] = json!("\u{a0}\t"));
        case("claims/blank-license-id", "a license id of blanks").refused(
            &blank,
            "claims",
            "the claim `licenseId` is empty",
        );
        let blank = self.claiming(|claims| claims["binding"]["installationId"] = json!(""));
        case("claims/blank-installation", "an installation id of nothing").refused(
            &blank,
            "claims",
            "the claim `binding.installationId` is empty",
        );
        let never = self.claiming(|claims| claims["expiresAt"] = claims["notBefore"].clone());
        case("claims/never-valid", "a license that ends as it begins").refused(
            &never,
            "claims",
            "the license ends at 2026-06-01T00:00:00Z, before it begins",
        );
        for (name, role) in [
            ("claims/no-issuer", "issuer"),
            ("claims/no-licensee", "licensee"),
            ("claims/no-owner", "installationOwner"),
        ] {
            let token = self.claiming(|claims| drop(claims.as_object_mut().expect("claims").remove(role)));
            case(name, "a party is absent").refused(
                &token,
                "parties",
                &format!("the license does not state its {role}"),
            );
        }
        let too_long = "a development license counts for at most 31 days, grace included";
        case("development/32-days", "a development license of 32 days").roots("development").refused(
            &self.development(32, 0),
            "claims",
            too_long,
        );
        case("development/31-days-and-grace", "a development license of 31 days with a day of grace")
            .roots("development")
            .refused(&self.development(31, 1), "claims", too_long);
        case("development/on-a-server", "a development license where only the vendor's root is trusted")
            .refused(&self.development(31, 0), "chain", "no path leads to a configured root");
        let namesake = self.development_under("Vendor root", 365, 0);
        case(
            "development/under-the-vendors-name",
            "a development root that has the vendor's name vouches for a year",
        )
        .roots("vendor-and-namesake")
        .refused(&namesake, "claims", too_long);
        let deepest = u16::MAX;
        case("development/longest-grace", "a development license with the longest grace there is")
            .roots("development")
            .refused(&self.development(1, deepest), "claims", too_long);
    }
}
