//! Ctrl-C: the first asks the work to stop, the second ends the program at once.

use std::sync::mpsc;

use imaging::Progress;

use crate::staging;

/// Exit code of a program that was broken off, as shells know it.
const BROKEN_OFF: i32 = 130;

/// Listens for Ctrl-C, or for the system's request to end, and passes it on to `progress`; listens from when it
/// returns.
///
/// Where the signals cannot be heard the program can still be ended the hard way, so that is no error.
pub(crate) fn watch(progress: &Progress) {
    let progress = progress.clone();
    let (ready, listening) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let Ok(mut requests) = Requests::listen() else { return };
            let _ = ready.send(());
            requests.next().await;
            crate::output::note("stopping; Ctrl-C again ends the program at once");
            progress.cancel();
            requests.next().await;
            staging::abandon();
            std::process::exit(BROKEN_OFF);
        });
    });
    let _ = listening.recv();
}

/// Requests to stop.
#[cfg(unix)]
struct Requests {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Requests {
    fn listen() -> std::io::Result<Requests> {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Requests { interrupt, terminate })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Requests to stop.
#[cfg(windows)]
struct Requests {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Requests {
    fn listen() -> std::io::Result<Requests> {
        Ok(Requests { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) {
        self.interrupt.recv().await;
    }
}
