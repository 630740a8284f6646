//! One-time tokens: mailed, or handed on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use chancery_identity::{
    Delivery, DeliveryMethod, Identity, Mailing, Role, Secret,
    actions::create::CreateAction,
    operators::{create::CreateOperator, show::ShowOperator},
};
use jiff::SignedDuration;
use sdk::{
    mail::{Mail, Mailer, Post, Taken},
    prelude::*,
    store::{Work, sqlx},
};
use secrecy::ExposeSecret as _;

use crate::{APPLICATION, Deployment, PASSWORD, give, settings, told};

#[tokio::test]
async fn who_lost_a_password_gets_another_by_a_one_time_token_of_their_own() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.operator("bob", Role::PlatformAuditor, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let first = deployment.run(ada.clone(), give("bob")).await.unwrap();
    let second = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(deployment.complete(told(&first), "another long password").await.is_err(), "one at a time");
    deployment.complete(told(&second), "another long password").await.unwrap();
    assert!(deployment.in_session(&session).await.is_none());
    deployment.sign_in("bob", "another long password").await.unwrap();
    let late = deployment.run(ada, give("bob")).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_hours(24));
    assert!(deployment.complete(told(&late), "a third long password").await.is_err(), "it has expired");
}

/// Takes mail, unless it is out of order.
#[derive(Default)]
struct Letterbox {
    mails: Mutex<Vec<Mail>>,
    broken: AtomicBool,
}

impl Mailer for Letterbox {
    fn enqueue<'a>(&'a self, _work: &'a mut Work, ambient: &'a Ambient, mail: Mail) -> Taken<'a> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(StoreError::from(sqlx::Error::PoolClosed));
            }
            self.mails.lock().unwrap().push(mail);
            Ok(ambient.uuid())
        })
    }
}

impl Letterbox {
    fn mailing(self: &Arc<Self>, invites: impl Fn() -> bool + Send + Sync + 'static) -> Mailing {
        let post = Post::new(Arc::clone(self) as _, "https://platform.example.com".parse().unwrap());
        Mailing { post, invites: Arc::new(invites) }
    }

    /// The token of the link in the last mail.
    fn token(&self) -> Secret {
        let mail = self.mails.lock().unwrap().pop().expect("a mail");
        let link = mail.text.expose_secret().split_whitespace().find(|word| word.starts_with("https://"));
        let (before, token) = link.expect("a link").split_once('#').expect("a fragment");
        assert_eq!(before, "https://platform.example.com/console/activate");
        token.into()
    }
}

