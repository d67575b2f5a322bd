//! What outlives one request: the models on disk, the runtime, and the networks that are kept warm.

use std::sync::{Mutex, PoisonError};

use imaging::Progress;
use nnunet::Plan;

use crate::options::ModelUsed;
use crate::runtime::Runtime;
use crate::store::ModelStore;
use crate::{Error, Network, Result};

/// Segments volumes; see [`Engine::segment`].
pub struct Engine {
    store: ModelStore,
    runtime: Runtime,
    /// Most recently used last.
    warm: Mutex<Vec<OpenModel>>,
    most_warm: usize,
}

/// A network that takes prompts, ready to run; see [`Engine::promptable`].
pub struct PromptableNetwork {
    /// Its patch, and in `interactions` what its channels are.
    pub plan: Plan,
    /// Gives the scores of background and object for one patch.
    pub network: Box<dyn Network>,
    /// Which model it is.
    pub used: ModelUsed,
}

impl std::fmt::Debug for PromptableNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PromptableNetwork").field("used", &self.used).finish_non_exhaustive()
    }
}

/// A model whose networks are ready to run.
pub(crate) struct OpenModel {
    weights: String,
    folds: Vec<u32>,
    pub(crate) plan: Plan,
    pub(crate) networks: Vec<Box<dyn Network>>,
    pub(crate) used: ModelUsed,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that keeps the networks of the last model ready.
    #[must_use]
    pub fn new(store: ModelStore, runtime: Runtime) -> Engine {
        Engine { store, runtime, warm: Mutex::default(), most_warm: 1 }
    }

    /// The models on disk.
    #[must_use]
    pub fn store(&self) -> &ModelStore {
        &self.store
    }

    /// The library and device that networks run on.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A model by dataset number or name, warm or read from disk; `folds` empty means all.
    pub(crate) fn open(&self, weights: &str, folds: &[u32], progress: &Progress) -> Result<OpenModel> {
        {
            let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = warm.iter().position(|model| model.weights == weights && model.folds == folds) {
                let mut model = warm.remove(at);
                model.networks.iter_mut().for_each(|network| network.watch(progress));
                return Ok(model);
            }
            // Room first: two networks at once can be more than the memory holds.
            while warm.len() >= self.most_warm {
                warm.remove(0);
            }
        }
        self.opened(weights, folds, progress)
    }

    /// A model read from disk.
    fn opened(&self, weights: &str, folds: &[u32], progress: &Progress) -> Result<OpenModel> {
        let installed = self.store.find(weights).ok_or_else(|| Error::no_model(weights))?;
        let (installed, model) = self.store.load(&installed, progress)?;
        let is_wanted =
            |name: &str| folds.is_empty() || folds.iter().any(|fold| name == format!("fold_{fold}"));
        let mut chosen: Vec<_> = model.folds.iter().filter(|fold| is_wanted(&fold.name)).collect();
        if chosen.is_empty() {
            chosen = model.folds.iter().collect();
        }
        let mut networks = Vec::new();
        for fold in chosen {
            progress.step("loading the model", networks.len() as u64, model.folds.len() as u64)?;
            networks.push(self.runtime.network(&installed.id, &model.plan, &fold.weights, progress)?);
        }
        let used = ModelUsed {
            id: installed.id,
            dataset: installed.dataset,
            trainer: installed.trainer,
            sha256: installed.sha256,
            folds: networks.len(),
        };
        Ok(OpenModel { weights: weights.to_owned(), folds: folds.to_vec(), plan: model.plan, networks, used })
    }

    /// Opens a network that takes prompts, by the name of its model. It belongs to the caller.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`]; [`Error::NotPromptable`] for a model that segments by itself; [`Error::Model`],
    /// [`Error::Network`], [`Error::Cancelled`].
    pub fn promptable(&self, name: &str, progress: &Progress) -> Result<PromptableNetwork> {
        let installed = self.store.find(name).ok_or_else(|| Error::no_model(name))?;
        if !installed.promptable {
            return Err(Error::NotPromptable { name: installed.id });
        }
        let mut open = self.opened(name, &[], progress)?;
        let network = open.networks.pop().ok_or(Error::NoNetwork)?;
        Ok(PromptableNetwork { plan: open.plan, network, used: open.used })
    }

    /// Keeps a model's networks for the next request.
    pub(crate) fn keep(&self, model: OpenModel) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        warm.push(model);
        while warm.len() > self.most_warm {
            warm.remove(0);
        }
    }
}
