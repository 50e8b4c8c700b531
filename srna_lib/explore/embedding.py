"""Maps of samples, and measures of what lies next to what: the same tissue or the same laboratory."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances, silhouette_samples
from sklearn.preprocessing import FunctionTransformer

from srna_lib.errors import InputError
from srna_lib.explore.tables import is_counts
from srna_lib.models import LogCPM

SHARES = {
    "neighbour_class": ("same class", "of the k nearest samples"),
    "neighbour_study": ("same study", "of the k nearest samples"),
    "neighbour_class_not_study": ("same class and another study", "of the k nearest samples"),
    "neighbour_class_across_studies": ("same class", "of the k nearest among other studies"),
    "neighbour_study_within_class": ("same study", "of the k nearest within the own class"),
}


def principal_components(
    X: pd.DataFrame, n_components: int = 50, *, transformer: Any = None, seed: int = 0
) -> pd.DataFrame:
    """Principal components of samples, by default of log2(CPM + 1).

    Parameters
    ----------
    X : DataFrame, shape (n_samples, n_srnas)
        Raw counts.
    n_components : int, default 50
        Components kept, fewer when there are fewer samples or sRNAs. More keeps finer differences and noise.
    transformer : scikit-learn transformer, optional
        What turns counts into features, e.g. `SampleRanks()`. By default `LogCPM()`; values that are no counts stay.
    seed : int, default 0
        Of the randomised singular value decomposition.

    Returns
    -------
    DataFrame, shape (n_samples, n_components)
        Columns ``PC1`` ..., index of `X`; ``attrs["scale"]`` names the features they were made from.
    """
    n = min(n_components, len(X) - 1, X.shape[1])
    if n < 1:
        raise InputError(f"principal components need at least 2 samples and 1 sRNA, found {X.shape[0]} x {X.shape[1]}.")
    counted = is_counts(X)
    values = (transformer or (LogCPM() if counted else FunctionTransformer())).fit_transform(X)
    pcs = pd.DataFrame(
        PCA(n, random_state=seed).fit_transform(values), index=X.index, columns=[f"PC{i + 1}" for i in range(n)]
    )
    if transformer is None:
        pcs.attrs["scale"] = "log2 CPM" if counted else "normalised values"
    return pcs


def embed(
    points: pd.DataFrame,
    method: str = "opentsne",
    *,
    seed: int = 0,
    n_jobs: int = 1,
    perplexity: float = 30.0,
    n_neighbors: int = 15,
    n_iter: int = 500,
) -> pd.DataFrame:
    """Lay samples out in a plane, from a PCA start.

    Parameters
    ----------
    points : DataFrame, shape (n_samples, n_components)
        `principal_components`, or any other coordinates.
    method : {"opentsne", "umap"}
        Both keep neighbours together; distances between far groups mean little in either.
    seed : int, default 0
        Random state; with `n_jobs` = 1 the map is reproduced exactly.
    n_jobs : int, default 1
        Threads. More is faster, but then the order of additions, and with it the map, varies.
    perplexity : float, default 30
        openTSNE: size of the neighbourhood, lowered to less than a third of the samples.
    n_neighbors : int, default 15
        UMAP: size of the neighbourhood, lowered to the samples there are.
    n_iter : int, default 500
        openTSNE: steps after early exaggeration. Lower it for a quick look.

    Returns
    -------
    DataFrame, shape (n_samples, 2)
        Columns ``x, y``; index of `points`.

    Raises
    ------
    InputError
        Unknown method, or fewer than 5 samples.
    """
    n = len(points)
    if method not in ("opentsne", "umap"):
        raise InputError(f"unknown embedding {method!r}: expected 'opentsne' or 'umap'.")
    if n < 5:
        raise InputError(f"an embedding needs at least 5 samples, found {n}.")
    values = points.to_numpy(dtype=np.float64)
    if method == "opentsne":
        from openTSNE import TSNE

        # Exact neighbours: no index to build, no randomness, fast enough below some ten thousand samples.
        tsne = TSNE(
            perplexity=min(perplexity, (n - 1) / 3.01),
            n_iter=n_iter,
            initialization="pca",
            neighbors="exact",
            negative_gradient_method="bh",
            random_state=seed,
            n_jobs=n_jobs,
        )
        xy = np.asarray(tsne.fit(values))
    else:
        umap = _import_umap()
        reducer = umap.UMAP(n_neighbors=min(n_neighbors, n - 1), init="pca", random_state=seed, n_jobs=n_jobs)
        xy = reducer.fit_transform(values)
    return pd.DataFrame(np.asarray(xy, dtype=float), index=points.index, columns=["x", "y"])


def _import_umap() -> Any:
    """Import umap-learn without its neural variant, which would load TensorFlow and start keras on it, not on JAX."""
    hide = "tensorflow" not in sys.modules
    if hide:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        with warnings.catch_warnings():
            # umap imports tqdm's notebook bar, which asks for ipywidgets; nothing here draws a bar.
            warnings.filterwarnings("ignore", message="IProgress not found")
            import umap
    finally:
        if hide:
            del sys.modules["tensorflow"]
    return umap


def neighbour_share(
    points: pd.DataFrame | np.ndarray,
    labels: Any,
    studies: Any,
    *,
    k: int = 10,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure what the nearest neighbours of a sample have in common with it.

    The first three rows look at the k nearest of all samples. As most studies hold a single class, these
    cannot tell class from study; the last two can, because they hold one of them fixed:
    ``neighbour_class_across_studies`` asks whether tissue still shows between laboratories,
    ``neighbour_study_within_class`` whether laboratories still show within a tissue.

    Parameters
    ----------
    points : DataFrame or array, shape (n_samples, n_components)
        Coordinates, e.g. `principal_components` or `embed`. Needs n_samples^2 numbers of memory.
    labels, studies : array-like, shape (n_samples,)
        Class and study of each sample.
    k : int, default 10
        Neighbours; fewer where there are fewer candidates.
    n_bootstrap : int, default 1000
        Resamplings of whole studies, for the interval.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per share: ``metric, share, candidates, k, observed, ci_low, ci_high`` (95 %), ``chance``
        (candidates drawn at random), ``ceiling`` (the most that the numbers of samples allow), ``n_samples``
        and ``n_datasets`` that have candidates. Means over samples; NaN where no sample has candidates.

    Raises
    ------
    InputError
        Lengths that differ, or k below 1.
    """
    values = np.asarray(points, dtype=np.float64)
    y, s = (
        pd.factorize(np.asarray(labels, dtype=object))[0],
        pd.factorize(np.asarray(studies, dtype=object))[0],
    )
    if not len(values) == len(y) == len(s) or len(values) < 2 or k < 1:
        raise InputError(
            f"neighbour_share: {len(values)} points, {len(y)} labels, {len(s)} studies, k = {k};"
            " expected as many of each, at least two, and k of at least 1."
        )
    distance = pairwise_distances(values)
    self_, same_y, same_s = np.eye(len(y), dtype=bool), y[:, None] == y, s[:, None] == s
    questions = {
        "neighbour_class": (same_y, ~self_),
        "neighbour_study": (same_s, ~self_),
        "neighbour_class_not_study": (same_y & ~same_s, ~self_),
        "neighbour_class_across_studies": (same_y, ~same_s),
        "neighbour_study_within_class": (same_s, same_y & ~self_),
    }
    rows = []
    for name, (hit, candidate) in questions.items():
        n_candidates, n_hits = candidate.sum(axis=1), (hit & candidate).sum(axis=1)
        ok = n_candidates > 0
        if name == "neighbour_study_within_class":
            ok &= n_hits < n_candidates  # where a class has one study only, nothing else could be found
        row: dict[str, Any] = {"metric": name, "k": k}
        row |= dict(zip(("share", "candidates"), SHARES[name], strict=True))
        if ok.any():
            n_near = np.minimum(k, n_candidates[ok])
            observed = _share_of_nearest(distance[ok], hit[ok], candidate[ok], k)
            low, high = _bootstrap_interval(observed, s[ok], n_bootstrap, seed)
            row |= {"observed": float(observed.mean()), "ci_low": low, "ci_high": high}
            row |= {"chance": float((n_hits[ok] / n_candidates[ok]).mean())}
            row |= {"ceiling": float((np.minimum(n_hits[ok], n_near) / n_near).mean())}
        rows.append(row | {"n_samples": int(ok.sum()), "n_datasets": len(np.unique(s[ok]))})
    first = ["metric", "share", "candidates", "k", "observed", "ci_low", "ci_high", "chance", "ceiling"]
    return pd.DataFrame(rows, columns=[*first, "n_samples", "n_datasets"])


