//! What other limiters do in the same run.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter};
use limitador::{
    RateLimiter,
    limit::{Context, Limit},
};

use crate::{exactness::Admits, memory::measure_blocking};

/// Two limits in one namespace: checked together, then updated together.
pub(crate) struct Limitador {
    limiter: RateLimiter,
}

const NAMESPACE: &str = "chancery";
const DAY: u64 = 86_400;

impl Limitador {
    pub(crate) fn new(platform: u64, tenant: u64) -> Self {
        let limiter = RateLimiter::new(10_000);
        let nothing: [limitador::limit::Predicate; 0] = [];
        let no_variables: [limitador::limit::Expression; 0] = [];
        limiter.add_limit(Limit::new(NAMESPACE, platform, DAY, nothing.clone(), no_variables));
        let by_tenant = ["tenant".try_into().expect("an expression")];
        limiter.add_limit(Limit::new(NAMESPACE, tenant, DAY, nothing, by_tenant));
        Self { limiter }
    }

    fn admits(&self, tenant: &str) -> bool {
        let context = Context::from(HashMap::from([("tenant".to_owned(), tenant.to_owned())]));
        let result = self.limiter.check_rate_limited_and_update(&NAMESPACE.into(), &context, 1);
        !result.expect("it answers").limited
    }
}

impl Admits for Limitador {
    const GIVES_BACK: bool = false;

    async fn call(&self, tenant: usize, _fails: bool) -> bool {
        self.admits(["tenant-0", "tenant-1"][tenant])
    }
}

/// A limiter for the platform, then one by tenant: there is no way to ask both, nor to give back.
pub(crate) struct Governor {
    platform: DefaultDirectRateLimiter,
    tenants: DefaultKeyedRateLimiter<usize>,
}

impl Governor {
    pub(crate) fn new(platform: u64, tenant: u64) -> Self {
        let quota = |limit: u64| {
            let burst = NonZeroU32::new(u32::try_from(limit).expect("a small limit")).expect("a limit");
            // A day for a unit to come back: as near to a window as it gets.
            governor::Quota::with_period(Duration::from_secs(DAY)).expect("a period").allow_burst(burst)
        };
        Self {
            platform: governor::RateLimiter::direct(quota(platform)),
            tenants: governor::RateLimiter::keyed(quota(tenant)),
        }
    }

    fn admits(&self, tenant: usize) -> bool {
        self.platform.check().is_ok() && self.tenants.check_key(&tenant).is_ok()
    }
}

impl Admits for Governor {
    const GIVES_BACK: bool = false;

    async fn call(&self, tenant: usize, _fails: bool) -> bool {
        self.admits(tenant)
    }
}

/// Neither reserves: one call each.
pub(crate) fn in_memory() {
    const MANY: u64 = 4_000_000_000;
    let by_nanosecond = governor::Quota::with_period(Duration::from_nanos(1)).expect("a period");
    let by_nanosecond = by_nanosecond.allow_burst(NonZeroU32::MAX);
    let governor = Governor {
        platform: governor::RateLimiter::direct(by_nanosecond),
        tenants: governor::RateLimiter::keyed(by_nanosecond),
    };
    measure_blocking("governor, direct and keyed, no reservation", || {
        assert!(governor.admits(0));
    });
    let limitador = Limitador::new(MANY, MANY);
    measure_blocking("limitador, check and update, no reservation", || {
        assert!(limitador.admits("tenant-0"));
    });
}
