//! What a network of the user's own is asked about the newest prompt, in the worker, and what becomes of its answer.

use std::sync::{Arc, Mutex, PoisonError};

use correction::{Asked, Drawn, NetworkMask, Question};
use engine::{Engine, InstalledModel};
use imaging::{Progress, Volume};
use promptable::{Image, Model, Prompt, Session, Shape};
use serde_json::Value;

use super::super::error::{Answer, Code, Refusal};
use super::super::worker::of_engine;
use super::bodies::Proposed;
use super::desks::Open;
use super::work::{json, refusal, wheel};

/// The network that was asked last stays open. One question at a time.
#[derive(Default)]
pub(super) struct Networks(Mutex<Option<Kept>>);

/// An open network and the model that it is of.
struct Kept {
    model: InstalledModel,
    network: Model,
}

/// The question about the newest prompt, and the image.
pub(super) fn question(open: &Open, base: u64) -> Answer<(Question, Arc<Volume>)> {
    let current = open.session.revision();
    if base != current {
        return Err(refusal(&correction::Error::Stale { base, current }));
    }
    let missing = correction::Error::None { what: "prompt to ask a network about" };
    let question = open.session.question().ok_or_else(|| refusal(&missing))?;
    Ok((question, open.session.image().shared()))
}

/// Adds what a network saw to the candidates.
pub(super) fn offer(
    open: &mut Open,
    revision: u64,
    network: String,
    mask: &NetworkMask,
    progress: &Progress,
) -> Answer<Value> {
    open.session.offer(revision, mask, progress).map_err(|error| refusal(&error))?;
    json(&Proposed { revision, network, wheel: wheel(open) })
}

impl Networks {
    /// The object as the network sees it after all prompts, and the network's name.
    pub(super) fn ask(
        &self,
        engine: &Engine,
        name: Option<&str>,
        question: &Question,
        image: Arc<Volume>,
        progress: &Progress,
    ) -> Answer<(String, NetworkMask)> {
        let model = find(engine, name)?;
        let name = model.id.clone();
        let image = Image::new(image).map_err(of_promptable)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|kept| kept.model != model) {
            *kept = None;
        }
        let network = match &mut *kept {
            Some(kept) => &mut kept.network,
            none => {
                let network = Model::open(engine, &name, progress).map_err(of_promptable)?;
                &mut none.insert(Kept { model, network }).network
            }
        };
        let mask = answer(network, question, image, progress).map_err(of_promptable)?;
        Ok((name, mask))
    }
}

/// The model of that name, or the only one there is.
fn find(engine: &Engine, name: Option<&str>) -> Answer<InstalledModel> {
    let missing = |message: String, hint: &str| Err(Refusal::new(Code::ModelMissing, message, hint));
    let mut models: Vec<InstalledModel> = engine.store().list();
    models.retain(|model| model.promptable && name.is_none_or(|name| model.id == name));
    let names = models.iter().map(|model| format!("`{}`", model.id)).collect::<Vec<_>>().join(", ");
    match (name, models.len()) {
        (_, 1) => models.pop().ok_or_else(Refusal::internal),
        (Some(name), _) => missing(
            format!("there is no network `{name}` that takes prompts"),
            "`GET /v1/models` and `vesalius models list` list the models",
        ),
        (None, 0) => missing(
            "no network that takes prompts is installed".to_owned(),
            "import one of your own: `vesalius models import FOLDER`",
        ),
        (None, _) => missing(format!("several networks take prompts: {names}"), "name one as `network`"),
    }
}

fn answer(
    network: &mut Model,
    question: &Question,
    image: Image,
    progress: &Progress,
) -> promptable::Result<NetworkMask> {
    let mut session = Session::new(image);
    session.start(question.object.view())?;
    let prompts: Vec<Prompt> = question.prompts.iter().map(|asked| prompt(network, asked)).collect();
    let nothing = promptable::Error::Prompt { problem: "has no voxel in the image" };
    let (newest, older) = prompts.split_last().ok_or(nothing)?;
    older.iter().try_for_each(|prompt| session.note(network, prompt))?;
    let part = session.prompt(network, newest, progress)?.part;
    Ok(NetworkMask { part, inside: session.object(&part) })
}

/// A prompt as the network knows it: a kind that it was not trained for is given as the nearest that it was.
fn prompt(network: &Model, asked: &Asked) -> Prompt {
    let point = |voxel: [usize; 3]| Shape::Point(voxel.map(|n| n as f64));
    let (wanted, voxel) = match &asked.shape {
        Drawn::Point(voxel) => (vec![], *voxel),
        Drawn::Stroke(voxels) => {
            let middle = voxels.get(voxels.len() / 2).copied().unwrap_or_default();
            (Shape::stroke(voxels).into_iter().collect(), middle)
        }
        Drawn::Box(part, voxel) => (vec![Shape::Box(*part), Shape::flat(part)], *voxel),
    };
    let known = wanted.into_iter().find(|shape| network.takes(shape));
    Prompt { shape: known.unwrap_or_else(|| point(voxel)), inside: asked.inside }
}

/// What the crate says, under its code.
fn of_promptable(error: promptable::Error) -> Refusal {
    match error {
        promptable::Error::Engine(error) => of_engine(error),
        promptable::Error::Cancelled => of_engine(engine::Error::Cancelled),
        other => Refusal::new(Code::Invalid, other.to_string(), "nothing was changed"),
    }
}
