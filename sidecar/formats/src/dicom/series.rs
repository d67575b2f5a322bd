//! From scanned files to the slices of one image: choose the series, leave out scouts and doubles, tell mixed images
//! apart. A guess is never silent: what cannot be decided is an error that lists the choices.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Options;
use super::error::{Choice, Error, Property, Withheld};
use super::files::{Found, Object, in_file};
use super::image::{Image, Slice};
use super::pixels::{self, Stored};
use super::stack::{Plane, minus, norm};
use super::warning::Warning;

/// Slices nearer than this lie at the same place, in millimetres.
const SAME_PLACE_MM: f64 = 0.01;
/// Direction cosines that differ by less belong to one orientation.
const SAME_ORIENTATION: f64 = 1e-4;
/// Pixel spacings that differ by less, relatively, are one.
const SAME_SPACING: f64 = 1e-4;
/// As many pairs of slices at one place are compared pixel by pixel.
const MOST_COMPARED: usize = 256;
/// As many different values of a property are told apart.
const MOST_VALUES: usize = 256;
/// The b-value in s/mm² that is taken when nobody chooses: what stroke is read on.
pub(crate) const USUAL_B_VALUE: f64 = 1000.0;

/// What may tell slices at the same place apart, the likeliest first.
pub(crate) const DISCRIMINATORS: [Property; 10] = [
    Property::DiffusionBValue,
    Property::EchoTime,
    Property::TemporalPosition,
    Property::StackId,
    Property::AcquisitionNumber,
    Property::ImageType,
    Property::InversionTime,
    Property::FlipAngle,
    Property::TriggerTime,
    Property::DiffusionGradient,
];

/// A slice with the file it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) object: &'a Object,
    pub(crate) stored: &'a Stored,
    pub(crate) image: &'a Image,
    pub(crate) slice: &'a Slice,
}

impl Placed<'_> {
    pub(crate) fn property(&self, property: Property) -> String {
        let found = self.slice.properties.iter().find(|(known, _)| *known == property);
        found.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    }

    /// The pixels as intensities, for comparison.
    fn intensities(&self) -> Result<Vec<u32>, Error> {
        let mut values = vec![0.0; self.stored.storage.rows * self.stored.storage.columns];
        pixels::read(self.stored, self.slice, &mut values, &mut Vec::new()).map_err(|problem| {
            in_file(self.object.number, self.object.number, self.object.name.clone(), problem)
        })?;
        Ok(values.into_iter().map(f32::to_bits).collect())
    }
}

/// The slices of one image in one orientation, rising along their normal, no two at one place.
pub(crate) struct Chosen<'a> {
    pub(crate) slices: Vec<Placed<'a>>,
    pub(crate) plane: Plane,
    pub(crate) warnings: Vec<Warning>,
}

/// Chooses the slices of one image.
pub(crate) fn choose<'a>(found: &'a Found, options: &Options) -> Result<Chosen<'a>, Error> {
    let mut warnings = Vec::new();
    let objects = series(found, options, &mut warnings)?;
    let mut slices = slices(&objects, found, &mut warnings)?;
    let before = slices.len();
    if slices.iter().any(|placed| !placed.slice.localizer) {
        slices.retain(|placed| !placed.slice.localizer);
    }
    slices = partition(slices, Property::FrameOfReferenceUid, options, |placed| {
        placed.object.frame_of_reference.clone()
    })?;
    let mut dropped = before - slices.len();
    if !options.choose.contains_key(Property::FrameOfReferenceUid.keyword()) {
        slices = without_scouts(slices, options);
        dropped = before - slices.len();
    }
    if dropped > 0 {
        warnings.push(Warning::LocalizerDropped { count: dropped });
    }
    let orientations = alike(&slices, SAME_ORIENTATION, |slice| slice.orientation.to_vec());
    slices = partition_by(slices, orientations, Property::ImageOrientationPatient, options)?;
    slices = partition(slices, Property::Matrix, options, |placed| {
        format!("{}\\{}", placed.stored.storage.rows, placed.stored.storage.columns)
    })?;
    let spacings = alike(&slices, SAME_SPACING, |slice| slice.spacing.iter().map(|mm| mm.ln()).collect());
    slices = partition_by(slices, spacings, Property::PixelSpacing, options)?;
    let first = slices.first().ok_or(Error::NoImages { files: found.total })?;
    let plane = Plane::new(first.slice.orientation)?;
    for property in DISCRIMINATORS {
        if options.choose.contains_key(property.keyword()) {
            slices = partition(slices, property, options, |placed| placed.property(property))?;
        }
    }
    slices = single(slices, &plane, options, &mut warnings)?;
    Ok(Chosen { slices, plane, warnings })
}

