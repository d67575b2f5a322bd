//! What a worker may not do: outlive the server, crowd out viewers, leave its memory on the disk, or take it all.

/// Least memory that a worker is given: the program and the runtime alone take a part of it.
#[cfg(target_os = "linux")]
const LEAST_BYTES: u64 = 1 << 30;

/// Whether somebody waits for what a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Urgency {
    /// For minutes, perhaps; the server must stay quick meanwhile.
    Background,
    /// With a finger on the mouse.
    Interactive,
}

impl Urgency {
    /// As the command line says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Urgency::Background => "background",
            Urgency::Interactive => "interactive",
        }
    }
}

/// Sets what holds for the whole life of this process. Where the system refuses, work goes on without.
#[cfg(unix)]
pub(super) fn begin(urgency: Urgency) {
    use rustix::process::{Resource, Rlimit, nice, setpgid, setrlimit};
    // Ctrl-C in the server's terminal is for the server, which tells its workers.
    let _ = setpgid(None, None);
    if urgency == Urgency::Background {
        let _ = nice(5);
    }
    // A core file would be a copy of a patient's image.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
        };
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Nothing of the kind is known here.
#[cfg(not(unix))]
pub(super) fn begin(_: Urgency) {}

/// Lets this process grow by what is free now, or to `most` bytes: a job that needs more gets an error, and neither
/// the server nor anything else of the user pays for it.
///
/// What counts is private writable memory (`RLIMIT_DATA`), used or only reserved; files that are mapped, such as
/// libraries, do not. `RLIMIT_AS` would count address space that runtimes reserve and never touch.
#[cfg(target_os = "linux")]
pub(super) fn allow_memory(most: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(now) = data_bytes() else { return };
    let Some(free) = crate::machine::memory().map(|memory| memory.available) else { return };
    let bytes = most.map_or((now + free).max(LEAST_BYTES), |most| most.min(now + free));
    let maximum = getrlimit(Resource::Data).maximum;
    let current = maximum.map_or(bytes, |maximum| bytes.min(maximum));
    let _ = setrlimit(Resource::Data, Rlimit { current: Some(current), maximum });
}

/// Nothing of the kind is known here.
#[cfg(not(target_os = "linux"))]
pub(super) fn allow_memory(_: Option<u64>) {}

/// What counts towards the limit now.
#[cfg(target_os = "linux")]
fn data_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_known() {
        let before = data_bytes().unwrap();
        let held = vec![1u8; 64 << 20];
        let grown = data_bytes().unwrap().saturating_sub(before);
        // Tests beside this one give memory back meanwhile: pages once, never half of this.
        assert!(grown >= held.len() as u64 / 2, "{grown}");
    }
}
