//! Signing up, put together from the configuration.

use std::sync::Arc;

use config::{Config, ConfigError, SignupPolicy};
use envelope::StateKey;
use identity::Identity;
use jiff::SignedDuration;
use kernel::{Ambient, Line, TenantId};
use mail::Outbox;
use platform::{
    Onboarding,
    onboarding::{ConfigFacts, RuntimeFacts},
};
use sdk::mail::Post;
use secrecy::SecretString;
use signup::{Decided, Parts, Policy, Settings, Signup, SiteVerify, SiteVerifySettings, VerifyChallenge};
use store::Store;
use tenancy::OnboardingPolicy;

use crate::mail::refused;

/// What the module is put together from, beside the configuration.
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) line: Line,
    pub(crate) identity: Identity,
    pub(crate) application: TenantId,
    pub(crate) post: Option<Post>,
    pub(crate) key: Option<StateKey>,
    pub(crate) decided: Arc<dyn Fn() -> Decided + Send + Sync>,
}

/// The module. People may not be offered what cannot work: that is a mistake in the configuration.
pub(crate) fn signup(config: &Config, ground: Ground, ambient: &Ambient) -> anyhow::Result<Signup> {
    let wanted = &config.tenant.signup;
    links_lead_here(config)?;
    Ok(Signup::new(Parts {
        store: ground.store,
        line: ground.line,
        identity: ground.identity,
        application: ground.application,
        settings: Settings {
            platform: policy(&wanted.platform),
            children: policy(&wanted.children),
            retention: SignedDuration::from_hours(24 * i64::from(wanted.retention_days.get())),
        },
        decided: ground.decided,
        verifier: verifier(config)?,
        post: ground.post,
        pepper: pepper(ground.key, ambient),
    }))
}

/// People may sign up only where the links they are sent can lead.
pub(crate) fn links_lead_here(config: &Config) -> Result<(), ConfigError> {
    if config.tenant.signup.is_offered() && config.server.public_url.is_none() {
        let message = "must be stated where people may sign up: the links they are sent lead there";
        return Err(refused("server.public-url", message));
    }
    Ok(())
}

fn policy(policy: &SignupPolicy) -> Policy {
    Policy {
        enabled: policy.enabled,
        require_approval: policy.require_approval,
        token_ttl: policy.token_ttl,
        max_resends: policy.max_resends,
        per_email: policy.rate_limit_per_email,
        per_address: policy.rate_limit_per_ip,
        window: policy.rate_limit_window,
    }
}

/// Who tells people from programs, where somebody is configured to.
pub(crate) fn verifier(config: &Config) -> anyhow::Result<Option<Arc<dyn VerifyChallenge>>> {
    let Some(challenge) = &config.tenant.signup.challenge else { return Ok(None) };
    let settings = SiteVerifySettings {
        url: challenge.verify_url.clone(),
        secret: config.secret(&challenge.secret),
        patience: challenge.timeout(),
        minimum_score_percent: challenge.minimum_score_percent,
    };
    let verifier = SiteVerify::new(settings)
        .map_err(|error| refused("tenant.signup.challenge.verify-url", &error.to_string()))?;
    Ok(Some(Arc::new(verifier)))
}

/// All replicas have the recipient key, and the database has not. Without one there is no license either; then a key of this
/// process will do.
fn pepper(key: Option<StateKey>, ambient: &Ambient) -> SecretString {
    match key {
        Some(key) => key.protect("signup", "pepper").into(),
        None => format!("{:x?}", ambient.bytes::<32>()).into(),
    }
}

/// What is known of the ways to a tenant, beside the license.
#[expect(clippy::struct_excessive_bools, reason = "facts, each of its own")]
pub(crate) struct Ways {
    policy: OnboardingPolicy,
    platform: bool,
    children: bool,
    verifier: bool,
    post: bool,
    outbox: Outbox,
}

impl Ways {
    pub(crate) fn of(config: &Config, policy: OnboardingPolicy, outbox: &Outbox) -> Self {
        let signup = &config.tenant.signup;
        Self {
            policy,
            platform: signup.platform.enabled,
            children: signup.children.enabled,
            verifier: signup.challenge.is_some(),
            post: crate::mail::post(config, outbox).is_some(),
            outbox: outbox.clone(),
        }
    }
}

impl Onboarding for Ways {
    fn config(&self) -> ConfigFacts {
        let decided = self.policy.current();
        ConfigFacts {
            root_tenant_creation: decided.root_tenant_creation_enabled,
            admin_invite: decided.admin_invite_enabled,
            // Both must want it: the configuration, and the operators.
            self_signup: decided.self_signup_enabled && self.platform,
            subtenant_signup: decided.subtenant_signup_enabled && self.children,
            email: self.post,
            challenge_verifier: self.verifier,
        }
    }

    fn runtime(&self) -> RuntimeFacts {
        // The application tenant is made sure of before anything is served.
        RuntimeFacts { application_tenant: true, email: self.outbox.is_healthy() }
    }
}
