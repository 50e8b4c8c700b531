"""DeepLIFT for dense networks: what each sRNA adds to, or takes from, each class's logit, against a reference.

Exact for the rules Rescale and RevealCancel of Shrikumar, Greenside, Kundaje 2017 (arXiv:1704.02685) and equal to
their `deeplift` package (``deeplift_reference``), for all outputs of all samples at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from srna_lib.deeplift_inputs import REFERENCES, blocks, make_reference, open_model
from srna_lib.deeplift_layers import read_network
from srna_lib.deeplift_results import ClassMeans, CompletenessError, Contributions, positions, sample_names
from srna_lib.deeplift_rules import RULES, forward, input_contributions, input_multipliers
from srna_lib.deeplift_run import Run
from srna_lib.errors import InputError

__all__ = [
    "REFERENCES", "RULES", "ClassMeans", "CompletenessError", "Contributions", "class_means", "contribution_blocks",
    "contributions", "logits", "model_space", "multipliers", "reference_input",
]  # fmt: skip


def contributions(
    model: Any,
    X: Any,
    *,
    reference: Any = None,
    rule: str = "rescale",
    outputs: Sequence[Any] | None = None,
    batch_size: int = 256,
    centred: bool = False,
    background: Any = None,
    groups: Any = None,
) -> Contributions:
    """Contribution of every feature to every output for every sample.

    Parameters
    ----------
    model : Pipeline, DenseNetClassifier, LogisticRegression or keras.Sequential
        Fitted. Of a pipeline (`models.recipe`) the network alone is propagated through: the steps before it end
        in one column per sRNA, so a column's contribution is its sRNA's.
    X : DataFrame, shape (n_samples, n_srnas), or array, shape (n_samples, n_features)
        Raw counts for a pipeline, model input otherwise.
    reference : str, DataFrame or array, optional
        What samples are compared with; it decides the story, so it is named in the result.
        ``zeros`` (in model space; the paper's, and the default but for recipes on the log scale), ``zero_counts`` (an
        empty library), ``mean`` (of the training samples; default on the log scale), ``study_mean`` (of the samples
        in `X` that share the sample's study), or samples of the same kind as `X`: with several, contributions are
        computed against each and averaged, as the package's authors advise and DeepSHAP does. That is not the same
        as comparing with the average sample, which need not resemble any.
    rule : str, default "rescale"
        ``revealcancel`` lets what raises and what lowers a unit count separately, which shows inputs that cancel or
        act through a minimum; about twice the time.
    outputs : sequence of class labels, optional
        Classes wanted; all by default.
    batch_size : int, default 256
        Samples at a time. Beside the result, memory holds a few arrays of shape (batch_size, n_outputs, n_features).
    centred : bool, default False
        Subtract from each feature's contributions their mean over all classes: what speaks for this class rather
        than for all of them.
    background : DataFrame or array, optional
        Training samples, where ``mean`` needs them (no z-score in the pipeline).
    groups : array, shape (n_samples,), optional
        Study of each sample, for ``study_mean``.

    Returns
    -------
    Contributions
        Float32, n_samples x n_outputs x n_features; for results beyond memory see `contribution_blocks`.

    Raises
    ------
    InputError
        A model without rule, unknown names, samples that do not fit the model.
    CompletenessError
        Contributions that do not sum to the change of the logit within 1e-5.
    """
    run = Run(model, X, reference, rule, outputs, batch_size, centred, background, groups)
    return run.collect(input_contributions)


def contribution_blocks(model: Any, X: Any, *, batch_size: int = 256, **options: Any) -> Iterator[Contributions]:
    """Contributions of a few samples at a time, for results that do not fit into memory.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`.

    Yields
    ------
    Contributions
        Of up to `batch_size` samples, in the order of `X`.
    """
    run = Run(model, X, batch_size=batch_size, **options)
    for start in range(0, len(X), batch_size):
        yield run.collect(input_contributions, np.arange(start, min(start + batch_size, len(X))))


def multipliers(model: Any, X: Any, *, batch_size: int = 256, **options: Any) -> Contributions:
    """Contribution per unit of difference from the reference, in model space.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`.

    Returns
    -------
    Contributions
        With multipliers as `values`: times (model input - reference) they are contributions. Where a feature
        equals its reference the multiplier is a slope.
    """
    run = Run(model, X, batch_size=batch_size, **options)
    if run.opened.network.front:
        raise InputError("multipliers need a keras model that starts with its Dense layer; use contributions.")
    return run.collect(input_multipliers)


def class_means(
    model: Any,
    X: Any,
    y: Any,
    *,
    outputs: Sequence[Any] | str = "own",
    batch_size: int = 256,
    **options: Any,
) -> ClassMeans:
    """Mean contributions over the samples of each group, by a matrix identity that needs no per-sample tensor.

    With the input differences D of a group's samples and their back-propagated multipliers U at the first layer of
    weights W, the summed contributions are the row sums of ``W * (D' U)``. Small groups go together, a batch at a time.

    Parameters
    ----------
    model, X, batch_size, **options
        As in `contributions`. The paper's D1 subtracts from class k the mean over the other K - 1 classes, which is
        K / (K - 1) times what ``centred=True`` gives.
    y : array, shape (n_samples,)
        Group of each sample.
    outputs : "own", "all" or sequence of class labels, default "own"
        ``own``: contributions of a class's samples to that class (then `y` holds classes of the model).

    Returns
    -------
    ClassMeans
        Groups in sorted order.

    Raises
    ------
    InputError
        As in `contributions`; with ``own`` also for a group that is no class of the model.
    """
    wanted = None if isinstance(outputs, str) else outputs
    if isinstance(outputs, str) and outputs not in ("own", "all"):
        raise InputError(f"outputs is {outputs!r}; expected 'own', 'all' or a list of classes.")
    labels = np.atleast_1d(np.asarray(y))
    if len(labels) != len(X) or pd.isna(labels).any():
        raise InputError(f"y has {len(labels)} labels for {len(X)} samples; expected one for each, none missing.")
    run = Run(model, X, batch_size=batch_size, outputs=wanted, **options)
    groups, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    own = None
    if isinstance(outputs, str) and outputs == "own":
        if len(run.classes) == 1:
            raise InputError(
                "the model has one logit for two classes; expected outputs='all' (negative: the other class)."
            )
        own = positions(run.classes, groups)
    if own is None:
        values = run.means(codes)
    else:
        values = np.concatenate([run.mean(np.flatnonzero(codes == g), run.seeds[[c]]) for g, c in enumerate(own)])
    return ClassMeans(
        values,
        groups,
        sizes,
        run.classes if own is None else groups,
        run.opened.features,
        run.reference.name,
        run.rule,
        run.opened.network.unwrapped,
        run.centred,
    )


def model_space(model: Any, X: Any, *, batch_size: int = 256) -> pd.DataFrame:
    """Samples as the network sees them: what masking to a reference works on.

    Parameters
    ----------
    model, X, batch_size
        As in `contributions`.

    Returns
    -------
    DataFrame, shape (n_samples, n_features), float32
        Columns named by sRNA.
    """
    opened = open_model(model, X)
    values = np.concatenate([values for _, values in blocks(opened, X, batch_size)])
    return pd.DataFrame(values, index=sample_names(X), columns=opened.features)


def reference_input(
    model: Any, X: Any, *, reference: Any = None, background: Any = None, groups: Any = None
) -> pd.DataFrame:
    """The reference as the network sees it.

    Parameters
    ----------
    model, X, reference, background, groups
        As in `contributions`.

    Returns
    -------
    DataFrame, shape (n_rows, n_features), float32
        One row that holds for all samples, or with ``study_mean`` one per sample, or the samples given.
    """
    opened = open_model(model, X)
    made = make_reference(opened, X, reference, background=background, groups=groups)
    if made.codes is None:
        return pd.DataFrame(made.rows, columns=opened.features)
    return pd.DataFrame(made.rows[made.codes], index=sample_names(X), columns=opened.features)


def logits(model: Any, values: Any) -> np.ndarray:
    """Logits of samples in model space, e.g. with features masked to a reference.

    Parameters
    ----------
    model
        As in `contributions`.
    values : array or DataFrame, shape (n_samples, n_features)
        Model input, as from `model_space`.

    Returns
    -------
    array, shape (n_samples, n_outputs), float32
    """
    network = read_network(model[-1] if hasattr(model, "steps") else model)
    ready = np.asarray(values, dtype=np.float32)
    if ready.ndim != 2 or ready.shape[1] != network.n_features:
        raise InputError(f"values has the shape {ready.shape}; expected samples of {network.n_features} features.")
    if not np.isfinite(ready).all():
        raise InputError("values has numbers that are missing or infinite; expected finite ones.")
    return forward(network.layers, forward(network.front, ready))
