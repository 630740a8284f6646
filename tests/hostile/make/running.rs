//! A license that runs, and what happens then.

use jiff::SignedDuration;
use serde_json::json;

use crate::world::{AT, World, at, case, key_token};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn running(&self) {
        const NEXT_DAY: &str = "2026-06-02T00:00:00Z";
        const AFTER: &str = "2026-06-03T00:00:00Z";
        let good = self.license(&self.chain());
        let active = (AT, ["tick"].as_slice(), "ACTIVE", "");
        case("valid/running", "a good license runs").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["restart"], "ACTIVE", "")],
        );
        case("valid/running-lost", "a license that cannot be read is stood in for").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "restart"], "RECOVERY", "")],
        );
        let once = |status, detail| [(AT, ["tick"].as_slice(), status, detail)];
        case("running/wrong-installation", "a license for another installation").runs(
            &good,
            "installation = \"site-2\"\n",
            &once("INVALID", "binding: bound to installation `site-1`, this is `site-2`"),
        );
        case("running/wrong-base-domain", "a license for another domain").runs(
            &good,
            "public_host = \"acme.example.attacker.example\"\n",
            &once("INVALID", "binding: bound to base domains acme.example; `server.public-url` is at `acme.example.attacker.example`"),
        );
        case("running/wrong-owner", "a license for an installation of somebody else").runs(
            &good,
            "owner = \"other\"\n",
            &once("INVALID", "parties: the installation owner is `acme`, here it is `other`"),
        );
        let nul = self.claiming(|claims| claims["binding"]["installationId"] = json!("site-1\u{0}"));
        case("running/installation-with-nul", "an installation id that is ours up to NUL").runs(
            &nul,
            "",
            &once(
                "INVALID",
                "claims: the claim `binding.installationId` holds control characters or more than 256 of any",
            ),
        );
        let future = self.claiming(|claims| claims["notBefore"] = json!(NEXT_DAY));
        case("running/future-not-before", "a license that begins tomorrow").runs(
            &future,
            "",
            &once("INVALID", "claims: license `L-2026-1` is not valid before 2026-06-02T00:00:00Z"),
        );
        case("running/rolled-back-clock", "the clock goes back a day between two runs").at(AFTER).runs(
            &good,
            "",
            &[
                (AFTER, &["tick"], "ACTIVE", ""),
                (NEXT_DAY, &["restart"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and 2026-06-03T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later"),
                ("2026-06-03T00:00:01Z", &["tick"], "ACTIVE", ""),
            ],
        );
        case("running/rolled-back-clock-while-running", "the clock goes back a day while the program runs")
            .at(AFTER)
            .runs(&good, "", &[(AFTER, &["tick"], "ACTIVE", ""), (NEXT_DAY, &["tick"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and 2026-06-03T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later")]);
        case("running/rolled-back-beyond-expiry", "the clock goes back to when the license was good")
            .at("2027-07-01T00:00:00Z")
            .runs(
                &good,
                "",
                &[("2027-07-01T00:00:00Z", &["tick"], "EXPIRED", ""), (AFTER, &["restart"], "BLOCKED", "clock: the clock says 2026-06-03T00:00:00Z, and 2027-07-01T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later")],
            );
        case("running/edited-last-seen", "the note of the latest time is edited").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["edit-last-seen", "restart"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and the time that was stored before was changed or cannot be read; this ends with a license that was issued later")],
        );
        case(
            "running/edited-last-good",
            "the license cannot be read, and the note that would stand in for it is edited",
        )
        .runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "edit-last-good", "restart"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); memory: the last-good snapshot was changed, so it does not stand in")],
        );
        case("running/swapped-notes", "another note of ours takes the place of the last good license").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "swap-notes", "restart"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); memory: the last-good snapshot was changed, so it does not stand in")],
        );
        case("running/recovery-beyond-its-days", "a license that cannot be read is stood in for too long")
            .runs(
                &good,
                "",
                &[
                    active,
                    (NEXT_DAY, &["lose-license", "tick"], "RECOVERY", ""),
                    ("2026-06-09T00:00:00Z", &["tick"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); the license that was read last stood in until 2026-06-08T00:00:00Z"),
                ],
            );
        case("running/spoiled-license", "a license that is read and refused is not stood in for").runs(
            &good,
            "",
            &[
                active,
                (
                    NEXT_DAY,
                    &["spoil-license", "restart"],
                    "INVALID",
                    "format: the JWE has 1 dotted parts, not 5",
                ),
            ],
        );
        case("running/revoked-license", "a revoked license is not stood in for")
            .lists("signer-revoked")
            .runs(&good, "", &once("REVOKED", "revocation: certificate 0 is revoked"));
        case(
            "running/bad-license-before-a-good-one",
            "a bad license is not passed over for one of a later source",
        )
        .runs(
            "garbage",
            "fallback = \"valid/p256-es256\"\n",
            &once("INVALID", "format: the JWE has 1 dotted parts, not 5"),
        );

        let span = |days: i64| {
            self.claiming(|claims| {
                claims["expiresAt"] = json!(at() + SignedDuration::from_hours(24 * days));
                claims["graceDays"] = json!(0);
            })
        };
        case("running/development-32-days", "a license of 32 days where licenses for development are").runs(
            &span(32),
            "development = true\n",
            &once("INVALID", "claims: a development license is valid for at most 31 days"),
        );
        let development = self.development(31, 0);
        case("running/development-in-production", "a development license in production")
            .roots("development")
            .runs(
                &development,
                "development = true\nproduction = true\n",
                &once("INVALID", "source: a development license is refused where `environment=production`"),
            );
        case("running/development-as-the-license", "a development license where the vendor's should be")
            .roots("development")
            .runs(
                &development,
                "",
                &once("INVALID", "source: a development license is accepted from `license.dev.path` only"),
            );
        let key = key_token(&json!({ "alg": "EdDSA", "kid": "key-1" }));
        case("valid/running-key", "a license in key format, where the packaging takes it").runs(
            &key,
            "takes_keys = true\n",
            &once("ACTIVE", ""),
        );
        case("running/key-on-a-server", "a license in key format where the packaging is a server's").runs(
            &key,
            "",
            &once(
                "INVALID",
                "format: a license in key format is refused where `packaging` is `server` or `container`",
            ),
        );
    }
}
