//! How much of what a network proposes counts: what hangs together with the prompt, and nothing else. After the rule
//! by which VISTA3D merges the answer to a click into what it had found before.

use std::collections::HashSet;

use imaging::{Components, Connectivity, IndexBox};
use ndarray::Array3;

use crate::block::{Role, Scene};
use crate::region::{Region, round_about};
use crate::{Error, Result};

/// Other places that differ are told of from this size on.
const PLACE_MM3: f64 = 100.0;

/// An object as a network sees it within a box; beyond it, the network has nothing to say.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkMask {
    /// The box.
    pub part: IndexBox,
    /// Whether a voxel belongs to the object, `[[k, j, i]]`.
    pub inside: Array3<bool>,
}

/// What of a mask may be shown, and how many places it would change besides.
pub(crate) struct Gated {
    /// `None` where the network does not see what the prompt says.
    pub(crate) region: Option<Region>,
    pub(crate) elsewhere: usize,
}

/// The voxels of a mask that a prompt may change by its sign, within `reach`, that hang together through faces with
/// its seeds.
pub(crate) fn gated(
    scene: &Scene<'_>,
    seeds: &[[usize; 3]],
    reach: IndexBox,
    mask: &NetworkMask,
) -> Result<Gated> {
    let size = scene.labels.grid.size;
    let (k, j, i) = mask.inside.dim();
    if [i, j, k] != mask.part.size() || (0..3).any(|a| mask.part.end[a] > size[a]) {
        return Err(Error::SizesDiffer { found: mask.part.end, expected: size });
    }
    let wanted = scene.sign == crate::Sign::Add;
    let opposite: HashSet<[usize; 3]> = scene.opposite.iter().copied().collect();
    let start = mask.part.start;
    let at = |(k, j, i): (usize, usize, usize)| [start[0] + i, start[1] + j, start[2] + k];
    let within = |voxel: [usize; 3]| (0..3).all(|a| (reach.start[a]..reach.end[a]).contains(&voxel[a]));
    let differs = Array3::from_shape_fn((k, j, i), |place| {
        let [i, j, k] = at(place);
        (scene.labels.labels[[k, j, i]] == scene.target) != mask.inside[place]
    });
    let may = Array3::from_shape_fn((k, j, i), |place| {
        let voxel = at(place);
        differs[place]
            && mask.inside[place] == wanted
            && within(voxel)
            && scene.role(voxel) == Role::Free
            && !opposite.contains(&voxel)
    });
    let components = Components::of(may.view(), |may| *may, Connectivity::Faces).labels();
    let here: HashSet<u32> = seeds.iter().filter_map(|seed| number(&components, mask.part, *seed)).collect();
    let taken = |place: (usize, usize, usize)| here.contains(&components[place]);
    let elsewhere = places(scene, &differs, taken);
    let region = (!here.is_empty()).then(|| {
        let voxels = components.indexed_iter().filter(|(place, _)| taken(*place)).map(|(place, _)| at(place));
        let part = round_about(voxels.chain(seeds.iter().copied()));
        let seeds: HashSet<[usize; 3]> = seeds.iter().copied().collect();
        let seen = |voxel| number(&components, mask.part, voxel).is_some_and(|n| here.contains(&n));
        // What the user pointed at changes in every answer, also where the network would spare it.
        Region::of(part, |voxel| seeds.contains(&voxel) || seen(voxel))
    });
    Ok(Gated { region, elsewhere })
}

/// The component of a voxel; `None` if it is in none.
fn number(components: &Array3<u32>, part: IndexBox, voxel: [usize; 3]) -> Option<u32> {
    let at = |a: usize| voxel[a].checked_sub(part.start[a]);
    components.get([at(2)?, at(1)?, at(0)?]).copied().filter(|number| *number > 0)
}

/// Places of some size that differ and hold nothing that is taken.
fn places(scene: &Scene<'_>, differs: &Array3<bool>, taken: impl Fn((usize, usize, usize)) -> bool) -> usize {
    let least = PLACE_MM3 / scene.labels.grid.determinant().abs();
    let all = Components::of(differs.view(), |differs| *differs, Connectivity::Faces);
    let mut large: Vec<bool> = all.sizes().iter().map(|voxels| *voxels as f64 >= least).collect();
    for (place, number) in all.labels().indexed_iter().filter(|(_, number)| **number > 0) {
        if taken(place) {
            large[*number as usize - 1] = false;
        }
    }
    large.into_iter().filter(|large| *large).count()
}
