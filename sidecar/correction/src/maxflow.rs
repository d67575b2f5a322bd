//! The cheapest cut between two sides: maximum flow on graphs whose nodes have at most six neighbours, as voxels have.
//!
//! Boykov and Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms", PAMI 2004, written from the
//! paper. Capacities are whole numbers, so the flow is exact and the same on every machine.

mod waves;

use std::collections::VecDeque;

/// No neighbour in this direction.
pub const NOBODY: u32 = u32::MAX;
/// Parents that are no direction.
const NO_PARENT: u8 = 6;
const TERMINAL: u8 = 7;
const ORPHAN: u8 = 8;
/// A graph of more nodes is cut in two halves, each at first without the other.
const HALVED: usize = 1 << 15;

/// A graph to be cut. Direction `d` of a node and direction `d ^ 1` of its neighbour are the same edge.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// A node, in one line of the processor's cache: its edges, and its place in a search tree.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Node {
    neighbors: [u32; 6],
    /// What can still flow to each neighbour.
    capacities: [i32; 6],
    /// What can still flow from the source (positive) or to the sink (negative).
    terminal: i32,
    /// When the distance to the terminal was last found right, and that distance.
    stamp: u32,
    distance: u32,
    parent: u8,
    /// Which tree a node with a parent belongs to: the source's, or the sink's.
    source: bool,
    queued: bool,
}

/// A cheapest cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// What it costs beyond what the terminals cost at least.
    pub flow: i64,
    /// Whether a node lies on the source's side. Of several cheapest cuts, the one with the fewest such nodes.
    pub source: Vec<bool>,
}

impl Graph {
    /// A graph without nodes, with room for some.
    #[must_use]
    pub fn with_capacity(nodes: usize) -> Graph {
        Graph { nodes: Vec::with_capacity(nodes) }
    }

    /// Adds a node.
    ///
    /// `terminal` is what it costs to leave it on the sink's side (positive) or on the source's side (negative, as
    /// -cost). `neighbors` are the numbers of the nodes along -i, +i, -j, +j, -k, +k, [`NOBODY`] where there is none;
    /// `capacities` what it costs to separate it from each, 0 to 2^29, the same from both sides.
    pub fn push(&mut self, terminal: i32, neighbors: [u32; 6], capacities: [i32; 6]) {
        let (parent, source, queued) = (NO_PARENT, false, false);
        self.nodes.push(Node {
            neighbors,
            capacities,
            terminal,
            stamp: 0,
            distance: 0,
            parent,
            source,
            queued,
        });
    }

    /// Finds the cheapest cut.
    ///
    /// The halves of a large graph are solved side by side, then what can flow between them. A graph that is not so
    /// large is a whole scope, not its boundary: there waves help. Whatever the order, the cut with the fewest nodes at
    /// the source is the same.
    #[must_use]
    pub fn cut(mut self) -> Cut {
        let is_compact = self.nodes.len() <= HALVED;
        let sent = if is_compact { waves::waves(&mut self.nodes) } else { 0 };
        let Flowed { total, .. } = flowed(&mut self.nodes, 0);
        let source = self.nodes.iter().map(|node| node.parent != NO_PARENT && node.source).collect();
        Cut { flow: sent + total, source }
    }
}

/// What flows, and the last stamp.
struct Flowed {
    total: i64,
    time: u32,
}

/// Sends all that can flow among nodes, the first of which has the number `first`.
fn flowed(nodes: &mut [Node], first: usize) -> Flowed {
    if nodes.len() <= HALVED {
        return flowed_at_once(nodes, first);
    }
    let half = nodes.len() / 2;
    let (left, right) = nodes.split_at_mut(half);
    let (left, right) = rayon::join(|| flowed(left, first), || flowed(right, first + half));
    let so_far = Flowed { total: left.total + right.total, time: left.time.max(right.time) };
    let crosses = |node: usize| {
        let mut neighbors = nodes[node].neighbors.iter().map(|&next| (next as usize).wrapping_sub(first));
        neighbors.any(|next| next < nodes.len() && (next < half) != (node < half))
    };
    let active = (0..nodes.len()).filter(|&node| nodes[node].parent != NO_PARENT && crosses(node)).collect();
    Flow::new(nodes, first, active, so_far).run()
}

