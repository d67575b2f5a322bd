//! All images of a mixed series, each as a volume of its own: the b-values of a diffusion series, echoes, phases.

use imaging::Progress;

use super::error::{Choice, Error, Property};
use super::files::{self, Found, Given};
use super::series::{self, Chosen, DISCRIMINATORS, USUAL_B_VALUE};
use super::warning::Warning;
use super::{Options, Series, assemble};

/// Properties by which images are told apart, one within the other.
const DEEPEST: usize = 3;
/// Images of one series accepted.
const MOST_IMAGES: usize = 256;

/// One image of a series.
#[derive(Debug, Clone)]
pub struct Group {
    /// What tells it from the others, and its value there; empty when it is the only one.
    pub apart: Vec<(Property, String)>,
    /// Strength of the diffusion weighting in s/mm², where the slices say it.
    pub b_value: Option<f64>,
    /// The image.
    pub series: Series,
}

/// All images of a series.
#[derive(Debug)]
pub struct Groups {
    /// By rising b-value, then in the order of their values.
    pub groups: Vec<Group>,
    /// Images that make no volume: what tells them apart, and why.
    pub left_out: Vec<(Vec<(Property, String)>, Error)>,
}

impl Groups {
    /// The one that is meant when nobody chooses: the only one, or the b-value nearest to 1000 s/mm² (of two as near
    /// the higher). None where several have that value, or nothing is weighted.
    #[must_use]
    pub fn usual(&self) -> Option<usize> {
        if self.groups.len() == 1 {
            return Some(0);
        }
        let weighted = |group: &Group| group.b_value.filter(|b| *b > 0.0);
        let distance = |b: &f64| ((b - USUAL_B_VALUE).abs(), -b);
        let nearest = self.groups.iter().filter_map(weighted).min_by(|a, b| {
            let ((near, higher), (other_near, other_higher)) = (distance(a), distance(b));
            near.total_cmp(&other_near).then(higher.total_cmp(&other_higher))
        })?;
        let mut found = (0..self.groups.len()).filter(|&at| self.groups[at].b_value == Some(nearest));
        found.next().filter(|_| found.next().is_none())
    }
}

/// A branch of the division: one image, or why it is none.
struct Leaf<'a> {
    apart: Vec<(Property, String)>,
    chosen: Result<Chosen<'a>, Error>,
}

/// Reads every image of the one series.
pub(crate) fn read(given: Vec<Given>, options: &Options, progress: &Progress) -> Result<Groups, Error> {
    let found = files::scan(given, progress)?;
    let mut leaves = Vec::new();
    divide(&found, options, Vec::new(), &mut leaves)?;
    let mut groups = Vec::new();
    let mut left_out = Vec::new();
    let mut left = options.maximum_voxels;
    for Leaf { apart, chosen } in leaves {
        let group = chosen.and_then(|chosen| {
            let b_value = b_value(&chosen);
            let options = Options { maximum_voxels: left, ..options.clone() };
            let series = assemble::assemble(chosen, found.total, &options, progress)?;
            left -= series.volume.grid.len().min(left);
            Ok((b_value, series))
        });
        match group {
            Ok((b_value, series)) => groups.push(Group { apart, b_value, series }),
            Err(error @ (Error::Cancelled(_) | Error::Limit { .. })) => return Err(error),
            Err(error) => left_out.push((apart, error)),
        }
    }
    if groups.is_empty() && !left_out.is_empty() {
        let (_, error): (_, Error) = left_out.swap_remove(0);
        return Err(error);
    }
    groups.sort_by(|a: &Group, b: &Group| {
        a.b_value.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.b_value.unwrap_or(f64::NEG_INFINITY))
    });
    Ok(Groups { groups, left_out })
}

/// Follows every value of what tells the images apart.
fn divide<'a>(
    found: &'a Found,
    options: &Options,
    apart: Vec<(Property, String)>,
    leaves: &mut Vec<Leaf<'a>>,
) -> Result<(), Error> {
    if leaves.len() >= MOST_IMAGES {
        return Err(Error::Limit {
            what: "images in the series",
            found: leaves.len() as u64 + 1,
            limit: MOST_IMAGES as u64,
        });
    }
    let chosen = series::choose(found, options);
    let division = match &chosen {
        Ok(chosen) if was_selected(chosen) => Some((Property::DiffusionBValue, b_values(found, options))),
        Err(Error::SeriesMixed { property, choices }) if DISCRIMINATORS.contains(property) => {
            Some((*property, choices.clone()))
        }
        _ => None,
    };
    match division.filter(|_| apart.len() < DEEPEST) {
        Some((property, choices)) => {
            for Choice { value, .. } in choices {
                let mut options = options.clone();
                options.choose.insert(property.keyword().to_owned(), value.0.clone());
                let mut apart = apart.clone();
                apart.push((property, value.0));
                divide(found, &options, apart, leaves)?;
            }
        }
        None => leaves.push(Leaf { apart, chosen }),
    }
    Ok(())
}

/// Whether one b-value was taken of several.
fn was_selected(chosen: &Chosen) -> bool {
    let by_b_value =
        |warning: &Warning| matches!(warning, Warning::Selected { property: Property::DiffusionBValue, .. });
    chosen.warnings.iter().any(by_b_value)
}

/// All b-values: asking for one that cannot be lists them.
fn b_values(found: &Found, options: &Options) -> Vec<Choice> {
    let mut options = options.clone();
    options.choose.insert(Property::DiffusionBValue.keyword().to_owned(), String::new());
    match series::choose(found, &options) {
        Err(Error::NoSuchChoice { choices, .. }) => choices,
        _ => Vec::new(),
    }
}

/// The b-value, where all slices have the same.
fn b_value(chosen: &Chosen) -> Option<f64> {
    let values = || chosen.slices.iter().map(|placed| placed.property(Property::DiffusionBValue));
    let first = values().next()?;
    values().all(|value| value == first).then(|| first.parse().ok()).flatten()
}
