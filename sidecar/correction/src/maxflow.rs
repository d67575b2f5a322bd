//! The cheapest cut between two sides: maximum flow on graphs whose nodes have at most six neighbours, as voxels have.
//!
//! Boykov and Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms", PAMI 2004, written from the
//! paper. Capacities are whole numbers, so the flow is exact and the same on every machine.

use std::collections::VecDeque;

/// No neighbour in this direction.
pub const NOBODY: u32 = u32::MAX;
/// Parents that are no direction.
const NO_PARENT: u8 = 6;
const TERMINAL: u8 = 7;
const ORPHAN: u8 = 8;

/// A graph to be cut. Direction `d` of a node and direction `d ^ 1` of its neighbour are the same edge.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// What it costs to leave a node on the sink's side (positive) or on the source's side (negative, as -cost).
    pub terminals: Vec<i32>,
    /// The neighbours of each node along -i, +i, -j, +j, -k, +k; [`NOBODY`] where there is none.
    pub neighbors: Vec<[u32; 6]>,
    /// What it costs to separate a node from each neighbour, 0 to 2^29; the same from both sides.
    pub capacities: Vec<[i32; 6]>,
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
    /// Finds the cheapest cut.
    ///
    /// # Panics
    ///
    /// If the three lists differ in length, or a neighbour is no node.
    #[must_use]
    pub fn cut(self) -> Cut {
        let mut flow = Flow::new(self);
        flow.run();
        let source = (0..flow.parent.len()).map(|n| flow.parent[n] != NO_PARENT && flow.source[n]).collect();
        Cut { flow: flow.total, source }
    }
}

/// The two search trees that grow until they no longer meet.
struct Flow {
    graph: Graph,
    /// Which tree a node with a parent belongs to: the source's, or the sink's.
    source: Vec<bool>,
    parent: Vec<u8>,
    /// When the distance to the terminal was last found right, and that distance.
    stamp: Vec<u32>,
    distance: Vec<u32>,
    queued: Vec<bool>,
    active: VecDeque<u32>,
    orphans: VecDeque<u32>,
    time: u32,
    total: i64,
}

impl Flow {
    fn new(graph: Graph) -> Flow {
        let n = graph.terminals.len();
        assert!(graph.neighbors.len() == n && graph.capacities.len() == n, "the lists differ in length");
        let mut flow = Flow {
            graph,
            source: vec![false; n],
            parent: vec![NO_PARENT; n],
            stamp: vec![0; n],
            distance: vec![0; n],
            queued: vec![false; n],
            active: VecDeque::new(),
            orphans: VecDeque::new(),
            time: 0,
            total: 0,
        };
        for node in 0..n {
            if flow.graph.terminals[node] != 0 {
                flow.source[node] = flow.graph.terminals[node] > 0;
                flow.parent[node] = TERMINAL;
                flow.distance[node] = 1;
                flow.activate(node);
            }
        }
        flow
    }

    fn activate(&mut self, node: usize) {
        if !self.queued[node] {
            self.queued[node] = true;
            self.active.push_back(node as u32);
        }
    }

    fn run(&mut self) {
        while let Some(node) = self.active.pop_front() {
            let node = node as usize;
            self.queued[node] = false;
            // A node stays active until no path leads through it.
            while self.parent[node] != NO_PARENT {
                let Some((tail, direction)) = self.grow(node) else { break };
                self.time += 1;
                self.augment(tail, direction);
                self.adopt();
            }
        }
    }

    fn neighbor(&self, node: usize, direction: usize) -> usize {
        self.graph.neighbors[node][direction] as usize
    }

    /// What can still flow from `node` towards the neighbour in the source's tree, from the neighbour in the sink's.
    fn residual(&self, node: usize, direction: usize, neighbor: usize, source: bool) -> i32 {
        if source {
            self.graph.capacities[node][direction]
        } else {
            self.graph.capacities[neighbor][direction ^ 1]
        }
    }

    /// Adds neighbours to the tree of `node`; the edge, from source to sink, at which it meets the other tree.
    fn grow(&mut self, node: usize) -> Option<(usize, usize)> {
        let source = self.source[node];
        for direction in 0..6 {
            if self.graph.neighbors[node][direction] == NOBODY {
                continue;
            }
            let neighbor = self.neighbor(node, direction);
            if self.residual(node, direction, neighbor, source) == 0 {
                continue;
            }
            if self.parent[neighbor] == NO_PARENT {
                self.source[neighbor] = source;
                self.attach(neighbor, direction ^ 1, node);
                self.activate(neighbor);
            } else if self.source[neighbor] != source {
                return Some(if source { (node, direction) } else { (neighbor, direction ^ 1) });
            } else if self.stamp[neighbor] <= self.stamp[node]
                && self.distance[neighbor] > self.distance[node]
            {
                self.attach(neighbor, direction ^ 1, node);
            }
        }
        None
    }

