//! What shows who somebody is: sessions, tokens, and how they end.

use chancery_identity::{
    Credential, IdentityError, Role,
    operators::{create::CreateOperator, show::ShowOperator},
    password::change::ChangePassword,
    sessions::{delete::DeleteSession, list::ListSessions, revoke::RevokeSession},
    tokens::{create::CreateToken, list::ListTokens, revoke::RevokeToken},
    totp::enroll::EnrollTotp,
};
use jiff::SignedDuration;
use sdk::{kernel::Fault, prelude::*};

use crate::{ACME, APPLICATION, Deployment, PASSWORD, attempt, give, told};

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_in_the_end() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    for _ in 0..5 {
        deployment.testkit.pass(SignedDuration::from_mins(20));
        assert!(deployment.in_session(&session).await.is_some());
    }
    deployment.testkit.pass(SignedDuration::from_mins(20));
    assert!(deployment.in_session(&session).await.is_none(), "two hours are over");
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_mins(30));
    assert!(deployment.in_session(&session).await.is_none(), "nobody called for half an hour");
}

#[tokio::test]
async fn signing_out_ends_one_session_and_others_can_be_ended() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.testkit.pass(SignedDuration::from_secs(1));
    let other = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_secs(1));
    let third = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let listed = deployment.run(ada.clone(), ListSessions {}).await.unwrap().sessions;
    assert_eq!(listed.iter().map(|session| session.current).collect::<Vec<_>>(), [false, false, true]);
    let in_other = deployment.in_session(&other).await.unwrap();
    deployment.run(in_other, DeleteSession {}).await.unwrap();
    assert!(deployment.in_session(&other).await.is_none());
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let bobs = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let bob = deployment.in_session(&bobs).await.unwrap();
    let error = deployment.run(bob, RevokeSession { id: listed[0].id }).await.unwrap_err();
    assert_eq!(error.code(), "unknown_session", "somebody else's");
    deployment.run(ada, RevokeSession { id: listed[0].id }).await.unwrap();
    assert!(deployment.in_session(&third).await.is_none());
}

#[tokio::test]
async fn operators_of_a_tenant_that_may_not_act_neither_begin_nor_are_told_why() {
    let deployment = Deployment::new();
    deployment.operator("ann", Role::TenantAdmin, ACME).await;
    deployment.sign_in("ann", PASSWORD).await.unwrap();
    deployment.standing.0.lock().unwrap().push(ACME);
    let error = deployment.sign_in("ann", PASSWORD).await.unwrap_err();
    assert_eq!(error.code(), "invalid_credentials");
    let wanted = CreateOperator {
        name: "bob".to_owned(),
        email: None,
        display_name: None,
        role: Role::TenantAdmin,
        home: Some(ACME),
        delivery_method: None,
    };
    let error = deployment.run(Principal::System, wanted).await.unwrap_err();
    assert_eq!(error.code(), "unknown_tenant");
    deployment.standing.0.lock().unwrap().clear();
    deployment.sign_in("ann", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn every_session_ends_when_the_password_changes_and_the_caller_gets_another() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let other = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let change = |current: &str, new: &str| ChangePassword { current: current.into(), new: new.into() };
    let error =
        deployment.run(ada.clone(), change("wrong horse", "another long password")).await.unwrap_err();
    assert_eq!(error.code(), "wrong_password");
    let error = deployment.run(ada.clone(), change(PASSWORD, "ada")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_short");
    let error = deployment.run(ada.clone(), change(PASSWORD, "Password123456789")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_common");
    let error = deployment.run(ada.clone(), change(PASSWORD, "chancery chancery")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_personal");
    let session = deployment.run(ada, change(PASSWORD, "another long password")).await.unwrap();
    assert!(deployment.in_session(&other).await.is_none());
    assert!(deployment.in_session(&session).await.is_some());
    assert!(deployment.sign_in("ada", PASSWORD).await.is_err());
    deployment.sign_in("ada", "another long password").await.unwrap();
}

#[tokio::test]
async fn no_kind_of_token_stands_in_for_another() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let script = deployment.run(ada.clone(), CreateToken { name: "ci".into(), days: None }).await.unwrap();
    let action = told(&deployment.run(ada, give("ada")).await.unwrap());
    let (session, csrf) = (session.session_token, session.csrf_token);
    for wrong in [&session, &csrf, &action] {
        assert!(deployment.of(Credential::Token(wrong.expose())).await.is_none());
    }
    for wrong in [&script.token, &csrf, &action] {
        assert!(deployment.of(Credential::Session(wrong.expose())).await.is_none());
    }
    for wrong in [session, csrf, script.token] {
        assert!(deployment.complete(wrong, "another long password").await.is_err());
    }
}

#[tokio::test]
async fn tokens_for_scripts_are_made_in_sessions_and_end_by_hand_or_by_time() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let create = |days| CreateToken { name: "ci".into(), days };
    let made = deployment.run(ada.clone(), create(Some(2))).await.unwrap();
    let script = deployment.of(Credential::Token(made.token.expose())).await.unwrap();
    assert_eq!(deployment.run(script.clone(), create(None)).await.unwrap_err().code(), "session_required");
    deployment.run(script, ShowOperator { name: "ada".into() }).await.unwrap();
    let listed = deployment.run(ada.clone(), ListTokens {}).await.unwrap().tokens;
    assert_eq!((listed.len(), listed[0].id), (1, made.id));
    let other = deployment.run(ada.clone(), create(Some(2))).await.unwrap();
    deployment.run(ada, RevokeToken { id: other.id }).await.unwrap();
    assert!(deployment.of(Credential::Token(other.token.expose())).await.is_none());
    assert!(deployment.of(Credential::Token(made.token.expose())).await.is_some());
    deployment.testkit.pass(SignedDuration::from_hours(48));
    assert!(deployment.of(Credential::Token(made.token.expose())).await.is_none());
}

#[tokio::test]
async fn what_needs_a_fresh_authentication_is_refused_in_an_old_session() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_mins(16));
    let ada = deployment.in_session(&session).await.unwrap();
    let code = deployment.refused(ada, EnrollTotp {}).await;
    assert_eq!(code, "insufficient_user_authentication");
}

#[tokio::test]
async fn what_is_told_once_is_not_kept_for_a_repetition() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let key = sdk::kernel::IdempotencyKey::parse("k").unwrap();
    let cx = deployment.cx(ada).with_idempotency_key(key);
    let made = deployment.testkit.run_in(cx, CreateToken { name: "ci".into(), days: None }).await;
    assert!(matches!(made, Err(Fault::Failed(IdentityError::ToldOnce))));
}

#[tokio::test]
async fn nothing_that_holds_a_secret_prints_it() {
    let deployment = Deployment::new();
    let invited = deployment.invite("ada", Role::PlatformAdmin, APPLICATION).await;
    assert!(!format!("{invited:?}").contains(told(&invited.activation).expose()));
    deployment.complete(told(&invited.activation), PASSWORD).await.unwrap();
    let command = attempt("ada", PASSWORD, Some("123456"));
    assert!(!format!("{command:?}").contains(PASSWORD) && !format!("{command:?}").contains("123456"));
    let session = deployment.run(Principal::Anonymous, command).await.unwrap();
    assert!(!format!("{session:?}").contains(session.session_token.expose()));
}
