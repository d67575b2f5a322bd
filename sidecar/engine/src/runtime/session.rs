//! One network in ONNX Runtime: its trunk as one session, its last layer as another that gives some classes at a time.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use imaging::Progress;
use nnunet::{
    FEATURES, GraphOptions, HEAD_BIAS, HEAD_WEIGHT, INPUT, InstanceNormalization, OUTPUT, Part, Plan,
};
use ort::ep;
use ort::memory::DeviceType;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session};
use ort::value::TensorRef;

use super::Shared;
use super::device::{Precision, Provider};
use crate::network::TakeScores;
use crate::{Error, Network, Result};

/// Classes that the last layer gives at once: 0.1 GiB for a usual patch, and few enough reads of the features.
const CLASSES_AT_ONCE: usize = 16;

/// How often a running network looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// A network of a model; see [`Network`].
pub(super) struct OrtNetwork {
    model: String,
    trunk: Session,
    head: Session,
    /// Rows of the last layer, in groups of the same size; the last one is filled up with zeros.
    groups: Vec<Group>,
    /// `[1, channel, z, y, x]`.
    input: [usize; 5],
    /// `[1, feature, z, y, x]`.
    features: [usize; 5],
    options: RunOptions,
    progress: Progress,
    /// What it takes to start again on the processor, until a first patch went well on a graphics card: its memory may
    /// be too small for the network, which only the first patch shows.
    rescue: Option<(Provider, Vec<u8>, Arc<Shared>)>,
}

/// Some rows of the last layer.
struct Group {
    first: usize,
    classes: usize,
    /// `[class, feature]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// The trunk of a network as `provider` likes it best.
pub(super) fn trunk(plan: &Plan, weights: &nnunet::Weights, provider: Provider) -> Result<Vec<u8>> {
    let normalization = match provider {
        Provider::Cpu | Provider::OpenVino => InstanceNormalization::TwoLevel,
        // Graphics cards sum in trees anyway.
        _ => InstanceNormalization::Native,
    };
    Ok(nnunet::to_onnx(plan, weights, GraphOptions { normalization, part: Part::Trunk })?)
}

impl OrtNetwork {
    /// The network of `plan` with its trunk on `provider`; what the runtime said if that does not work.
    pub(super) fn open(
        shared: &Arc<Shared>,
        model: &str,
        plan: &Plan,
        weights: &nnunet::Weights,
        provider: Provider,
    ) -> Result<Result<OrtNetwork, ort::Error>> {
        let graph = trunk(plan, weights, provider)?;
        let head = nnunet::head(plan, weights)?;
        let classes = plan.outputs.channels();
        let at_once = classes.clamp(1, CLASSES_AT_ONCE);
        let head_graph = nnunet::head_to_onnx(plan, at_once)?;
        let sessions = || -> ort::Result<(Session, Session, RunOptions)> {
            let trunk = session(shared, &graph, provider)?;
            Ok((trunk, session(shared, &head_graph, Provider::Cpu)?, RunOptions::new()?))
        };
        let (trunk, head_session, options) = match sessions() {
            Ok(sessions) => sessions,
            Err(error) => return Ok(Err(error)),
        };
        let [z, y, x] = plan.patch_size;
        let keep = !matches!(provider, Provider::Cpu | Provider::OpenVino);
        Ok(Ok(OrtNetwork {
            model: model.to_owned(),
            trunk,
            head: head_session,
            groups: groups(&head, classes, at_once),
            input: [1, plan.channels.len(), z, y, x],
            features: [1, head.features, z, y, x],
            options,
            progress: Progress::silent(),
            rescue: keep.then(|| (provider, graph, Arc::clone(shared))),
        }))
    }

