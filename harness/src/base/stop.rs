//! Ctrl-C, SIGTERM and SIGHUP.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::INTERRUPTED;

/// Becomes true at the first Ctrl-C, SIGTERM or SIGHUP.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Starts to listen. The first signal asks for an orderly end; the second
    /// ends this process at once, and the nodes follow it by themselves.
    pub fn listen() -> Result<Stop> {
        let (sender, receiver) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = received(&mut hangup) => {}
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

/// Waits for a signal that is listened to, else for ever.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored, as `nohup` does: then it
/// is to outlive its terminal.
fn ignores_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| hangup_is_ignored(&status))
}

fn hangup_is_ignored(status: &str) -> bool {
    // The mask has one bit for each signal, counted from 1; SIGHUP is number 1.
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::hangup_is_ignored;

    #[test]
    fn an_ignored_hangup_is_read_off_the_mask_of_ignored_signals() {
        let status = |mask: &str| format!("Name:\tharness\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        assert!(hangup_is_ignored(&status("0000000000001001")));
        // Every Rust program ignores SIGPIPE, number 13.
        assert!(!hangup_is_ignored(&status("0000000000001000")));
        assert!(!hangup_is_ignored("Name:\tharness\n"));
    }
}
