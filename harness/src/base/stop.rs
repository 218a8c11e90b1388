//! Ctrl-C and SIGTERM.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::INTERRUPTED;

/// Becomes true at the first Ctrl-C or SIGTERM.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Starts to listen. The first signal asks for an orderly end; the second
    /// ends this process at once, and the nodes follow it by themselves.
    pub fn listen() -> Result<Stop> {
        let (sender, receiver) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if sender.send_replace(true) {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        });
        Ok(Stop(receiver))
    }

    /// Waits for the first signal.
    pub async fn wait(&self) {
        // An error means that nobody can ever signal, so this never ends.
        if self.0.clone().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
