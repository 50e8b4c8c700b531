"""Maps of samples, and measures of what lies next to what: the same tissue or the same laboratory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances, silhouette_samples
from sklearn.preprocessing import FunctionTransformer

from srna_lib.errors import InputError, one_of
from srna_lib.evaluate import study_interval, study_weights, weighted_mean
from srna_lib.explore.tables import is_counts
from srna_lib.models import LogCPM
from srna_lib.processes import hidden


def principal_components(X: pd.DataFrame, n: int = 50, *, transformer: Any = None, seed: int = 0) -> pd.DataFrame:
    """Principal components ``PC1`` ... of log2(CPM + 1), of values that are no counts, or of what `transformer` makes.

    ``attrs["scale"]`` names the features they were made from. Fewer components where samples or sRNAs are fewer.
    """
    n = min(n, len(X) - 1, X.shape[1])
    if n < 1:
        raise InputError(f"principal components need at least 2 samples and 1 sRNA, found {X.shape[0]} x {X.shape[1]}.")
    counted = is_counts(X)
    values = np.asarray((transformer or (LogCPM() if counted else FunctionTransformer())).fit_transform(X))
    if np.ptp(values, axis=0).max() == 0:
        raise InputError(f"principal components: all {len(X)} samples are the same; expected some that differ.")
    names = [f"PC{i + 1}" for i in range(n)]
    pcs = pd.DataFrame(PCA(n, random_state=seed).fit_transform(values), index=X.index, columns=names)
    if transformer is None:
        pcs.attrs["scale"] = "log2 CPM" if counted else "normalised values"
    return pcs


def embed(points: pd.DataFrame, method: str = "opentsne", *, seed: int = 0, n_iter: int = 500) -> pd.DataFrame:
    """Lay samples out in a plane (``x, y``), reproducibly, from a PCA start.

    Another last digit of a coordinate is another map, and last digits are those of the BLAS kernel. So coordinates and
    start are rounded to six digits of the largest, and distances are taken without BLAS.

    Parameters
    ----------
    points, method
        `principal_components`, or any other coordinates; ``"opentsne"`` or ``"umap"``. Both keep neighbours together;
        distances between far groups mean little in either.
    seed, n_iter : int
        Random state; openTSNE's steps after early exaggeration, of which fewer make a quick look.

    Examples
    --------
    >>> import numpy as np, pandas as pd, srna_lib as srna
    >>> points = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)))
    >>> srna.explore.embed(points, n_iter=50).shape
    (30, 2)
    """
    n = len(points)
    one_of("embedding", method, ("opentsne", "umap"))
    if n < 5 or points.shape[1] < 2:
        raise InputError(f"an embedding needs at least 5 samples and 2 components, found {n} and {points.shape[1]}.")
    values = _steady(points.to_numpy(dtype=np.float64))
    start, distances = _steady(PCA(2, random_state=seed).fit_transform(values)), cdist(values, values)
    if method == "opentsne":
        from openTSNE import TSNE, initialization

        # Exact neighbours: no index to build, no randomness, fast enough below some ten thousand samples.
        options = {"metric": "precomputed", "neighbors": "exact", "negative_gradient_method": "bh", "n_iter": n_iter}
        options |= {"random_state": seed, "n_jobs": 1}
        xy = TSNE(perplexity=min(30.0, (n - 1) / 3.01), initialization=initialization.rescale(start), **options)
    else:
        umap, k = _import_umap(), min(15, n - 1)
        for compiled in (umap.umap_.smooth_knn_dist, umap.umap_.compute_membership_strengths):
            compiled.enable_caching()  # on disk, for the next process
        umap.layouts._nb_optimize_layout_euclidean_single_epoch.enable_caching()
        # Neighbours from here: umap would compile a sort for seconds to find the same.
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k].astype(np.int32)
        knn = nearest, np.take_along_axis(distances, nearest, axis=1).astype(np.float32), None
        options = {"random_state": seed, "n_jobs": 1, "precomputed_knn": knn, "force_approximation_algorithm": True}
        # a and b are what umap-learn fits to its defaults (min_dist 0.1, spread 1), again to the last digit
        xy = umap.UMAP(n_neighbors=k, init=start, a=1.577, b=0.8951, **options)
    with warnings.catch_warnings():  # nothing new is placed by these
        warnings.filterwarnings("ignore", message="using precomputed metric|precomputed_knn")
        xy = xy.fit(distances) if method == "opentsne" else xy.fit_transform(values)
    return pd.DataFrame(np.asarray(xy, dtype=float), index=points.index, columns=["x", "y"])


def _steady(values: np.ndarray) -> np.ndarray:
    """Values to six digits of the largest."""
    return np.round(values, 5 - int(np.floor(np.log10(np.abs(values).max() or 1.0))))


def _import_umap() -> Any:
    """Import umap-learn without its neural variant, which would load TensorFlow and start keras on it, not on JAX."""
    with hidden("tensorflow"), warnings.catch_warnings():
        # umap imports tqdm's notebook bar, which asks for ipywidgets; nothing here draws a bar.
        warnings.filterwarnings("ignore", message="IProgress not found")
        import umap
    return umap


def neighbour_share(
    points: pd.DataFrame | np.ndarray, labels: Any, studies: Any, *, k: int = 10, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Measure what the nearest neighbours of a sample have in common with it.

    The first three rows look at the k nearest of all samples. As most studies hold a single class, these cannot tell
    class from study; the last two can, because they hold one of them fixed: ``neighbour_class_across_studies`` asks
    whether tissue still shows between laboratories, ``neighbour_study_within_class`` whether laboratories still show
    within a tissue.

    Parameters
    ----------
    points : DataFrame or array, shape (n_samples, n_components)
        Coordinates, e.g. `principal_components` or `embed`. Needs n_samples^2 numbers of memory.
    labels, studies, k
        Class and study of each sample; neighbours, fewer where there are fewer candidates.

    Returns
    -------
    DataFrame
        One row per share: ``metric, share, candidates, k, observed, ci_low, ci_high`` (95 %, over studies), ``chance``
        (random candidates), ``ceiling`` (the most that the numbers of samples allow), ``n_samples`` and ``n_datasets``
        that have candidates. Means over samples; NaN where no sample has candidates.

    Examples
    --------
    >>> import srna_lib as srna
    >>> table = srna.explore.neighbour_share([[0], [1], [3], [9]], ["x", "x", "x", "y"], ["A", "A", "B", "B"], k=1)
    >>> table.set_index("metric").loc[["neighbour_class", "neighbour_study"], "observed"].tolist()
    [0.75, 0.75]
    """
    values = np.asarray(points, dtype=np.float64)
    y, s = (pd.factorize(np.asarray(codes, dtype=object))[0] for codes in (labels, studies))
    if not len(values) == len(y) == len(s) or len(values) < 2 or k < 1:
        sizes = f"{len(values)} points, {len(y)} labels, {len(s)} studies, k = {k}"
        raise InputError(f"neighbour_share: {sizes}; expected as many of each, at least two, and k of at least 1.")
    distance = pairwise_distances(values)
    others, same_y, same_s = ~np.eye(len(y), dtype=bool), y[:, None] == y, s[:, None] == s
    questions = [
        ("neighbour_class", "same class", same_y, "samples", others),
        ("neighbour_study", "same study", same_s, "samples", others),
        ("neighbour_class_not_study", "same class and another study", same_y & ~same_s, "samples", others),
        ("neighbour_class_across_studies", "same class", same_y, "among other studies", ~same_s),
        ("neighbour_study_within_class", "same study", same_s, "within the own class", same_y & others),
    ]
    rows = []
    for name, share, hit, where, candidate in questions:
        n_candidates, n_hits = candidate.sum(axis=1), (hit & candidate).sum(axis=1)
        ok = n_candidates > 0
        if name == "neighbour_study_within_class":
            ok &= n_hits < n_candidates  # where a class has one study only, nothing else could be found
        row: dict[str, Any] = {"metric": name, "share": share, "candidates": f"of the k nearest {where}", "k": k}
        row |= dict.fromkeys(("observed", "ci_low", "ci_high", "chance", "ceiling"), np.nan)
        if ok.any():
            nearest = np.argsort(np.where(candidate, distance, np.inf)[ok], axis=1, kind="stable")[:, :k]
            near, near_hits = (np.take_along_axis(m[ok], nearest, axis=1) for m in (candidate, hit & candidate))
            row |= _with_interval(near_hits.sum(axis=1) / near.sum(axis=1), s[ok], n_boot, seed)
            n_near = np.minimum(k, n_candidates[ok])
            row["chance"] = (n_hits[ok] / n_candidates[ok]).mean()
            row["ceiling"] = (np.minimum(n_hits[ok], n_near) / n_near).mean()
        rows.append(row | {"n_samples": int(ok.sum()), "n_datasets": len(np.unique(s[ok]))})
    return pd.DataFrame(rows)


