//! Who there is, and what each may do.

use chancery_identity::{
    Credential, IdentityError, Role,
    operators::{
        create::CreateOperator, disable::DisableOperator, enable::EnableOperator, list::ListOperators,
        show::ShowOperator, update::UpdateOperator,
    },
    tokens::create::CreateToken,
};
use sdk::prelude::*;

use crate::{ACME, APPLICATION, Deployment, GLOBEX, PASSWORD, give, held};

#[tokio::test]
async fn roles_differ_in_what_they_hold() {
    let deployment = Deployment::new();
    for (name, role, home, permissions) in [
        ("auditor", Role::PlatformAuditor, APPLICATION, vec!["operators.read", "tenants.read"]),
        ("tenant", Role::TenantAdmin, ACME, vec!["operators.read", "operators.write"]),
    ] {
        deployment.operator(name, role, home).await;
        let session = deployment.sign_in(name, PASSWORD).await.unwrap();
        assert_eq!(held(&deployment.in_session(&session).await.unwrap()), (1, permissions));
    }
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_the_last_administrator_is_not_disabled() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let disable = |name: &str| DisableOperator { name: name.into() };
    let error = deployment.run(ada.clone(), disable("ada")).await.unwrap_err();
    assert_eq!(error.code(), "last_administrator");
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let bob = deployment.in_session(&session).await.unwrap();
    let token = deployment.run(bob, CreateToken { name: "ci".into(), days: None }).await.unwrap().token;
    deployment.run(ada.clone(), disable("bob")).await.unwrap();
    assert!(deployment.in_session(&session).await.is_none());
    assert!(deployment.of(Credential::Token(token.expose())).await.is_none());
    let demote = UpdateOperator {
        name: "ada".into(),
        email: None,
        display_name: None,
        role: Some(Role::PlatformAuditor),
        remove_second_factor: false,
    };
    let error = deployment.run(ada.clone(), demote).await.unwrap_err();
    assert_eq!(error.code(), "last_administrator");
    deployment.run(ada, EnableOperator { name: "bob".into() }).await.unwrap();
    deployment.sign_in("bob", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn another_role_ends_the_sessions() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let change = UpdateOperator {
        name: "bob".into(),
        email: Some("bob@example.com".into()),
        display_name: None,
        role: Some(Role::PlatformAuditor),
        remove_second_factor: false,
    };
    let bob = deployment.run(ada, change).await.unwrap();
    assert_eq!((bob.role, bob.email.as_deref()), (Role::PlatformAuditor, Some("bob@example.com")));
    assert!(deployment.in_session(&session).await.is_none());
}

#[tokio::test]
async fn administrators_of_a_tenant_reach_its_operators_and_no_others() {
    let deployment = Deployment::new();
    deployment.operator("root", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("acme", Role::TenantAdmin, ACME).await;
    deployment.operator("globex", Role::TenantAdmin, GLOBEX).await;
    let session = deployment.sign_in("acme", PASSWORD).await.unwrap();
    let acme = deployment.in_session(&session).await.unwrap();
    let invite = |name: &str, role, home| CreateOperator {
        name: name.to_owned(),
        email: None,
        display_name: None,
        role,
        home,
        delivery_method: None,
    };
    let invited = deployment.run(acme.clone(), invite("acme2", Role::TenantAdmin, None)).await.unwrap();
    assert_eq!(invited.operator.home, ACME);
    for (role, home) in [
        (Role::PlatformAdmin, None),
        (Role::PlatformAdmin, Some(APPLICATION)),
        (Role::TenantAdmin, Some(GLOBEX)),
    ] {
        let error = deployment.run(acme.clone(), invite("eve", role, home)).await.unwrap_err();
        assert_eq!(error.code(), "role_out_of_place");
    }
    for name in ["globex", "root", "nobody"] {
        let name = || name.to_owned();
        let codes = [
            deployment.run(acme.clone(), ShowOperator { name: name() }).await.unwrap_err().code(),
            deployment.run(acme.clone(), DisableOperator { name: name() }).await.unwrap_err().code(),
            deployment.run(acme.clone(), give(&name())).await.unwrap_err().code(),
        ];
        assert_eq!(codes, ["unknown_operator"; 3]);
    }
    let page = deployment.run(acme, ListOperators { after: None, limit: None }).await.unwrap();
    assert_eq!(page.operators.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["acme", "acme2"]);
}

#[tokio::test]
async fn a_name_is_given_once() {
    let deployment = Deployment::new();
    deployment.invite("ada", Role::PlatformAdmin, APPLICATION).await;
    let again = CreateOperator {
        name: "ADA".into(),
        email: None,
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method: None,
    };
    let error = deployment.run(Principal::System, again).await.unwrap_err();
    assert!(matches!(error, IdentityError::NameTaken(name) if name == "ada"));
}