/// The objects of the one series that is a volume.
fn series<'a>(
    found: &'a Found,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<&'a Object>, Error> {
    let mut by_series: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in &found.objects {
        by_series.entry(&object.series).or_default().push(object);
    }
    let all = by_series.len();
    let count = |objects: &[&Object]| -> usize {
        let images = objects.iter().filter_map(|object| object.slices.as_ref().ok());
        images.map(|(_, image)| image.slices.iter().filter(|slice| !slice.localizer).count()).sum()
    };
    let keyword = Property::SeriesInstanceUid.keyword();
    if options.choose.contains_key(keyword) {
        let choices = |by: &BTreeMap<&str, Vec<&Object>>| {
            by.iter().map(|(uid, objects)| choice((*uid).to_owned(), count(objects))).collect()
        };
        let chosen = options.choose.get(keyword).and_then(|uid| by_series.get(uid.as_str()));
        let chosen = chosen.cloned();
        return chosen.ok_or_else(|| Error::NoSuchChoice {
            property: Property::SeriesInstanceUid,
            choices: choices(&by_series),
        });
    }
    let several = by_series.values().any(|objects| count(objects) > 1);
    let least = if several { 2 } else { 1 };
    let mut volumes: Vec<(&str, Vec<&Object>)> =
        by_series.into_iter().filter(|(_, objects)| count(objects) >= least).collect();
    if volumes.len() > 1 {
        let choices =
            volumes.iter().map(|(uid, objects)| choice((*uid).to_owned(), count(objects))).collect();
        return Err(Error::SeriesMixed { property: Property::SeriesInstanceUid, choices });
    }
    if all > 1 && !volumes.is_empty() {
        warnings.push(Warning::SeriesIgnored { count: all - 1 });
    }
    // Without any volume all objects are looked at, and the first one says what is wrong.
    Ok(volumes.pop().map_or_else(|| found.objects.iter().collect(), |(_, objects)| objects))
}

fn choice(value: String, slices: usize) -> Choice {
    Choice { value: Withheld(value), slices }
}

/// All slices of the objects; an object that is no image at all is passed over, a damaged one is an error.
fn slices<'a>(
    objects: &[&'a Object],
    found: &Found,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Placed<'a>>, Error> {
    let mut slices = Vec::new();
    let mut ignored = found.strangers;
    let mut first_problem = None;
    for &object in objects {
        match &object.slices {
            Ok((stored, image)) => {
                slices.extend(image.slices.iter().map(|slice| Placed { object, stored, image, slice }));
            }
            Err(problem) => {
                let passable = matches!(**problem, Error::UnsupportedType { .. });
                ignored += usize::from(passable);
                if first_problem.is_none() || (!passable && first_problem.as_ref().is_some_and(|(_, p)| *p)) {
                    first_problem = Some((object, passable));
                }
            }
        }
    }
    if let Some((object, passable)) = first_problem
        && (!passable || slices.is_empty())
        && let Err(problem) = &object.slices
    {
        let (number, total) = (object.number, found.total);
        return Err(Error::InFile { number, total, name: object.name.clone(), problem: Arc::clone(problem) });
    }
    if slices.is_empty() {
        return Err(Error::NoImages { files: found.total });
    }
    if ignored > 0 {
        warnings.push(Warning::FilesIgnored { count: ignored });
    }
    Ok(slices)
}

