"""Makes the fixtures of the ridge's tests with himalaya and scikit-learn, in float64.

    python3 -m venv venv && venv/bin/pip install himalaya==0.4.11 packaging scikit-learn==1.9.1
    venv/bin/python tests/data/ridge/make_fixtures.py tests/data/ridge

Writes ridge.safetensors and banded.safetensors; their metadata hold the versions. himalaya gives the
scores of all alphas (one call an alpha), the best alphas and the banded search; scikit-learn the same
scores by KFold and the weights.
"""

import json
import struct
import sys
from pathlib import Path

import himalaya
import numpy as np
import sklearn
from himalaya.ridge import solve_group_ridge_random_search
from himalaya.scoring import correlation_score, l2_neg_loss, r2_score, r2_score_split
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

FOLDS = 5
ALPHAS = np.logspace(-2, 5, 8)
SCORES = {"mse": l2_neg_loss, "r2": r2_score, "r": correlation_score}


def save(path, tensors):
    header, data = {}, b""
    header["__metadata__"] = {
        "himalaya": himalaya.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    for name, array in tensors.items():
        array = np.ascontiguousarray(array, dtype=np.float64)
        begin = len(data)
        data += array.tobytes()
        header[name] = {
            "dtype": "F64",
            "shape": list(array.shape),
            "data_offsets": [begin, len(data)],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def search(xs, y, gammas, alphas, intercept, score, weights=False, local=True):
    return solve_group_ridge_random_search(
        xs, y, n_iter=gammas, alphas=alphas, fit_intercept=intercept, score_func=score, cv=FOLDS,
        return_weights=weights, local_alpha=local, progress_bar=False, warn=False)


def sklearn_scores(x, y, intercept, score):
    result = np.zeros((len(ALPHAS), y.shape[1]))
    for train, test in KFold(FOLDS).split(x):
        for a, alpha in enumerate(ALPHAS):
            model = Ridge(alpha=alpha, fit_intercept=intercept, solver="cholesky")
            predicted = model.fit(x[train], y[train]).predict(x[test])
            result[a] += np.asarray(score(y[test], predicted)) / FOLDS
    return result


def problem(rng, n, p, t, kind):
    x = rng.standard_normal((n, p))
    if kind == "collinear":  # half of the features repeat others, one almost
        half = p // 2
        x[:, half:] = x[:, : p - half]
        x[:, -1] += 1e-7 * rng.standard_normal(n)
    weights = rng.standard_normal((p, t)) / np.sqrt(p)
    noise = np.linspace(0.3, 5, t) * rng.standard_normal((n, t))
    return x + 0.5, x @ weights + noise + 2


def ridge_fixtures():
    rng = np.random.default_rng(7)
    tensors = {"alphas": ALPHAS}
    cases = {"random": (60, 12), "collinear": (60, 20), "wide": (40, 90), "tall": (200, 6)}
    for case, (n, p) in cases.items():
        x, y = problem(rng, n, p, 6, case)
        tensors[f"{case}.x"], tensors[f"{case}.y"] = x, y
        one = np.ones((1, 1))
        for intercept in (False, True):
            way = f"{case}.{'intercept' if intercept else 'plain'}"
            for name, score in SCORES.items():
                scores = np.stack([
                    search([x], y, one, np.array([alpha]), intercept, score)[2][0]
                    for alpha in ALPHAS])
                deltas = search([x], y, one, ALPHAS, intercept, score)[0]
                shared = search([x], y, one, ALPHAS, intercept, score, local=False)[0]
                tensors[f"{way}.{name}.scores"] = scores
                tensors[f"{way}.{name}.alpha"] = np.exp(-deltas[0])
                tensors[f"{way}.{name}.shared_alpha"] = np.exp(-shared[0])
                tensors[f"{way}.{name}.sklearn"] = sklearn_scores(x, y, intercept, score)
            alpha = tensors[f"{way}.mse.alpha"]
            model = Ridge(alpha=alpha, fit_intercept=intercept, solver="cholesky").fit(x, y)
            tensors[f"{way}.weights"] = model.coef_.T
            tensors[f"{way}.bias"] = np.broadcast_to(model.intercept_, y.shape[1:])
    return tensors


def banded_fixtures():
    rng = np.random.default_rng(11)
    n, sizes, t = 60, (5, 8, 12), 6
    xs = [rng.standard_normal((n, p)) for p in sizes]
    y = 2.0 * rng.standard_normal((n, t))
    for space, x in enumerate(xs):  # each target hears some spaces
        y += (x @ rng.standard_normal((x.shape[1], t))) * rng.choice([0, 0.3, 1], t)
    gammas = rng.dirichlet([0.3] * len(xs), 20)
    gammas[0] = 1 / len(xs)
    gammas[1] = [1, 0, 0]  # a space that is left out
    alphas = np.logspace(-1, 4, 6)
    tensors = {"y": y, "gammas": gammas, "alphas": alphas}
    for space, x in enumerate(xs):
        tensors[f"x{space}"] = x
    for intercept in (False, True):
        way = "intercept" if intercept else "plain"
        for name in ("mse", "r2"):
            # himalaya divides by the weights' square root again, so 0 becomes 1e-12 there.
            result = search([x.copy() for x in xs], y, np.maximum(gammas, 1e-12), alphas, intercept,
                            SCORES[name], weights=True)
            tensors[f"{way}.{name}.deltas"] = result[0]
            tensors[f"{way}.{name}.weights"] = result[1]
            tensors[f"{way}.{name}.scores"] = result[2]
    weights = tensors["plain.mse.weights"]
    start = np.cumsum([0, *sizes])
    centered = y - y.mean(0)
    parts = np.stack([x @ weights[start[i]:start[i + 1]] for i, x in enumerate(xs)])
    parts -= parts.mean(1, keepdims=True)
    tensors["parts"] = parts
    tensors["split"] = r2_score_split(centered, parts)
    return tensors


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    save(folder / "ridge.safetensors", ridge_fixtures())
    save(folder / "banded.safetensors", banded_fixtures())
