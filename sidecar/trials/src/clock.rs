//! Time on the wall, and time of the processor: the second is what a shared machine measures fairly.

use std::time::{Duration, Instant};

/// A stopwatch.
pub(crate) struct Clock {
    wall: Instant,
    processor: Option<Duration>,
}

/// What a stopwatch showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) wall_ms: f64,
    /// All threads of this process together; `None` where the system does not say.
    pub(crate) processor_ms: Option<f64>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { processor: processor(), wall: Instant::now() }
    }

    pub(crate) fn stop(&self) -> Time {
        let wall_ms = self.wall.elapsed().as_secs_f64() * 1e3;
        let spent = processor().zip(self.processor).map(|(now, then)| now.saturating_sub(then));
        Time { wall_ms, processor_ms: spent.map(|spent| spent.as_secs_f64() * 1e3) }
    }
}

/// Processor time of all threads so far, as Linux keeps it in nanoseconds.
fn processor() -> Option<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}
