//! Signals of the operating system.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;

/// Resolves at SIGTERM or SIGINT.
pub async fn terminated() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "cannot listen for signals; only SIGKILL stops the server");
            std::future::pending::<()>().await;
        }
    }
}

/// Reads the router again at each SIGHUP, until draining begins.
///
/// # Errors
///
/// If the signal cannot be listened for.
pub fn reload_on_hangup(app: &Arc<App>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let reloading = Arc::clone(app);
    app.tasks.spawn(async move {
        let app = reloading;
        loop {
            tokio::select! {
                () = app.draining.cancelled() => break,
                received = hangup.recv() => if received.is_none() { break },
            }
            let loading = Arc::clone(&app);
            // Reading and checking weights takes more than the 500 µs a worker may be held.
            app.tasks.spawn_blocking(move || loading.reload_router());
        }
    });
    Ok(())
}
