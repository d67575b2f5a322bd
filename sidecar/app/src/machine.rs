//! What this machine has: memory, and what its processor can do.

/// Bytes of memory, as this program may use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// In all.
    pub(crate) total: u64,
    /// Free, or freed at once when asked for.
    pub(crate) available: u64,
}

/// Memory of the machine, or of the container where that has less; none where the system does not tell.
pub(crate) fn memory() -> Option<Memory> {
    let machine = meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let number =
        |name| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    Some(match number("memory.max") {
        Some(limit) if limit < machine.total => {
            let left = limit.saturating_sub(number("memory.current").unwrap_or(0));
            Memory { total: limit, available: left.min(machine.available) }
        }
        _ => machine,
    })
}

/// Reads Linux's `/proc/meminfo`.
fn meminfo(text: &str) -> Option<Memory> {
    let entry = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Memory { total: entry("MemTotal")?, available: entry("MemAvailable")? })
}

/// Instructions that make networks faster, where the processor has them.
pub(crate) fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("f16c", is_x86_feature_detected!("f16c")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512_bf16", is_x86_feature_detected!("avx512bf16")),
            ("avx512_vnni", is_x86_feature_detected!("avx512vnni")),
        ];
        known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:       24537892 kB\nMemFree:         1000000 kB\nMemAvailable:   22000000 kB\n";
        let expected = Memory { total: 24_537_892 * 1024, available: 22_000_000 * 1024 };
        assert_eq!(meminfo(text), Some(expected));
        assert_eq!(meminfo("MemTotal: lots"), None);
        assert_eq!(meminfo(""), None);
    }
}
