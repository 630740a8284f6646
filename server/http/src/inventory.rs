//! What a caller may see of the commands.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method},
};
use serde_json::{Value, json};

use crate::{
    caller,
    exposure::Exposed,
    failure::Failure,
    router::{Answer, Mounted, Path},
};

/// `GET /api/commands`
pub(crate) async fn list(State(mounted): State<Arc<Mounted>>, headers: HeaderMap) -> Answer {
    let principal = caller::principal(&mounted.api, &Method::GET, &headers).await?;
    let open = mounted.api.openings.are_open().await?;
    let is_there = |command: &&Exposed| open || !command.is_passing;
    let visible =
        mounted.commands.values().filter(is_there).filter(|command| command.is_visible_to(&principal));
    Ok(Json(json!({ "commands": visible.map(line).collect::<Vec<_>>() })))
}

/// `GET /api/commands/{id}`
pub(crate) async fn show(State(mounted): State<Arc<Mounted>>, path: Path, headers: HeaderMap) -> Answer {
    let command = mounted.command(path).await?;
    let principal = caller::principal(&mounted.api, &Method::GET, &headers).await?;
    if !command.is_visible_to(&principal) {
        return Err(Failure::unknown_command(command.id().as_str()));
    }
    let mut shown = line(command);
    shown["input"] = command.contract.input().to_value();
    shown["output"] = command.contract.output().to_value();
    Ok(Json(shown))
}

fn line(command: &Exposed) -> Value {
    let routes =
        command.routes().map(|route| json!({ "method": route.method().as_str(), "path": route.path() }));
    json!({
        "id": command.id().as_str(),
        "summary": command.contract.summary(),
        "routes": routes.collect::<Vec<_>>(),
    })
}
