use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    hash::{BuildHasherDefault, Hasher},
    marker::PhantomData,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use futures_util::FutureExt;
use linkme::distributed_slice;
use serde_json::Value;

use crate::{
    BoxProblem, Category, Command, CommandId, Commands, Contract, Cx, Dispatch, Fault, Handle, Input,
    InputError, Invocation, Module, Output, Problem,
};

/// Every command linked into the program. `#[derive(Command)]` adds to it; [`Registry::linked`] reads it.
#[distributed_slice]
pub static COMMANDS: [Registration];

type AnyModule = Arc<dyn Any + Send + Sync>;
pub(crate) type Message = Box<dyn Any + Send + Sync>;
pub(crate) type Reply<'a> = Pin<Box<dyn Future<Output = Result<Output, Fault<BoxProblem>>> + Send + 'a>>;

/// A handler whose types are known only to itself.
pub(crate) trait Handler: Send + Sync {
    fn call<'a>(&'a self, cx: &'a Cx, message: Message) -> Reply<'a>;
}

/// How messages and answers of a command become JSON and back.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) decode: fn(Value) -> Result<Message, InputError>,
    pub(crate) encode: fn(&(dyn Any + Send + Sync)) -> serde_json::Result<Value>,
    pub(crate) encode_output: fn(&(dyn Any + Send)) -> serde_json::Result<Value>,
    pub(crate) decode_output: fn(Value) -> serde_json::Result<Output>,
}

/// A command and its handler as one linker symbol: neither can reach a bus without the other.
pub struct Registration {
    contract: Contract,
    message: fn() -> TypeId,
    module: &'static str,
    module_type: fn() -> TypeId,
    mount: fn(&AnyModule) -> Option<Box<dyn Handler>>,
    codec: Codec,
}

impl Registration {
    /// The registration of a command.
    pub const fn of<C: Command>() -> Self {
        Self {
            contract: C::CONTRACT,
            message: TypeId::of::<C>,
            module: <C::Module as Module>::NAME,
            module_type: TypeId::of::<C::Module>,
            mount: |module| {
                let module = Arc::clone(module).downcast::<C::Module>().ok()?;
                Some(Box::new(Mounted::<C> { module, command: PhantomData }))
            },
            codec: Codec {
                decode: |value| {
                    // Not by value, so that an error can be kept from repeating it.
                    serde_path_to_error::deserialize::<_, C>(&value)
                        .map(|message| -> Message { Box::new(message) })
                        .map_err(|error| {
                            let path = error.path().to_string();
                            let path = if path == "." { String::new() } else { path };
                            InputError::of(&value, path, error.into_inner().to_string())
                        })
                },
                encode: |message| {
                    serde_json::to_value(message.downcast_ref::<C>().expect("the codec of its own command"))
                },
                encode_output: |output| {
                    serde_json::to_value(
                        output.downcast_ref::<C::Output>().expect("the codec of its own command"),
                    )
                },
                decode_output: |value| {
                    serde_json::from_value::<C::Output>(value).map(|output| Output(Box::new(output)))
                },
            },
        }
    }
}

struct Mounted<C: Command> {
    module: Arc<C::Module>,
    command: PhantomData<fn(C)>,
}

impl<C: Command> Handler for Mounted<C> {
    fn call<'a>(&'a self, cx: &'a Cx, message: Message) -> Reply<'a> {
        let message = message.downcast::<C>().expect("the registry decodes a message by its own command");
        Box::pin(async move {
            match self.module.handle(cx, *message).await {
                Ok(output) => Ok(Output(Box::new(output))),
                Err(error) => Err(Fault::Failed(Box::new(error) as BoxProblem)),
            }
        })
    }
}

/// A command's place in a [`Registry`]: dense, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandIndex(u32);

impl CommandIndex {
    /// The plain number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// One command as the registry knows it.
pub struct Entry {
    id: CommandId,
    contract: Option<Contract>,
    origin: Origin,
    codec: Codec,
}

enum Origin {
    Linked(&'static Registration),
    Runtime(Arc<dyn Handler>),
}

impl Entry {
    /// The command's address.
    pub const fn id(&self) -> CommandId {
        self.id
    }