/// Leaves out the few images that are tilted against all the others by more than 5 degrees: scouts that do not say so.
fn without_scouts<'a>(slices: Vec<Placed<'a>>, options: &Options) -> Vec<Placed<'a>> {
    if options.choose.contains_key(Property::ImageOrientationPatient.keyword()) {
        return slices;
    }
    let groups = alike(&slices, SAME_ORIENTATION, |slice| slice.orientation.to_vec());
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    groups.iter().for_each(|group| *counts.entry(group).or_default() += 1);
    let Some((&main, &most)) = counts.iter().max_by_key(|(_, count)| **count) else { return slices };
    let others = slices.len() - most;
    if others == 0 || others > 3.max(slices.len() / 10) || others >= most {
        return slices;
    }
    let Some(normal) = slices.iter().zip(&groups).find_map(|(placed, group)| {
        (group == main).then(|| Plane::new(placed.slice.orientation).ok().map(|plane| plane.normal)).flatten()
    }) else {
        return slices;
    };
    let tilted = |placed: &Placed| {
        Plane::new(placed.slice.orientation)
            .is_ok_and(|plane| plane.height(normal).abs() < 5f64.to_radians().cos())
    };
    let keep: Vec<bool> =
        slices.iter().zip(&groups).map(|(placed, group)| group == main || !tilted(placed)).collect();
    slices.into_iter().zip(keep).filter_map(|(placed, keep)| keep.then_some(placed)).collect()
}

/// A name for each slice, the same for slices whose numbers differ by at most `tolerance`.
fn alike(slices: &[Placed], tolerance: f64, numbers: impl Fn(&Slice) -> Vec<f64>) -> Vec<String> {
    let mut known: Vec<Vec<f64>> = Vec::new();
    let mut names = Vec::with_capacity(slices.len());
    for placed in slices {
        let these = numbers(placed.slice);
        let near = |other: &Vec<f64>| other.iter().zip(&these).all(|(a, b)| (a - b).abs() <= tolerance);
        let place = known.iter().position(near).unwrap_or_else(|| {
            if known.len() < MOST_VALUES {
                known.push(these.clone());
            }
            known.len() - 1
        });
        names.push(format!("{}", place + 1));
    }
    names
}

/// The slices with the chosen value of a property, or with the only one.
fn partition<'a>(
    slices: Vec<Placed<'a>>,
    property: Property,
    options: &Options,
    value: impl Fn(&Placed) -> String,
) -> Result<Vec<Placed<'a>>, Error> {
    let values = slices.iter().map(value).collect();
    partition_by(slices, values, property, options)
}

fn partition_by<'a>(
    slices: Vec<Placed<'a>>,
    values: Vec<String>,
    property: Property,
    options: &Options,
) -> Result<Vec<Placed<'a>>, Error> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    values.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    let choices = || counts.iter().map(|(value, slices)| choice((*value).clone(), *slices)).collect();
    let chosen = match options.choose.get(property.keyword()) {
        Some(chosen) if counts.contains_key(chosen) => chosen.clone(),
        Some(_) => return Err(Error::NoSuchChoice { property, choices: choices() }),
        None if counts.len() > 1 => return Err(Error::SeriesMixed { property, choices: choices() }),
        None => return Ok(slices),
    };
    Ok(slices
        .into_iter()
        .zip(values)
        .filter_map(|(placed, value)| (value == chosen).then_some(placed))
        .collect())
}

