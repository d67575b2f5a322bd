"""Statistics by SciPy, scikit-learn, statsmodels and Pingouin: writes `over_cases.json` beside this file.

    pip install numpy scipy scikit-learn statsmodels pingouin
    python over_cases.py
"""

import json
from pathlib import Path

import numpy as np
import pandas
import pingouin
from scipy import stats
from scipy.stats import _resampling
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

SEED, RESAMPLES = 20201217, 2000


class Random:
    """SplitMix64, as `imaging::Random`."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        bits = self.state
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & mask
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & mask
        return (bits ^ bits >> 31) * bound >> 64


def paired(differences):
    d = np.array(differences)
    t = stats.ttest_1samp(d, 0)
    nonzero = d[d != 0]
    ties = len(set(np.abs(nonzero))) < len(nonzero)
    if len(nonzero) > 50:
        p = stats.wilcoxon(nonzero, method="asymptotic", correction=False).pvalue
    elif ties:
        # All signs of the same ranks.
        ranks = stats.rankdata(np.abs(nonzero))
        signs = np.array(np.meshgrid(*[[0, 1]] * len(ranks))).reshape(len(ranks), -1)
        sums, found = ranks @ signs, ranks[nonzero > 0].sum()
        least = min(found, ranks.sum() - found)
        p = min(1.0, 2 * np.mean(sums <= least + 1e-9))
    else:
        p = stats.wilcoxon(nonzero, method="exact").pvalue
    interval = t.confidence_interval()
    return {"differences": d.tolist(), "t": t.statistic, "p": t.pvalue, "confidence": [interval.low, interval.high], "wilcoxon": float(p)}


def bootstrap(patients, values):
    """BCa with SciPy's own formula on our resamples of patients."""
    names = sorted(set(patients))
    sums = np.array([sum(v for p, v in zip(patients, values) if p == name) for name in names])
    counts = np.array([sum(p == name for p in patients) for name in names], float)
    random = Random(SEED)
    drawn = np.array([[random.below(len(names)) for _ in names] for _ in range(RESAMPLES)])
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)

    def statistic(*samples, axis=-1):
        return samples[0].sum(axis=axis) / samples[1].sum(axis=axis)

    # SciPy's jackknife drops from one sample at a time; ours drops a patient, so its accelerations are computed here.
    whole = statistic(sums, counts)
    bias = stats.norm.ppf((np.mean(means < whole) + np.mean(means <= whole)) / 2)
    if np.all(counts == 1):
        low, high, _ = _resampling._bca_interval(
            (sums,), lambda x, axis=-1: x.mean(axis=axis), axis=-1, alpha=0.025, theta_hat_b=means, batch=None, xp=np
        )[:3]
    else:
        without = np.array([(sums.sum() - s) / (counts.sum() - c) for s, c in zip(sums, counts)])
        away = without.mean() - without
        acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
        shifted = bias + stats.norm.ppf([0.025, 0.975])
        low, high = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    interval = [float(np.quantile(means, low)), float(np.quantile(means, high))]
    return {"patients": patients, "values": values, "interval": interval}


def summary(values):
    v = np.array(values)
    return {"values": values, "mean": v.mean(), "deviation": v.std(ddof=1), "quantiles": np.quantile(v, [0.25, 0.5, 0.75]).tolist()}


def agreement(a, b):
    n = len(a)
    frame = pandas.DataFrame({"case": list(range(n)) * 2, "rater": [0] * n + [1] * n, "ml": list(a) + list(b)})
    found = pingouin.intraclass_corr(frame, "case", "rater", "ml")
    row = found[found["Type"].isin(["ICC2", "ICC(A,1)"])].iloc[0]
    truth, prediction = np.array(a), np.array(b)
    # Pingouin rounds its interval, so McGraw and Wong's is computed from SciPy's F.
    grand = (truth.mean() + prediction.mean()) / 2
    own = (truth + prediction) / 2
    subjects = 2 * ((own - grand) ** 2).sum() / (n - 1)
    raters = n * ((truth.mean() - grand) ** 2 + (prediction.mean() - grand) ** 2)
    error = sum(((x - own - x.mean() + grand) ** 2).sum() for x in (truth, prediction)) / (n - 1)
    icc, f = float(row["ICC"]), raters / error
    v = (n - 1) * (2 * icc * f + n * (1 + icc) - 2 * icc) ** 2
    v /= (n - 1) * 4 * icc**2 * f**2 + (n * (1 + icc) - 2 * icc) ** 2
    up, down = stats.f.ppf(0.975, n - 1, v), stats.f.ppf(0.975, v, n - 1)
    interval = [
        n * (subjects - up * error) / (up * (2 * raters + (n - 2) * error) + n * subjects),
        n * (down * subjects - error) / (2 * raters + (n - 2) * error + n * down * subjects),
    ]
    key = "CI95%" if "CI95%" in row else "CI95"
    assert np.allclose(interval, row[key], atol=0.0051), (interval, row[key])
    pearson = stats.pearsonr(a, b)
    low, high = pearson.confidence_interval()
    difference = prediction - truth
    return {"truth": list(a), "prediction": list(b), "icc": icc, "icc_confidence": interval, "pearson": pearson.statistic, "pearson_confidence": [low, high], "bias": difference.mean(), "deviation": difference.std(ddof=1)}


def curves(scores, positive):
    false, true, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    return {
        "scores": list(scores),
        "positive": [bool(one) for one in positive],
        "roc": [list(map(float, point)) for point in zip(false, true)],
        "auc": metrics.roc_auc_score(positive, scores),
        "average_precision": metrics.average_precision_score(positive, scores),
    }


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    volumes = np.round(rng.lognormal(1, 1.2, 24), 3)
    measured = np.round(volumes * rng.normal(1, 0.2, 24) + rng.normal(0, 0.5, 24), 3)
    p_values = [0.012, 0.04, 0.001, 0.3, 0.012, 0.9]
    results = {
        "paired": [
            paired(np.round(rng.normal(0.03, 0.1, 30), 12)),
            paired(np.round(rng.normal(0.02, 0.05, 14), 2)),
            paired(np.round(rng.normal(0.01, 0.05, 80), 2)),
            paired([0.5, -0.25]),
        ],
        "mcnemar": [[b, c, float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)] for b, c in [(3, 12), (0, 0), (7, 7), (0, 9), (120, 90)]],
        "holm": {"p": p_values, "corrected": multipletests(p_values, method="holm")[1].tolist()},
        "bootstrap": [
            bootstrap(list(range(18)), np.round(rng.beta(6, 2, 18), 6).tolist()),
            bootstrap([0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 6], np.round(rng.beta(6, 2, 11), 6).tolist()),
        ],
        "summary": summary(np.round(rng.beta(6, 2, 17), 6).tolist()),
        "agreement": agreement(volumes.tolist(), measured.tolist()),
        "curves": [
            curves(np.round(rng.random(40), 1).tolist(), rng.random(40) < 0.4),
            curves([0.0, 0.0, 0.0, 1.5, 2.5], [False, True, False, True, True]),
        ],
        "proportions": [
            [k, n, *map(float, [*stats.binomtest(k, n).proportion_ci(method="wilson"), *stats.binomtest(k, n).proportion_ci(method="exact")])]
            for k, n in [(0, 10), (10, 10), (67, 74), (89, 118), (5, 7), (174, 192), (1, 100000)]
        ],
    }
    Path(__file__).with_name("over_cases.json").write_text(json.dumps(results, indent=1) + "\n")
