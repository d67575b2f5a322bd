//! Stand-in until `runtime` is here.
use std::path::PathBuf;

use imaging::Progress;
use nnunet::Plan;
use ort::session::Session;
use ort::value::TensorRef;

use crate::{Error, Network, Result};

/// Options.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {}

/// Runtime.
pub struct Runtime {
    environment: ort::environment::Environment,
}

struct OrtNetwork {
    session: Session,
    shape: [usize; 5],
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Network { model: String::new(), source: Box::new(error) }
}

impl Runtime {
    /// Opens.
    pub fn open(_: &RuntimeOptions) -> Result<Runtime> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let library = root.join(".venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0");
        let environment = ort::init_from(library).map_err(failed)?.with_name("vesalius").build().map_err(failed)?;
        Ok(Runtime { environment })
    }

    /// A network.
    pub fn network(&self, _name: &str, plan: &Plan, graph: Vec<u8>, _progress: &Progress) -> Result<Box<dyn Network>> {
        let build = || -> ort::Result<Session> {
            Ok(Session::builder(&self.environment)?.with_intra_threads(2)?.commit_from_memory(&graph)?)
        };
        let session = build().map_err(failed)?;
        let [z, y, x] = plan.patch_size;
        Ok(Box::new(OrtNetwork { session, shape: [1, plan.channels.len(), z, y, x] }))
    }
}

impl Network for OrtNetwork {
    fn run(&mut self, patch: &[f32], scores: &mut [f32]) -> Result<()> {
        let input = TensorRef::from_array_view((self.shape, patch)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(failed)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        scores.copy_from_slice(values);
        Ok(())
    }
}