/// Sorts along the normal and leaves one slice at each place.
fn single<'a>(
    mut slices: Vec<Placed<'a>>,
    plane: &Plane,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Placed<'a>>, Error> {
    let height = |placed: &Placed| plane.height(placed.slice.position);
    slices.sort_by(|a, b| height(a).total_cmp(&height(b)));
    let before = slices.len();
    if doubles(&slices, plane) <= MOST_COMPARED {
        slices = without_copies(slices, plane)?;
    }
    if slices.len() < before {
        warnings.push(Warning::DuplicateDropped { count: before - slices.len() });
    }
    let count = doubles(&slices, plane);
    if count == 0 {
        return match interleaved(&slices, plane) {
            Some(property) => partition(slices, property, options, |placed| placed.property(property)),
            None => Ok(slices),
        };
    }
    let telling = DISCRIMINATORS.into_iter().find(|property| {
        let groups = groups(&slices, *property);
        groups.len() > 1 && groups.values().map(|group| doubles(group, plane)).sum::<usize>() < count
    });
    let Some(property) = telling else { return Err(Error::SlicesDuplicate { count }) };
    if property == Property::DiffusionBValue
        && let Some((value, group)) = usual_b_value(&slices, plane)
    {
        warnings.push(Warning::Selected { property, value: Withheld(value) });
        return Ok(group);
    }
    partition(slices, property, options, |placed| placed.property(property))
}

/// The slices by the value of a property.
fn groups<'a>(slices: &[Placed<'a>], property: Property) -> BTreeMap<String, Vec<Placed<'a>>> {
    let mut groups: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for placed in slices {
        groups.entry(placed.property(property)).or_default().push(*placed);
    }
    groups
}

/// How many of the sorted slices lie where their neighbour lies.
fn doubles(slices: &[Placed], plane: &Plane) -> usize {
    let heights: Vec<f64> = slices.iter().map(|placed| plane.height(placed.slice.position)).collect();
    heights.windows(2).filter(|pair| pair[1] - pair[0] < SAME_PLACE_MM).count()
}

/// Leaves out slices whose pixels are those of another one at the same place.
fn without_copies<'a>(slices: Vec<Placed<'a>>, plane: &Plane) -> Result<Vec<Placed<'a>>, Error> {
    let mut kept: Vec<Placed> = Vec::with_capacity(slices.len());
    'slices: for placed in slices {
        for other in kept.iter().rev() {
            if plane.height(minus(placed.slice.position, other.slice.position)).abs() >= SAME_PLACE_MM {
                break;
            }
            let together = norm(minus(placed.slice.position, other.slice.position)) < SAME_PLACE_MM;
            if together && placed.intensities()? == other.intensities()? {
                continue 'slices;
            }
        }
        kept.push(placed);
    }
    Ok(kept)
}

/// A property whose values alternate along an uneven stack: two images between each other, not one.
fn interleaved(slices: &[Placed], plane: &Plane) -> Option<Property> {
    let heights: Vec<f64> = slices.iter().map(|placed| plane.height(placed.slice.position)).collect();
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = gaps.iter().copied().fold(0.0, f64::max);
    if most - least <= SAME_PLACE_MM.max(0.02 * least) {
        return None;
    }
    DISCRIMINATORS.into_iter().take(6).find(|property| {
        let values: Vec<String> = slices.iter().map(|placed| placed.property(*property)).collect();
        let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
        changes + 1 > groups(slices, *property).len()
    })
}

/// The images with the b-value nearest to 1000 s/mm², when it is one image and no other is as near.
fn usual_b_value<'a>(slices: &[Placed<'a>], plane: &Plane) -> Option<(String, Vec<Placed<'a>>)> {
    let mut weighted: Vec<(f64, String, Vec<Placed>)> = groups(slices, Property::DiffusionBValue)
        .into_iter()
        .filter_map(|(value, group)| Some((value.parse::<f64>().ok().filter(|b| *b > 0.0)?, value, group)))
        .map(|(b, value, group)| ((b - USUAL_B_VALUE).abs(), value, group))
        .collect();
    weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
    if weighted.len() > 1 && weighted[0].0 == weighted[1].0 {
        return None;
    }
    let (_, value, group) = weighted.into_iter().next()?;
    (doubles(&group, plane) == 0).then_some((value, group))
}
