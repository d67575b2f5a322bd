//! Sends flow in waves, before search trees are grown: in a compact graph most of it goes long ways, and a tree would
//! be mended for every one of them.
//!
//! What a node holds from the source may move on to its neighbours: the same cuts are the cheapest, wherever it waits.
//! (Goldberg and Tarjan, "A new approach to the maximum-flow problem", JACM 1988, with distances found anew for each
//! wave.)

use super::Node;

/// No more waves than this.
const MOST: usize = 16;
/// A wave that brings less than one in so many of all before it is the last.
const WORTH: i64 = 256;
/// A node from which no way leads to the sink.
const NOWHERE: u32 = u32::MAX;

/// Sends what can flow in a few waves; what arrived at the sink.
pub(super) fn waves(nodes: &mut [Node]) -> i64 {
    let mut order = Vec::with_capacity(nodes.len());
    let mut distances = vec![NOWHERE; nodes.len()];
    let mut total = 0;
    for _ in 0..MOST {
        towards_sinks(nodes, &mut order, &mut distances);
        let arrived = wave(nodes, &order, &distances);
        total += arrived;
        if arrived.saturating_mul(WORTH) < total {
            break;
        }
    }
    total
}

/// How many edges every node is from the nearest that can send to the sink, and the nodes by that.
fn towards_sinks(nodes: &[Node], order: &mut Vec<u32>, distances: &mut [u32]) {
    order.clear();
    for (n, (node, distance)) in nodes.iter().zip(distances.iter_mut()).enumerate() {
        *distance = NOWHERE;
        if node.terminal < 0 {
            *distance = 0;
            order.push(n as u32);
        }
    }
    let mut at = 0;
    while at < order.len() {
        let node = order[at] as usize;
        let distance = distances[node] + 1;
        for (direction, &next) in nodes[node].neighbors.iter().enumerate() {
            let next = next as usize;
            if distances.get(next) == Some(&NOWHERE) && nodes[next].capacities[direction ^ 1] > 0 {
                distances[next] = distance;
                order.push(next as u32);
            }
        }
        at += 1;
    }
}

/// Moves what every node holds from the source one edge nearer to a sink, those farthest away first: so it goes on as
/// far as it can. What arrived.
fn wave(nodes: &mut [Node], order: &[u32], distances: &[u32]) -> i64 {
    let mut arrived = 0;
    for &node in order.iter().rev() {
        let node = node as usize;
        let Node { neighbors, mut terminal, .. } = nodes[node];
        for (direction, next) in neighbors.into_iter().map(|next| next as usize).enumerate() {
            if terminal <= 0 {
                break;
            }
            if distances.get(next).is_none_or(|&distance| distance.wrapping_add(1) != distances[node]) {
                continue;
            }
            let held = nodes[next].terminal;
            let room = nodes[node].capacities[direction].min(i32::MAX - held.max(0));
            let amount = room.min(terminal);
            arrived += i64::from(amount.min(-held.min(0)));
            terminal -= amount;
            nodes[node].capacities[direction] -= amount;
            nodes[next].capacities[direction ^ 1] += amount;
            nodes[next].terminal += amount;
        }
        nodes[node].terminal = terminal;
    }
    arrived
}
