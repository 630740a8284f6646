//! Liveness through the real pipeline.

use chancery_health::{Health, live::check::CheckLive};
use kernel::Modules;
use testkit::Testkit;

#[tokio::test]
async fn liveness_answers_anyone_without_a_license() {
    let testkit =
        Testkit::new(&[], |_| Modules::none().mount(Health)).anonymous().allowlisting("health.", "liveness");
    assert_eq!(testkit.run(CheckLive {}).await.unwrap().status, "ok");
}

#[tokio::test]
async fn without_its_allowlist_entry_it_is_a_gap() {
    let testkit = Testkit::new(&[], |_| Modules::none().mount(Health)).anonymous();
    let fault = testkit.run(CheckLive {}).await.unwrap_err();
    assert_eq!(testkit::reason(&fault), Some(testkit::Reason::MissingDescriptor));
}

testkit::every_command_is_described!(Health, except "health.live.check");
