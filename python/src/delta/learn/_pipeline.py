"""Transformers and an estimator one after the other, fitted in one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..manifest import Draft
from ..pandas.symbolic import Loop, Rounds, Symbol
from ._estimator import Estimator, Fit, Parts, Spec, make
from ._transform import Transformer

Array = npt.NDArray[np.float64]


class Pipeline(Estimator):
    """Transformers and, last, an estimator, as ``sklearn.pipeline.Pipeline``.

    ``fit`` fits all of them to the rows of all members in one task: each reads what the one before makes of the rows.

    Parameters
    ----------
    steps : sequence of (str, estimator)
        All but the last are :class:`StandardScaler` or :class:`OneHotEncoder`.

    Attributes
    ----------
    feature_names_in_ : ndarray
        The columns that the first one reads.

    Raises
    ------
    ValueError
        There is no step, a name stands twice, or one that is not the last cannot transform rows of the same task.
    """

    def __init__(self, steps: Sequence[tuple[str, Estimator]]) -> None:
        # The list itself, as scikit-learn's clone() wants it.
        self.steps = steps if isinstance(steps, list) else list(steps)
        if odd := [s for s in self.steps if not (isinstance(s, tuple) and len(s) == 2 and isinstance(s[0], str))]:
            raise ValueError(
                f"Pipeline: steps has {odd[0]!r}; each is a name and an estimator, ('scale', StandardScaler())"
            )
        names = [name for name, _ in self.steps]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"Pipeline: steps must be at least one, each with a name of its own, not {names}")
        for name, step in self.steps:
            if not isinstance(step, Estimator) or isinstance(step, Pipeline):
                raise ValueError(f"Pipeline: {name!r} is a {type(step).__name__}; use estimators of delta.learn")
        for name, step in self.steps[:-1]:
            if not isinstance(step, Transformer) or type(step).fit_transform is not Transformer.fit_transform:
                raise ValueError(
                    f"Pipeline: {name!r}, a {type(step).__name__}, cannot stand before another: what it finds is known when the "
                    "task is over"
                )

    @classmethod
    def _again(cls, params: dict[str, Any]) -> Pipeline:
        return object.__new__(cls)

    def __repr__(self) -> str:
        """Show the steps."""
        return f"Pipeline(steps={self.steps!r})"

    @property
    def named_steps(self) -> dict[str, Any]:
        """The steps by name."""
        return dict(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, which: int | str) -> Any:
        """Return a step by its name or place."""
        return self.named_steps[which] if isinstance(which, str) else self.steps[which][1]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool
            Whether those of the steps are told, as ``name__parameter``.

        Returns
        -------
        dict
            By name.
        """
        made: dict[str, Any] = {"steps": self.steps}
        if deep:
            made |= self.named_steps
            made |= {f"{name}__{k}": v for name, step in self.steps for k, v in step.get_params().items()}
        return made

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the steps, or steps.

        Parameters
        ----------
        **params : object
            By ``name__parameter``, by the name of a step, or ``steps``.

        Returns
        -------
        Pipeline
            The same one.

        Raises
        ------
        ValueError
            There is no such step or parameter, or the steps cannot work.
        """
        whole = {n: v for n, v in params.items() if n == "steps" or n in self.named_steps}
        if whole:
            steps = list(whole.pop("steps", self.steps))
            if strange := [n for n in whole if n not in dict(steps)]:
                raise ValueError(f"Pipeline has no {strange[0]!r}; its steps are {', '.join(dict(steps))}")
            self.steps = type(self)([(n, whole.get(n, step)) for n, step in steps]).steps
        for name, value in params.items():
            if name == "steps" or name in self.named_steps:
                continue
            step, _, parameter = name.partition("__")
            if step not in self.named_steps or not parameter:
                raise ValueError(f"Pipeline has no {name!r}; its steps are {', '.join(self.named_steps)}")
            self.named_steps[step].set_params(**{parameter: value})
        return self

    def fit(self, X: Any, y: Any = None, **more: Any) -> Fit:
        """Fit all steps to the rows of all members, in ``execute``.

        Parameters
        ----------
        X : DataFrame of rows
            The columns.
        y : Series of rows, optional
            What the last step explains.
        **more : object
            What else its ``fit`` takes: ``sample_weight``, ``classes``; or, as in scikit-learn, with the step's name before it,
            ``logisticregression__sample_weight``.

        Returns
        -------
        Fit
            For ``execute`` to return; the result is a pipeline of fitted steps.

        Raises
        ------
        TypeError
            If a step before the last one is named.
        """
        own = f"{self.steps[-1][0]}__"
        more = {n.removeprefix(own): v for n, v in more.items()}
        if strange := [n for n in more if "__" in n]:
            raise TypeError(
                f"Pipeline.fit: {strange[0]!r}: only the last step, {self.steps[-1][0]!r}, takes more than rows"
            )
        parts: dict[str, Symbol] = {}
        specs: list[dict[str, Any]] = []
        for i, (name, step) in enumerate(self.steps[:-1]):
            assert isinstance(step, Transformer)
            made = Fit(step, {})
            apply, summed, spec = step._prepare(X)
            X = apply(X)
            parts |= {f"s{i}.{k}": v for k, v in summed.items()}
            specs.append({"name": name} | made.spec | spec)
        last: Any = self.steps[-1][1]
        fitted = last.fit(X, **more) if y is None else last.fit(X, y, **more)
        parts |= {f"s{len(specs)}.{k}": v for k, v in fitted.parts.items()}
        specs.append({"name": self.steps[-1][0]} | fitted.spec)
        return _Whole(parts, specs, None if fitted.loop is None else _Named(fitted.loop, f"s{len(specs) - 1}."))

    def _finish(self, spec: Spec, parts: Parts) -> None:
        made = []
        for i, own in enumerate(spec["steps"]):
            mine = {k.removeprefix(f"s{i}."): v for k, v in parts.items() if k.startswith(f"s{i}.")}
            made.append((own["name"], make(own, mine)))
        self.steps = made
        self.feature_names_in_ = made[0][1].feature_names_in_

    def _before(self, X: Any) -> Any:
        """Return what the last step reads."""
        self._known("feature_names_in_")
        for _, step in self.steps[:-1]:
            assert isinstance(step, Transformer)
            X = step.transform(X)
        return X

    def _last(self, method: str) -> Any:
        found = getattr(self.steps[-1][1], method, None)
        if found is None:
            raise AttributeError(f"Pipeline: its last step, a {type(self.steps[-1][1]).__name__}, has no {method}")
        return found

    def predict(self, X: Any) -> Any:
        """Predict with the last step.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            As the first step reads it.

        Returns
        -------
        ndarray or Series
            ``[rows]``.
        """
        return self._last("predict")(self._before(X))

    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities with the last step.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            As the first step reads it.

        Returns
        -------
        ndarray or DataFrame
            ``[rows, classes]``.
        """
        return self._last("predict_proba")(self._before(X))

    def decision_function(self, X: Any) -> Any:
        """Compute scores with the last step.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            As the first step reads it.

        Returns
        -------
        ndarray, Series or DataFrame
            As of the last step.
        """
        return self._last("decision_function")(self._before(X))

    def transform(self, X: Any) -> Any:
        """Transform with all steps.

        Parameters
        ----------
        X : DataFrame, array of shape [rows, columns], or delta DataFrame of rows
            As the first step reads it.

        Returns
        -------
        ndarray or DataFrame
            ``[rows, ...]``.
        """
        return self._last("transform")(self._before(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score with the last step, of rows of this machine.

        Parameters
        ----------
        X : DataFrame or array of shape [rows, columns]
            As the first step reads it.
        y : array, optional
            ``[rows]``.
        sample_weight : array, optional
            ``[rows]``, where the last step's ``score`` takes it.

        Returns
        -------
        float
            As of the last step.
        """
        more = {} if sample_weight is None else {"sample_weight": sample_weight}
        score: float = self._last("score")(self._before(X), y, **more)
        return score


class _Named(Loop):
    """The rounds of the last step, whose parts have names of their own."""

    def __init__(self, of: Loop, prefix: str) -> None:
        self._of, self._prefix = of, prefix

    def rows(self) -> Sequence[Symbol]:
        return self._of.rows()

    def add(self, draft: Draft, before: Rounds, prefix: str) -> Mapping[str, str]:
        return {f"{self._prefix}{k}": v for k, v in self._of.add(draft, before, prefix).items()}


class _Whole(Fit):
    """A pipeline that is fitted: its parameters are those of its steps."""

    def __init__(self, parts: Any, steps: list[Any], loop: Any) -> None:
        super(Fit, self).__init__(
            "estimator", parts, loop, method="Pipeline", params={}, columns=steps[0]["columns"], steps=steps
        )


def make_pipeline(*steps: Estimator) -> Pipeline:
    """Make a pipeline whose steps have the names of their kinds, as ``sklearn.pipeline.make_pipeline``.

    Parameters
    ----------
    *steps : Estimator
        All but the last are :class:`StandardScaler` or :class:`OneHotEncoder`.

    Returns
    -------
    Pipeline
        One that is not fitted yet.
    """
    names = [type(s).__name__.lower() for s in steps]
    return Pipeline(
        [
            (f"{n}-{names[: i + 1].count(n)}" if names.count(n) > 1 else n, s)
            for i, (n, s) in enumerate(zip(names, steps, strict=True))
        ]
    )