    fn attach(&mut self, node: usize, direction: usize, parent: usize) {
        self.parent[node] = direction as u8;
        self.stamp[node] = self.stamp[parent];
        self.distance[node] = self.distance[parent] + 1;
    }

    /// Sends as much as fits along the path through the edge `direction` of `tail`.
    fn augment(&mut self, tail: usize, direction: usize) {
        let head = self.neighbor(tail, direction);
        let amount =
            self.graph.capacities[tail][direction].min(self.room(tail, true)).min(self.room(head, false));
        self.graph.capacities[tail][direction] -= amount;
        self.graph.capacities[head][direction ^ 1] += amount;
        self.send(tail, true, amount);
        self.send(head, false, amount);
        self.total += i64::from(amount);
    }

    /// What fits between `node` and its terminal.
    fn room(&self, mut node: usize, source: bool) -> i32 {
        let mut room = i32::MAX;
        while self.parent[node] != TERMINAL {
            let direction = usize::from(self.parent[node]);
            let parent = self.neighbor(node, direction);
            room = room.min(self.residual(parent, direction ^ 1, node, source));
            node = parent;
        }
        room.min(self.graph.terminals[node].abs())
    }

    fn send(&mut self, mut node: usize, source: bool, amount: i32) {
        while self.parent[node] != TERMINAL {
            let direction = usize::from(self.parent[node]);
            let parent = self.neighbor(node, direction);
            let (from, to) = if source { (parent, node) } else { (node, parent) };
            let along = if source { direction ^ 1 } else { direction };
            self.graph.capacities[from][along] -= amount;
            self.graph.capacities[to][along ^ 1] += amount;
            if self.graph.capacities[from][along] == 0 {
                self.orphan(node);
            }
            node = parent;
        }
        self.graph.terminals[node] -= if source { amount } else { -amount };
        if self.graph.terminals[node] == 0 {
            self.orphan(node);
        }
    }

    fn orphan(&mut self, node: usize) {
        self.parent[node] = ORPHAN;
        self.orphans.push_front(node as u32);
    }

    /// Finds new parents for nodes that lost theirs, nearest to the terminal first; the rest leave their tree.
    fn adopt(&mut self) {
        while let Some(node) = self.orphans.pop_front() {
            let node = node as usize;
            let source = self.source[node];
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
        if self.graph.neighbors[node][direction] == NOBODY {
            return None;
        }
        let neighbor = self.neighbor(node, direction);
        (self.parent[neighbor] != NO_PARENT && self.source[neighbor] == source).then_some(neighbor)
    }

    /// Steps from `node` to the terminal; `None` if its path ends at an orphan. Paths found right are stamped.
    fn root_distance(&mut self, node: usize) -> Option<u32> {
        let mut steps = 0;
        let mut at = node;
        let distance = loop {
            if self.stamp[at] == self.time {
                break steps + self.distance[at];
            }
            match self.parent[at] {
                TERMINAL => break steps + 1,
                NO_PARENT | ORPHAN => return None,
                direction => at = self.neighbor(at, usize::from(direction)),
            }
            steps += 1;
        };
        let mut left = distance;
        let mut at = node;
        while self.stamp[at] != self.time {
            self.stamp[at] = self.time;
            self.distance[at] = left;
            left -= 1;
            if self.parent[at] == TERMINAL {
                break;
            }
            at = self.neighbor(at, usize::from(self.parent[at]));
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
            if usize::from(self.parent[neighbor]) == direction ^ 1 {
                self.parent[neighbor] = ORPHAN;
                self.orphans.push_back(neighbor as u32);
            }
        }
        self.parent[node] = NO_PARENT;
        self.stamp[node] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::{FlowCase, truth};

    fn graph(case: &FlowCase) -> Graph {
        let n = case.terminals.len();
        let terminals = case.terminals.clone();
        let mut graph = Graph { terminals, neighbors: vec![[NOBODY; 6]; n], capacities: vec![[0; 6]; n] };
        for &(a, b, capacity, axis) in &case.edges {
            let direction = 2 * (2 - axis) + 1;
            (graph.neighbors[a][direction], graph.capacities[a][direction]) = (b as u32, capacity);
            (graph.neighbors[b][direction ^ 1], graph.capacities[b][direction ^ 1]) = (a as u32, capacity);
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
}
