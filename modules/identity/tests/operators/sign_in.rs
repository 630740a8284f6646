//! Signing in, and what is said to those who try to.

use chancery_identity::{
    Delivery, IdentityError, OperatorStatus, Purpose, Role,
    actions::resolve::ResolveAction,
    csrf_token,
    operators::{disable::DisableOperator, whoami::WhoAmI},
};
use jiff::SignedDuration;
use sdk::{kernel::Fault, prelude::*};

use crate::{APPLICATION, Deployment, PASSWORD, attempt, held};

#[tokio::test]
async fn who_was_invited_sets_a_password_once_and_signs_in() {
    let deployment = Deployment::new();
    let invited = deployment.invite(" Ada ", Role::PlatformAdmin, APPLICATION).await;
    assert_eq!((invited.operator.name.as_str(), invited.operator.status), ("ada", OperatorStatus::Invited));
    let Delivery::Manual { path, token } = invited.activation.delivery else { panic!("nothing sends mail") };
    assert_eq!(path.expose(), format!("/console/activate#{}", token.expose()));
    let resolved =
        deployment.run(Principal::Anonymous, ResolveAction { token: token.clone() }).await.unwrap();
    assert_eq!((resolved.action, resolved.name.as_str()), (Purpose::Activation, "ada"));
    let weak = deployment.complete(token.clone(), "short").await.unwrap_err();
    assert!(matches!(weak, IdentityError::WeakPassword(_)));
    deployment.complete(token.clone(), PASSWORD).await.unwrap();
    let again = deployment.complete(token.clone(), "another long password").await.unwrap_err();
    assert!(matches!(again, IdentityError::NoSuchAction));
    assert!(deployment.run(Principal::Anonymous, ResolveAction { token }).await.is_err());

    let session = deployment.sign_in("ADA", PASSWORD).await.unwrap();
    assert_eq!(csrf_token(session.session_token.expose()), session.csrf_token.expose());
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada), (1, vec!["operators.read", "operators.write", "tenants.read"]));
    let myself = deployment.run(ada, WhoAmI {}).await.unwrap();
    assert_eq!((myself.id.as_str(), myself.home), ("operator:ada", Some(APPLICATION)));
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_in_is_not_said() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    deployment.invite("eve", Role::PlatformAdmin, APPLICATION).await;
    deployment.run(Principal::System, DisableOperator { name: "bob".into() }).await.unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("ada", "wrong horse battery"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("eve", PASSWORD),
        ("", PASSWORD),
        ("ada' OR '1'='1", PASSWORD),
    ] {
        let error = deployment.sign_in(name, password).await.unwrap_err();
        answers.push((error.code(), error.category(), error.to_string()));
    }
    assert_eq!(answers[0].0, "invalid_credentials");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_sign_in_is_audited_with_its_account_and_without_what_was_typed() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.sign_in("ada", "canary horse battery").await.unwrap_err();
    deployment.sign_in("canary-name", PASSWORD).await.unwrap_err();
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let events = deployment.testkit.events().await;
    let of_sessions: Vec<_> = events
        .iter()
        .filter(|event| event.command.as_deref() == Some("identity.sessions.create"))
        .map(|event| (event.result.as_str(), event.actor.as_str(), event.error_code.as_deref()))
        .collect();
    assert_eq!(
        of_sessions,
        [
            ("auth-failure", "anonymous", Some("invalid_credentials")),
            ("auth-failure", "anonymous", Some("invalid_credentials")),
            ("succeeded", "operator:ada", None),
        ]
    );
    let all = format!("{events:?}");
    assert!(all.contains("account") && all.contains("operator:ada"));
    for secret in ["canary", PASSWORD, session.session_token.expose(), session.csrf_token.expose()] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[tokio::test]
async fn attempts_on_an_account_run_out_and_come_back() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    for name in ["ada", "nobody"] {
        for _ in 0..3 {
            let error = deployment.sign_in(name, "wrong horse battery").await.unwrap_err();
            assert_eq!(error.code(), "invalid_credentials");
        }
        // The right password does not help, and is not looked at.
        let error = deployment.sign_in(name, PASSWORD).await.unwrap_err();
        assert_eq!(error.code(), "too_many_attempts");
        let wait = error.retry_after().unwrap();
        assert!((299..=300).contains(&wait.as_secs()), "{wait:?}");
    }
    deployment.testkit.pass(SignedDuration::from_mins(5));
    deployment.sign_in("ada", PASSWORD).await.unwrap();
    // A success clears the account.
    for _ in 0..3 {
        assert_eq!(deployment.sign_in("ada", "wrong horse").await.unwrap_err().code(), "invalid_credentials");
    }
}

#[tokio::test]
async fn attempts_at_once_count_together() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let attempts = (0..8).map(|_| deployment.sign_in("ada", "wrong horse battery"));
    let codes: Vec<_> =
        futures_util::future::join_all(attempts).await.into_iter().map(|it| it.unwrap_err().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "invalid_credentials").count(), 3, "{codes:?}");
}

#[tokio::test]
async fn attempts_from_an_address_run_out_whatever_the_account() {
    let deployment = Deployment::new();
    let from = async |peer: &str, name: String| {
        let cx = deployment.cx(Principal::Anonymous).with_peer(peer.parse().unwrap());
        match deployment.testkit.run_in(cx, attempt(&name, PASSWORD, None)).await {
            Err(Fault::Failed(error)) => error.code(),
            other => panic!("{other:?}"),
        }
    };
    for at in 0..5 {
        assert_eq!(from("2001:db8::1", format!("name-{at}")).await, "invalid_credentials");
    }
    assert_eq!(from("2001:db8::2", "name-6".to_owned()).await, "too_many_attempts", "the same network");
    assert_eq!(from("2001:db8:0:1::1", "name-7".to_owned()).await, "invalid_credentials");
    assert_eq!(from("192.0.2.1", "name-8".to_owned()).await, "invalid_credentials");
}
