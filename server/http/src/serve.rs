use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot};

/// Serves until `shutdown` resolves, then takes no more connections and gives running requests `grace` to finish. What
/// still runs after that ends with the runtime.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> io::Result<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let draining = async move {
        // A sender that is gone stops as well.
        let _ = stopped.await;
    };
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut serving = pin!(axum::serve(listener, router).with_graceful_shutdown(draining).into_future());
    tokio::select! {
        ended = &mut serving => return ended,
        () = shutdown => drop(stop),
    }
    tokio::time::timeout(grace, serving).await.unwrap_or_else(|_| {
        tracing::warn!("requests were still running when the grace period ended");
        Ok(())
    })
}
