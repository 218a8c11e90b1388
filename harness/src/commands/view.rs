//! `harness view`.

use anyhow::{Context, Result};

use crate::base::console::say;
use crate::base::stop::Stop;
use crate::cli::ViewArgs;
use crate::cluster::ports;
use crate::view::{page, serve};

/// Runs the command and returns the exit code.
pub async fn run(args: ViewArgs) -> Result<u8> {
    let page = match args.trace.as_deref() {
        Some(folder) if folder.is_dir() => page::showing(&super::trace::read(folder)?)?,
        file => page::with(file)?,
    };
    if let Some(out) = &args.export {
        std::fs::write(out, &page).with_context(|| {
            format!("cannot write {}; choose a file in a folder that exists and has room", out.display())
        })?;
        say(format_args!("{}: open it in a browser", out.display()));
        return Ok(0);
    }
    let mut listeners = match args.port {
        Some(port) => ports::bind_range(port, 1)?,
        None => ports::bind_free(1)?,
    };
    let listener = listeners.pop().context("no port was found")?;
    let stop = Stop::listen()?;
    say(format_args!("The page is at http://{}/ until Ctrl-C.", listener.local_addr()?));
    tokio::select! {
        served = serve::serve(listener, page) => served.map(|()| 0),
        () = stop.wait() => Ok(0),
    }
}
