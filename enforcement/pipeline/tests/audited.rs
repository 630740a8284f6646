//! Which successes are worth an event: all but a look that anyone may take, any number of times.

use kernel::Modules;
use sdk::prelude::*;
use testkit::Testkit;

struct Board;

impl Module for Board {
    const NAME: &'static str = "board";
    const PRODUCT: &'static str = "town";
    type Error = std::convert::Infallible;
}

/// Read the board.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.read", Board -> ())]
#[access(public)]
#[license(none)]
#[http(GET "/board")]
struct Read {}

/// Read the board, as somebody.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.sign", Board -> ())]
#[access(authenticated)]
#[license(none)]
#[http(GET "/board/signed")]
struct Sign {}

/// Pin something to the board.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.pin", Board -> ())]
#[access(public)]
#[license(none)]
#[http(POST "/board")]
struct Pin {}

/// Turn the board over. No route says whether that changes anything.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.turn", Board -> ())]
#[access(public)]
#[license(none)]
struct Turn {}

impl Handle<Read> for Board {
    async fn handle(&self, _cx: &Cx, _command: Read) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Handle<Sign> for Board {
    async fn handle(&self, _cx: &Cx, _command: Sign) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Handle<Pin> for Board {
    async fn handle(&self, _cx: &Cx, _command: Pin) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Handle<Turn> for Board {
    async fn handle(&self, _cx: &Cx, _command: Turn) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[tokio::test]
async fn every_success_has_an_event_but_a_look_that_anyone_may_take() {
    let testkit = Testkit::new(&[], |_| Modules::none().mount(Board));
    testkit.run(Read {}).await.unwrap();
    testkit.run(Sign {}).await.unwrap();
    testkit.run(Pin {}).await.unwrap();
    testkit.run(Turn {}).await.unwrap();
    let told: Vec<_> = testkit.events().await.into_iter().filter_map(|event| event.command).collect();
    assert_eq!(told, ["board.notes.sign", "board.notes.pin", "board.notes.turn"]);
}
