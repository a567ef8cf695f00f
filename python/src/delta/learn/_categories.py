"""Columns of declared categories: one-hot encoding, and naive Bayes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _given
from ..pandas import DataFrame, Series
from ..pandas.symbolic import Expr, Symbol, block, ops, pooled
from ._bayes import Discrete, NaiveBayes
from ._estimator import Fit, Parts, Spec, choice
from ._predict import is_rows
from ._rows import number_of_rows, part, sample, table, total
from ._transform import Apply, Transformer

Array = npt.NDArray[np.float64]


class Coded:
    """A frame's columns as the places of their categories; other values are one more than the last, and missing ones NaN."""

    def __init__(self, what: str, x: Any, categories: Any) -> None:
        """Find the categories of each column.

        Raises ``TypeError`` and ``ValueError`` where they are not declared.
        """
        columns = _columns(what, x)
        given: list[Any] = [None] * len(columns)
        if isinstance(categories, Mapping):
            if strange := [k for k in categories if k not in [c.name for c in columns]]:
                raise ValueError(
                    f"{what}: categories has {strange[0]!r}, and the columns are {', '.join(str(c.name) for c in columns)}"
                )
            given = [categories.get(c.name) for c in columns]
        elif not isinstance(categories, str) and categories is not None:
            given = list(categories)
            if len({isinstance(c, Series) for c in columns}) > 1:
                # A frame keeps columns of numbers and others apart, so that their order is none.
                raise ValueError(
                    f"{what}: where some columns have levels and some do not, name them: categories={{'site': [1, 2]}}"
                )
        if len(given) != len(columns):
            raise ValueError(
                f"{what}: categories must be a list for each of the {len(columns)} columns, not {len(given)}"
            )
        self.names = [str(c.name) for c in columns]
        self.categories: list[list[Any]] = []
        codes: list[Expr] = []
        for c, wanted in zip(columns, given, strict=True):
            known, code = _coded(what, c, wanted)
            self.categories.append(known)
            codes.append(ops.unsqueeze(code, 1))
        self.codes = codes[0] if len(codes) == 1 else ops.concat(*codes, axis=1)
        rows = block(columns[0]).rows
        assert rows is not None
        self.index = rows

    def as_frame(self) -> Any:
        """Return the places as a frame of rows."""
        return table(self.index, self.codes, self.names)

    @property
    def known(self) -> Expr:
        """Whether each value is a category, ``bool [rows, columns]``."""
        return ops.less(self.codes, np.array([len(c) - 0.5 for c in self.categories]))


def _columns(what: str, x: Any) -> list[Any]:
    if isinstance(x, DataFrame) and block(x).rows is not None:
        return [x[c] for c in x.columns]
    if isinstance(x, Series) or isinstance(getattr(x, "levels", None), list):
        return [x]
    raise TypeError(f"{what}: X must be columns of rows, such as df[['a', 'b']], not a {type(x).__name__}")


def _coded(what: str, column: Any, wanted: Any) -> tuple[list[Any], Expr]:
    levels = getattr(column, "levels", None)
    if isinstance(levels, list) and not isinstance(column, Series):
        known = sorted(levels) if wanted is None else list(wanted)
        if strange := [k for k in known if k not in levels]:
            raise ValueError(f"{what}: {column.name!r} has no level {strange[0]!r}; its levels are {levels}")
        codes = [float(levels.index(k)) for k in known]
    elif not isinstance(column, Series):
        raise TypeError(f"{what}: {column.name!r} is a column of dates; use one of its parts")
    else:
        if wanted is None and block(column).dtypes != ("bool",):
            raise TypeError(
                f"{what}: declare the categories of {block(column).name!r}, categories=[[...], ...], one list for each column: "
                "no node knows which values the others have; columns of declared levels have theirs, None in that place"
            )
        known = [0, 1] if wanted is None else [c.item() if isinstance(c, np.generic) else c for c in wanted]
        if not all(isinstance(k, (int, float)) and np.isfinite(k) for k in known):
            raise TypeError(f"{what}: categories of a column of numbers are numbers, not {known}")
        codes = [float(k) for k in known]
    if not codes or len(set(codes)) != len(codes):
        raise ValueError(f"{what}: categories must be at least one, each once, not {known}")
    x = block(column).x
    out = ops.where(ops.is_nan(x), x, float(len(codes)))
    for place, code in enumerate(codes):
        out = ops.where(ops.equal(x, code), float(place), out)
    return known, out


