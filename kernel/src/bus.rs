use std::{
    any::Any,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
};

use serde_json::Value;

use crate::{BoxProblem, Category, Command, CommandId, CommandIndex, Cx, Fault, Module, Refusal, Registry};

/// A call on its way to its handler.
#[derive(Debug)]
pub struct Invocation {
    /// Which command.
    pub command: CommandIndex,
    /// Its input.
    pub input: Input,
    /// What surrounds the call.
    pub cx: Cx,
}

/// The input of a call: as it came in, or as the command's own type.
pub enum Input {
    /// Not yet looked at.
    Json(Value),
    /// The command's message.
    Typed(Box<dyn Any + Send + Sync>),
}

impl Input {
    /// The message, if it is of this type.
    pub fn message<C: Command>(&self) -> Option<&C> {
        match self {
            Self::Json(_) => None,
            Self::Typed(message) => message.downcast_ref(),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(_) => "Input::Json(…)",
            Self::Typed(_) => "Input::Typed(…)",
        })
    }
}

/// The answer of a call, in the command's own output type.
pub struct Output(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output(…)")
    }
}

/// Something that answers a request: the door, or whatever stands before it. What it takes states how far a call must
/// have come.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take `{Request}`",
    note = "each gate takes what the gate before it yields; check their order"
)]
pub trait Dispatch<Request>: Send + Sync + 'static {
    /// Answers it. Dropping the future cancels the call.
    fn dispatch(&self, request: Request) -> impl Future<Output = Result<Output, Fault<BoxProblem>>> + Send;
}

/// A module's own policy that stands before some of its commands. It answers without waiting, so it can have read
/// nothing from a database.
pub trait Guard: Send + Sync + 'static {
    /// Lets a call through, or refuses it.
    fn admit(&self, cx: &Cx, command: CommandId, input: &Input) -> Result<(), Refusal>;
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Output, Fault<BoxProblem>>> + Send + 'a>>;

trait Column: Send + Sync {
    fn answer(&self, invocation: Invocation) -> Answer<'_>;
}

impl<D: Dispatch<Invocation>> Column for D {
    fn answer(&self, invocation: Invocation) -> Answer<'_> {
        Box::pin(self.dispatch(invocation))
    }
}

/// Carries commands to their handlers, through whatever stands before the door. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    registry: Arc<Registry>,
    column: Arc<dyn Column>,
}

impl Bus {
    /// A bus over a registry and what answers its calls.
    pub fn new(registry: Arc<Registry>, column: impl Dispatch<Invocation>) -> Self {
        Self { registry, column: Arc::new(column) }
    }

    /// The commands it knows.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Runs a command known by type.
    pub async fn dispatch<C: Command>(
        &self,
        cx: Cx,
        command: C,
    ) -> Result<C::Output, Fault<<C::Module as Module>::Error>> {
        let Some(index) = self.registry.index_of::<C>() else {
            return Err(Fault::Unknown(C::CONTRACT.id().as_str().to_owned()));
        };
        let invocation = Invocation { command: index, input: Input::Typed(Box::new(command)), cx };
        match self.column.answer(invocation).await {
            Ok(output) => {
                Ok(*output.0.downcast().expect("a command's handler answers with the command's output type"))
            }
            Err(fault) => Err(fault.map(|problem| {
                let any: Box<dyn Any> = problem;
                *any.downcast().expect("a command's handler fails with its module's error type")
            })),
        }
    }

    /// Runs a command known by id, with JSON in and out.
    pub async fn dispatch_json(&self, cx: Cx, id: &str, input: Value) -> Result<Value, Fault<BoxProblem>> {
        let Some(index) = self.registry.find(id) else {
            return Err(Fault::Unknown(id.to_owned()));
        };
        self.dispatch_json_at(cx, index, input).await
    }

    /// Runs the command at a place of its registry, with JSON in and out.
    pub async fn dispatch_json_at(
        &self,
        cx: Cx,
        command: CommandIndex,
        input: Value,
    ) -> Result<Value, Fault<BoxProblem>> {
        let output = self.column.answer(Invocation { command, input: Input::Json(input), cx }).await?;
        self.registry.entry(command).encode(&output)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("commands", &self.registry.len()).finish_non_exhaustive()
    }
}

/// A module's way to the commands of other modules. Modules are made before the bus is, so a line is handed to them first
/// and connected when the bus stands. What is called over it passes every gate, like any call.
///
/// It does not keep the bus alive.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<OnceLock<Ends>>);

struct Ends {
    registry: Weak<Registry>,
    column: Weak<dyn Column>,
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ends(…)")
    }
}

impl Line {
    /// Leads calls to this bus from now on. The first bus stays.
    pub fn connect(&self, bus: &Bus) {
        let ends = Ends { registry: Arc::downgrade(&bus.registry), column: Arc::downgrade(&bus.column) };
        let _ = self.0.set(ends);
    }

    /// The bus at the other end: refused before there is one, and after it is gone.
    pub fn bus(&self) -> Result<Bus, Refusal> {
        let ends = self.0.get().and_then(|ends| Some((ends.registry.upgrade()?, ends.column.upgrade()?)));
        let message = "the program is starting or stopping";
        let (registry, column) =
            ends.ok_or_else(|| Refusal::new("not_serving", Category::Unavailable, message))?;
        Ok(Bus { registry, column })
    }
}
