//! Files that were uploaded are read in a worker of their own: one that kills its reader costs nobody a job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::error::{Answer, Code, Refusal};
use super::protocol::{Ask, Images, Reading, Say};
use super::supervisor::Heard;
use super::volumes::Volume;

/// A reader that says nothing for so long hangs: it tells of every slice.
const SILENT_AFTER: Duration = Duration::from_secs(120);

impl Server {
    /// Reads the file of a volume in the background, where there is one to read.
    pub(super) fn begin_reading(self: &Arc<Server>, volume: &Arc<Volume>, resolve: BTreeMap<String, String>) {
        let Some(reading) = volume.reading(resolve) else { return };
        let (server, volume) = (Arc::clone(self), Arc::clone(volume));
        tokio::spawn(async move {
            let images = server.read(reading, &volume).await;
            volume.was_read(images);
        });
    }

    /// One file at a time.
    async fn read(&self, reading: Reading, volume: &Volume) -> Answer<Images> {
        let _turn = self.reading.lock().await;
        let mut conversation = self.reader.order(Ask::Read(reading)).await?;
        loop {
            let heard = tokio::select! {
                heard = tokio::time::timeout(SILENT_AFTER, conversation.next()) => heard,
                () = volume.gone.notified() => {
                    self.reader.kill().await;
                    return Err(Refusal::not_found("volume"));
                }
            };
            match heard {
                Ok(Heard::Say(Say::Progress { .. })) => {}
                Ok(Heard::Say(Say::Answer(images))) => {
                    return serde_json::from_value(images).map_err(|_| Refusal::internal());
                }
                Ok(Heard::Say(Say::Refused(refusal))) => return Err(refusal),
                Ok(Heard::Died(refusal)) => return Err(unreadable(refusal.code, &refusal.message)),
                Err(_) => {
                    self.reader.kill().await;
                    return Err(unreadable(Code::WorkerSilent, "the worker hung and was ended"));
                }
            }
        }
    }
}

/// The refusal of a file that cost its reader's life.
fn unreadable(code: Code, why: &str) -> Refusal {
    Refusal::new(
        code,
        format!("the file could not be read: {why}"),
        "it is damaged, or needs more memory than there is; a viewer that can show it can send its voxels instead",
    )
}