class OneHotEncoder(Transformer):
    """A column of 0 and 1 for each category, as ``sklearn.preprocessing.OneHotEncoder(sparse_output=False)``.

    Categories are those that are declared, in the order of scikit-learn: of levels sorted, of ``categories`` as given. Of a frame
    columns of numbers come first.

    Parameters
    ----------
    categories : "auto", list of list, or dict of str to list
        Of each column its categories, or None for those of a column of declared levels; ``"auto"`` is None for each, and so is
        a column that a dict does not name.
    drop : {None, "first", "if_binary"}
        Which column is left out, for models that would have it twice.
    handle_unknown : {"error", "ignore"}
        Whether a row with another category is refused or has 0 in all columns. With ``"error"`` :meth:`fit_transform` makes it
        missing, so that what comes after refuses it or leaves it out.

    Attributes
    ----------
    categories_ : list of ndarray
        Of each column.
    feature_names_in_, n_features_in_ : ndarray, int
        The columns.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    categories_: list[Array]

    def __init__(self, *, categories: Any = "auto", drop: str | None = None, handle_unknown: str = "error") -> None:
        choice("OneHotEncoder", "drop", drop, (None, "first", "if_binary"))
        choice("OneHotEncoder", "handle_unknown", handle_unknown, ("error", "ignore"))
        if isinstance(categories, str) and categories != "auto":
            raise ValueError(f"OneHotEncoder: categories={categories!r}; use 'auto' or a list for each column")
        self.categories, self.drop, self.handle_unknown = categories, drop, handle_unknown

    def _prepare(self, X: Any) -> tuple[Apply, dict[str, Symbol], dict[str, Any]]:
        coded = Coded("OneHotEncoder", X, self.categories)
        rows = coded.index
        there = None if rows.keep is None else ops.unsqueeze(rows.keep, 1)
        unknown = ops.not_(coded.known)
        kept = ops.or_(unknown, coded.known) if there is None else there
        parts = {"n": part(ops.take(total(ops.cast(kept, "f64"), "count"), 0, 0))}
        if self.handle_unknown == "error":
            unknown = unknown if there is None else ops.and_(unknown, there)
            parts["invalid"] = part(total(ops.cast(unknown, "f64"), "unknown"))
        return self._encoded, parts, {"columns": coded.names, "categories": coded.categories}

    def _encoded(self, X: Any) -> Any:
        """Return rows as columns of 0 and 1."""
        coded = Coded("OneHotEncoder", X, self.categories)
        made = self._columns(coded.codes, [len(c) for c in coded.categories])
        if self.handle_unknown == "error":
            bad = ops.greater(ops.sum(ops.cast(ops.not_(coded.known), "f64"), 1, keepdims=True), 0.5)
            made = ops.where(bad, float("nan"), made)
        return table(coded.index, made, self._named(coded.names, coded.categories))

    def _dropped(self, n: int) -> bool:
        return self.drop == "first" or (self.drop == "if_binary" and n == 2)

    def _columns(self, codes: Any, counts: Sequence[int]) -> Any:
        """Return ``[rows, all categories]`` of ``[rows, columns]`` of places."""
        of = [(j, k) for j, n in enumerate(counts) for k in range(int(self._dropped(n)), n)]
        if not of:
            raise ValueError("OneHotEncoder: no category is left")
        at = np.array([k for _, k in of], np.float64)
        picked = ops.take(codes, [j for j, _ in of], 1)
        return ops.cast(ops.equal(picked, at), "f64")

    def _named(self, names: Sequence[str], categories: Sequence[Sequence[Any]]) -> list[str]:
        return [
            f"{n}_{c}"
            for n, known in zip(names, categories, strict=True)
            for c in known[int(self._dropped(len(known))) :]
        ]

    def _finish(self, spec: Spec, parts: Parts) -> None:
        if not float(parts["n"].flat[0]) > 0.5:
            raise ValueError("OneHotEncoder: no row counts")
        if "invalid" in parts and (parts["invalid"] > 0.5).any():
            found = ", ".join(
                f"{round(float(n))} rows of {c!r}"
                for c, n in zip(spec["columns"], parts["invalid"], strict=True)
                if n > 0.5
            )
            raise ValueError(
                f"OneHotEncoder: {found} have a category that is not declared, or none; declare it, or use "
                "handle_unknown='ignore'"
            )
        self.categories_ = [np.asarray(c) for c in spec["categories"]]
        self.feature_names_in_ = np.asarray(spec["columns"], object)
        self.n_features_in_ = len(spec["columns"])

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns that :meth:`transform` makes, ``sex_f``.

        Parameters
        ----------
        input_features : None
            As in scikit-learn; those that were fitted are known.

        Returns
        -------
        ndarray
            Of texts.
        """
        self._known()
        return np.asarray(self._named(list(self.feature_names_in_), [c.tolist() for c in self.categories_]), object)

    def transform(self, X: Any) -> Any:
        """Write categories as columns of 0 and 1.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            A table is read by its columns' names.

        Returns
        -------
        ndarray or delta DataFrame
            ``[rows, all categories]``; of rows at the members a frame of rows.

        Raises
        ------
        ValueError
            There is no result yet, columns are missing, or a value is no category and ``handle_unknown`` is ``"error"``.
        """
        self._known()
        known = [c.tolist() for c in self.categories_]
        if is_rows(X):
            names = [str(n) for n in self.feature_names_in_]
            of = dict(zip(names, known, strict=True))
            again = type(self)(categories=of, drop=self.drop, handle_unknown=self.handle_unknown)
            return again.fit_transform(X[names])
        columns = _values("OneHotEncoder", X, list(self.feature_names_in_))
        made = []
        for name, values, these in zip(self.feature_names_in_, columns, known, strict=True):
            here = np.array([[v == c for c in these] for v in values], np.float64).reshape(len(values), len(these))
            if self.handle_unknown == "error" and not here.any(1).all():
                strange = values[int(np.argmin(here.any(1)))]
                raise ValueError(f"OneHotEncoder: {name!r} has a value {strange!r}, which is none of {these}")
            made.append(here[:, int(self._dropped(len(these))) :])
        return np.concatenate(made, axis=1)