    /// The first error is ours or the caller's, the second the runtime's.
    fn attempt(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<Result<()>, ort::Error> {
        self.options.unterminate()?;
        let OrtNetwork { trunk, head, groups, input, features, options, progress, .. } = self;
        let at_once = groups.first().map_or(1, |group| group.bias.len());
        watched(options, progress, || {
            let patch = TensorRef::from_array_view((*input, patch))?;
            let found = trunk.run_with_options(ort::inputs![INPUT => patch], options)?;
            let (_, found) = found[FEATURES].try_extract_tensor::<f32>()?;
            let voxels: usize = features[2..].iter().product();
            for group in groups {
                if progress.is_cancelled() {
                    return Ok(Err(Error::Cancelled));
                }
                let inputs = ort::inputs![
                    FEATURES => TensorRef::from_array_view((*features, found))?,
                    HEAD_WEIGHT => TensorRef::from_array_view(([at_once, features[1], 1, 1, 1], &group.weights[..]))?,
                    HEAD_BIAS => TensorRef::from_array_view(([at_once], &group.bias[..]))?,
                ];
                let scores = head.run_with_options(inputs, options)?;
                let (_, scores) = scores[OUTPUT].try_extract_tensor::<f32>()?;
                if let Err(error) = take(group.first, &scores[..group.classes * voxels]) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })
    }

    /// Goes on without the graphics card if this was its first patch.
    fn rescued(&mut self, error: ort::Error) -> Result<()> {
        let failed =
            |error: ort::Error| Error::Network { model: self.model.clone(), source: Box::new(error) };
        let Some((provider, graph, shared)) = self.rescue.take() else { return Err(failed(error)) };
        self.trunk = session(&shared, &graph, Provider::Cpu).map_err(failed)?;
        shared.fell_back(provider, Provider::Cpu, error.message());
        Ok(())
    }
}

impl Network for OrtNetwork {
    fn run(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut given = false;
        let mut noting = |first: usize, scores: &[f32]| {
            given = true;
            take(first, scores)
        };
        let error = match self.attempt(patch, &mut noting) {
            Ok(done) => {
                self.rescue = None;
                return done;
            }
            // By the flag, not by the runtime's text.
            Err(_) if self.progress.is_cancelled() => return Err(Error::Cancelled),
            Err(error) => error,
        };
        if given {
            // Scores cannot be taken back.
            return Err(Error::Network { model: self.model.clone(), source: Box::new(error) });
        }
        self.rescued(error)?;
        self.run(patch, take)
    }

    fn watch(&mut self, progress: &Progress) {
        self.progress = progress.clone();
    }
}

/// Works, and ends the runtime's part early when asked to stop. OpenVINO runs a network in one piece and ends after it.
fn watched<T>(options: &RunOptions, progress: &Progress, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, waiting) = channel::<()>();
        let look = move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(LOOK) {
                if progress.is_cancelled() {
                    return options.terminate().ok();
                }
            }
            None
        };
        // Without another thread the work can still be done, only not ended early.
        let _watcher = thread::Builder::new().name("cancel".into()).spawn_scoped(scope, look);
        let result = work();
        drop(done);
        result
    })
}

fn groups(head: &nnunet::Head, classes: usize, at_once: usize) -> Vec<Group> {
    let rows = |numbers: &[f32], from: usize, to: usize, padded: usize| {
        let mut rows = numbers.get(from..to).unwrap_or_default().to_vec();
        rows.resize(padded, 0.0);
        rows
    };
    let group = |first: usize| {
        let last = (first + at_once).min(classes);
        let width = head.features;
        Group {
            first,
            classes: last - first,
            weights: rows(&head.weights, first * width, last * width, at_once * width),
            bias: rows(&head.bias, first, last, at_once),
        }
    };
    (0..classes).step_by(at_once).map(group).collect()
}

/// A session of `graph` on `provider`. Apart because the builder's errors cannot leave their thread.
fn session(shared: &Shared, graph: &[u8], provider: Provider) -> ort::Result<Session> {
    let builder = Session::builder(&shared.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(shared.threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(shared.spinning)?
        .with_deterministic_compute(true)?
        // Halves the peak for 5 % of the time (docs/benchmarks.md).
        .with_memory_pattern(false)?;
    with_provider(builder, shared, provider)?.commit_from_memory(graph)
}

fn with_provider(
    builder: SessionBuilder,
    shared: &Shared,
    provider: Provider,
) -> ort::Result<SessionBuilder> {
    let single = shared.precision == Precision::Fp32;
    let dispatch = match provider {
        // By name: left to itself, `ort` would choose OpenVINO once its plug-in is registered, in brain floats.
        Provider::Cpu => return with_device(builder, shared, provider, &[]),
        Provider::OpenVino => return with_openvino(builder, shared),
        Provider::Cuda(index) => ep::CUDA::default()
            .with_device_id(i32::from(index))
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .with_tf32(!single)
            .build(),
        Provider::TensorRt(index) => ep::TensorRT::default()
            .with_device_id(i32::from(index))
            .with_fp16(shared.precision == Precision::Fp16)
            .build(),
        Provider::DirectMl(index) => ep::DirectML::default().with_device_id(i32::from(index)).build(),
        Provider::CoreMl => ep::CoreML::default().build(),
    };
    Ok(builder.with_execution_providers([dispatch.error_on_failure()])?)
}

/// OpenVINO on the processor. Its own default would be brain floats wherever the processor knows them.
fn with_openvino(builder: SessionBuilder, shared: &Shared) -> ort::Result<SessionBuilder> {
    let hint = match shared.precision_of(Provider::OpenVino) {
        Precision::Bf16 => "bf16",
        Precision::Fp16 => "f16",
        Precision::Auto | Precision::Fp32 => "f32",
    };
    let processor = serde_json::json!({
        "CPU": { "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": shared.threads.to_string() }
    });
    let settings = [(format!("{}.load_config", Provider::OpenVino.name()), processor.to_string())];
    with_device(builder, shared, Provider::OpenVino, &settings)
}

/// A provider of the processor, chosen by device.
fn with_device(
    builder: SessionBuilder,
    shared: &Shared,
    provider: Provider,
    settings: &[(String, String)],
) -> ort::Result<SessionBuilder> {
    let name = provider.name();
    let device = shared.environment.devices().find(|device| {
        device.ep().is_ok_and(|ep| ep == name) && device.hardware_device().ty() == DeviceType::CPU
    });
    let device = device.ok_or_else(|| ort::Error::new(format!("`{name}` does not offer this processor")))?;
    Ok(builder.with_devices([device], Some(settings))?)
}
