//! ONNX Runtime: finds its library, chooses where networks run, opens them. Everything that `ort` does is in here.
//!
//! The library is loaded once for the life of the process; it is never downloaded from here.

mod device;
mod library;
mod session;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imaging::Progress;
use nnunet::{Plan, Weights};
use ort::ep::{self, ExecutionProvider};
use serde::Serialize;

pub use device::{Device, Precision};
use device::{Provider, processor_features};
pub use library::{Attempt, Found};
use library::{ONNX_RUNTIME, OPENVINO, Surroundings, candidates, is_whole};

use crate::{Error, Network, Result};

/// The least ONNX Runtime that this program can use, of 1.x; set by the feature `api-22` of `ort`.
pub const LEAST_MINOR_VERSION: u32 = ort::MINOR_VERSION;

/// How networks are run; the default is right for most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeOptions {
    /// ONNX Runtime's library, or a folder or Python environment that holds it. None: searched for.
    pub library: Option<PathBuf>,
    /// The folder of this program's data, one of the places that are searched.
    pub data: Option<PathBuf>,
    /// Where networks run.
    pub device: Device,
    /// In what numbers.
    pub precision: Precision,
    /// Threads of one network; 0: as many as the process may use.
    pub threads: usize,
    /// Whether idle threads wait actively: a little faster, but it starves a server on the same processor.
    pub spinning: bool,
}

/// A device that was wanted and not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fallback {
    /// What should have run the networks: `cuda`.
    pub wanted: String,
    /// What ran them: `cpu`.
    pub used: String,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for Fallback {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "`{}` could not be used, networks ran on `{}`: {}",
            self.wanted, self.used, self.reason
        )
    }
}

/// What networks run on, for reports and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeInfo {
    /// ONNX Runtime's library.
    pub library: PathBuf,
    /// Its version: `1.32.0`; empty when it does not tell.
    pub version: String,
    /// What was asked for.
    pub device: Device,
    /// What networks run on, first choice first, the processor last.
    pub providers: Vec<Device>,
    /// OpenVINO's plug-in, where it is installed and works.
    pub openvino: Option<PathBuf>,
    /// In what numbers the first choice computes.
    pub precision: Precision,
    /// Threads of one network.
    pub threads: usize,
    /// What the processor can do, as far as it decides about speed.
    pub processor: Vec<String>,
    /// What did not work so far.
    pub fallbacks: Vec<Fallback>,
    /// Where the libraries were looked for.
    pub attempts: Vec<Attempt>,
}

/// The library, ready to open networks. Clones are the same runtime.
#[derive(Debug, Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

/// What networks keep of their runtime.
#[derive(Debug)]
struct Shared {
    environment: ort::environment::Environment,
    library: PathBuf,
    openvino: Option<PathBuf>,
    device: Device,
    providers: Vec<Provider>,
    precision: Precision,
    threads: usize,
    spinning: bool,
    features: Vec<String>,
    fallbacks: Mutex<Vec<Fallback>>,
    attempts: Vec<Attempt>,
}

/// `ort` allows one environment in the life of a process.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

#[derive(Clone)]
struct Loaded {
    environment: ort::environment::Environment,
    library: PathBuf,
    attempts: Vec<Attempt>,
    /// The plug-in, or why there is none; None until it was asked for.
    openvino: Option<Result<PathBuf, String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    /// Finds and loads the library; the first call decides for the whole process.
    ///
    /// # Errors
    ///
    /// [`Error::RuntimeMissing`] with every place that was looked at, [`Error::RuntimeUnusable`] or
    /// [`Error::RuntimeTooOld`] for a library that was named, [`Error::RuntimeLoaded`] when another one is in use.
    pub fn open(options: &RuntimeOptions) -> Result<Runtime> {
        let surroundings = Surroundings::of_this_process(options.library.as_deref(), options.data.as_deref());
        let mut slot = lock(&LOADED);
        let mut loaded = match slot.take() {
            Some(loaded) => loaded,
            None => load(&surroundings)?,
        };
        let same = options.library.as_deref().is_none_or(|wanted| loaded.library.starts_with(wanted));
        let wants_openvino = options.device.providers().contains(&Provider::OpenVino);
        if same && wants_openvino && loaded.openvino.is_none() {
            loaded.openvino = Some(load_openvino(&mut loaded, &surroundings));
        }
        *slot = Some(loaded.clone());
        drop(slot);
        if !same {
            let wanted = options.library.clone().unwrap_or_default();
            return Err(Error::RuntimeLoaded { loaded: loaded.library, wanted });
        }
        Ok(Runtime { shared: Arc::new(Shared::new(loaded, options)) })
    }

