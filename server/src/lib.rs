//! The online router: an OpenAI-compatible service whose `auto` model is a learned decision.
//!
//! The caller binds the listener and decides when to stop, so that tests run what production runs:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let config = server::Config::from_toml("[log]\nstore_prompts = true")?;
//! let listener = tokio::net::TcpListener::bind(config.listen).await?;
//! let app = server::App::start(config).await?;
//! server::serve(listener, app, server::signals::terminated()).await
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

mod app;
mod champion;
mod clock;
pub mod config;
mod db;
mod decision_log;
mod dispatch;
pub mod export;
pub mod fault;
mod flight;
pub mod http;
mod relay;
mod request;
mod routing;
pub mod signals;
mod sse;
pub mod telemetry;
pub mod upstream;
mod usage;

pub use app::App;
pub use config::{Config, ConfigError};
pub use export::export;

/// How long requests that were cut off have to say so.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `shutdown`, then drains (`spec/gateway.md`, 4.11) and writes what is queued.
///
/// Readiness fails at once; accepting goes on for `pre_stop`; requests in flight have `drain`
/// to finish; what remains ends with a typed error.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let stop_accepting = CancellationToken::new();
    let serving = axum::serve(listener.tap_io(send_at_once), http::table(Arc::clone(&app)))
        .with_graceful_shutdown(stop_accepting.clone().cancelled_owned());
    let draining = async {
        shutdown.await;
        tracing::info!("draining");
        app.draining.cancel();
        tokio::time::sleep(app.config.pre_stop).await;
        stop_accepting.cancel();
        tokio::time::sleep(app.config.drain).await;
        tracing::warn!("cutting off what is still in flight");
        app.cutoff.cancel();
        tokio::time::sleep(LAST_WORDS).await;
    };
    let served = tokio::select! {
        served = serving.into_future() => served,
        () = draining => Ok(()),
    };
    app.cutoff.cancel();
    app.shutdown().await;
    served.map_err(Into::into)
}

/// Sets `TCP_NODELAY`: without it small writes wait 40 ms for an acknowledgement
/// (`spec/gateway.md`, 5.1).
fn send_at_once(socket: &mut TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::warn!(%error, "cannot set TCP_NODELAY on an accepted socket");
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;

    use super::*;

    #[tokio::test]
    async fn accepted_sockets_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = TcpListener::local_addr(&listener).unwrap();
        let mut listener = listener.tap_io(send_at_once);
        let (_client, (accepted, _)) =
            tokio::join!(async { TcpStream::connect(address).await.unwrap() }, listener.accept());
        assert!(accepted.nodelay().unwrap());
    }
}