    /// What is statically true of it. Only a command registered at run time can lack this.
    pub const fn contract(&self) -> Option<&Contract> {
        self.contract.as_ref()
    }

    /// The input as the command's own type.
    pub fn decode(&self, input: Input) -> Result<Input, InputError> {
        match input {
            Input::Json(Value::Null) => {
                (self.codec.decode)(Value::Object(serde_json::Map::new())).map(Input::Typed)
            }
            Input::Json(value) => (self.codec.decode)(value).map(Input::Typed),
            typed @ Input::Typed(_) => Ok(typed),
        }
    }

    /// The input as JSON. Two inputs that mean the same are the same JSON once decoded.
    pub fn encode_input(&self, input: &Input) -> Result<Value, Fault<BoxProblem>> {
        match input {
            Input::Json(value) => Ok(value.clone()),
            Input::Typed(message) => (self.codec.encode)(message.as_ref()).map_err(unencodable),
        }
    }

    /// The answer as JSON.
    pub fn encode(&self, output: &Output) -> Result<Value, Fault<BoxProblem>> {
        (self.codec.encode_output)(output.0.as_ref()).map_err(unencodable)
    }

    /// An answer that was stored as JSON.
    pub fn decode_output(&self, value: Value) -> Result<Output, Fault<BoxProblem>> {
        (self.codec.decode_output)(value).map_err(unencodable)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.id)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("failed to convert an answer from or to JSON")]
struct Unencodable(#[source] serde_json::Error);

impl Problem for Unencodable {
    fn code(&self) -> &'static str {
        "internal"
    }

    fn category(&self) -> Category {
        Category::Internal
    }
}

fn unencodable(error: serde_json::Error) -> Fault<BoxProblem> {
    Fault::Internal(Box::new(Unencodable(error)))
}

/// Why the commands of a program do not fit together. Start-up stops with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two registrations claim one id.
    #[error("two commands are registered as `{0}`")]
    Duplicate(CommandId),
    /// A command registered at run time has an id that is not one.
    #[error("`{0}` is not a command id")]
    Id(String),
    /// A command is linked in, but its module was never constructed.
    #[error("command `{command}` is registered, but its module `{module}` is not mounted")]
    NotMounted {
        /// The command.
        command: CommandId,
        /// Its module.
        module: &'static str,
    },
    /// A module is mounted, but none of its commands is linked in.
    #[error("module `{0}` is mounted, but registered no command")]
    RegistersNothing(&'static str),
    /// A module was constructed twice.
    #[error("module `{0}` is mounted twice")]
    MountedTwice(&'static str),
}

/// The commands of a program, sorted by id. Known without an instance of any module.
pub struct Registry {
    entries: Vec<Entry>,
    by_id: HashMap<&'static str, CommandIndex>,
    by_message: HashMap<TypeId, CommandIndex, BuildHasherDefault<AsItIs>>,
}

/// A `TypeId` is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Registry {
    /// The commands linked into this program.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::linked_and(Commands::none())
    }

    /// The commands linked into this program, and these that are known only at run time.
    pub fn linked_and(commands: Commands) -> Result<Self, RegistryError> {
        let linked = COMMANDS.iter().map(|registration| Entry {
            id: registration.contract.id(),
            contract: Some(registration.contract),
            origin: Origin::Linked(registration),
            codec: registration.codec,
        });
        let mut entries: Vec<_> = linked.collect();
        for command in commands.into_parts()? {
            entries.push(Entry {
                id: command.id,
                contract: command.contract,
                origin: Origin::Runtime(command.handler),
                codec: Commands::CODEC,
            });
        }
        entries.sort_by_key(|entry| entry.id);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(RegistryError::Duplicate(pair[0].id));
        }
        let (mut by_id, mut by_message) = (HashMap::new(), HashMap::default());
        for (index, entry) in (0..).map(CommandIndex).zip(&entries) {
            by_id.insert(entry.id.as_str(), index);
            if let Origin::Linked(registration) = entry.origin {
                by_message.insert((registration.message)(), index);
            }
        }
        Ok(Self { entries, by_id, by_message })
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All commands by id.
    pub fn entries(&self) -> impl Iterator<Item = (CommandIndex, &Entry)> {
        (0..).map(CommandIndex).zip(&self.entries)
    }