/// The same, without halves.
fn flowed_at_once(nodes: &mut [Node], first: usize) -> Flowed {
    let total = pushed(nodes, first);
    let mut active = Vec::new();
    for (n, node) in nodes.iter_mut().enumerate().filter(|(_, node)| node.terminal != 0) {
        (node.source, node.parent, node.distance) = (node.terminal > 0, TERMINAL, 1);
        active.push(n);
    }
    Flow::new(nodes, first, active, Flowed { total, time: 0 }).run()
}

/// Sends what can flow from the source through a single edge to the sink: most of all that flows, and no tree is
/// needed for it.
fn pushed(nodes: &mut [Node], first: usize) -> i64 {
    let mut total = 0;
    for node in 0..nodes.len() {
        for direction in 0..6 {
            if nodes[node].terminal <= 0 {
                break;
            }
            let next = (nodes[node].neighbors[direction] as usize).wrapping_sub(first);
            if next < nodes.len() && nodes[next].terminal < 0 {
                let room = nodes[node].capacities[direction].min(-nodes[next].terminal);
                let amount = room.min(nodes[node].terminal);
                nodes[node].terminal -= amount;
                nodes[node].capacities[direction] -= amount;
                nodes[next].terminal += amount;
                nodes[next].capacities[direction ^ 1] += amount;
                total += i64::from(amount);
            }
        }
    }
    total
}

/// The two search trees that grow until they no longer meet.
struct Flow<'a> {
    nodes: &'a mut [Node],
    /// The number of the first; neighbours beyond them do not count.
    first: usize,
    active: VecDeque<u32>,
    orphans: VecDeque<u32>,
    so_far: Flowed,
}

