//! Operators and their tokens through the real pipeline.

use std::sync::{Arc, Mutex};

use chancery_identity::{
    Identity, IdentityError, MIGRATIONS, Permissions, Role,
    operators::{create::CreateOperator, whoami::WhoAmI},
};
use sdk::{
    kernel::{Fault, Modules},
    prelude::*,
};
use testkit::Testkit;

fn permissions() -> Permissions {
    Permissions::of_program([Permission::new("tenants.read"), Permission::new("tenants.write")])
}

fn identity() -> (Testkit, Arc<Mutex<Option<Identity>>>) {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let testkit = Testkit::new(MIGRATIONS, move |store| {
        let identity = Identity::new(store.clone(), permissions());
        *kept.lock().unwrap() = Some(identity.clone());
        Modules::none().mount(identity)
    });
    (testkit, seen)
}

fn create(name: &str, role: Role) -> CreateOperator {
    CreateOperator { name: name.to_owned(), role, home: None }
}

#[tokio::test]
async fn a_token_finds_its_operator_with_the_permissions_of_the_role() {
    let (testkit, seen) = identity();
    let testkit = testkit.as_system();
    let admin = testkit.run(create("ada", Role::PlatformAdmin)).await.unwrap();
    let auditor = testkit.run(create("bob", Role::PlatformAuditor)).await.unwrap();
    let identity = seen.lock().unwrap().clone().unwrap();
    let ambient = Ambient::system();
    for (token, id, held) in [(admin.token, "operator:ada", 2), (auditor.token, "operator:bob", 1)] {
        let found = identity.authenticate(&ambient, &token).await.unwrap().unwrap();
        let Principal::Authenticated(who) = found else { panic!("an operator is authenticated") };
        assert_eq!((who.id.as_str(), who.permissions.len()), (id, held));
    }
    assert!(identity.authenticate(&ambient, "chancery_guess").await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_is_given_once() {
    let (testkit, _) = identity();
    let testkit = testkit.as_system();
    testkit.run(create("ada", Role::PlatformAdmin)).await.unwrap();
    let fault = testkit.run(create("ada", Role::PlatformAuditor)).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(IdentityError::NameTaken(name)) if name == "ada"));
}

#[tokio::test]
async fn creating_operators_is_not_for_callers_from_outside() {
    let (testkit, _) = identity();
    let fault = testkit.run(create("eve", Role::PlatformAdmin)).await.unwrap_err();
    assert!(matches!(fault, Fault::Unknown(_)));
}

#[tokio::test]
async fn a_created_operator_prints_without_its_token() {
    let (testkit, _) = identity();
    let created = testkit.as_system().run(create("ada", Role::PlatformAdmin)).await.unwrap();
    assert!(!format!("{created:?}").contains(&created.token));
}

#[tokio::test]
async fn the_caller_is_told_who_they_are() {
    let (testkit, _) = identity();
    let testkit = testkit.permitted(Permission::new("tenants.read")).warning();
    let myself = testkit.run(WhoAmI {}).await.unwrap();
    assert_eq!(myself.permissions, ["tenants.read"]);
}

testkit::every_command_is_described!(Identity, except "identity.operators.whoami");
