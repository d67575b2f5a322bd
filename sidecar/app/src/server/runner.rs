//! Runs the jobs of the queue, one at a time, and tells what became of each.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::error::{Answer, Code, Refusal};
use super::job_view::{State, Step};
use super::jobs::{Job, cancelled};
use super::protocol::{Ask, Kind, Say, TABLE};
use super::rendezvous::write_whole;
use super::supervisor::Heard;
use super::{Server, blocking};

/// A worker that says nothing for so long hangs. One patch takes seconds, reading a model a minute at most.
const SILENT_AFTER: Duration = Duration::from_secs(600);
/// A worker that does not stop a job within this is ended. One patch of the largest networks takes about five seconds
/// on a slow processor, and the runtime is told to break it off.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs jobs of one kind for ever.
pub(super) async fn run(server: Arc<Server>, kind: Kind) {
    loop {
        let job = server.jobs.next(kind).await;
        let (state, error) = match run_job(&server, &job).await {
            Ok(()) => (State::Done, None),
            Err(refusal) if refusal.code == Code::Cancelled => (State::Cancelled, Some(refusal)),
            Err(refusal) => (State::Failed, Some(refusal)),
        };
        let ended = Arc::clone(&job);
        if let Err(refusal) = blocking(move || ended.set(state, error)).await {
            // Nothing can be written; at the next start the job will be told to have been interrupted.
            tracing::error!(job = %job.id, code = ?refusal.code, "the end of a job could not be written down");
        }
    }
}

/// Runs one job to its end.
async fn run_job(server: &Server, job: &Arc<Job>) -> Answer<()> {
    let Some(order) = job.start() else { return Err(Refusal::internal()) };
    let kind = job.kind();
    let worker = match kind {
        Kind::Segment => &server.supervisor,
        Kind::Install => &server.installer,
    };
    let started = Arc::clone(job);
    blocking(move || started.set(State::Running, None)).await?;
    let mut conversation = worker.order(order.clone()).await?;
    let (mut is_cancelled, mut was_heard, mut tries) = (false, false, 1);
    loop {
        let patience = if is_cancelled { STOP_WITHIN } else { SILENT_AFTER };
        let heard = tokio::select! {
            heard = tokio::time::timeout(patience, conversation.next()) => heard,
            () = job.cancel.notified(), if !is_cancelled => {
                is_cancelled = true;
                // The order gets no answer of its own.
                drop(worker.order(Ask::Cancel { order: conversation.number }).await);
                continue;
            }
        };
        was_heard |= matches!(heard, Ok(Heard::Say(_)));
        match heard {
            Ok(Heard::Say(Say::Progress { stage, done, total, whole, remaining })) if !is_cancelled => {
                job.progress(Step { stage, done, total, whole, remaining });
            }
            Ok(Heard::Say(Say::Progress { .. })) => {}
            Ok(Heard::Say(Say::Answer(table))) if kind == Kind::Segment => return keep(job, table).await,
            Ok(Heard::Say(Say::Answer(_))) => return Ok(()),
            Ok(Heard::Say(Say::Refused(refusal))) => return Err(refusal),
            Ok(Heard::Died(_)) if is_cancelled => return Err(cancelled()),
            // It had died before it could hear of the job, and nobody had noticed.
            Ok(Heard::Died(_)) if !was_heard && tries == 1 => {
                tries += 1;
                conversation = worker.order(order.clone()).await?;
            }
            Ok(Heard::Died(refusal)) => return Err(refusal),
            Err(_) => {
                worker.kill().await;
                return Err(if is_cancelled {
                    cancelled()
                } else {
                    Refusal::new(
                        Code::WorkerSilent,
                        "the worker hung and was ended",
                        "try again, or a smaller region",
                    )
                });
            }
        }
    }
}

/// Writes the table down. The labels lie in the spool already.
async fn keep(job: &Job, table: Value) -> Answer<()> {
    let path = job.folder.join(TABLE);
    blocking(move || {
        let bytes = serde_json::to_vec(&table).map_err(|_| Refusal::internal())?;
        write_whole(&path, &bytes).map_err(|error| Refusal::spool(&error))
    })
    .await
}
