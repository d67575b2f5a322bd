//! Which device networks run on, by the names that TotalSegmentator and the runtime use.

use engine::{Device, Runtime, RuntimeInfo, RuntimeOptions};

use super::Context;
use crate::{Error, Result, config};

/// What the user wants, by flags; what they leave open the settings decide, and then the program.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// auto, cpu, gpu, gpu:1, mps, or a provider by name (openvino, cuda, tensorrt, directml, coreml)
    #[arg(short, long, env = "VESALIUS_DEVICE", hide_env_values = true, help_heading = "Computing")]
    device: Option<String>,
    /// Numbers of the network: auto, fp32, bf16 or fp16
    #[arg(long, env = "VESALIUS_PRECISION", hide_env_values = true, help_heading = "Computing")]
    precision: Option<String>,
    /// Threads; all cores when left out
    #[arg(
        long,
        value_name = "N",
        env = "VESALIUS_THREADS",
        hide_env_values = true,
        help_heading = "Computing"
    )]
    threads: Option<usize>,
}

/// Reads the user's choice: flag, else settings, else the best there is.
pub(super) fn options(arguments: &Arguments, context: &Context) -> Result<RuntimeOptions> {
    let settings = &context.settings;
    let device = arguments.device.as_ref().or(settings.device.as_ref());
    let precision = arguments.precision.as_ref().or(settings.precision.as_ref());
    let unknown = |error: engine::Error, hint: &str| Error::usage(error.to_string(), hint);
    let device = device.map(|name| name.parse()).transpose().map_err(|error| {
        unknown(
            error,
            "`auto`, `cpu`, `gpu`, `gpu:1`, `mps`, `openvino`, `cuda`, `tensorrt`, `directml`, `coreml`",
        )
    })?;
    let precision = precision
        .map(|name| name.parse())
        .transpose()
        .map_err(|error| unknown(error, "`auto`, `fp32`, `bf16`, `fp16`"))?;
    let threads = arguments.threads.or(settings.threads).unwrap_or(0);
    if threads > 0 {
        // Only the first call can set the number; a second would come from a second command in one program.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    Ok(RuntimeOptions {
        // The engine reads this variable itself, and it goes before the settings.
        library: settings.runtime.clone().filter(|_| config::set("VESALIUS_ONNXRUNTIME").is_none()),
        data: Some(context.home.root().to_owned()),
        device: device.unwrap_or_default(),
        precision: precision.unwrap_or_default(),
        threads,
        // One image at a time: nobody else is starved.
        spinning: true,
    })
}

/// Finds the library and the device, and says where what was wanted is not there.
pub(super) fn open(options: &RuntimeOptions, context: &Context) -> Result<Runtime> {
    let runtime = Runtime::open(options)?;
    let info = runtime.info();
    for fallback in &info.fallbacks {
        context.display.warning(&fallback.to_string());
    }
    context.display.detail(&format!("networks run on {}", describe(&info)));
    Ok(runtime)
}

/// What networks run on, in words.
pub(super) fn describe(info: &RuntimeInfo) -> String {
    let first = info.providers.first().copied().unwrap_or(Device::Cpu);
    let precision = format!("{:?}", info.precision).to_lowercase();
    format!("{first} in {precision} with {} threads, by ONNX Runtime {}", info.threads, info.version)
}
