//! Which patches to look at again: as few as cover a mask, each seeing a margin beyond what it covers.

use crate::block::{Block, Window};

/// Voxels at a patch's rim that it does not count as covered, and the smallest patch for which these are taken.
const MARGIN: usize = 24;
const LARGE: usize = 2 * MARGIN;
/// Places tried along each axis, and how often the grid of places is halved when it misses the mask.
const STEPS: f64 = 4.0;
const HALVINGS: usize = 3;

/// What a patch of `size` leaves uncovered at its rim.
pub(crate) fn margin(size: [usize; 3]) -> [usize; 3] {
    size.map(|length| if length > LARGE { MARGIN } else { length / 8 })
}

/// Patches that cover all of a mask, in the order in which they were found: always the one that covers most, among
/// places on a grid over the mask.
pub(crate) fn cover(mask: &Block<u8>, size: [usize; 3]) -> Vec<Window> {
    let Some(hull) = mask.hull() else { return Vec::new() };
    let mut steps: [isize; 3] = std::array::from_fn(|a| {
        let length = (hull.end[a] - 1 - hull.start[a]) as f64;
        (length / STEPS).round_ties_even().max(1.0) as isize
    });
    let mut rest = mask.clone();
    let mut patches = Vec::new();
    let mut places = Vec::new();
    for _ in 0..=HALVINGS {
        places = grid(mask, &hull, steps);
        if !places.is_empty() {
            break;
        }
        steps = steps.map(|step| (step / 2).max(1));
    }
    while !places.is_empty() {
        let covered = |place: &[isize; 3]| count(&rest, &within(&rest, *place, size));
        // The first of equals.
        let best = places.iter().map(|place| (covered(place), *place));
        let best = best.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, place)) = best.filter(|(covered, _)| *covered > 0) else { break };
        take(&mut rest, place, size);
        patches.push(Window::round_about(place, size));
        places.retain(|place| rest.values[rest.place(*place)] > 0);
    }
    // nnInteractive draws places at random from here on; the first that is left is taken instead.
    while let Some(place) = first(&rest) {
        take(&mut rest, place, size);
        patches.push(Window::round_about(place, size));
    }
    patches
}

/// Places in the mask, `steps` apart.
fn grid(mask: &Block<u8>, hull: &Window, steps: [isize; 3]) -> Vec<[isize; 3]> {
    let along = |a: usize| (hull.start[a]..hull.end[a]).step_by(steps[a] as usize);
    let all = along(0).flat_map(|k| along(1).flat_map(move |j| along(2).map(move |i| [k, j, i])));
    all.filter(|place| mask.values[mask.place(*place)] > 0).collect()
}

/// What a patch at a place covers of a mask.
fn within(mask: &Block<u8>, place: [isize; 3], size: [usize; 3]) -> Option<Window> {
    Window::round_about(place, size).shrunk(margin(size)).and(&mask.window)
}

fn count(mask: &Block<u8>, part: &Option<Window>) -> usize {
    let Some(part) = part else { return 0 };
    let row = |row: [isize; 2]| {
        mask.row(row, &part.columns()).iter().map(|value| usize::from(*value)).sum::<usize>()
    };
    part.rows().map(row).sum()
}

/// Marks as covered; the place itself in any case, so that an end comes.
fn take(rest: &mut Block<u8>, place: [isize; 3], size: [usize; 3]) {
    if let Some(part) = within(rest, place, size) {
        for row in part.rows() {
            let span = rest.span(row, &part.columns());
            rest.values[span].fill(0);
        }
    }
    let at = rest.place(place);
    rest.values[at] = 0;
}

fn first(mask: &Block<u8>) -> Option<[isize; 3]> {
    let place = mask.values.iter().position(|value| *value > 0)?;
    let (start, [_, nj, ni]) = (mask.window.start, mask.window.size());
    let at = [place / (nj * ni), place / ni % nj, place % ni];
    Some(std::array::from_fn(|a| start[a] + at[a] as isize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_covered_without_the_margins() {
        let window = Window { start: [5, -3, 0], end: [95, 77, 60] };
        let mut mask = Block::new(window);
        for [k, j] in window.rows() {
            for i in window.columns() {
                let place = mask.place([k, j, i]);
                mask.values[place] =
                    u8::from((k - 40).pow(2) + (j - 30).pow(2) + 4 * (i - 30).pow(2) < 30 * 30);
            }
        }
        let patches = cover(&mask, [32; 3]);
        assert!(patches.len() > 4 && patches.len() < 40, "{}", patches.len());
        let covers = |patch: &Window, at| patch.shrunk([4; 3]).holds(at);
        for [k, j] in window.rows() {
            for i in window.columns() {
                let is_set = mask.values[mask.place([k, j, i])] > 0;
                assert!(!is_set || patches.iter().any(|patch| covers(patch, [k, j, i])));
            }
        }
    }

    #[test]
    fn margins_leave_something_to_cover() {
        for length in 1..300 {
            assert!(2 * margin([length; 3])[0] < length);
        }
        assert_eq!(margin([192, 64, 32]), [24, 24, 4]);
        assert!(cover(&Block::new(Window::whole([3; 3])), [8; 3]).is_empty());
    }
}
