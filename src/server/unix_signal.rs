//! SIGINT, SIGTERM and SIGQUIT as requests to stop.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The first request asks to drain, the second to stop at once; more say nothing new.
const REQUESTS_MAX: usize = 2;

/// Requests to stop, by the name of the signal.
pub fn listen() -> io::Result<mpsc::Receiver<&'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
    tokio::spawn(async move {
        while !requests.is_closed() {
            let name = next(&mut interrupt, &mut terminate, &mut quit).await;
            // A full queue holds the second request already.
            let _ = requests.try_send(name);
        }
    });
    Ok(receiver)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal, quit: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = quit.recv() => "SIGQUIT",
    }
}
