//! The worker as the supervisor sees it: started when it is needed, asked over a pipe, replaced when it dies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::error::{Answer, Code, Refusal};
use super::limits::Urgency;
use super::protocol::{Ask, Order, Say, Word};
use super::rendezvous::make_private;
use crate::output;

/// Most bytes of a line from the worker: a table of 255 structures has about 200 kB.
const MOST_LINE: u64 = 16 << 20;
/// Most bytes that a worker writes for people.
const MOST_WORDS: u64 = 16 << 20;
/// Time for a worker whose pipe has ended to end itself.
const DIES_WITHIN: Duration = Duration::from_millis(500);
/// Time for questions that run no network. Opening the runtime for the first time takes some seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The worker, running or not.
pub(super) struct Supervisor {
    /// For files that live no longer than a worker; emptied before each.
    scratch: PathBuf,
    urgency: Urgency,
    running: tokio::sync::Mutex<Option<Running>>,
    next: AtomicU64,
}

/// A worker that was started.
struct Running {
    /// Lines for its standard input, which ends with this.
    orders: mpsc::UnboundedSender<Vec<u8>>,
    conversations: Arc<Conversations>,
    kill: Arc<Notify>,
    last_used: Instant,
}

/// Who waits for which order; none once the worker is dead.
type Listeners = Option<HashMap<u64, mpsc::UnboundedSender<Heard>>>;

/// The listeners of a worker.
struct Conversations(Mutex<Listeners>);

impl Conversations {
    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen to what is said about an order; none where the worker is dead.
    fn listen(&self, number: u64) -> Option<mpsc::UnboundedReceiver<Heard>> {
        let mut listeners = self.lock();
        let listeners = listeners.as_mut()?;
        // Nobody waits for the end of what was stopped, and orders to stop are not answered.
        listeners.retain(|_, listener| !listener.is_closed());
        let (sender, words) = mpsc::unbounded_channel();
        listeners.insert(number, sender);
        Some(words)
    }

    /// Whether anybody still listens.
    fn is_awaited(&self) -> bool {
        self.lock().as_ref().is_some_and(|listeners| listeners.values().any(|listener| !listener.is_closed()))
    }
}

/// What is heard from the worker about an order.
pub(super) enum Heard {
    /// A word of the worker.
    Say(Say),
    /// The worker is dead, and why.
    Died(Refusal),
}

/// An order under way.
pub(super) struct Conversation {
    pub(super) number: u64,
    words: mpsc::UnboundedReceiver<Heard>,
}

impl Conversation {
    /// The next thing heard.
    pub(super) async fn next(&mut self) -> Heard {
        self.words.recv().await.unwrap_or_else(|| Heard::Died(died("the worker ended")))
    }

    /// What an order comes to that takes seconds at most.
    pub(super) async fn answer(self) -> Answer<Value> {
        self.answer_within(ANSWER_WITHIN).await
    }

    /// What an order comes to.
    pub(super) async fn answer_within(mut self, patience: Duration) -> Answer<Value> {
        let answer = async {
            loop {
                match self.next().await {
                    Heard::Say(Say::Progress { .. }) => {}
                    Heard::Say(Say::Answer(value)) => return Ok(value),
                    Heard::Say(Say::Refused(refusal)) => return Err(refusal),
                    Heard::Died(refusal) => return Err(refusal),
                }
            }
        };
        tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| {
            let message = format!("the worker gave no answer for {} s", patience.as_secs());
            Err(Refusal::new(Code::WorkerSilent, message, "try again"))
        })
    }
}

impl Supervisor {
    /// No worker yet.
    pub(super) fn new(scratch: PathBuf, urgency: Urgency) -> Supervisor {
        Supervisor { scratch, urgency, running: tokio::sync::Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Gives an order; starts a worker if none runs.
    pub(super) async fn order(&self, ask: Ask) -> Answer<Conversation> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Order { number, ask }).map_err(|_| Refusal::internal())?;
        line.push(b'\n');
        let mut running = self.running.lock().await;
        // A worker that died meanwhile is noticed here, by its listeners or by its pipe; the second one is fresh.
        for _ in 0..2 {
            let worker = match running.as_mut() {
                Some(worker) => worker,
                None => running.insert(start(&self.scratch, self.urgency)?),
            };
            worker.last_used = Instant::now();
            let words = worker.conversations.listen(number);
            if let Some(words) = words.filter(|_| worker.orders.send(line.clone()).is_ok()) {
                return Ok(Conversation { number, words });
            }
            *running = None;
        }
        Err(died("the worker cannot be reached"))
    }

    /// Asks something that takes seconds at most. A worker that died unnoticed while it had nothing to do costs nobody
    /// an answer: the next one is asked.
    pub(super) async fn ask(&self, ask: Ask) -> Answer<Value> {
        match self.ask_once(ask.clone()).await {
            Err(refusal) if refusal.code == Code::WorkerDied => self.ask_once(ask).await,
            answer => answer,
        }
    }

    async fn ask_once(&self, ask: Ask) -> Answer<Value> {
        self.order(ask).await?.answer().await
    }

    /// Ends the worker now, whatever it does.
    pub(super) async fn kill(&self) {
        if let Some(worker) = self.running.lock().await.take() {
            worker.kill.notify_one();
        }
    }

