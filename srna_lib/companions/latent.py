"""Codes learned without labels: a variational autoencoder, a small head on its code, and PCA beside it (notebook 11).

The method of SimpleChrome (arXiv:2012.08671): an encoder learns from every sample, labelled or not, and a classifier
sees only its code. The encoder is convolutional for histone marks around genes (its own form) and dense for sRNAs.

Mended: marks are scaled by what training genes show, not by the largest value of all genes, those of the test among
them; the code of a sample is the mean of its posterior, not a draw from it; samples held out stop the encoder;
training, validation and test files stay apart. Left out: the attentive network (unfinished there); initial weights
after He (Glorot here); twenty neighbours side by side (their mean here, as two hundred further inputs drown a hundred
labels). Marks are simulated, since the published files are no part of this package; `read_marks` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self

import anndata as ad
import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from srna_lib import models as nets
from srna_lib.data import Task, counts_frame
from srna_lib.errors import InputError

MARKS = ("H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3")  # columns of the published files, in their order
BINS = 100  # of 100 bases, around the start of a gene
ACTIVE = 0.01  # nats: a dimension below diverges from its prior by nothing and says nothing
KERNEL, LEARNING_RATE, HELD_OUT = 5, 3e-3, 0.1  # width of convolutions, step size, and share of samples to stop by
PATIENCE = 8  # epochs without a gain on the samples held out, before the best are taken
SPREAD = 5.0  # prior variance of a logit, shared by the inputs, so that few and many are held down alike


# ---- the encoder


class Program(NamedTuple):
    """A compiled network: its model and optimizer, and functions of its weights."""

    model: Any
    optimizer: Any
    epoch: Callable  # as from `compile_epoch`
    forward: Callable  # (weights, X) -> mean and log variance of the code, or logits
    decode: Any = None  # (weights, code) -> X, of an autoencoder


@lru_cache(maxsize=16)
def compile_encoder(shape: tuple, size: int, hidden: tuple, filters: tuple) -> Program:
    """Lay an autoencoder out for one shape of input, and compile its training."""
    keras = nets.import_keras()
    import jax
    import jax.numpy as jnp

    # starting values come from `initial_state`: those of keras would be compiled shape by shape
    layers, inputs, code = keras.layers, keras.Input(shape), keras.Input((size,))
    dense = partial(layers.Dense, kernel_initializer="zeros")
    leaky = {"activation": partial(keras.activations.leaky_relu, negative_slope=0.5)}
    conv = {"kernel_size": KERNEL, "padding": "same", "kernel_initializer": "zeros"}
    h = inputs
    for n in filters:
        h = layers.Conv1D(n, **conv, **leaky)(h)
    h = layers.Flatten()(h) if filters else h
    for n in hidden:
        h = dense(n, activation="relu")(h)
    encoder = keras.Model(inputs, [dense(size)(h), dense(size)(h)])
    h = code
    for n in reversed(hidden):
        h = dense(n, activation="relu")(h)
    if filters:
        h = layers.Reshape((shape[0], filters[-1]))(dense(shape[0] * filters[-1])(h))
        for n in reversed(filters):
            h = layers.Conv1DTranspose(n, **conv, **leaky)(h)
        h = layers.Conv1DTranspose(shape[1], **conv, activation="tanh")(h)
    decoder = keras.Model(code, h if filters else dense(shape[0])(h))
    mean, log_variance = encoder(inputs)
    drawn = mean + keras.ops.exp(log_variance / 2) * layers.GaussianNoise(1.0)(0 * mean)  # noise in training only
    model = keras.Model(inputs, [decoder(drawn), mean, log_variance])

    def loss(outputs: Any, X: Any, weight: Any) -> Any:
        made, mean, log_variance = outputs
        error = jnp.square(X - made).reshape(len(X), -1).sum(axis=1)
        divergence = (jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1).sum(axis=1)
        return (error / 2 + weight * divergence / 2).mean()

    n = len(encoder.trainable_variables)
    forward = jax.jit(lambda weights, X: encoder.stateless_call(weights[:n], [], X)[0])
    decode = jax.jit(lambda weights, code: decoder.stateless_call(weights[n:], [], code)[0])
    return _program(model, LEARNING_RATE, loss, forward, decode)


def _program(model: Any, rate: float, loss: Callable, forward: Callable, decode: Any = None) -> Program:
    optimizer = nets.import_keras().optimizers.Adam(learning_rate=rate)
    optimizer.build(model.trainable_variables)
    return Program(model, optimizer, nets.compile_epoch(model, optimizer, loss), forward, decode)


def initial_state(program: Program, rng: np.random.Generator, n_features: int | None = None) -> tuple:
    """State to start from: kernels after Glorot, biases of zero, and zeros for inputs that are padding."""
    shapes = [tuple(v.shape) for v in program.model.trainable_variables]
    weights = [nets.glorot(rng, shape) for shape in shapes]
    for wide in (weights[0], weights[-2].T, weights[-1]) if n_features else ():
        wide[n_features:] = 0  # and stays so: nothing comes in, nothing is missed
    return nets.fresh_state(program.model, program.optimizer, weights, rng)


class LatentEncoder(TransformerMixin, BaseEstimator):
    """Variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114); a sample's code is the mean of its posterior.

    A sample x of d inputs has the posterior q(z | x) = N(m(x), diag s(x)^2); training draws z = m(x) + s(x) e with
    e ~ N(0, I), decodes it to f(z) and lowers

        1/d sum_j (x_j - f_j(z))^2 + w KL,    KL = 1/2 sum_k (m_k^2 + s_k^2 - log s_k^2 - 1)

    where w rises from nothing to `kl_weight` over the first `warm_up` epochs: dimensions are in use before they have a
    price.

    Parameters
    ----------
    size, hidden
        Dimensions of the code; units of the dense ReLU layers of the encoder (the decoder has them in reverse).
    filters
        Filters of convolutions before the dense layers, for inputs that are 100 bins of several marks each, bin by bin,
        and lie between -1 and 1; (32, 64) without a hidden layer is SimpleChrome's own encoder.
    kl_weight : float, default 5e-5
        w above. Larger makes posteriors wider and dimensions fall idle.
    warm_up, epochs, batch_size
        Epochs of the warm-up; at most (8 without a gain for the samples held out are the last); samples per step.

    Attributes
    ----------
    fit_ids_, kl_, loss_curve_, validation_curve_, weights_
        Index of the samples that the encoder was trained on or stopped by; mean divergence of each dimension over them
        in nats, near 0 where it is idle; loss of the training samples (with noise) and of those held out (without),
        epoch by epoch; kernel and bias of each layer: encoder, mean, log variance, decoder.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> LatentEncoder(2, hidden=(4,), epochs=1).fit(X).transform(X).shape
    (60, 2)
    """

    def __init__(
        self, size: int = 10, hidden: tuple[int, ...] = (128,), filters: tuple[int, ...] = (), kl_weight: float = 5e-5,
        warm_up: int = 5, epochs: int = 60, batch_size: int = 64, random_state: int = 0,
    ) -> None:  # fmt: skip
        self.size, self.hidden, self.filters, self.kl_weight = size, hidden, filters, kl_weight
        self.warm_up, self.epochs, self.batch_size, self.random_state = warm_up, epochs, batch_size, random_state

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Self:
        """Learn a code of samples, shape (n_samples, n_features); no label is read.

        Of `groups`, shape (n_samples,), e.g. studies, whole ones are held out to stop by; without them single samples.
        """
        import jax

        if len(X) < 3 * self.size:
            raise InputError(f"code of size {self.size}: found {len(X)} samples; expected at least {3 * self.size}.")
        self.fit_ids_ = np.asarray(getattr(X, "index", np.arange(len(X))))
        groups, X = np.arange(len(X)) if groups is None else np.asarray(groups), np.asarray(X, dtype=np.float32)
        if len(np.unique(groups)) < 2:
            raise InputError("latent encoder: found one study to learn from; expected two or more, to stop by one.")
        split = GroupShuffleSplit(1, test_size=HELD_OUT, random_state=self.random_state)
        rest, held = (X[rows] for rows in next(split.split(X, groups=groups)))
        self.n_features_in_ = d = X.shape[1]
        rng, program = np.random.default_rng(self.random_state), self._program()
        data = jax.device_put(padded(rest, bool(self.filters)))
        state = initial_state(program, rng, None if self.filters else d)
        batch, curves, best, kept = min(self.batch_size, len(rest)), [], np.inf, list[np.ndarray]()
        for number in range(self.epochs):
            # the loss above times d / 2: the same to Adam, and needs no division by inputs that are padding
            price = self.kl_weight * d / 2 * min(1.0, number / max(self.warm_up, 1))
            weight = np.full(len(data), price, np.float32)
            state, lost = program.epoch(state, data, data, weight, *nets.shuffled(rng, len(rest), len(data), batch))
            self.weights_ = [np.array(w) for w in state[0]]
            mean, log_variance = self._encode(held)
            error = np.square(held - self.inverse_transform(mean)).mean()
            curves.append([2 / d * float(lost), error + self.kl_weight * divergence(mean, log_variance).sum()])
            if number <= self.warm_up or curves[-1][1] < best:  # before the end of the warm-up the price was another
                best, since, kept = curves[-1][1], number, self.weights_
            elif number - since >= PATIENCE:
                break
        self.weights_ = kept
        self.loss_curve_, self.validation_curve_ = np.array(curves).T
        self.kl_ = divergence(*self._encode(X))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Code of samples: the mean of their posterior, shape (n_samples, size)."""
        if np.shape(X)[1] != self.n_features_in_:
            raise InputError(f"latent encoder: found {np.shape(X)[1]} features; expected {self.n_features_in_}.")
        return self._encode(np.asarray(X, dtype=np.float32))[0]

    def inverse_transform(self, code: Any) -> np.ndarray:
        """Samples that codes stand for, shape (n_samples, n_features)."""
        full = np.pad(np.asarray(code, dtype=np.float32), ((0, -len(code) % nets.PAD_SAMPLES), (0, 0)))
        made = np.asarray(self._program().decode(self.weights_, full))
        return made.reshape(len(full), -1)[: len(code), : self.n_features_in_]

    def _program(self) -> Program:
        shape = padded(np.empty((0, self.n_features_in_)), bool(self.filters)).shape[1:]
        return compile_encoder(shape, self.size, tuple(self.hidden), tuple(self.filters))

    def _encode(self, X: np.ndarray) -> list[np.ndarray]:
        outputs = self._program().forward(self.weights_, padded(X, bool(self.filters)))
        return [np.asarray(part)[: len(X)] for part in outputs]