    /// The command at a place of this registry.
    ///
    /// # Panics
    ///
    /// With an index of a larger registry.
    pub fn entry(&self, index: CommandIndex) -> &Entry {
        &self.entries[index.get()]
    }

    /// The command with this id.
    pub fn find(&self, id: &str) -> Option<CommandIndex> {
        self.by_id.get(id).copied()
    }

    /// The command of this type.
    pub fn index_of<C: Command>(&self) -> Option<CommandIndex> {
        self.by_message.get(&TypeId::of::<C>()).copied()
    }

    /// Joins commands with the modules that carry them out, and gives up the door to the handlers. Fails when a
    /// command's module is not among them, and when a module has no command: a crate that is listed as a dependency
    /// but never named is dropped by the linker, silently.
    #[expect(clippy::needless_pass_by_value, reason = "modules are given up: they are mounted once")]
    pub fn open(self: &Arc<Self>, modules: Modules) -> Result<Door, RegistryError> {
        let mut handlers: Vec<Arc<dyn Handler>> = Vec::with_capacity(self.entries.len());
        let mut used = HashMap::<TypeId, &'static str>::new();
        for entry in &self.entries {
            handlers.push(match &entry.origin {
                Origin::Runtime(handler) => Arc::clone(handler),
                Origin::Linked(registration) => {
                    let key = (registration.module_type)();
                    let mounted = modules.0.iter().find(|mounted| mounted.key == key);
                    let handler = mounted.and_then(|mounted| (registration.mount)(&mounted.module));
                    used.insert(key, registration.module);
                    Arc::from(handler.ok_or(RegistryError::NotMounted {
                        command: entry.id,
                        module: registration.module,
                    })?)
                }
            });
        }
        for (place, mounted) in modules.0.iter().enumerate() {
            if !used.contains_key(&mounted.key) {
                return Err(RegistryError::RegistersNothing(mounted.name));
            }
            if modules.0[..place].iter().any(|earlier| earlier.name == mounted.name) {
                return Err(RegistryError::MountedTwice(mounted.name));
            }
        }
        Ok(Door { registry: Arc::clone(self), handlers })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

/// The modules of a program, each constructed by name.
pub struct Modules(Vec<MountedModule>);

struct MountedModule {
    name: &'static str,
    key: TypeId,
    module: AnyModule,
}

impl Modules {
    /// None yet.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// With this one too.
    #[must_use]
    pub fn mount<M: Module>(mut self, module: M) -> Self {
        self.0.push(MountedModule { name: M::NAME, key: TypeId::of::<M>(), module: Arc::new(module) });
        self
    }
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|mounted| mounted.name)).finish()
    }
}

/// The one way to the handlers. It cannot be cloned: whoever builds the column owns it.
pub struct Door {
    registry: Arc<Registry>,
    handlers: Vec<Arc<dyn Handler>>,
}

impl Door {
    /// The commands behind it.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl Dispatch<Invocation> for Door {
    async fn dispatch(&self, invocation: Invocation) -> Result<Output, Fault<BoxProblem>> {
        let Invocation { command, input, cx } = invocation;
        let Input::Typed(message) = self.registry.entry(command).decode(input)? else {
            unreachable!("decoding yields the command's own type")
        };
        let mut call = pin!(AssertUnwindSafe(self.handlers[command.get()].call(&cx, message)).catch_unwind());
        // Most handlers answer when they are first asked. Only one that makes its caller wait is worth a timer.
        let mut timer = None;
        poll_fn(|task| {
            if let Poll::Ready(outcome) = call.as_mut().poll(task) {
                return Poll::Ready(outcome.unwrap_or(Err(Fault::Panicked)));
            }
            let Some(deadline) = cx.deadline() else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| {
                let left = deadline.duration_since(cx.now()).try_into().unwrap_or_default();
                Box::pin(tokio::time::sleep(left))
            });
            timer.as_mut().poll(task).map(|()| Err(Fault::DeadlineExceeded))
        })
        .await
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("commands", &self.handlers.len()).finish_non_exhaustive()
    }
}
