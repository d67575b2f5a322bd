"""Truth for the kernels of `correction` and for the peers in `trials`: PyMaxflow and SciPy on small chance images.

    pip install PyMaxflow scipy && python tests/reference/correction/kernels.py

Writes `kernels.json` beside this file.
"""

import itertools
import json
from pathlib import Path

import maxflow
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra


def flow(random, shape):
    """The least cost of a cut of a grid with whole-number capacities, and how many nodes must lie at the source."""
    nodes = int(np.prod(shape))
    terminals = random.integers(-40, 41, nodes)
    index = np.arange(nodes).reshape(shape)
    edges = []
    for axis in range(3):
        first = np.take(index, range(shape[axis] - 1), axis).ravel()
        second = np.take(index, range(1, shape[axis]), axis).ravel()
        edges += [(int(a), int(b), int(random.integers(0, 30)), axis) for a, b in zip(first, second)]
    graph = maxflow.GraphInt(nodes, len(edges))
    graph.add_nodes(nodes)
    for a, b, capacity, _ in edges:
        graph.add_edge(a, b, capacity, capacity)
    for node, terminal in enumerate(terminals):
        graph.add_tedge(node, max(int(terminal), 0), max(-int(terminal), 0))
    return {
        "terminals": terminals.tolist(),
        # Two nodes, what it costs to part them, and the axis (0 is k, 2 is i) along which they touch.
        "edges": edges,
        "flow": int(graph.maxflow()),
    }


def paths(random, shape, spacing, per_mm, per_unit, barrier, reach):
    """Distances over free voxels from two seeds, and which of the two is nearer."""
    values = random.integers(-100, 300, shape)
    labels = (random.random(shape) < 0.3).astype(int)
    free = random.random(shape) < 0.85
    seeds = [tuple(int(random.integers(0, n)) for n in shape) for _ in range(2)]
    for seed in seeds:
        free[seed] = True
    index = np.arange(values.size).reshape(shape)
    rows, columns, costs = [], [], []
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step == (0, 0, 0):
            continue
        length = float(np.sqrt(sum((n * s) ** 2 for n, s in zip(step, spacing))))
        for at in np.ndindex(*shape):
            to = tuple(a + b for a, b in zip(at, step))
            if all(0 <= n < size for n, size in zip(to, shape)) and free[at] and free[to]:
                cost = per_mm * length + per_unit * abs(int(values[at]) - int(values[to]))
                rows.append(index[at])
                columns.append(index[to])
                costs.append(cost + (barrier if labels[at] != labels[to] else 0.0))
    graph = sparse.csr_matrix((costs, (rows, columns)), shape=(values.size, values.size))
    each = dijkstra(graph, indices=[index[seed] for seed in seeds], limit=reach)
    nearest = each.min(axis=0)
    owner = np.where(np.isfinite(nearest), 1 + each.argmin(axis=0), 0)
    return {
        "shape": list(shape),
        "spacing": list(spacing),
        "per_mm": per_mm,
        "per_unit": per_unit,
        "reach": reach if np.isfinite(reach) else None,
        "values": values.ravel().tolist(),
        "labels": labels.ravel().tolist(),
        "free": free.ravel().astype(int).tolist(),
        "seeds": [list(seed) for seed in seeds],
        "distances": [None if not np.isfinite(d) else round(float(d), 5) for d in nearest],
        # Where both seeds are equally near anybody may win.
        "owners": np.where(np.abs(each[0] - each[1]) < 1e-3, -1, owner).tolist(),
    }


def smooth(random, shape):
    """The mean of 3x3x3 voxels, and a histogram blurred over its bins."""
    values = random.integers(-200, 401, shape)
    mean = ndimage.uniform_filter(values.astype(float), 3, mode="reflect")
    counts = np.histogram(values + 200, bins=48, range=(0, 600))[0].astype(float)
    shares = ndimage.gaussian_filter1d(counts, 1.0, mode="reflect") + 0.5
    return {
        "shape": list(shape),
        "values": values.ravel().tolist(),
        "mean": np.round(mean + 200, 4).ravel().tolist(),
        "shares": np.round(shares / shares.sum(), 7).tolist(),
    }


def main():
    random = np.random.default_rng(20261123)
    shapes = [(1, 1, 1), (1, 1, 5), (2, 3, 3), (4, 5, 6), (7, 6, 5)]
    truth = {
        "flows": [flow(random, shape) for shape in shapes for _ in range(3)],
        "geodesics": [
            paths(random, (5, 6, 7), (1.0, 1.0, 1.0), 1.0, 0.05, 10.0, 100.0),
            paths(random, (4, 7, 6), (2.5, 0.8, 0.7), 1.0, 0.02, 10.0, 12.0),
        ],
        "spreads": [paths(random, (5, 6, 6), (3.0, 1.0, 1.0), 0.1, 1.0, 0.0, np.inf)],
        "smooth": smooth(random, (4, 5, 6)),
    }
    path = Path(__file__).with_name("kernels.json")
    path.write_text(json.dumps(truth, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
