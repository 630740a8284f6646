//! Certificate policies.

use envelope::oid;
use forge::certificate;
use forge::certificate::POLICIES;
use forge::der;
use serde_json::json;

use crate::world::{ANY_POLICY, OTHER_POLICY, World, a_signer, authority, case, license_policy};

impl World {
    pub(crate) fn policies(&self) {
        let eku = oid::LICENSE_SIGNING_EKU;
        let purpose = format!("the signer's certificate lacks the extended key usage `{eku}`");
        let policy =
            |position: usize| format!("certificate {position} lacks the policy `{}`", license_policy());
        case("policy/missing-eku", "the signer has no extended key usage").refused(
            &self.by(&a_signer("Signer").without(certificate::EXTENDED_KEY_USAGE)),
            "policy",
            &purpose,
        );
        case("policy/other-eku", "the signer may sign code").refused(
            &self.by(&a_signer("Signer").purposes(&["1.3.6.1.5.5.7.3.3"])),
            "policy",
            &purpose,
        );
        case("policy/any-eku", "the signer may do anything").refused(
            &self.by(&a_signer("Signer").purposes(&["2.5.29.37.0"])),
            "policy",
            &purpose,
        );
        case("policy/missing-policy", "the signer asserts no policy").refused(
            &self.by(&a_signer("Signer").without(POLICIES)),
            "policy",
            &policy(0),
        );
        case("policy/other-policy", "the signer asserts another policy").refused(
            &self.by(&a_signer("Signer").policies(&[OTHER_POLICY])),
            "policy",
            &policy(0),
        );
        case("policy/any-policy", "the signer asserts any policy").refused(
            &self.by(&a_signer("Signer").policies(&[ANY_POLICY])),
            "policy",
            &policy(0),
        );
        case("policy/missing-policy-intermediate", "the intermediate asserts no policy").refused(
            &self.beneath(&authority("Silent", Some(0)).without(POLICIES)),
            "policy",
            &policy(1),
        );
        case("policy/mapping", "the intermediate maps a policy it has to the one that is required").refused(
            &self.beneath(
                &authority("Mapping", Some(0))
                    .policies(&[OTHER_POLICY])
                    .mapping(OTHER_POLICY, &license_policy()),
            ),
            "policy",
            &policy(1),
        );
        case("policy/mapping-away", "the intermediate maps the required policy to another").refused(
            &self.beneath(&authority("Mapping", Some(0)).mapping(&license_policy(), OTHER_POLICY)),
            "policy",
            &policy(1),
        );
        let inhibiting = authority("Inhibiting", Some(1))
            .with("2.5.29.54", true, &der::integer(&[0]))
            .issue(&Self::passing(), &self.root);
        let any = authority("Any", Some(0)).policies(&[ANY_POLICY]).issue(&Self::passing(), &inhibiting);
        let signer = a_signer("Signer").issue(&Self::passing(), &any);
        case("policy/any-policy-inhibited", "anyPolicy beneath an authority that inhibits it").refused(
            &self.license(&[&signer, &any, &inhibiting]),
            "policy",
            &policy(2),
        );
        let asserted = self.claiming(|claims| claims["assertedPolicies"] = json!([OTHER_POLICY]));
        case("policy/asserted-without-right", "the claims assert a policy that the path does not have")
            .refused(&asserted, "policy", &format!("certificate 0 lacks the policy `{OTHER_POLICY}`"));

        let foreign = |product: &str| {
            format!("the signer's authority is a partner, which may not sign for `{product}`")
        };
        case("policy/partner-foreign-product", "a partner signs for a product of ours").partners().refused(
            &self.partner_license(|_| {}),
            "policy",
            &foreign("chancery"),
        );
        let unlisted =
            self.partner_license(|grant| grant["products"] = json!({ "unlisted": { "edition": "x" } }));
        case("policy/partner-unlisted-product", "a partner signs for a product that has no policy")
            .partners()
            .refused(&unlisted, "policy", &foreign("unlisted"));
        for (name, what, rule) in [
            ("policy/partner-allows-everything", "a partner's allow rule speaks of every product", "**"),
            ("policy/partner-allows-any-product", "a partner's allow rule begins with `*`", "*.*.*.list"),
            (
                "policy/partner-allows-one-of-ours",
                "a partner's allow rule names a product of ours beside its own",
                "{shop,chancery}.**",
            ),
        ] {
            let token = self.partner_license(|grant| {
                grant["products"] = json!({ "shop": { "edition": "x" } });
                grant["commands"]["allow"] = json!([rule]);
            });
            case(name, what).partners().refused(&token, "policy", &foreign(rule));
        }
    }
}
