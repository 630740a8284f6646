use std::sync::{Arc, OnceLock};

use descriptors::denial::Reason;
use kernel::{CommandIndex, Registry as Commands};
use pipeline::{Ended, Ending, Observe};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::telemetry::Spans;

/// From a tenth of a millisecond, which a command that reads a table takes, to the longest that one may take.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

type Labels = [(&'static str, &'static str); 2];

/// How long calls took and how they ended. Counting one is finding a place by two numbers, and the lock of one histogram.
pub(crate) struct Calls {
    commands: Arc<Commands>,
    durations: Family<Labels, Histogram>,
    /// By command and ending. What never happened has no series.
    places: Vec<[OnceLock<Histogram>; Ending::COUNT]>,
    denials: Family<[(&'static str, &'static str); 1], Counter>,
    by_reason: [Counter; Reason::ALL.len()],
    spans: Option<Spans>,
}

impl Calls {
    /// Of these commands; a span of each call goes to a collector, where there is one.
    pub(crate) fn of(commands: Arc<Commands>, spans: Option<Spans>) -> Self {
        let denials = Family::<_, Counter>::default();
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            places: commands.entries().map(|_| Default::default()).collect(),
            by_reason: Reason::ALL.map(|reason| denials.get_or_create_owned(&[("reason", reason.as_str())])),
            denials,
            commands,
            spans,
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "How long commands took, by how they ended";
        registry.register("command_duration_seconds", help, self.durations.clone());
        registry.register("denials", "Calls that the license or a quota refused", self.denials.clone());
    }

    fn id(&self, command: CommandIndex) -> &'static str {
        self.commands.entry(command).id().as_str()
    }
}

impl Observe for Calls {
    fn traces(&self) -> bool {
        self.spans.is_some()
    }

    fn ended(&self, call: &Ended<'_>) {
        if let Some(place) = self.places.get(call.command.get()) {
            let place = place[call.ending.index()].get_or_init(|| {
                let labels = [("command", self.id(call.command)), ("outcome", call.ending.as_str())];
                self.durations.get_or_create_owned(&labels)
            });
            place.observe(call.ended.duration_since(call.started).as_secs_f64().max(0.0));
        }
        if let Ending::Denied(reason) = call.ending
            && let Some(at) = Reason::ALL.iter().position(|known| *known == reason)
        {
            self.by_reason[at].inc();
        }
        if let Some(spans) = &self.spans {
            spans.ended(self.id(call.command), call);
        }
    }
}