impl<'a> Flow<'a> {
    fn new(nodes: &'a mut [Node], first: usize, active: Vec<usize>, so_far: Flowed) -> Flow<'a> {
        let mut flow = Flow { nodes, first, active: VecDeque::new(), orphans: VecDeque::new(), so_far };
        active.into_iter().for_each(|node| flow.activate(node));
        flow
    }

    fn activate(&mut self, node: usize) {
        if !self.nodes[node].queued {
            self.nodes[node].queued = true;
            self.active.push_back(node as u32);
        }
    }

    fn run(mut self) -> Flowed {
        while let Some(node) = self.active.pop_front() {
            let node = node as usize;
            self.nodes[node].queued = false;
            // A node stays active until no path leads through it.
            while self.nodes[node].parent != NO_PARENT {
                let Some((tail, direction)) = self.grow(node) else { break };
                self.so_far.time += 1;
                self.augment(tail, direction);
                self.adopt();
            }
        }
        self.so_far
    }

    fn neighbor(&self, node: usize, direction: usize) -> Option<usize> {
        let neighbor = (self.nodes[node].neighbors[direction] as usize).wrapping_sub(self.first);
        (neighbor < self.nodes.len()).then_some(neighbor)
    }

    /// The neighbour through which a node hangs on its tree.
    fn parent(&self, node: usize, direction: usize) -> usize {
        self.nodes[node].neighbors[direction] as usize - self.first
    }

    /// What can still flow from `node` towards the neighbour in the source's tree, from the neighbour in the sink's.
    fn residual(&self, node: usize, direction: usize, neighbor: usize, source: bool) -> i32 {
        if source {
            self.nodes[node].capacities[direction]
        } else {
            self.nodes[neighbor].capacities[direction ^ 1]
        }
    }

    /// Adds neighbours to the tree of `node`; the edge, from source to sink, at which it meets the other tree.
    fn grow(&mut self, node: usize) -> Option<(usize, usize)> {
        let Node { source, stamp, distance, .. } = self.nodes[node];
        for direction in 0..6 {
            let Some(neighbor) = self.neighbor(node, direction) else { continue };
            if self.residual(node, direction, neighbor, source) == 0 {
                continue;
            }
            let other = &self.nodes[neighbor];
            if other.parent == NO_PARENT {
                self.nodes[neighbor].source = source;
                self.attach(neighbor, direction ^ 1, node);
                self.activate(neighbor);
            } else if other.source != source {
                return Some(if source { (node, direction) } else { (neighbor, direction ^ 1) });
            } else if other.stamp <= stamp && other.distance > distance {
                self.attach(neighbor, direction ^ 1, node);
            }
        }
        None
    }

    fn attach(&mut self, node: usize, direction: usize, parent: usize) {
        let Node { stamp, distance, .. } = self.nodes[parent];
        let node = &mut self.nodes[node];
        (node.parent, node.stamp, node.distance) = (direction as u8, stamp, distance + 1);
    }

    /// Sends as much as fits along the path through the edge `direction` of `tail`.
    fn augment(&mut self, tail: usize, direction: usize) {
        let head = self.parent(tail, direction);
        let amount =
            self.nodes[tail].capacities[direction].min(self.room(tail, true)).min(self.room(head, false));
        self.nodes[tail].capacities[direction] -= amount;
        self.nodes[head].capacities[direction ^ 1] += amount;
        self.send(tail, true, amount);
        self.send(head, false, amount);
        self.so_far.total += i64::from(amount);
    }

    /// What fits between `node` and its terminal.
    fn room(&self, mut node: usize, source: bool) -> i32 {
        let mut room = i32::MAX;
        while self.nodes[node].parent != TERMINAL {
            let direction = usize::from(self.nodes[node].parent);
            let parent = self.parent(node, direction);
            room = room.min(self.residual(parent, direction ^ 1, node, source));
            node = parent;
        }
        room.min(self.nodes[node].terminal.abs())
    }

    fn send(&mut self, mut node: usize, source: bool, amount: i32) {
        while self.nodes[node].parent != TERMINAL {
            let direction = usize::from(self.nodes[node].parent);
            let parent = self.parent(node, direction);
            let (from, to) = if source { (parent, node) } else { (node, parent) };
            let along = if source { direction ^ 1 } else { direction };
            self.nodes[from].capacities[along] -= amount;
            self.nodes[to].capacities[along ^ 1] += amount;
            if self.nodes[from].capacities[along] == 0 {
                self.orphan(node);
            }
            node = parent;
        }
        self.nodes[node].terminal -= if source { amount } else { -amount };
        if self.nodes[node].terminal == 0 {
            self.orphan(node);
        }
    }

    fn orphan(&mut self, node: usize) {
        self.nodes[node].parent = ORPHAN;
        self.orphans.push_front(node as u32);
    }

    /// Finds new parents for nodes that lost theirs, nearest to the terminal first; the rest leave their tree.
    fn adopt(&mut self) {
        while let Some(node) = self.orphans.pop_front() {
            let node = node as usize;
            let source = self.nodes[node].source;
            let mut best: Option<(u32, usize, usize)> = None;
            for direction in 0..6 {
                let Some(neighbor) = self.fellow(node, direction, source) else { continue };
                if self.residual(neighbor, direction ^ 1, node, source) == 0 {
                    continue;
                }
                let Some(distance) = self.root_distance(neighbor) else { continue };
                if best.is_none_or(|(least, ..)| distance < least) {
                    best = Some((distance, direction, neighbor));
                }
            }
            match best {
                Some((_, direction, parent)) => self.attach(node, direction, parent),
                None => self.release(node, source),
            }
        }
    }

    /// The neighbour in this direction, if it is in the same tree.
    fn fellow(&self, node: usize, direction: usize, source: bool) -> Option<usize> {
        let neighbor = self.neighbor(node, direction)?;
        let other = &self.nodes[neighbor];
        (other.parent != NO_PARENT && other.source == source).then_some(neighbor)
    }

    /// Steps from `node` to the terminal; `None` if its path ends at an orphan. Paths found right are stamped.
    fn root_distance(&mut self, node: usize) -> Option<u32> {
        let time = self.so_far.time;
        let mut steps = 0;
        let mut at = node;
        let distance = loop {
            let Node { stamp, distance, parent, .. } = self.nodes[at];
            if stamp == time {
                break steps + distance;
            }
            match parent {
                TERMINAL => break steps + 1,
                NO_PARENT | ORPHAN => return None,
                direction => at = self.parent(at, usize::from(direction)),
            }
            steps += 1;
        };
        let mut left = distance;
        let mut at = node;
        while self.nodes[at].stamp != time {
            (self.nodes[at].stamp, self.nodes[at].distance) = (time, left);
            left -= 1;
            if self.nodes[at].parent == TERMINAL {
                break;
            }
            at = self.parent(at, usize::from(self.nodes[at].parent));
        }
        Some(distance)
    }

    /// Takes a node out of its tree; its children become orphans, and neighbours may reach for it again.
    fn release(&mut self, node: usize, source: bool) {
        for direction in 0..6 {
            let Some(neighbor) = self.fellow(node, direction, source) else { continue };
            if self.residual(neighbor, direction ^ 1, node, source) > 0 {
                self.activate(neighbor);
            }
            if usize::from(self.nodes[neighbor].parent) == direction ^ 1 {
                self.nodes[neighbor].parent = ORPHAN;
                self.orphans.push_back(neighbor as u32);
            }
        }
        (self.nodes[node].parent, self.nodes[node].stamp) = (NO_PARENT, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::{FlowCase, truth};

    fn graph(case: &FlowCase) -> Graph {
        let mut graph = Graph::default();
        case.terminals.iter().for_each(|&terminal| graph.push(terminal, [NOBODY; 6], [0; 6]));
        for &(a, b, capacity, axis) in &case.edges {
            let direction = 2 * (2 - axis) + 1;
            for (from, to, direction) in [(a, b, direction), (b, a, direction ^ 1)] {
                graph.nodes[from].neighbors[direction] = to as u32;
                graph.nodes[from].capacities[direction] = capacity;
            }
        }
        graph
    }

    /// What it costs beyond the least that the terminals cost, to cut as `source` says.
    fn cost(case: &FlowCase, source: &[bool]) -> i64 {
        let side = |n: usize| {
            i64::from(case.terminals[n].max(0)) * i64::from(!source[n])
                + i64::from((-case.terminals[n]).max(0)) * i64::from(source[n])
        };
        let parted = case.edges.iter().filter(|(a, b, ..)| source[*a] != source[*b]);
        (0..source.len()).map(side).sum::<i64>()
            + parted.map(|(.., capacity, _)| i64::from(*capacity)).sum::<i64>()
    }

    #[test]
    fn flows_are_pymaxflows_and_cuts_cost_as_much() {
        let cases = truth().flows;
        assert!(cases.len() > 10 && cases.iter().any(|case| case.flow > 1000));
        for case in &cases {
            let cut = graph(case).cut();
            assert_eq!((cut.flow, cost(case, &cut.source)), (case.flow, case.flow));
        }
    }

    #[test]
    fn no_cut_of_a_small_graph_is_cheaper_or_as_cheap_with_fewer_at_the_source() {
        for case in truth().flows.iter().filter(|case| case.terminals.len() == 18) {
            let cut = graph(case).cut();
            let chosen = cut.source.iter().filter(|source| **source).count();
            for mask in 0..1u32 << 18 {
                let source: Vec<bool> = (0..18).map(|n| mask >> n & 1 == 1).collect();
                let cost = cost(case, &source);
                assert!(cost >= cut.flow);
                assert!(cost > cut.flow || mask.count_ones() as usize >= chosen);
            }
        }
    }

    #[test]
    fn halves_give_the_cut_of_the_whole() {
        let (ni, nj, nk) = (40usize, 40, 50);
        let random = |n: usize| (n.wrapping_mul(2_654_435_761) >> 7) % 1000;
        let graph = || {
            let mut graph = Graph::with_capacity(ni * nj * nk);
            for n in 0..ni * nj * nk {
                let (i, j, k) = (n % ni, n / ni % nj, n / (ni * nj));
                let ends = [i == 0, i + 1 == ni, j == 0, j + 1 == nj, k == 0, k + 1 == nk];
                let next = [-1, 1, -(ni as isize), ni as isize, -((ni * nj) as isize), (ni * nj) as isize];
                let number = |d: usize| if ends[d] { NOBODY } else { n.wrapping_add_signed(next[d]) as u32 };
                let edge = |d: usize| match number(d) {
                    NOBODY => 0,
                    other => random(n.min(other as usize) * 3 + d / 2) as i32,
                };
                let neighbors = std::array::from_fn(number);
                graph.push(random(n * 7) as i32 * 3 - 1500, neighbors, std::array::from_fn(edge));
            }
            graph
        };
        let halved = graph().cut();
        let mut whole = graph().nodes;
        let flowed = flowed_at_once(&mut whole, 0);
        assert!(whole.len() > 2 * HALVED && halved.flow == flowed.total);
        assert!(halved.source.contains(&true) && halved.source.contains(&false));
        for (halved, node) in halved.source.iter().zip(&whole) {
            assert_eq!(*halved, node.parent != NO_PARENT && node.source);
        }
    }
}
