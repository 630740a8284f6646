use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Requests over HTTP, those for `/metrics` and health too.
#[derive(Default)]
pub(super) struct Requests {
    in_flight: Gauge,
    answered: Family<[(&'static str, u16); 1], Counter>,
    abandoned: Counter,
}

impl Requests {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let requests = Self::default();
        let help = "Requests that are being answered";
        registry.register("http_requests_in_flight", help, requests.in_flight.clone());
        registry.register("http_requests", "Requests answered, by status", requests.answered.clone());
        let help = "Requests whose caller went away first";
        registry.register("http_requests_abandoned", help, requests.abandoned.clone());
        requests
    }

    pub(super) fn began(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self, status: Option<u16>) {
        self.in_flight.dec();
        match status {
            Some(status) => self.answered.get_or_create(&[("status", status)]).inc(),
            None => self.abandoned.inc(),
        };
    }
}