    /// Ends a worker that nobody has needed for `age`, and with it the memory of its models.
    pub(super) async fn retire(&self, age: Duration) {
        let mut running = self.running.lock().await;
        let is_idle =
            |worker: &Running| !worker.conversations.is_awaited() && worker.last_used.elapsed() >= age;
        if running.as_ref().is_some_and(is_idle) {
            // Its standard input ends, and so does it.
            *running = None;
        }
    }
}

/// The refusal of a job whose worker died.
pub(super) fn died(why: &str) -> Refusal {
    Refusal::new(
        Code::WorkerDied,
        why,
        "the server goes on; if it happens again, try `speed: fast`, fewer structures or a region",
    )
}

/// Starts a worker: this program, with the same arguments, in its other role.
fn start(scratch: &Path, urgency: Urgency) -> Answer<Running> {
    let failed = |error: std::io::Error| {
        Refusal::new(
            Code::WorkerDied,
            format!("the worker cannot be started: {}", error.kind()),
            "restart the program",
        )
    };
    let program = std::env::current_exe().map_err(failed)?;
    let _ = std::fs::remove_dir_all(scratch);
    make_private(scratch).map_err(|error| Refusal::of(Code::Internal, &error))?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .args(["--worker", urgency.name()])
        .env(if cfg!(windows) { "TMP" } else { "TMPDIR" }, scratch)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Refusal::internal());
    };
    let last_words = tokio::spawn(pass_on_words(stderr));
    let conversations = Arc::new(Conversations(Mutex::new(Some(HashMap::new()))));
    let kill = Arc::new(Notify::new());
    let (orders, lines) = mpsc::unbounded_channel();
    tokio::spawn(pass_in(lines, stdin));
    tokio::spawn(listen(child, stdout, last_words, Arc::clone(&conversations), Arc::clone(&kill)));
    Ok(Running { orders, conversations, kill, last_used: Instant::now() })
}

/// Writes orders down the worker's pipe, each of them whole: whoever gave one may be gone before the pipe has room, and
/// half a line would spoil the next.
async fn pass_in(mut lines: mpsc::UnboundedReceiver<Vec<u8>>, mut stdin: ChildStdin) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Passes the worker's words on until it is dead, then tells all who wait.
async fn listen(
    mut child: Child,
    stdout: ChildStdout,
    last_words: JoinHandle<Option<String>>,
    conversations: Arc<Conversations>,
    kill: Arc<Notify>,
) {
    tokio::select! {
        () = pass_on(stdout, &conversations) => {}
        () = kill.notified() => {}
    }
    // A pipe can end before the process does: one that is dying gets time to say why.
    let ended = tokio::time::timeout(DIES_WITHIN, child.wait()).await;
    let _ = child.start_kill();
    let status = match ended {
        Ok(status) => status,
        Err(_) => child.wait().await,
    };
    let why = status.map_or_else(|_| "the worker ended".to_owned(), cause);
    let said = tokio::time::timeout(DIES_WITHIN, last_words).await;
    let refusal = match said {
        Ok(Ok(Some(words))) => Refusal::out_of_memory(&words),
        _ => died(&why),
    };
    for (_, listener) in conversations.lock().take().into_iter().flatten() {
        let _ = listener.send(Heard::Died(refusal.clone()));
    }
}

/// Passes on what a worker writes for people; gives the line in which it says that it had no more memory.
async fn pass_on_words(stderr: ChildStderr) -> Option<String> {
    let mut lines = BufReader::new(stderr.take(MOST_WORDS)).lines();
    let mut found = None;
    while let Ok(Some(line)) = lines.next_line().await {
        // What Rust says before it ends a program for that reason.
        if line.starts_with("memory allocation of") {
            found = Some(line.clone());
        }
        output::note(&line);
    }
    found
}

/// Passes words on until the pipe ends or holds something that is none.
async fn pass_on(stdout: ChildStdout, conversations: &Conversations) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut stdout).take(MOST_LINE).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(length) if length > 0) || line.last() != Some(&b'\n') {
            return;
        }
        let Ok(Word { number, say }) = serde_json::from_slice::<Word>(&line) else { continue };
        let is_last = !matches!(say, Say::Progress { .. });
        if let Some(listeners) = conversations.lock().as_mut() {
            let heard = listeners.get(&number).is_some_and(|listener| listener.send(Heard::Say(say)).is_ok());
            if is_last || !heard {
                listeners.remove(&number);
            }
        }
    }
}

/// Why a process ended, in words.
fn cause(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            9 => "the worker was killed, most likely because memory ran out".to_owned(),
            signal => format!("the worker was ended by signal {signal}"),
        };
    }
    format!("the worker ended unexpectedly ({status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each order to stop left a listener behind: a worker was never idle after one, and kept its memory for good.
    #[test]
    fn nobody_waits_for_an_answer_that_will_not_come() {
        let conversations = Conversations(Mutex::new(Some(HashMap::new())));
        let awaited = conversations.listen(1).unwrap();
        drop(conversations.listen(2));
        assert!(conversations.is_awaited());
        drop(awaited);
        assert!(!conversations.is_awaited());
        let last = conversations.listen(3);
        assert_eq!(conversations.lock().as_ref().map(HashMap::len), Some(1));
        *conversations.lock() = None;
        assert!(last.is_some() && conversations.listen(4).is_none() && !conversations.is_awaited());
    }
}