def padded(X: Any, by_bin: bool) -> np.ndarray:
    """Input as programs take it: samples filled up with zeros, and features cut into bins or filled up, too."""
    X = np.asarray(X, dtype=np.float32)
    X = np.pad(X, ((0, -len(X) % nets.PAD_SAMPLES), (0, 0 if by_bin else -X.shape[1] % nets.PAD_FEATURES)))
    return X.reshape(len(X), BINS, X.shape[1] // BINS) if by_bin else X


def divergence(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """KL of the posterior from the prior in each dimension, mean over samples, in nats: shape (size,)."""
    return ((mean**2 + np.exp(log_variance) - log_variance - 1) / 2).mean(axis=0)


def variance_explained(X: np.ndarray, made: np.ndarray, centre: np.ndarray) -> float:
    """Share of the squared distance of samples from a centre that is gone from what was made of their codes."""
    return float(1 - np.square(X - made).sum() / np.square(X - centre).sum())


# ---- codes of samples, learned without those of some studies


class Codes(NamedTuple):
    """Representations of samples, as z-scores, learned without labels and without the samples of some studies."""

    tables: dict[str, pd.DataFrame]  # name -> representation of every sample: raw, PCA, latent and others
    seen: pd.Index  # samples that scaling and encoders were fitted on, or stopped by
    coders: dict[str, Pipeline]  # from raw to PCA and latent
    steps: Pipeline  # from counts to raw
    quality: pd.DataFrame  # see `pretrain`


def pretrain(atlas: ad.AnnData, unseen: Iterable[str], *, size: int = 10, seed: int = 0, **options: Any) -> Codes:
    """Learn codes of sRNA profiles from all samples, labelled or not, but those of some studies.

    First come log2 CPM, filter of zeros and z-score of the recipe ``logistic``. Neighbours of an sRNA are the members
    of its genomic cluster (``var["cluster"]``): the mean z-score of each cluster goes into an encoder of its own, whose
    code stands beside the first. Shuffled, the same sRNAs are dealt to clusters at random.

    Parameters
    ----------
    atlas, unseen
        Counts, of which contaminants are left out; studies (``obs["dataset_id"]``) that nothing is fitted on.
    size, seed, **options
        Dimensions of each code, and others of `LatentEncoder`.

    Returns
    -------
    Codes
        ``tables``: ``raw, PCA, latent`` and, where neighbours are known, ``latent + neighbours, latent + shuffled``.
        ``quality``, by code: ``size, active`` (dimensions with a divergence above .01 nats; of PCA all), ``seen`` and
        ``unseen`` (share explained of the variance of samples seen and not), ``n_seen, n_unseen``.

    Examples
    --------
    >>> import srna_lib as srna
    >>> codes = pretrain(srna.load("demo"), ["SIM001", "SIM002"], size=3, hidden=(8,), epochs=1)
    >>> codes.tables["latent"].shape
    (1200, 3)
    """
    studies = atlas.obs["dataset_id"].astype(str)
    seen = _seen(studies, unseen, "studies")
    X = counts_frame(atlas[:, (atlas.var["biotype"] != "contaminant").to_numpy()])
    steps = nets.recipe("logistic")[:-1].fit(X[seen])
    raw = pd.DataFrame(steps.transform(X), X.index, steps.get_feature_names_out(X.columns), dtype=np.float32)
    encoder = LatentEncoder(size, **{"random_state": seed, **options})
    codes = _code(raw, seen, encoder, studies, steps)
    clusters = atlas.var.get("cluster", pd.Series(np.nan, atlas.var_names)).reindex(raw.columns).dropna().astype(str)
    if clusters[clusters.duplicated()].nunique() <= size:
        return codes
    dealt = pd.Series(np.random.default_rng(seed).permutation(clusters), clusters.index)
    for name, given in (("neighbours", clusters), ("shuffled", dealt)):
        shared = given[given.duplicated(keep=False)]
        means = raw[shared.index].T.groupby(shared).mean().T
        beside = _code(means, seen, clone(encoder), studies, steps).tables["latent"]
        codes.tables[f"latent + {name}"] = codes.tables["latent"].join(beside.add_prefix("neighbour "))
    return codes


def _seen(groups: pd.Series, unseen: Iterable[str], what: str) -> np.ndarray:
    """Which rows are of groups that may be seen."""
    apart = groups.isin(set(map(str, unseen))).to_numpy()
    if not apart.any() or groups[~apart].nunique() < 2:
        found = f"found {groups[apart].nunique()} of {groups.nunique()} {what} kept unseen"
        raise InputError(f"pretraining: {found}; expected at least one, and two or more to learn from.")
    return ~apart


def _code(raw: pd.DataFrame, seen: np.ndarray, encoder: LatentEncoder, groups: pd.Series, steps: Pipeline) -> Codes:
    """PCA and the encoder, fitted on the rows seen, and what they keep of these and of the others."""
    both = {"PCA": PCA(encoder.size, random_state=encoder.random_state), "latent": encoder}
    coders = {name: make_pipeline(coder, StandardScaler()) for name, coder in both.items()}
    coders["PCA"].fit(raw[seen])
    coders["latent"].fit(raw[seen], latentencoder__groups=groups[seen])
    X, tables, rows = raw.to_numpy(), {"raw": raw}, []
    for name, coder in coders.items():
        made = coder.inverse_transform(code := coder.transform(raw))
        tables[name] = pd.DataFrame(code, raw.index, [f"{name} {i + 1}" for i in range(encoder.size)])
        active = encoder.size if name == "PCA" else int((encoder.kl_ > ACTIVE).sum())
        shares = [variance_explained(X[which], made[which], X[seen].mean(axis=0)) for which in (seen, ~seen)]
        rows.append((name, encoder.size, active, *shares, seen.sum(), (~seen).sum()))
    columns = ["code", "size", "active", "seen", "unseen", "n_seen", "n_unseen"]
    return Codes(tables, raw.index[seen], coders, steps, pd.DataFrame(rows, columns=columns))


def stack(codes: Codes, code: str, head: Any) -> Pipeline:
    """Preprocessing, encoder mean and head as one pipeline from counts to classes, which `srna.explain` sees through.

    Between the last ReLU of the encoder and the first of the head all is linear: mean, z-score and first layer of the
    head become one layer, with kernel K_mean diag(1 / sd) K_head. `head` was fitted on rows of ``codes.tables[code]``,
    of the code ``"raw"``, ``"PCA"`` or ``"latent"``.
    """
    d = codes.tables["raw"].shape[1]
    layers, kernel, bias = list[np.ndarray](), np.eye(d), np.zeros(d)
    if code != "raw":
        coder, scaler = codes.coders.get(code, (None, None))
        if isinstance(coder, PCA):
            kernel, bias = coder.components_.T, -coder.mean_ @ coder.components_.T
        elif isinstance(coder, LatentEncoder) and not coder.filters:
            layers = [w.astype(float) for w in coder.weights_[: 2 * len(coder.hidden) + 2]]
            layers[0] = layers[0][: coder.n_features_in_]
            kernel, bias = layers.pop(-2), layers.pop()
        else:
            raise InputError(f"stack: found the code {code!r}; expected raw, PCA or a latent one of dense layers.")
        kernel, bias = kernel / scaler.scale_, (bias - scaler.mean_) / scaler.scale_
    own = [head.coef_.T, head.intercept_] if isinstance(head, LogisticRegression) else head.weights_
    if own[1].shape == (1,):  # one logit for the second of two classes: that of the first is 0
        own = [np.pad(w, [*[(0, 0)] * (w.ndim - 1), (1, 0)]) for w in own]
    weights = [*layers, kernel @ own[0], bias @ own[0] + own[1], *own[2:]]
    net = nets.DenseNetClassifier(tuple(w.shape[1] for w in weights[:-2:2]), (0.0,) * (len(weights) // 2 - 1))
    net.weights_, net.classes_ = [np.ascontiguousarray(w, np.float32) for w in weights], head.classes_
    net.n_features_in_ = len(net.weights_[0])
    return Pipeline([*codes.steps.steps, ("classifier", net)])


# ---- few labels


def heads(tables: dict[str, pd.DataFrame], *, seed: int = 0) -> dict[str, tuple[str, Any]]:
    """Models to compare: name -> table that it sees, and its unfitted classifier.

    Chance (the most frequent class), a logistic regression on every table, and SimpleChrome's head (256 and 128 units)
    on the codes. The penalty gives logits the same prior variance, however many inputs there are.
    """
    models: dict[str, tuple[str, Any]] = {"chance": ("raw", DummyClassifier())}
    for name, table in tables.items():
        models[name] = name, LogisticRegression(C=SPREAD / table.shape[1], class_weight="balanced", max_iter=500)
    small = nets.DenseNetClassifier((256, 128), (0.0, 0.0), 20, class_weight="balanced", random_state=seed)
    models |= {f"{name}, network": (name, small) for name in ("PCA", "latent")}
    return models


def few_labels(
    task: Task, folds: Sequence[Codes], sizes: Sequence[int] = (50, 100, 200, 400), *, draws: int = 5,
    models: dict[str, tuple[str, Any]] | None = None, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Predict unseen studies by models that saw the labels of few samples of the others.

    Parameters
    ----------
    task, folds
        Labels and studies; codes of `pretrain`, each with other studies unseen, or of `pretrain_marks`. Samples of the
        task that these do not hold are left out.
    sizes, draws
        Labelled training samples, one of each class first, the others at random, drawn so many times; sizes that a fold
        does not have are left out.
    models, seed
        Name -> (table, unfitted classifier), by default `heads`; seed of the draws and the models.

    Returns
    -------
    DataFrame, one row per model, size, draw and unseen sample
        As from `srna.cross_validate`: ``scheme`` is the number of labels, ``fold`` is ``<fold>.<draw>``.
    """
    parts, found, rng = [], "no codes", np.random.default_rng(seed)
    for number, codes in enumerate(folds):
        known = task.y[task.y.index.isin(codes.tables["raw"].index)].astype(object)
        inside = known.index.isin(codes.seen)
        train, test = known[inside], known[~inside]
        test = test[test.isin(set(train))]
        assert not set(codes.coders["latent"][0].fit_ids_) & set(test.index), "the encoder has seen samples of the test"
        found = f"{len(train)} labelled samples to learn from and {len(test)} of their classes to predict"
        about = pd.DataFrame({"sample_id": test.index, "dataset_id": task.groups[test.index].astype(str).to_numpy()})
        about = about.assign(y_true=test.to_numpy(), task=task.name, features=task.features)
        for draw in range(draws if len(test) and train.nunique() > 1 else 0):
            order = train.iloc[rng.permutation(len(train))]
            order = order.iloc[np.argsort(order.duplicated().to_numpy(), kind="stable")]
            for n in (n for n in sizes if n <= len(train)):
                for name, (table, head) in (models or heads(codes.tables, seed=seed)).items():
                    X, few = codes.tables[table], order.iloc[:n]
                    fitted = clone(head).fit(X.loc[few.index].to_numpy(), few.to_numpy())
                    p = pd.DataFrame(0.0, about.index, [f"p_{c}" for c in task.classes])
                    p[[f"p_{c}" for c in fitted.classes_]] = fitted.predict_proba(X.loc[test.index].to_numpy())
                    answer = about.assign(model=name, scheme=f"{n} labels", fold=f"{number}.{draw}")
                    y_pred = np.asarray(task.classes, dtype=object)[p.to_numpy().argmax(axis=1)]
                    parts.append(pd.concat([answer.assign(y_pred=y_pred), p], axis=1))
    if not parts:
        raise InputError(f"task {task.name!r}: found {found}; expected at least {min(sizes)} of 2 classes, and some.")
    return pd.concat(parts, ignore_index=True)


# ---- SimpleChrome's own form: histone marks around genes


def read_marks(*paths: str | PathLike[str]) -> Task:
    """Read histone marks around genes in the layout of the files of DeepChrome and AttentiveChrome.

    Comma-separated, without a header, a line per gene and bin: gene, number of the bin (1 to 100), counts of five marks
    (`MARKS`), label (0 low, 1 high expression). Genes keep their order, in which neighbours are next to each other. Of
    the task ``X`` has 500 counts a gene, bin by bin; ``groups`` is the file's name, so that files stay apart.
    """
    parts, layout = [], f"gene, bin, counts of {', '.join(MARKS)} and a label of 0 or 1, without a header"
    for path in paths:
        try:
            table = pd.read_csv(path, header=None, dtype={0: str})
            numbers = table.iloc[:, 1:].to_numpy(dtype=float)
        except (ValueError, OSError) as error:
            raise InputError(f"{path}: not readable ({str(error).splitlines()[0]}); expected {layout}.") from error
        if table.shape[1] != len(MARKS) + 3 or not np.isin(numbers[:, -1], [0, 1]).all():
            raise InputError(f"{path}: found {table.shape[1]} columns, or another label; expected {layout}.")
        ids = table[0].to_numpy()
        fits = len(ids) % BINS == 0 and (numbers[:, 0] == np.arange(len(ids)) % BINS + 1).all()
        if not fits or (ids != np.repeat(ids[::BINS], BINS)).any():
            raise InputError(f"{path}: found {len(ids)} lines; expected {BINS} of each gene, its bins in order.")
        genes, per_gene = ids[::BINS], numbers.reshape(-1, BINS, len(MARKS) + 2)
        if np.ptp(per_gene[:, :, -1], axis=1).any():
            raise InputError(f"{path}: found a gene with two labels; expected the same in all of its lines.")
        counts = per_gene[:, :, 1:-1].reshape(len(genes), -1)
        parts.append(_marks_task(counts, per_gene[:, 0, -1] == 1, [Path(path).stem] * len(genes), genes))
    X, y, groups = (pd.concat([getattr(part, field) for part in parts]) for field in ("X", "y", "groups"))
    if X.index.duplicated().any():
        raise InputError(f"gene {X.index[X.index.duplicated()][0]!r} is there twice; expected each once, in one file.")
    return Task("expression", X, y, groups, {}, "marks")


def _marks_task(counts: np.ndarray, high: np.ndarray, groups: Any, genes: Any) -> Task:
    """Marks of genes, bin by bin, as a task."""
    index = pd.Index(genes, name="gene")
    X = pd.DataFrame(counts, index, [f"{mark}:{b + 1}" for b in range(BINS) for mark in MARKS])
    y = pd.Series(np.where(high, "high", "low"), index, name="expression", dtype=object)
    return Task("expression", X, y, pd.Series(groups, index, name="dataset_id"), {}, "marks")


def simulate_marks(n_genes: int = 3000, *, chromosomes: int = 30, neighbour: float = 1.0, seed: int = 0) -> Task:
    """Simulate marks around genes whose expression hangs on combinations of marks, and on genes next to them.

    A gene has five hidden activities u ~ N(0, 1): promoter, transcribed body, enhancer, polycomb, heterochromatin. Each
    raises marks along a profile over the bins (a promoter H3K4me3 around the start, a body H3K36me3 behind it, ...),
    shifted from gene to gene; counts are Poisson. Expression is high where

        u_promoter + u_body - u_promoter u_polycomb + neighbour * 2 mean(u_enhancer of the four genes beside it) + noise

    is above its median. The gene's own enhancer says nothing of it.

    Genes lie in order along chromosomes of equal size, which are the task's ``groups``: neighbours are of one
    chromosome, and tests are of whole ones. `neighbour` is the size of the neighbours' effect; 0 for none.

    Examples
    --------
    >>> simulate_marks(60, chromosomes=3).X.shape
    (60, 500)
    """
    rng = np.random.default_rng(seed)
    place = pd.Series([f"chr{1 + i * chromosomes // n_genes}" for i in range(n_genes)])
    u = rng.normal(size=(n_genes, 5))
    at = np.arange(BINS) - (BINS - 1) / 2 + rng.normal(0, 4, (n_genes, 1))
    peak, flank = np.exp(-((at / 6) ** 2)), np.exp(-(((np.abs(at) - 15) / 6) ** 2))
    body, broad, flat = 1 / (1 + np.exp(-at / 5)), np.exp(-((at / 25) ** 2)), np.ones_like(at)
    profiles = np.stack([u[:, 3:4] * broad, u[:, 1:2] * body, u[:, 2:3] * flank + u[:, :1] * peak / 2, u[:, :1] * peak])
    log_rate = np.concatenate([profiles, [u[:, 4:] * flat]])  # in the order of `MARKS`
    counts = rng.poisson(np.exp(0.5 + log_rate)).transpose(1, 2, 0).reshape(n_genes, -1).astype(float)
    beside = neighbour_mean(pd.DataFrame(u[:, 2:3]), place, 2)[0].to_numpy()
    drive = u[:, 0] + u[:, 1] - u[:, 0] * u[:, 3] + 2 * neighbour * beside + rng.normal(0, 0.5, n_genes)
    return _marks_task(counts, drive > np.median(drive), place.to_numpy(), [f"gene{i + 1:05d}" for i in range(n_genes)])


def neighbour_mean(table: pd.DataFrame, groups: pd.Series, reach: int) -> pd.DataFrame:
    """Mean of the rows next to each row, at most `reach` away and of the same group; 0 where there is none."""
    total, n = table * 0.0, pd.Series(0.0, table.index)
    for step in (s for s in range(-reach, reach + 1) if s):
        there = (groups.shift(step) == groups).to_numpy()
        total += table.shift(step).where(pd.Series(there, table.index), 0.0)
        n += there
    return total.div(n.where(n > 0, 1.0), axis=0)


class MarkScaler(TransformerMixin, BaseEstimator):
    """Counts of marks, bin by bin, divided by each mark's 99th percentile in the training genes, to -1 .. 1."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the percentiles; a mark that is hardly there is divided by 1."""
        self.top_ = np.maximum(np.quantile(np.asarray(X, dtype=float).reshape(-1, len(MARKS)), 0.99, axis=0), 1.0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale, and cut what is above."""
        X = np.asarray(X, dtype=np.float32)
        return np.minimum(2 * X.reshape(-1, len(MARKS)) / self.top_ - 1, 1).reshape(X.shape)


@lru_cache(maxsize=4)
def compile_cnn(filters: int, hidden: tuple, n_classes: int) -> Program:
    """Lay the convolutional classifier out and compile its training."""
    keras = nets.import_keras()
    import jax

    layers, zeros = keras.layers, {"kernel_initializer": "zeros"}
    conv = layers.Conv1D(filters, 10, activation="relu", **zeros)
    dense = [layers.Dense(units, activation="relu", **zeros) for units in hidden]
    convolved = [keras.Input((BINS, len(MARKS))), conv, layers.MaxPool1D(5), layers.Flatten(), layers.Dropout(0.5)]
    model = keras.Sequential([*convolved, *dense, layers.Dense(n_classes, **zeros)])
    return _program(model, 1e-3, nets.cross_entropy, jax.jit(lambda state, X: model.stateless_call(*state, X)[0]))


class ConvClassifier(ClassifierMixin, BaseEstimator):
    """Network of DeepChrome's kind on scaled marks: convolutions ten bins wide, maxima of five, dense layers."""

    def __init__(
        self, filters: int = 50, hidden: tuple[int, ...] = (256, 128), epochs: int = 10, batch_size: int = 32,
        random_state: int = 0,
    ) -> None:  # fmt: skip
        self.filters, self.hidden, self.epochs = filters, hidden, epochs
        self.batch_size, self.random_state = batch_size, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on scaled marks, shape (n_genes, 500)."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        rng, n, program = np.random.default_rng(self.random_state), len(X), self._program()
        X, batch, state = padded(X, by_bin=True), min(self.batch_size, n), initial_state(program, rng)
        target, weight = np.pad(codes.astype(np.int32), (0, len(X) - n)), np.ones(len(X), np.float32)
        for _ in range(self.epochs):
            state, _ = program.epoch(state, X, target, weight, *nets.shuffled(rng, n, len(X), batch))
        self.state_ = [[np.array(w) for w in part] for part in state[:2]]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, shape (n_genes, n_classes)."""
        logits = np.asarray(self._program().forward(self.state_, padded(X, by_bin=True)))
        return softmax(logits[: len(X)].astype(float), axis=1)

    def _program(self) -> Program:
        return compile_cnn(self.filters, tuple(self.hidden), len(self.classes_))


def pretrain_marks(task: Task, unseen: Iterable[str], *, size: int = 10, seed: int = 0, **options: Any) -> Codes:
    """Learn codes of marks from all genes but those of some chromosomes or files.

    As `pretrain`, by default with SimpleChrome's convolutions. Each mark is divided by its 99th percentile over the
    genes seen and mapped to -1 .. 1. The table ``summary`` holds mean and maximum of each mark: with their weights and
    a bias eleven parameters, like the linear model that equals the convolutional one (DeepChrome 2.0,
    arXiv:2209.11923). `task` is from `read_marks` or `simulate_marks`, `unseen` are groups that nothing is fitted on.
    """
    groups = task.groups.astype(str)
    seen = _seen(groups, unseen, "groups of genes")
    steps = make_pipeline(MarkScaler()).fit(task.X[seen])
    raw = pd.DataFrame(steps.transform(task.X), task.X.index, task.X.columns, dtype=np.float32)
    encoder = LatentEncoder(size, **{"hidden": (), "filters": (32, 64), "random_state": seed, **options})
    codes = _code(raw, seen, encoder, groups, steps)
    values = raw.to_numpy().reshape(len(raw), BINS, -1)
    summary = pd.DataFrame(np.concatenate([values.mean(axis=1), values.max(axis=1)], axis=1), raw.index)
    codes.tables["summary"] = (summary - summary[seen].mean()) / summary[seen].std().clip(lower=1e-6)
    beside = neighbour_mean(codes.tables["latent"], groups, 2).add_prefix("neighbour ")
    beside /= beside[seen].std().clip(lower=1e-6)
    dealt = groups.sample(frac=1, random_state=seed).sort_values(kind="stable").index  # genes of the same group
    home = groups.sort_values(kind="stable").index
    codes.tables["latent + neighbours"] = codes.tables["latent"].join(beside)
    codes.tables["latent + shuffled"] = codes.tables["latent"].join(beside.loc[dealt].set_axis(home))
    return codes
