//! `vesalius doctor`: what was found on this machine, and the command that mends each thing missing.

use std::process::ExitCode;

use engine::{Attempt, ModelStore, Origin, Runtime, Speed};
use serde::Serialize;

use super::Context;
use crate::{Result, machine, output, staging};

/// How to tell.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// Something could be better.
    Note,
    /// `segment` cannot run.
    Missing,
}

/// One thing that was looked at; fields are added, never renamed.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// The command or step that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    /// Whether `segment` can run.
    ready: bool,
    checks: Vec<Check>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Ok, found: found.into(), mend: None }
    }

    fn note(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Check {
        Check { name, state: State::Note, found: found.into(), mend: Some(mend.into()) }
    }

    fn missing(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Check {
        Check { name, state: State::Missing, found: found.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything that `segment` needs; exit code 0 when it can run.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let store = context.store();
    let mut checks = vec![home(context)];
    checks.extend(runtime(context));
    checks.extend([processor(), memory(), disk(context)]);
    checks.extend(models(&store));
    let ready = checks.iter().all(|check| check.state != State::Missing);
    let findings = Findings { version: env!("CARGO_PKG_VERSION"), ready, checks };
    if arguments.json {
        output::json(&findings)?;
    } else {
        print(&findings)?;
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// For people.
fn print(findings: &Findings) -> Result<()> {
    output::line(&format!("vesalius {}", findings.version))?;
    for check in &findings.checks {
        let mark = match check.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Missing => "MISSING",
        };
        let found = check.found.replace('\n', &format!("\n{:<20}", ""));
        output::line(&format!("{mark:<8} {:<10} {found}", check.name))?;
        if let Some(mend) = &check.mend {
            output::line(&format!("{:<8} {:<10} -> {mend}", "", ""))?;
        }
    }
    let verdict =
        if findings.ready { "`vesalius segment` can run" } else { "`vesalius segment` cannot run yet" };
    output::line(&format!("\n{verdict}"))
}

/// The folder that holds all state.
fn home(context: &Context) -> Check {
    let root = context.home.root();
    match staging::probe(root) {
        Ok(()) => Check::ok("home", root.display().to_string()),
        Err(error) => {
            Check::missing("home", error.sentence(), "export VESALIUS_HOME=/a/folder/that/you/may/write")
        }
    }
}

/// The inference runtime and its devices.
fn runtime(context: &Context) -> Vec<Check> {
    let options = match super::device::options(&super::device::Arguments::default(), context) {
        Ok(options) => options,
        Err(error) => return vec![Check::missing("runtime", error.sentence(), "correct `config.toml`")],
    };
    let info = match Runtime::open(&options) {
        Ok(runtime) => runtime.info(),
        Err(error) => {
            let places = match &error {
                engine::Error::RuntimeMissing { tried } => tried.iter().map(Attempt::to_string).collect(),
                _ => Vec::new(),
            };
            let error = crate::Error::from(error);
            let found = [vec![error.sentence()], places].concat().join("\n");
            return vec![Check::missing("runtime", found, "pip install onnxruntime")];
        }
    };
    let library = format!("ONNX Runtime {}, `{}`", info.version, info.library.display());
    let mut checks = vec![Check::ok("runtime", library), Check::ok("device", super::device::describe(&info))];
    if info.openvino.is_none() && cfg!(target_arch = "x86_64") && info.providers.len() < 2 {
        let found = "OpenVINO is not installed; it makes networks faster on this processor";
        checks.push(Check::note("openvino", found, "pip install onnxruntime-ep-openvino"));
    }
    checks.extend(info.fallbacks.iter().map(|fallback| {
        Check::note("device", fallback.to_string(), format!("pip install {}", package(&fallback.wanted)))
    }));
    checks
}

/// The Python package that brings a device.
fn package(device: &str) -> &'static str {
    match device.split(':').next().unwrap_or_default() {
        "openvino" => "onnxruntime-ep-openvino",
        "cuda" | "tensorrt" | "gpu" => "onnxruntime-gpu",
        "directml" => "onnxruntime-directml",
        _ => "onnxruntime",
    }
}

/// Cores and what they can do.
fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let features = machine::features();
    let list = if features.is_empty() { String::new() } else { format!(", {}", features.join(" ")) };
    Check::ok("processor", format!("{} {cores} threads{list}", std::env::consts::ARCH))
}

/// Memory.
fn memory() -> Check {
    match machine::memory() {
        None => Check::ok("memory", "unknown on this system"),
        Some(memory) => {
            let found = format!("{} free of {}", output::size(memory.available), output::size(memory.total));
            if memory.available < 3_000_000_000 {
                Check::note("memory", found, "close other programs: large scans need about 3 GB")
            } else {
                Check::ok("memory", found)
            }
        }
    }
}

/// Room for models.
fn disk(context: &Context) -> Check {
    let root = context.home.root();
    let folder = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(root);
    match fs4::available_space(folder) {
        Ok(free) if free < 3_000_000_000 => {
            let found = format!("{} free", output::size(free));
            Check::note(
                "disk",
                found,
                "export VESALIUS_HOME=/a/larger/disk (all models of `total` need 2.4 GB)",
            )
        }
        Ok(free) => Check::ok("disk", format!("{} free", output::size(free))),
        Err(error) => {
            Check::note("disk", format!("cannot be asked: {error}"), "check that the disk is mounted")
        }
    }
}

/// What can be segmented.
fn models(store: &ModelStore) -> Vec<Check> {
    let models = store.list();
    let count = |wanted: fn(&Origin) -> bool| models.iter().filter(|model| wanted(&model.origin)).count();
    let found = format!(
        "{} built in, {} installed, {} found in folders of TotalSegmentator",
        count(|origin| matches!(origin, Origin::Embedded)),
        count(|origin| matches!(origin, Origin::Installed(_))),
        count(|origin| matches!(origin, Origin::Found(_))),
    );
    let check = if models.is_empty() {
        Check::missing("models", found, "vesalius models install total")
    } else {
        Check::ok("models", found)
    };
    let total = match store.task("total") {
        Some(total) if store.missing(&total, Speed::Default).is_empty() => {
            Check::ok("total", "117 structures in any CT, installed")
        }
        Some(total) if store.missing(&total, Speed::Fast).is_empty() => {
            Check::ok("total", "117 structures in any CT, installed for --fast")
        }
        _ => Check::note("total", "117 structures in any CT, not installed", "vesalius models install total"),
    };
    vec![check, total]
}
