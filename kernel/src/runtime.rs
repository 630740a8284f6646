use std::{any::Any, fmt, future::Future, sync::Arc};

use schemars::Schema;
use serde_json::Value;

use crate::{
    BoxProblem, CommandId, Contract, Cx, Facet, Fault, Output, RegistryError,
    registry::{Codec, Handler, Message, Reply},
};

/// Commands known only at run time, with JSON in and out: what a configuration or a plug-in brings. Registered once,
/// before the program serves, they live as long as the process.
pub struct Commands(Vec<RuntimeCommand>);

/// One of them.
pub struct RuntimeCommand {
    id: String,
    summary: Option<String>,
    facets: Vec<Box<dyn Facet>>,
    handler: Arc<dyn Handler>,
}

pub(crate) struct Parts {
    pub(crate) id: CommandId,
    pub(crate) contract: Option<Contract>,
    pub(crate) handler: Arc<dyn Handler>,
}

impl RuntimeCommand {
    /// A command that carries this out. It has no contract until it is given a summary.
    pub fn new<F, R>(id: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Cx, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, BoxProblem>> + Send + 'static,
    {
        Self { id: id.into(), summary: None, facets: Vec::new(), handler: Arc::new(JsonHandler(handler)) }
    }

    /// Gives it a contract.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }

    /// States something of it, in its contract.
    #[must_use]
    pub fn facet(mut self, facet: impl Facet) -> Self {
        self.facets.push(Box::new(facet));
        self
    }
}

impl Commands {
    pub(crate) const CODEC: Codec = Codec {
        decode: |value| Ok(Box::new(value)),
        encode: |message| Ok(json(message.downcast_ref())),
        encode_output: |output| Ok(json(output.downcast_ref())),
        decode_output: |value| Ok(Output(Box::new(value))),
    };

    /// No such commands.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// With this one too.
    #[must_use]
    pub fn with(mut self, command: RuntimeCommand) -> Self {
        self.0.push(command);
        self
    }

    pub(crate) fn into_parts(self) -> Result<Vec<Parts>, RegistryError> {
        self.0
            .into_iter()
            .map(|command| {
                let text: &'static str = command.id.leak();
                let id = CommandId::parse(text).map_err(|_| RegistryError::Id(text.to_owned()))?;
                let facets: Vec<&'static dyn Facet> =
                    command.facets.into_iter().map(|facet| &*Box::leak(facet)).collect();
                let any_value = || Schema::from(true);
                let contract = command
                    .summary
                    .map(|summary| Contract::new(id, summary.leak(), any_value, any_value, facets.leak()));
                Ok(Parts { id, contract, handler: command.handler })
            })
            .collect()
    }
}

fn json(value: Option<&Value>) -> Value {
    value.expect("a command known at run time speaks JSON").clone()
}

struct JsonHandler<F>(F);

impl<F, R> Handler for JsonHandler<F>
where
    F: Fn(Cx, Value) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, BoxProblem>> + Send + 'static,
{
    fn call<'a>(&'a self, cx: &'a Cx, message: Message) -> Reply<'a> {
        let message: Box<dyn Any> = message;
        let message = message.downcast::<Value>().expect("a command known at run time speaks JSON");
        let call = (self.0)(cx.clone(), *message);
        Box::pin(async move {
            match call.await {
                Ok(value) => Ok(Output(Box::new(value))),
                Err(problem) => Err(Fault::Failed(problem)),
            }
        })
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|command| &command.id)).finish()
    }
}

impl fmt::Debug for RuntimeCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuntimeCommand({})", self.id)
    }
}