    /// A network of `plan` with these weights, on the first device that takes it; stops when `progress` says so.
    ///
    /// `model` is for messages. Devices that fail are passed over, see [`Runtime::fallbacks`].
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`], [`Error::Model`] when plan and weights do not fit, [`Error::Network`] when not even the
    /// processor takes it.
    pub fn network(
        &self,
        model: &str,
        plan: &Plan,
        weights: &Weights,
        progress: &Progress,
    ) -> Result<Box<dyn Network>> {
        let mut failed: Option<(Provider, String)> = None;
        for provider in self.shared.providers.iter().copied().chain([Provider::Cpu]) {
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match session::OrtNetwork::open(&self.shared, model, plan, weights, provider)? {
                Ok(mut network) => {
                    if let Some((wanted, reason)) = failed {
                        self.shared.fell_back(wanted, provider, &reason);
                    }
                    network.watch(progress);
                    return Ok(Box::new(network));
                }
                Err(error) if provider == Provider::Cpu => {
                    return Err(Error::Network { model: model.to_owned(), source: Box::new(error) });
                }
                Err(error) => failed = failed.or_else(|| Some((provider, error.message().to_owned()))),
            }
        }
        // The processor is always tried.
        Err(Error::NoNetwork)
    }

    /// Devices that were wanted and did not work so far; for the report of a result.
    #[must_use]
    pub fn fallbacks(&self) -> Vec<Fallback> {
        lock(&self.shared.fallbacks).clone()
    }

    /// What networks run on.
    #[must_use]
    pub fn info(&self) -> RuntimeInfo {
        let shared = &self.shared;
        let first = shared.providers.first().copied().unwrap_or(Provider::Cpu);
        RuntimeInfo {
            library: shared.library.clone(),
            version: version(&shared.library),
            device: shared.device,
            providers: shared
                .providers
                .iter()
                .chain([&Provider::Cpu])
                .map(|provider| provider.device())
                .collect(),
            openvino: shared.openvino.clone(),
            precision: shared.precision_of(first),
            threads: shared.threads,
            processor: shared.features.clone(),
            fallbacks: self.fallbacks(),
            attempts: shared.attempts.clone(),
        }
    }
}

impl Shared {
    fn new(loaded: Loaded, options: &RuntimeOptions) -> Shared {
        let openvino = loaded.openvino.unwrap_or_else(|| Err("it was not asked for".into()));
        let mut fallbacks = Vec::new();
        let mut providers = options.device.providers();
        providers.retain(|provider| {
            let Some(reason) = missing(*provider, &openvino) else { return true };
            if options.device != Device::Auto {
                let reason = format!("{reason}; `pip install {}` brings it", provider.package());
                fallbacks.push((*provider, reason));
            }
            false
        });
        let used = providers.first().copied().unwrap_or(Provider::Cpu);
        let shared = Shared {
            environment: loaded.environment,
            library: loaded.library,
            openvino: openvino.ok(),
            device: options.device,
            providers,
            precision: options.precision,
            threads: match options.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            },
            spinning: options.spinning,
            features: processor_features(),
            fallbacks: Mutex::default(),
            attempts: loaded.attempts,
        };
        fallbacks.iter().for_each(|(wanted, reason)| shared.fell_back(*wanted, used, reason));
        shared
    }

    /// Remembers, once, that a device could not be used.
    fn fell_back(&self, wanted: Provider, used: Provider, reason: &str) {
        let (wanted, used) = (wanted.device().to_string(), used.device().to_string());
        // ONNX Runtime's messages go over many lines; the first says what happened.
        let reason = reason.lines().next().unwrap_or_default().trim().to_owned();
        let fallback = Fallback { wanted, used, reason };
        let mut fallbacks = lock(&self.fallbacks);
        if !fallbacks.contains(&fallback) {
            tracing::warn!("{fallback}");
            fallbacks.push(fallback);
        }
    }

    /// In what numbers a provider computes.
    fn precision_of(&self, provider: Provider) -> Precision {
        let matrix_units = self.features.iter().any(|feature| feature == "amx_bf16");
        match (provider, self.precision) {
            // Without matrix units shorter numbers gain nothing (docs/benchmarks.md).
            (Provider::OpenVino, Precision::Auto) if matrix_units => Precision::Bf16,
            (Provider::OpenVino, Precision::Bf16) => Precision::Bf16,
            (Provider::OpenVino | Provider::TensorRt(_), Precision::Fp16) => Precision::Fp16,
            _ => Precision::Fp32,
        }
    }
}

/// Why a provider cannot even be tried.
fn missing(provider: Provider, openvino: &Result<PathBuf, String>) -> Option<String> {
    let compiled_in = match provider {
        Provider::Cpu => return None,
        Provider::OpenVino => return openvino.as_ref().err().cloned(),
        Provider::Cuda(_) => ep::CUDA::is_available(),
        Provider::TensorRt(_) => ep::TensorRT::is_available(),
        Provider::DirectMl(_) => ep::DirectML::is_available(),
        Provider::CoreMl => ep::CoreML::is_available(),
    };
    match compiled_in {
        Ok(true) => None,
        Ok(false) => Some(format!("this ONNX Runtime has no `{}`", provider.name())),
        Err(error) => Some(error.message().to_owned()),
    }
}

/// Tries every candidate in turn until one loads.
fn load(surroundings: &Surroundings) -> Result<Loaded> {
    let mut attempts = Vec::new();
    for candidate in candidates(surroundings, ONNX_RUNTIME) {
        let Some(file) = candidate.file else {
            attempts.push(Attempt { place: candidate.place, path: candidate.path, outcome: Found::Nothing });
            continue;
        };
        let tried = load_file(&file);
        let outcome = tried.as_ref().err().cloned().unwrap_or(Found::Used);
        attempts.push(Attempt { place: candidate.place, path: file.clone(), outcome });
        if let Ok(environment) = tried {
            return Ok(Loaded { environment, library: file, attempts, openvino: None });
        }
    }
    // A library that was named is wanted, and no other; a sentence about it says more than a list of one.
    match (surroundings.named.is_some(), attempts.pop()) {
        (true, Some(Attempt { path, outcome: Found::Unusable { reason }, .. })) => {
            Err(Error::RuntimeUnusable { path, reason })
        }
        (true, Some(Attempt { path, outcome: Found::TooOld { version }, .. })) => {
            Err(Error::RuntimeTooOld { path, version })
        }
        (_, last) => {
            attempts.extend(last);
            Err(Error::RuntimeMissing { tried: attempts })
        }
    }
}

fn load_file(file: &Path) -> Result<ort::environment::Environment, Found> {
    let unusable = |reason: String| Found::Unusable { reason };
    is_whole(file).map_err(unusable)?;
    // Asked apart, because `init_from` says yes to any file once a library is loaded.
    let minor = ort::util::probe(file);
    if let Some(minor) = minor.filter(|minor| *minor < LEAST_MINOR_VERSION) {
        return Err(Found::TooOld { version: format!("1.{minor}") });
    }
    let builder = ort::init_from(file).map_err(|error| match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => Found::TooOld { version: version_str },
        ort::LoadDynamicError::MissingApi { .. } => unusable("this library is not ONNX Runtime".into()),
        other => unusable(other.to_string()),
    })?;
    if minor.is_none() {
        return Err(unusable("this library is not ONNX Runtime".into()));
    }
    let builder = builder.with_name("vesalius").with_telemetry(false);
    builder.build().map_err(|error| unusable(error.message().to_owned()))
}

/// Finds OpenVINO's plug-in and registers it; the reason when there is none.
fn load_openvino(loaded: &mut Loaded, surroundings: &Surroundings) -> Result<PathBuf, String> {
    let mut reason = "its plug-in is not installed".to_owned();
    // Beside the library first: the packages are installed together and must fit.
    let packages = loaded.library.ancestors().nth(3).map(Path::to_owned);
    let surroundings = Surroundings { named: None, ..surroundings.clone() };
    let beside =
        Surroundings { named: packages.map(|path| (String::new(), path)), ..Surroundings::default() };
    for candidate in candidates(&beside, OPENVINO).into_iter().chain(candidates(&surroundings, OPENVINO)) {
        let Some(file) = candidate.file else { continue };
        let tried = whole_folder(&file).and_then(|()| {
            let register = loaded.environment.register_ep_library(Provider::OpenVino.name(), &file);
            register.map_err(|error| error.message().to_owned())
        });
        let outcome = match &tried {
            Ok(()) => Found::Used,
            Err(reason) => Found::Unusable { reason: reason.clone() },
        };
        loaded.attempts.push(Attempt { place: "OpenVINO".into(), path: file.clone(), outcome });
        match tried {
            Ok(()) => return Ok(file),
            Err(message) => reason = message,
        }
    }
    Err(reason)
}

/// Whether a library and those beside it, which it will load, are whole.
fn whole_folder(file: &Path) -> Result<(), String> {
    let Some(folder) = file.parent() else { return is_whole(file) };
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(".so") || name.ends_with(".dll") || name.ends_with(".dylib") {
            is_whole(&path).map_err(|reason| format!("`{}`: {reason}", path.display()))?;
        }
    }
    Ok(())
}

/// The library's version, from its name or from what it says of its build.
fn version(library: &Path) -> String {
    let digits = |text: &str| -> String {
        let start = text.find(|character: char| character.is_ascii_digit()).unwrap_or(text.len());
        let number = |character: &char| character.is_ascii_digit() || *character == '.';
        text[start..].chars().take_while(number).collect::<String>().trim_end_matches('.').to_owned()
    };
    let name = library.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = digits(name);
    if named.contains('.') {
        named
    } else {
        digits(ort::info().split_once("git-branch=").map_or("", |parts| parts.1))
    }
}

#[cfg(test)]
mod tests;
