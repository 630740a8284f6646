//! `/console/audit`: what happened, as it happens, and whether it is still what was recorded.

use askama::Template;
use axum::extract::RawQuery;
use descriptors::route::{HttpRoute, Method};
use kernel::Contract;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    answers::{Event, Events},
    form::Fields,
    html::{Page, counted, page},
    pages::{license::file, part},
    problem::Problem,
    shell::{Nav, Shell},
    visitor::Operator,
};

/// How many events a page shows, and how many are looked at for new ones.
const LISTED: u32 = 25;
const LIVE: u32 = 40;
/// Where reads are left out, a page looks on until it has this many events, or has looked so often.
const ENOUGH: usize = 12;
const LOOKS: usize = 8;

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct Audit {
    shell: Shell,
    filter: Filter,
    events: Result<Events, Problem>,
}

/// What was asked for.
struct Filter {
    fields: Fields,
}

/// Parameters of the page, and the fields of the command's input they are.
const PARAMETERS: [(&str, &str); 8] = [
    ("tenant", "tenantId"),
    ("command", "commandId"),
    ("module", "module"),
    ("actor", "actorId"),
    ("trace", "traceId"),
    ("result", "result"),
    ("from", "from"),
    ("to", "to"),
];

impl Filter {
    fn value(&self, name: &str) -> &str {
        self.fields.text(name)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    fn is_narrowed(&self) -> bool {
        PARAMETERS.iter().any(|(name, _)| !self.value(name).is_empty()) || self.fields.ticked("cursor")
    }

    fn input(&self, limit: u32) -> Value {
        let mut input = Map::new();
        for (name, field) in PARAMETERS {
            if let Some(text) = self.fields.filled(name) {
                // A browser states local times without a zone; ours is UTC, as the page says.
                let instant = matches!(name, "from" | "to") && !text.ends_with('Z');
                let text = if instant {
                    format!("{text}{}Z", if text.len() == 16 { ":00" } else { "" })
                } else {
                    text.to_owned()
                };
                input.insert(field.to_owned(), text.into());
            }
        }
        if let Some(cursor) = self.fields.filled("cursor") {
            input.insert("cursor".to_owned(), cursor.into());
        }
        input.insert("limit".to_owned(), limit.into());
        Value::Object(input)
    }

    /// The same filter as parameters, of this page or of the one that is followed.
    fn query(&self) -> String {
        let set = PARAMETERS.iter().map(|(name, _)| *name).chain(["reads"]);
        let set = set.filter_map(|name| Some((name, self.fields.filled(name)?)));
        set.map(|(name, text)| format!("{name}={}", part(text))).collect::<Vec<_>>().join("&")
    }

    /// Whether looking counts too. Without that, following the log would show nothing but itself being followed.
    fn shows_reads(&self) -> bool {
        self.fields.ticked("reads") || !self.value("command").is_empty()
    }
}

pub(crate) async fn list(operator: Operator, RawQuery(query): RawQuery) -> Page {
    let filter = Filter { fields: Fields::of_query(query.as_deref()) };
    let events = read(&operator, &filter, LISTED).await;
    page(&Audit { shell: Shell::of(&operator, "Audit", Nav::Audit), filter, events })
}

/// `GET /console/audit/live`: the newest rows alone.
pub(crate) async fn live(operator: Operator, RawQuery(query): RawQuery) -> Page {
    let filter = Filter { fields: Fields::of_query(query.as_deref()) };
    let events = read(&operator, &filter, LIVE).await?;
    page(&Rows { events: &events.events })
}

async fn read(operator: &Operator, filter: &Filter, limit: u32) -> Result<Events, Problem> {
    let mut asked = filter.input(limit);
    let mut page: Events = operator.call(QUERY, asked.clone()).await?;
    if filter.shows_reads() {
        return Ok(page);
    }
    page.events.retain(|event| !is_read(operator, event));
    for _ in 1..LOOKS {
        let Some(next) = page.next.take_if(|_| page.events.len() < ENOUGH) else { break };
        asked["cursor"] = next.into();
        let older: Events = operator.call(QUERY, asked.clone()).await?;
        page.events.extend(older.events.into_iter().filter(|event| !is_read(operator, event)));
        page.next = older.next;
    }
    Ok(page)
}

/// A success of a command whose own route is a GET, so that it changed nothing.
fn is_read(operator: &Operator, event: &Event) -> bool {
    let registry = operator.house.console.bus.registry();
    let contract = || registry.entry(registry.find(event.command_id.as_deref()?)?).contract();
    event.result == "succeeded"
        && contract()
            .and_then(Contract::facet::<HttpRoute>)
            .is_some_and(|route| route.method() == Method::GET)
}

const QUERY: &str = "platform.audit.query";

impl Audit {
    fn rows(events: &Events) -> Rows<'_> {
        Rows { events: &events.events }
    }

    fn next(&self) -> Option<String> {
        let next = self.events.as_ref().ok()?.next.as_deref()?;
        let query = self.filter.query();
        Some(format!("{query}{}cursor={}", if query.is_empty() { "" } else { "&" }, part(next)))
    }
}

#[derive(Template)]
#[template(path = "parts/events.html")]
struct Rows<'e> {
    events: &'e [Event],
}

impl askama::filters::HtmlSafe for Rows<'_> {}

#[derive(Template)]
#[template(path = "pages/verified.html")]
struct Verified {
    shell: Shell,
    proof: Result<Proof, Problem>,
}

/// `platform.audit.verify`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    intact: bool,
    scopes: u64,
    events: u64,
    checkpoints: u64,
    seals: String,
    unsealed: u64,
    broken: Vec<Broken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Broken {
    scope: Option<String>,
    sequence: u64,
    event_id: Option<String>,
    defect: String,
}

impl Broken {
    fn meaning(&self) -> &'static str {
        match self.defect.as_str() {
            "changed" => "This is not what was recorded here.",
            "missing" => "What was recorded here is gone.",
            "inserted" => "Nothing was recorded here, and yet there is something.",
            "rewritten" => "From here on the chain was written anew.",
            "head" => "The table of heads says otherwise.",
            "pruned" => "A note claims that what came before was pruned, and is not sealed.",
            _ => "",
        }
    }
}

impl Proof {
    fn counted(number: &u64, one: &str, many: &str) -> String {
        counted(usize::try_from(*number).unwrap_or(usize::MAX), one, many)
    }
}

/// `GET /console/audit/verify`: looks at every link, and changes nothing.
pub(crate) async fn verify(operator: Operator) -> Page {
    let proof = operator.call("platform.audit.verify", json!({})).await;
    page(&Verified { shell: Shell::of(&operator, "Proof of the audit log", Nav::Audit), proof })
}

/// `GET /console/audit/export`: the log with its proof, to be verified without this deployment.
pub(crate) async fn export(operator: Operator) -> Page {
    #[derive(Deserialize)]
    struct Exported {
        export: String,
    }
    let exported: Exported = operator.call("platform.audit.export", json!({})).await?;
    Ok(file("audit.jsonl", exported.export))
}
