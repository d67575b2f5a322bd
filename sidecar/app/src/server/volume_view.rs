//! A volume as clients see it. Fields are added, never renamed.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::error::Refusal;
use super::id::Id;
use super::protocol::{Image, Images};
use super::volumes::{Content, Phase, Volume};

/// What clients see of a volume.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Volume)]
pub(super) struct View {
    id: Id,
    /// `receiving`, `reading`, `ready` or `failed`.
    #[schema(value_type = VolumeState)]
    state: &'static str,
    /// Bytes of the client, where they are known.
    bytes: Option<u64>,
    /// Bytes that are there: go on from here.
    received: u64,
    /// Whether a job can use it.
    complete: bool,
    /// The usual image, or the first.
    #[serde(flatten)]
    image: Option<ImageView>,
    warnings: Vec<String>,
    /// All images: one as a rule, one for each b-value of a diffusion series.
    groups: Vec<GroupView>,
    /// The group that a job takes when it names none.
    usual: Option<String>,
    /// Why it could not be read.
    error: Option<Refusal>,
}

/// How far a volume has come.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum VolumeState {
    Receiving,
    Fetching,
    Reading,
    Ready,
    Failed,
}

/// Where an image lies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Image)]
struct ImageView {
    #[schema(min_items = 3, max_items = 3)]
    dims: [usize; 3],
    dtype: String,
    space: &'static str,
    /// Rows of a 4x4 matrix.
    ijk_to_world: Vec<f64>,
    modality: Option<String>,
    /// SOP Instance UID of each slice k.
    sources: Vec<Option<String>>,
}

/// One of several images.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupView {
    id: String,
    label: String,
    b_value: Option<f64>,
    #[serde(flatten)]
    image: ImageView,
}

impl View {
    /// The volume's name.
    pub(super) fn id(&self) -> &Id {
        &self.id
    }
}

impl ImageView {
    fn of(image: &Image) -> ImageView {
        ImageView {
            dims: image.grid.size,
            dtype: image.dtype.clone(),
            space: "LPS",
            ijk_to_world: image.grid.matrix().concat(),
            modality: image.modality.clone(),
            sources: image.sources.clone(),
        }
    }
}

impl Volume {
    /// What clients see.
    pub(super) fn view(&self) -> View {
        let state = self.state();
        let (name, images, error) = match &state.phase {
            Phase::Receiving => ("receiving", None, None),
            Phase::Fetching => ("fetching", None, None),
            Phase::Reading => ("reading", None, None),
            Phase::Ready(images) => ("ready", Some(Arc::clone(images)), None),
            Phase::Failed(refusal) => ("failed", None, Some(refusal.clone())),
        };
        let complete = images.is_some();
        let images = match (images, &self.content) {
            (None, Content::Raw(image)) => Some(Arc::new(Images::of(image))),
            (images, _) => images,
        };
        let images = images.unwrap_or_default();
        let usual = images.usual.and_then(|usual| images.images.get(usual));
        let first = usual.or(images.images.first());
        let group = |image: &Image| GroupView {
            id: image.id.clone(),
            label: image.label.clone(),
            b_value: image.b_value,
            image: ImageView::of(image),
        };
        View {
            id: self.id.clone(),
            state: name,
            bytes: self.bytes,
            received: state.received,
            complete,
            image: first.map(ImageView::of),
            warnings: images
                .warnings
                .iter()
                .chain(first.iter().flat_map(|image| &image.warnings))
                .map(|note| note.message.clone())
                .collect(),
            groups: images.images.iter().map(group).collect(),
            usual: usual.map(|image| image.id.clone()),
            error,
        }
    }
}