def share_records(shares: pd.DataFrame, *, task: str, dataset: str, features: str, seed: int) -> list[dict[str, Any]]:
    """Records of `neighbour_share` tables below each other, whose column ``model`` names what was looked at."""
    head = {"task": task, "dataset": dataset, "features": features, "scheme": "none", "seed": seed}
    fields = ["model", "metric", "value", "ci_low", "ci_high", "n_samples", "n_datasets"]
    rows = shares.dropna(subset="observed").rename(columns={"observed": "value"})[fields]
    return [{**head, **row} for row in rows.to_dict("records")]


def silhouettes(
    points: pd.DataFrame | np.ndarray, labels: Any, studies: Any, *, n_bootstrap: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Compute the mean silhouette of classes and of studies (closer to the own than to the next group).

    Parameters
    ----------
    points, labels, studies, n_bootstrap, seed
        As in `neighbour_share`.

    Returns
    -------
    DataFrame
        Rows ``class`` and ``study``: ``by, observed, ci_low, ci_high, n_samples, n_groups``. -1 to 1; samples
        alone in their group are left out.
    """
    values, s = np.asarray(points, dtype=np.float64), np.asarray(studies, dtype=object).astype(str)
    rows = []
    for by, groups in (("class", np.asarray(labels, dtype=object).astype(str)), ("study", s)):
        several = pd.Series(groups).map(pd.Series(groups).value_counts()).to_numpy() > 1
        n_groups = len(np.unique(groups[several]))
        row: dict[str, Any] = {"by": by, "n_samples": int(several.sum()), "n_groups": n_groups}
        if 2 <= n_groups < several.sum():
            each = silhouette_samples(values[several], groups[several])
            low, high = _bootstrap_interval(each, pd.factorize(s[several])[0], n_bootstrap, seed)
            row |= {"observed": float(each.mean()), "ci_low": low, "ci_high": high}
        rows.append(row)
    return pd.DataFrame(rows, columns=["by", "observed", "ci_low", "ci_high", "n_samples", "n_groups"])


def variance_explained(points: pd.DataFrame | np.ndarray, labels: Any, studies: Any) -> pd.DataFrame:
    """Split the variance of samples into class, study within class, and the rest.

    Adjusted R^2 of group means (adjusted, because many small studies would explain much by chance).

    Parameters
    ----------
    points, labels, studies
        As in `neighbour_share`.

    Returns
    -------
    DataFrame
        ``source`` (class, study within class, rest) and ``share``; the shares add up to 1.
    """
    values = np.asarray(points, dtype=np.float64)
    y = pd.Series(np.asarray(labels, dtype=object).astype(str))
    cell = pd.Series(list(zip(y, np.asarray(studies, dtype=object).astype(str), strict=True)))
    by_class, by_cell = _adjusted_r2(values, y), _adjusted_r2(values, cell)
    sources = ["class", "study within class", "rest"]
    return pd.DataFrame({"source": sources, "share": [by_class, by_cell - by_class, 1 - by_cell]})


def _share_of_nearest(distance: np.ndarray, hit: np.ndarray, candidate: np.ndarray, k: int) -> np.ndarray:
    """Share of hits among the k nearest candidates of each row (all candidates where there are fewer)."""
    masked = np.where(candidate, distance, np.inf)
    nearest = np.argsort(masked, axis=1, kind="stable")[:, :k]
    real = np.take_along_axis(candidate, nearest, axis=1)
    return (np.take_along_axis(hit, nearest, axis=1) & real).sum(axis=1) / real.sum(axis=1)


def _bootstrap_interval(values: np.ndarray, studies: np.ndarray, n_bootstrap: int, seed: int) -> tuple[float, float]:
    """95 % interval of a mean over samples when whole studies are drawn with replacement."""
    codes = np.unique(studies, return_inverse=True)[1]
    n = codes.max() + 1
    sums, sizes = np.bincount(codes, values, minlength=n), np.bincount(codes, minlength=n)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
    return float(low), float(high)


def _adjusted_r2(values: np.ndarray, groups: pd.Series) -> float:
    codes = pd.factorize(groups)[0]
    n, n_groups = len(values), codes.max() + 1
    if n_groups >= n:
        raise InputError(f"variance_explained: {n_groups} groups of {n} samples; expected groups of several samples.")
    means = np.stack([np.bincount(codes, column) / np.bincount(codes) for column in values.T], axis=1)
    within = ((values - means[codes]) ** 2).sum() / (n - n_groups)
    return float(1 - within / (((values - values.mean(axis=0)) ** 2).sum() / (n - 1)))