def share_records(shares: pd.DataFrame, *, task: str, dataset: str, features: str, seed: int) -> list[dict[str, Any]]:
    """Records of `neighbour_share` tables below each other, whose column ``model`` names what was looked at."""
    head = {"task": task, "dataset": dataset, "features": features, "scheme": "none", "seed": seed}
    fields = ["model", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"]
    rows = shares.dropna(subset="observed").rename(columns={"observed": "value"})[fields]
    return [{**head, **row} for row in rows.to_dict("records")]


def silhouettes(
    points: pd.DataFrame | np.ndarray, labels: Any, studies: Any, *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean silhouette, -1 to 1, of classes and of studies: ``by, observed, ci_low, ci_high, n_samples, n_groups``.

    Parameters as in `neighbour_share`. Samples alone in their group are left out.
    """
    values, rows = np.asarray(points, dtype=np.float64), []
    y, s = (pd.Series(np.asarray(names, dtype=object).astype(str)) for names in (labels, studies))
    for by, groups in (("class", y), ("study", s)):
        several = groups.duplicated(keep=False).to_numpy()
        n_groups = groups[several].nunique()
        row: dict[str, Any] = {"by": by, **dict.fromkeys(("observed", "ci_low", "ci_high"), np.nan)}
        if 2 <= n_groups < several.sum():
            each = silhouette_samples(values[several], groups[several])
            row |= _with_interval(each, pd.factorize(s[several])[0], n_boot, seed)
        rows.append(row | {"n_samples": int(several.sum()), "n_groups": n_groups})
    return pd.DataFrame(rows)


def variance_explained(points: pd.DataFrame | np.ndarray, labels: Any, studies: Any) -> pd.DataFrame:
    """``share`` of the variance of samples by ``source``: class, study within class, and the rest.

    Adjusted R^2 of group means (adjusted, because many small studies would explain much by chance); sums to 1.
    """
    values = np.asarray(points, dtype=np.float64)
    y, s = (np.asarray(names, dtype=object).astype(str) for names in (labels, studies))
    by_class, by_cell = _adjusted_r2(values, y), _adjusted_r2(values, list(zip(y, s, strict=True)))
    sources = ["class", "study within class", "rest"]
    return pd.DataFrame({"source": sources, "share": [by_class, by_cell - by_class, 1 - by_cell]})


def _with_interval(values: np.ndarray, studies: np.ndarray, n_boot: int, seed: int) -> dict[str, float]:
    """Mean over samples, and its 95 % interval when whole studies are resampled with replacement."""
    draws = weighted_mean(values, study_weights(studies, n_boot, seed))
    low, high = study_interval(draws[1:])
    return {"observed": float(draws[0]), "ci_low": low, "ci_high": high}


def _adjusted_r2(values: np.ndarray, groups: Any) -> float:
    """Share of the variance between groups, adjusted for their number."""
    codes = pd.factorize(pd.Series(groups))[0]
    n, n_groups = len(values), codes.max() + 1
    total = ((values - values.mean(axis=0)) ** 2).sum()
    if n_groups >= n or total == 0:
        raise InputError(f"variance: {n_groups} groups of {n} samples; expected groups of several samples that differ.")
    within = values - pd.DataFrame(values).groupby(codes).transform("mean").to_numpy()
    return float(1 - (within**2).sum() / (n - n_groups) / (total / (n - 1)))