#[tokio::test]
async fn a_one_time_token_is_mailed_with_the_work_that_makes_it_or_neither_is_there() {
    let letters = Arc::new(Letterbox::default());
    let deployment = Deployment::posting(settings(), Some(letters.mailing(|| true)));
    let ada = deployment.admin().await;
    let invite = |name: &str, email: Option<&str>, delivery_method| CreateOperator {
        name: name.to_owned(),
        email: email.map(str::to_owned),
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method,
    };

    let invited = deployment.run(ada.clone(), invite("bob", Some("bob@example.com"), None)).await.unwrap();
    assert!(matches!(invited.activation.delivery, Delivery::Queued { .. }), "{invited:?}");
    let answered = serde_json::to_value(&invited).unwrap();
    assert_eq!(answered["activation"]["deliveryState"], "QUEUED");
    assert_eq!((answered["activation"].get("token"), answered["activation"].get("path")), (None, None));
    let (to, until) = {
        let mails = letters.mails.lock().unwrap();
        (mails[0].to.clone(), mails[0].until)
    };
    assert_eq!((to.as_str(), until), ("bob@example.com", invited.activation.expires_at));
    deployment.complete(letters.token(), PASSWORD).await.unwrap();

    // Another password for the same operator, and the token that somebody would rather hand on.
    let given = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(matches!(given.delivery, Delivery::Queued { .. }));
    let mailed = letters.token();
    let manual = CreateAction { name: "bob".to_owned(), delivery_method: Some(DeliveryMethod::Manual) };
    let by_hand = told(&deployment.run(ada.clone(), manual).await.unwrap());
    assert_eq!(deployment.complete(mailed, PASSWORD).await.unwrap_err().code(), "unknown_token");
    assert!(letters.mails.lock().unwrap().is_empty());

    // Where the mail is not taken, there is no new token, and the one before stays good.
    letters.broken.store(true, Ordering::SeqCst);
    assert_eq!(deployment.run(ada.clone(), give("bob")).await.unwrap_err().code(), "internal");
    let lost = invite("cyd", Some("cyd@example.com"), None);
    assert_eq!(deployment.run(ada.clone(), lost).await.unwrap_err().code(), "internal");
    let cyd = ShowOperator { name: "cyd".into() };
    assert_eq!(deployment.run(ada.clone(), cyd).await.unwrap_err().code(), "unknown_operator");
    deployment.complete(by_hand, "another long password").await.unwrap();

    // Who has no address is told by whoever invited them; a mail for them cannot be insisted on.
    let mail = Some(DeliveryMethod::Mail);
    assert_eq!(
        deployment.run(ada.clone(), invite("eve", None, mail)).await.unwrap_err().code(),
        "mail_unavailable"
    );
    let invited = deployment.run(ada, invite("eve", None, None)).await.unwrap();
    deployment.complete(told(&invited.activation), PASSWORD).await.unwrap();
}

#[tokio::test]
async fn while_nobody_is_invited_by_mail_links_are_handed_on_and_other_mails_are_sent() {
    let (letters, invites) = (Arc::new(Letterbox::default()), Arc::new(AtomicBool::new(true)));
    let decided = Arc::clone(&invites);
    let mailing = letters.mailing(move || decided.load(Ordering::SeqCst));
    let deployment = Deployment::posting(settings(), Some(mailing));
    let ada = deployment.admin().await;
    let invite = |name: &str, delivery_method| CreateOperator {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method,
    };
    deployment.run(ada.clone(), invite("bob", None)).await.unwrap();
    let bobs = letters.token();

    invites.store(false, Ordering::SeqCst);
    let (mail, manual) = (Some(DeliveryMethod::Mail), Some(DeliveryMethod::Manual));
    for method in [None, mail] {
        for name in ["cyd", "bob"] {
            let refused = deployment.run(ada.clone(), invite(name, method)).await.unwrap_err();
            assert_eq!(
                (refused.code(), refused.category()),
                ("config_disabled_admin_invite", Category::Forbidden),
                "whether `{name}` is taken is not looked at"
            );
        }
        let again = CreateAction { name: "bob".to_owned(), delivery_method: method };
        assert_eq!(
            deployment.run(ada.clone(), again).await.unwrap_err().code(),
            "config_disabled_admin_invite"
        );
    }
    let cyd = ShowOperator { name: "cyd".into() };
    assert_eq!(deployment.run(ada.clone(), cyd).await.unwrap_err().code(), "unknown_operator");
    assert!(letters.mails.lock().unwrap().is_empty());
    deployment.complete(bobs, PASSWORD).await.unwrap();

    let given = deployment.run(ada.clone(), invite("cyd", manual)).await.unwrap();
    deployment.complete(told(&given.activation), PASSWORD).await.unwrap();
    let given = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(matches!(given.delivery, Delivery::Queued { .. }), "another password is no invitation");
    let given = deployment.run(Principal::System, invite("dan", mail)).await.unwrap();
    assert!(matches!(given.activation.delivery, Delivery::Queued { .. }), "nor is the setup's");

    invites.store(true, Ordering::SeqCst);
    letters.mails.lock().unwrap().clear();
    deployment.run(ada, invite("eve", None)).await.unwrap();
    deployment.complete(letters.token(), PASSWORD).await.unwrap();
}

testkit::every_command_is_described!(Identity, except "identity.operators.whoami");