def _values(what: str, x: Any, names: Sequence[str]) -> list[list[Any]]:
    if _given.is_table(x):
        return [list(c) for c in _given.columns(what, x, names)]
    made = np.asarray(x, object)
    if made.ndim != 2 or made.shape[1] != len(names):
        raise ValueError(f"{what}: X has the shape {made.shape}, and must be [rows, {len(names)}]: {list(names)}")
    return [list(column) for column in made.T]


class CategoricalNB(Discrete):
    """Naive Bayes of categories, as ``sklearn.naive_bayes.CategoricalNB``. One round.

    scikit-learn numbers categories from 0; here they are values, of declared levels or of ``categories``, and their numbers are
    their places.

    Parameters
    ----------
    alpha : float
        What is added to each count.
    fit_prior : bool
        Whether classes have their shares as probabilities, else the same.
    class_prior : sequence of float, optional
        The classes' probabilities.
    categories : "auto" or list of list
        As in :class:`OneHotEncoder`.
    missing : {"raise", "drop", "ignore"}
        As in :class:`LinearRegression`.

    Attributes
    ----------
    category_count_, feature_log_prob_ : list of ndarray
        Of each column ``[classes, categories]``.
    class_count_, class_log_prior_ : ndarray
        ``[classes]``.
    n_categories_ : ndarray
        ``[columns]``.
    categories_ : list of ndarray
        Of each column.
    classes_, feature_names_in_, n_features_in_, n_samples_, n_missing_ : object
        The classes that have rows, and what was fitted.

    Raises
    ------
    ValueError
        A parameter cannot work.
    """

    category_count_: list[Array]
    feature_log_prob_: Any
    n_categories_: Array
    categories_: list[Array]

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        fit_prior: bool = True,
        class_prior: Sequence[float] | None = None,
        categories: Any = "auto",
        missing: str = "raise",
    ) -> None:
        self.alpha, self.fit_prior, self.class_prior = alpha, fit_prior, class_prior
        self.categories, self.missing = categories, missing
        self._check("CategoricalNB")

    _wrong = f"a category that is not declared, {NaiveBayes._wrong}"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, classes: Sequence[Any] | None = None) -> Fit:
        """Fit to the rows of all members, in ``execute``.

        Parameters
        ----------
        X : DataFrame of rows
            Columns of declared levels, or of the numbers that ``categories`` declares.
        y : Series of rows, or column of declared levels
            The class of each row.
        sample_weight : Series of rows, optional
            0 or more.
        classes : sequence, optional
            Which there are. Of levels and of bool that is known; of numbers it must be said.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is an estimator of the same kind, with attributes.
        """
        what = "CategoricalNB"
        coded = Coded(what, X, self.categories)
        must = {"known": ops.or_(coded.known, ops.is_nan(coded.codes))}
        s = sample(
            what, coded.as_frame(), y, sample_weight, missing=self.missing, classes=classes, labels=True, must=must
        )
        self._fits(s)
        here = s.members if s.weight is None else ops.mul(s.members, s.weight)
        of = [(j, k) for j, known in enumerate(coded.categories) for k in range(len(known))]
        seen = ops.equal(ops.take(s.x, [j for j, _ in of], 1), np.array([k for _, k in of], np.float64))
        found = {
            "classes": total(here, "class_count"),
            "counts": pooled(ops.gram(here, ops.cast(seen, "f64")), "class_sum"),
        }
        found |= {} if s.weight is None else {"n": number_of_rows(s)}
        parts = {name: part(x) for name, x in found.items()} | s.checks
        return Fit(self, parts, columns=s.names, classes=s.classes, categories=coded.categories)

    def _finish(self, spec: Spec, parts: Parts) -> None:
        there = self._begin(spec, parts)
        self.class_log_prior_ = self._log_prior(self.class_prior, self.fit_prior)
        self.categories_ = [np.asarray(c) for c in spec["categories"]]
        self.n_categories_ = np.array([len(c) for c in self.categories_])
        ends = np.cumsum(self.n_categories_)[:-1]
        self.category_count_ = np.split(parts["counts"][there], ends, axis=1)
        smooth = [c + float(self.alpha) for c in self.category_count_]
        self.feature_log_prob_ = [np.log(c) - np.log(c.sum(1, keepdims=True)) for c in smooth]

    def _joint(self, X: Any) -> Array:
        columns = _values("CategoricalNB", X, list(self.feature_names_in_))
        out: Array = np.tile(self.class_log_prior_, (len(columns[0]), 1))
        for name, values, known, log in zip(
            self.feature_names_in_, columns, self.categories_, self.feature_log_prob_, strict=True
        ):
            place = {c: k for k, c in enumerate(known.tolist())}
            if strange := [v for v in values if v not in place]:
                raise ValueError(
                    f"CategoricalNB: {name!r} has a value {strange[0]!r}, which is none of {known.tolist()}"
                )
            out += log[:, [place[v] for v in values]].T
        return self._possible(out)
