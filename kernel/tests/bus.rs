//! The bus through its public doors: dispatch by type and by id, registration, faults.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chancery_kernel as kernel;
use kernel::{
    Ambient, Bus, Category, Command, CommandId, Commands, Contract, Cx, Dispatch, Fault, Handle, Line,
    Module, Modules, Principal, Problem, Registration, Registry, RegistryError, RuntimeCommand, linkme,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Default)]
struct Abacus {
    total: Arc<AtomicU32>,
    finished: Arc<AtomicU32>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the abacus has no more beads")]
struct OutOfBeads;

impl Problem for OutOfBeads {
    fn code(&self) -> &'static str {
        "out_of_beads"
    }

    fn category(&self) -> Category {
        Category::Conflict
    }
}

impl Module for Abacus {
    const NAME: &'static str = "abacus";
    const PRODUCT: &'static str = "school";
    type Error = OutOfBeads;
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    beads: u32,
}

#[derive(Debug)]
struct Colour(&'static str);

impl Command for Add {
    type Module = Abacus;
    type Output = u32;
    const CONTRACT: Contract = Contract::of::<Self, u32>(
        CommandId::of::<Abacus>("abacus.rods.add"),
        "Move beads",
        &[&Colour("red"), &Colour("blue")],
    );
}

#[linkme::distributed_slice(kernel::COMMANDS)]
static ADD: Registration = Registration::of::<Add>();

impl Handle<Add> for Abacus {
    async fn handle(&self, _cx: &Cx, command: Add) -> Result<u32, OutOfBeads> {
        match command.beads {
            0 => panic!("nobody moves nothing"),
            7 => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                self.finished.fetch_add(1, Ordering::Relaxed);
                Ok(0)
            }
            beads if beads > 10 => Err(OutOfBeads),
            beads => Ok(self.total.fetch_add(beads, Ordering::Relaxed) + beads),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Read {}

impl Command for Read {
    type Module = Abacus;
    type Output = u32;
    const CONTRACT: Contract =
        Contract::of::<Self, u32>(CommandId::of::<Abacus>("abacus.rods.read"), "Read the beads", &[]);
}

#[linkme::distributed_slice(kernel::COMMANDS)]
static READ: Registration = Registration::of::<Read>();

impl Handle<Read> for Abacus {
    async fn handle(&self, _cx: &Cx, _command: Read) -> Result<u32, OutOfBeads> {
        Ok(self.total.load(Ordering::Relaxed))
    }
}

struct Unused;

impl Module for Unused {
    const NAME: &'static str = "unused";
    const PRODUCT: &'static str = "school";
    type Error = OutOfBeads;
}

fn bus() -> Bus {
    let registry = Arc::new(Registry::linked().unwrap());
    let door = registry.open(Modules::none().mount(Abacus::default())).unwrap();
    Bus::new(registry, door)
}

fn cx() -> Cx {
    Cx::new(Ambient::system(), Principal::System)
}

#[tokio::test]
async fn a_command_runs_by_type_and_by_id() {
    let bus = bus();
    assert_eq!(bus.dispatch(cx(), Add { beads: 3 }).await.unwrap(), 3);
    assert_eq!(bus.dispatch_json(cx(), "abacus.rods.add", json!({ "beads": 4 })).await.unwrap(), json!(7));
    assert_eq!(bus.dispatch_json(cx(), "abacus.rods.read", Value::Null).await.unwrap(), json!(7));
}

#[tokio::test]
async fn a_failure_keeps_its_type() {
    let Err(Fault::Failed(error)) = bus().dispatch(cx(), Add { beads: 11 }).await else {
        panic!("eleven beads do not fit")
    };
    assert_eq!(error, OutOfBeads);
    let fault = bus().dispatch_json(cx(), "abacus.rods.add", json!({ "beads": 11 })).await.unwrap_err();
    assert_eq!((fault.code(), fault.category()), ("out_of_beads", Category::Conflict));
}

#[tokio::test]
async fn wrong_input_names_the_field() {
    let fault = bus().dispatch_json(cx(), "abacus.rods.add", json!({ "beads": "four" })).await.unwrap_err();
    let Fault::Input(error) = fault else { panic!("{fault}") };
    assert_eq!(error.path(), "beads");
}

#[tokio::test]
async fn an_unknown_command_is_told_by_name() {
    let fault = bus().dispatch_json(cx(), "abacus.rods.burn", Value::Null).await.unwrap_err();
    assert_eq!(fault.to_string(), "there is no command `abacus.rods.burn`");
}

#[tokio::test]
async fn a_panic_is_an_outcome_and_the_bus_goes_on() {
    let bus = bus();
    assert!(matches!(bus.dispatch(cx(), Add { beads: 0 }).await, Err(Fault::Panicked)));
    assert_eq!(bus.dispatch(cx(), Add { beads: 1 }).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_stopped_at_its_deadline() {
    let module = Abacus::default();
    let finished = Arc::clone(&module.finished);
    let registry = Arc::new(Registry::linked().unwrap());
    let bus = Bus::new(Arc::clone(&registry), registry.open(Modules::none().mount(module)).unwrap());
    let outcome = bus.dispatch(cx().with_timeout(Duration::from_secs(1)), Add { beads: 7 }).await;
    assert!(matches!(outcome, Err(Fault::DeadlineExceeded)));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(finished.load(Ordering::Relaxed), 0, "the handler was stopped, not left behind");
}

#[test]
fn commands_are_sorted_whatever_order_they_are_linked_in() {
    let registry = Registry::linked().unwrap();
    let ids: Vec<_> = registry.entries().map(|(_, entry)| entry.id().as_str()).collect();
    assert_eq!(ids, ["abacus.rods.add", "abacus.rods.read"]);
}

#[test]
fn facets_are_found_by_type_in_the_order_they_were_written() {
    let colours: Vec<_> = Add::CONTRACT.facets::<Colour>().map(|colour| colour.0).collect();
    assert_eq!(colours, ["red", "blue"]);
    assert!(Add::CONTRACT.facet::<String>().is_none());
}

#[test]
fn a_command_whose_module_is_not_mounted_refuses_to_start() {
    let registry = Arc::new(Registry::linked().unwrap());
    let error = registry.open(Modules::none()).unwrap_err();
    assert!(matches!(error, RegistryError::NotMounted { module: "abacus", .. }));
}

#[test]
fn a_module_without_commands_refuses_to_start() {
    let registry = Arc::new(Registry::linked().unwrap());
    let modules = Modules::none().mount(Abacus::default()).mount(Unused);
    assert_eq!(registry.open(modules).unwrap_err(), RegistryError::RegistersNothing("unused"));
}

#[test]
fn a_module_mounted_twice_refuses_to_start() {
    let registry = Arc::new(Registry::linked().unwrap());
    let modules = Modules::none().mount(Abacus::default()).mount(Abacus::default());
    assert_eq!(registry.open(modules).unwrap_err(), RegistryError::MountedTwice("abacus"));
}

fn echo(id: &str) -> RuntimeCommand {
    RuntimeCommand::new(id, |_cx, value| async move { Ok(value) }).summary("Echo")
}

#[test]
fn a_duplicate_id_refuses_to_start() {
    let error = Registry::linked_and(Commands::none().with(echo("abacus.rods.add"))).unwrap_err();
    assert_eq!(error.to_string(), "two commands are registered as `abacus.rods.add`");
}

#[test]
fn an_id_that_is_none_refuses_to_start() {
    let error = Registry::linked_and(Commands::none().with(echo("abacus"))).unwrap_err();
    assert_eq!(error, RegistryError::Id("abacus".into()));
}

#[tokio::test]
async fn a_command_known_at_run_time_runs_beside_the_linked_ones() {
    let registry = Arc::new(Registry::linked_and(Commands::none().with(echo("plugin.text.echo"))).unwrap());
    let door = registry.open(Modules::none().mount(Abacus::default())).unwrap();
    let bus = Bus::new(registry, door);
    assert_eq!(bus.dispatch_json(cx(), "plugin.text.echo", json!(["a"])).await.unwrap(), json!(["a"]));
}

#[test]
fn the_door_is_a_dispatch_like_any_gate() {
    fn takes<D: Dispatch<kernel::Invocation>>(_: D) {}
    let registry = Arc::new(Registry::linked().unwrap());
    takes(registry.open(Modules::none().mount(Abacus::default())).unwrap());
}

#[tokio::test]
async fn a_line_leads_to_the_bus_while_there_is_one() {
    let line = Line::default();
    assert_eq!(line.bus().unwrap_err().category, Category::Unavailable);
    let bus = bus();
    line.connect(&bus);
    assert_eq!(line.bus().unwrap().dispatch(cx(), Add { beads: 3 }).await.unwrap(), 3);
    drop(bus);
    assert_eq!(line.bus().unwrap_err().code, "not_serving");
}
