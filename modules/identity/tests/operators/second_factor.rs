//! Codes of an app, and of last resort.

use chancery_identity::{
    Role, Secret, Settings,
    operators::show::ShowOperator,
    tokens::create::CreateToken,
    totp::{confirm::ConfirmTotp, enroll::EnrollTotp, remove::RemoveTotp},
};
use jiff::{SignedDuration, Timestamp};
use sdk::prelude::*;

use crate::{APPLICATION, Deployment, PASSWORD, attempt, held, settings};

/// The code that an authenticator app shows: RFC 6238 from its own text, so that nothing is proved by itself.
fn app(secret: &Secret, now: Timestamp) -> String {
    use hmac::{Hmac, Mac as _};
    let bits: String = secret
        .expose()
        .chars()
        .map(|letter| format!("{:05b}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap()))
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(u64::try_from(now.as_second()).unwrap() / 30).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_counts_once() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let enrolled = deployment.run(ada.clone(), EnrollTotp {}).await.unwrap();
    assert!(enrolled.otpauth_uri.expose().contains(enrolled.secret.expose()));
    deployment.sign_in("ada", PASSWORD).await.expect("it does not count before it is confirmed");
    let wrong = deployment.run(ada.clone(), ConfirmTotp { code: "000000".into() }).await;
    assert_eq!(wrong.unwrap_err().code(), "wrong_code");
    let code = app(&enrolled.secret, deployment.testkit.now());
    let session = deployment.run(ada, ConfirmTotp { code: code.as_str().into() }).await.unwrap();
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada).0, 2);
    assert_eq!(deployment.run(ada.clone(), EnrollTotp {}).await.unwrap_err().code(), "second_factor_exists");

    let with = async |code: Option<&str>| {
        deployment.run(Principal::Anonymous, attempt("ada", PASSWORD, code)).await.map(|_| "in")
    };
    assert_eq!(with(None).await.unwrap_err().code(), "second_factor_required");
    assert_eq!(with(Some(&code)).await.unwrap_err().code(), "invalid_credentials", "it was used to confirm");
    deployment.testkit.pass(SignedDuration::from_mins(10));
    let code = app(&enrolled.secret, deployment.testkit.now());
    assert_eq!(with(Some(&code)).await.unwrap(), "in");
    assert_eq!(with(Some(&code)).await.unwrap_err().code(), "invalid_credentials");
    let recovery = enrolled.recovery_codes[3].expose().to_uppercase();
    assert_eq!(with(Some(&recovery)).await.unwrap(), "in");
    assert_eq!(with(Some(&recovery)).await.unwrap_err().code(), "invalid_credentials");

    deployment.testkit.pass(SignedDuration::from_secs(30));
    let code = app(&enrolled.secret, deployment.testkit.now());
    let removed = deployment.run(ada, RemoveTotp { code: code.as_str().into() }).await.unwrap();
    assert_eq!(held(&deployment.in_session(&removed).await.unwrap()).0, 1);
    deployment.sign_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn where_it_is_required_an_administrator_without_a_second_factor_can_only_set_one_up() {
    let deployment = Deployment::with(Settings { require_second_factor: true, ..settings() });
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("bob", Role::PlatformAuditor, APPLICATION).await;
    assert!(!deployment.sign_in("bob", PASSWORD).await.unwrap().second_factor_required);
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    assert!(session.second_factor_required);
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada), (1, vec![]));
    let show = || ShowOperator { name: "bob".into() };
    assert_eq!(deployment.refused(ada.clone(), show()).await, "permission_required");
    let token = CreateToken { name: "ci".into(), days: None };
    assert_eq!(deployment.run(ada.clone(), token).await.unwrap_err().code(), "second_factor_required");
    let enrolled = deployment.run(ada.clone(), EnrollTotp {}).await.unwrap();
    let code = app(&enrolled.secret, deployment.testkit.now());
    let session = deployment.run(ada, ConfirmTotp { code: code.as_str().into() }).await.unwrap();
    assert!(!session.second_factor_required);
    let ada = deployment.in_session(&session).await.unwrap();
    deployment.run(ada, show()).await.unwrap();
}
