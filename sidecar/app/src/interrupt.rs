//! Ctrl-C: the first asks the work to stop, the second ends the program at once.

use imaging::Progress;

use crate::staging;

/// Exit code of a program that was broken off, as shells know it.
const BROKEN_OFF: i32 = 130;

/// Listens for Ctrl-C, or for the system's request to end, and passes it on to `progress`.
///
/// Where the signals cannot be heard the program can still be ended the hard way, so that is no error.
pub(crate) fn watch(progress: &Progress) {
    let progress = progress.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            if request().await.is_err() {
                return;
            }
            crate::output::note("stopping; Ctrl-C again ends the program at once");
            progress.cancel();
            if request().await.is_ok() {
                staging::abandon();
                std::process::exit(BROKEN_OFF);
            }
        });
    });
}

/// Returns when the user or the system asks to stop.
async fn request() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            heard = tokio::signal::ctrl_c() => heard,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
