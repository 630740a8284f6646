use chancery_sdk::prelude::*;

struct Bakery;

impl Module for Bakery {
    const NAME: &'static str = "bakery";
    const PRODUCT: &'static str = "town";
    type Error = std::convert::Infallible;
}

/// Bake bread.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("bakery.bread.bake", Bakery -> u32)]
#[access(authenticated)]
#[license]
struct Bake {}

impl Handle<Bake> for Bakery {
    async fn handle(&self, _cx: &Cx, _command: Bake) -> Result<String, Self::Error> {
        Ok("bread".into())
    }
}

fn main() {}
