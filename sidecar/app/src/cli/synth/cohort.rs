//! Donors and normals brought together: each is registered once, to one of the normals, and any two meet there.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use imaging::Progress;
use rayon::prelude::*;
use stroke::{Affine, Donor, Normal, Registration, register};

use super::recipe::Member;
use super::{Arguments, Study};
use crate::manifest::Entry;
use crate::{Error, Result};

/// Donors and normals, those that cannot be used with the reason.
pub(super) fn gather(
    study: &Study,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<(Vec<Member>, Vec<Member>)> {
    progress.step("reading normals", 0, study.normals.len() as u64)?;
    let read = |entries: &[Entry]| entries.par_iter().map(Member::of).collect::<Result<Vec<_>>>();
    let (mut normals, mut donors) = (read(&study.normals)?, read(&study.donors)?);
    let (template, first) = template(&normals)?;
    let to_template = |number: usize, normal: &Member| {
        if number == first {
            return Ok((Affine::IDENTITY, None));
        }
        let normal = normal.normal().map_err(|error| error.sentence())?;
        let found = register((&normal.dwi, &normal.brain), (&template.dwi, &template.brain), None);
        Ok((found.map_err(|rejection| rejection.to_string())?.map, None))
    };
    place(&mut normals, to_template, "registering normals", progress)?;
    let from_template = |_: usize, member: &Member| {
        let (donor, filled) = member.donor(arguments.baseline()).map_err(|error: Error| error.sentence())?;
        let own = (&template.dwi, &template.brain);
        let found = match &study.transform {
            Some(path) => given(path, &template, &donor, &filled.grid)?,
            None => register(own, (&filled, &donor.brain), None),
        };
        Ok((found.map_err(|rejection| rejection.to_string())?.map, Some(donor.facts)))
    };
    place(&mut donors, from_template, "registering donors", progress)?;
    if donors.iter().all(|donor| donor.map.is_none()) {
        let why = donors.iter().find_map(|donor| donor.refused.clone()).unwrap_or_default();
        return Err(Error::refused(format!("no donor can be used: {why}"), "check its mask and its image"));
    }
    Ok((donors, normals))
}

/// The first normal that can be read: where all meet.
fn template(normals: &[Member]) -> Result<(Normal, usize)> {
    let mut why = None;
    for (n, member) in normals.iter().enumerate() {
        match member.normal() {
            Ok(normal) => return Ok((normal, n)),
            Err(error) => why = Some(error),
        }
    }
    Err(why.unwrap_or(Error::Cancelled))
}

/// Where a member lies, and what was measured of it; or why it cannot be used.
type Placed = Result<(Affine, Option<stroke::DonorFacts>), String>;

/// Finds every member's map.
fn place(
    members: &mut [Member],
    find: impl Fn(usize, &Member) -> Placed + Sync,
    what: &str,
    progress: &Progress,
) -> Result<()> {
    let (done, total) = (AtomicU64::new(0), members.len() as u64);
    members.par_iter_mut().enumerate().try_for_each(|(number, member)| {
        match find(number, member) {
            Ok((map, facts)) => (member.map, member.facts) = (Some(map), facts),
            Err(why) => member.refused = Some(why),
        }
        Ok(progress.step(what, done.fetch_add(1, Ordering::Relaxed) + 1, total)?)
    })
}

/// The map of a file, judged.
fn given(
    path: &Path,
    template: &Normal,
    donor: &Donor,
    grid: &imaging::Grid,
) -> Result<Result<Registration, stroke::Rejection>, String> {
    let bytes = std::fs::read(path).map_err(|error| Error::read(path, error).sentence())?;
    let map = stroke::read_transform(&bytes, &template.dwi.grid, grid).map_err(|error| error.to_string())?;
    Ok(Registration::judged(map, &template.brain, &donor.brain))
}
