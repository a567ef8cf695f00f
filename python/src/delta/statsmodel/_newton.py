"""Regressions by Newton's method over the network: what all of them have in common.

In each round a graph says what each row adds to the log-likelihood at the current parameters, to its first and second
derivatives, and to the number of rows; members' nodes sum that over their rows (driver ``records``). The coordinator knows only
the sums over all members, and moves by

    params += (hessian / n + ridge)^-1 (score / n)        (hessian: the negative second derivatives)

When the norm of score / n is below ``tol``, each number in units of the root of its second derivative so that the units of
columns do not matter, and what the last step gained was, too, it takes that last step as well, and one more round evaluates
everything at the final parameters, so that standard errors belong to the parameters that are reported.

All rounds sum the members of the first (``cohort``). Newton's method would find its way to the answer over other members, most
times; but each round sums the rows, the classes and nearly the Hessian of the round before again, and the difference of two such
sums over members that differ by one is that member's own.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from .. import manifest as m
from .._arguments import RegressionArguments, takes
from ..bundle import Bundle
from ..dataset import DataFrame as Table
from . import _certified, _from_formula, _robust
from ._inputs import Inputs, declare, inputs
from ._options import Options
from ._rounds import Rounds

if TYPE_CHECKING:
    from typing_extensions import Self

# As the driver solve allows.
_LARGEST = 4096
# Under noise nothing tells when to stop, and every step costs.
_PRIVATE_STEPS = 5


class RegressionTask(Rounds):
    """What regressions have in common. Subclass :class:`LogitTask`, :class:`MNLogitTask`, :class:`LinearTask`, :class:`GLMTask`.

    The author writes :meth:`dataset` and :meth:`preprocess`, and :meth:`options` when the defaults do not fit. Another kind
    of regression overrides :meth:`valid` and :meth:`moments`, and says ``model``, ``classes`` and, if the mean of ``y`` is
    needed, ``centred``.

    Parameters
    ----------
    name : str
        The display name.
    min_clients, max_clients : int
        The least and largest number of members. All rounds sum the members of the first, and a task ends that loses one of them
        for good: what is reported is of one set of members, whose number is in ``rounds`` of the result.
    wait_timeout, connection_timeout, verify_timeout : float
        Deadlines in seconds: of joining (``connection_timeout``), of every other phase (``wait_timeout``), of a proof
        (``verify_timeout``).
    precision : int
        Decimal digits kept of every number that is summed under ``privacy``, 0 to 15. Without it sums are exact.
    curve : {"secp256k1", "secp256r1", "secp384r1"}
        The curve of the members' keys.
    enable_verify : bool
        Whether members prove that the answer is right for exactly the tables that they commit to before the first round
        (:class:`LogitTask` and :class:`LinearTask`). It needs ``bounds``, one constant in ``x``, and nodes built with
        certificates.
    bounds : mapping of str to (float, float), optional
        With ``enable_verify``, for each column of ``x`` but the constant, and for ``y`` of a linear regression: the smallest
        and the largest number that a cell may be. A node with a row outside takes no part.
    verify_tolerance : float
        With ``enable_verify``, what may remain of the mean gradient, with each column running from -1 to 1 over its bounds; 1e-5
        to 0.1. Bounds close to what cells are let it say more of a slope.
    description : str
        Read by the owners of the data.
    privacy : delta.Privacy, optional
        Noise on every sum. Then exactly ``maxiter`` steps are taken (5 when it is not given), each a round that costs, and rows
        with missing or impossible values are left out and not counted. Scale columns: ``clip`` bounds all numbers of a row
        together. Standard errors know nothing of the noise.

    Attributes
    ----------
    model : str
        The name of the model in the result.
    classes : int
        How many classes ``y`` has, numbered from 0; 0 when it is a number.
    centred : bool
        Whether members get the mean of ``y``, as of the round before.
    design : dict or None
        The columns of the formula that the task was made of.
    kind : {"horizontal", "hlr"}
        The task's type in the manifest.

    Raises
    ------
    ValueError
        An argument cannot work; the text names it.
    """

    kind: ClassVar[Literal["horizontal", "hlr"]] = "horizontal"
    model: ClassVar[str]
    # What preprocess may return beside x and y.
    _more: ClassVar[tuple[str, ...]] = ("groups",)
    # What nodes call an answer of this kind, where they can prove one.
    _proven: ClassVar[str | None] = None
    design: m.Json | None = None

    @takes(RegressionArguments)
    def __init__(self, given: RegressionArguments) -> None:
        if given.enable_verify and self._proven is None:
            raise ValueError(
                f"enable_verify=True: nodes prove logistic and linear regressions, and no {self.model} yet; leave it out"
            )
        if given.enable_verify and given.privacy is not None:
            raise ValueError(
                "enable_verify=True: an answer under noise is no optimum that could be proven; leave one out"
            )
        if given.bounds is not None and not given.enable_verify:
            raise ValueError("bounds are for enable_verify=True")
        if given.enable_verify and given.bounds is None:
            raise ValueError(
                "enable_verify=True needs bounds={column: (smallest, largest)} for every column of x but the constant"
            )
        if given.enable_verify and given.max_clients > _certified.MOST_MEMBERS:
            raise ValueError(
                f"max_clients={given.max_clients}: a certificate has {_certified.MOST_MEMBERS:,} members at most"
            )
        self.bounds = dict(given.bounds or {}) if given.enable_verify else None
        self.verify_tolerance = _certified.tolerance(given.verify_tolerance)
        super().__init__(given.name, given.strategy(), description=given.description)
        self.privacy = given.privacy

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: str | Table,
        *,
        levels: Mapping[str, Sequence[Any]] | None = None,
        subset: str | None = None,
        offset: str | None = None,
        exposure: str | None = None,
        freq_weights: str | None = None,
        var_weights: str | None = None,
        groups: str | None = None,
        options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Self:
        """Make a task of a formula, as ``from_formula`` of statsmodels' models; neither method is to be written then.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + C(group) + x1:x2 + np.log(x3) + I(x**2)"``: what it may have is said at :func:`design`.
        data : str or delta.dataset.DataFrame
            The table's name at the nodes, whose columns the formula says; or the table, with types and joins.
        levels : mapping of str to sequence, optional
            The levels of categorical columns, of texts or numbers.
        subset : str, optional
            Which rows count, such as ``"age >= 18"``.
        offset, exposure, freq_weights, var_weights, groups : str, optional
            Columns, or expressions of columns, as :meth:`preprocess` of the task may return them.
        options : mapping, optional
            As of :meth:`options`.
        **arguments : object
            Of the class, as ``min_clients`` and ``family``; the name is by default the formula.

        Returns
        -------
        RegressionTask
            Its result has the names of statsmodels' formulas, and predicts of rows with the columns that the formula reads.

        Raises
        ------
        ValueError
            A term cannot be computed by nodes, or names no column; the text says what to write instead. An argument cannot work.
        ImportError
            ``formulaic`` is missing.
        """
        more = {"offset": offset, "exposure": exposure, "freq_weights": freq_weights, "var_weights": var_weights}
        more |= {"groups": groups}
        return _from_formula.task_of(
            cls,
            formula,
            data,
            levels=levels or {},
            subset=subset,
            more={k: v for k, v in more.items() if v is not None},
            options=options,
            arguments=arguments,
        )

    @abc.abstractmethod
    def dataset(self) -> Mapping[str, Table]:
        """Return the tables that the task reads; the author writes it.

        Returns
        -------
        mapping of str to delta.dataset.DataFrame
            Under the names of :meth:`preprocess`'s arguments.
        """

    @abc.abstractmethod
    def preprocess(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Make ``(x, y)`` of the tables, or ``(x, y, more)``; the author writes it.

        Parameters
        ----------
        *args, **kwargs : delta.pandas.DataFrame
            One for each table of :meth:`dataset`, by its name.

        Returns
        -------
        x : DataFrame or Series
            The explanatory columns. There is no constant unless one is added, see :func:`add_constant`.
        y : Series, or DataFrame of one column
            What is explained, of the same rows.
        more : dict of str to Series, optional
            Further series of the same rows: ``groups``, a column of declared levels, for ``cov_type="cluster"``; and see
            :class:`GLMTask`.
        """

    def options(self) -> Mapping[str, Any]:
        """Say how to search; what is left out has its default.

        Returns
        -------
        mapping
            ``maxiter`` (35): steps at most. ``method`` (``"newton"``). ``tol`` (1e-8): stop when the norm of the mean score
            is below, each number in units of the root of its second derivative. ``ord`` (inf): which norm. ``ridge_factor``:
            added to the diagonal of the mean Hessian; left out, 1e-15 of the diagonal itself.
            ``start_params`` (zeros): ``[P]``, or ``[columns, classes - 1]``. ``missing`` (``"drop"``): rows with NaN are left
            out and counted; with ``"ignore"`` they are not counted, and with ``"raise"`` they make the task fail. Owners' rules
            for controlled releases refuse a count of few rows: with gaps in few rows of a node, ``"ignore"`` passes.
            ``cov_type`` (``"nonrobust"``): what standard errors are made of. ``"HC0"`` to ``"HC3"`` hold where variances differ
            from row to row, ``"HC2"`` and ``"HC3"`` for one more round; ``"cluster"`` where rows of one of ``groups`` hang
            together, see :meth:`preprocess`.
        """
        return {}

    def size(self, columns: int) -> int:
        """Return the number of parameters, P.

        Parameters
        ----------
        columns : int
            The number of explanatory columns.

        Returns
        -------
        int
            As many, unless a kind of regression says otherwise.
        """
        return columns

    def parse_options(self, given: Mapping[str, Any]) -> Options:
        """Check what :meth:`options` returned.

        Parameters
        ----------
        given : mapping
            As the author gives them.

        Returns
        -------
        Options
            All of them.

        Raises
        ------
        ValueError
            There is no such option, or its value cannot work.
        """
        return Options.parse(given)

    def build(self) -> Bundle:
        """Turn the task into a bundle.

        Returns
        -------
        Bundle
            What goes to a node.

        Raises
        ------
        ValueError
            x and y do not fit together, ``preprocess`` does not take what ``dataset`` names, or an option cannot work.
        """
        options, tables = self._search(), self.dataset()
        given = inputs(self.preprocess, tables, self._more)
        self._check(options, given)
        names = given.names
        size = self.size(len(names))
        if size > _LARGEST:
            raise ValueError(
                f"the model has {size} parameters; nodes solve for {_LARGEST} at most, so use fewer columns"
            )
        start = np.zeros(size) if options.start_params is None else options.start_params
        if start.shape != (size,):
            raise ValueError(f"options: start_params has {start.size} numbers, the model has {size} parameters")
        whole = size + self._apart
        kind = self.kind if self.bounds is None else "hlr"
        draft = m.Draft(self.name, self.strategy, kind=kind, description=self.description)
        draft.variable("params", "server", np.concatenate([start, np.zeros(self._apart)]))
        kept: dict[str, tuple[int, ...]] = {"hessian": (whole, whole), "tally": (3,), "loglike": ()}
        kept |= {"counts": (self.classes,)} if self.classes else {"sums": (self._sums(given),)}
        kept |= self._further(options, given, size)
        kept |= {"iterations": (), "converged": (), "norm": (), "step": (), "gained": (), "rate": ()}
        centre: dict[str, tuple[int, ...]] = {"centre": ()} if self.centred else {}
        for name, shape in (centre | kept).items():
            draft.variable(name, "server", shape=shape)
        dataset, columns = given.reads()
        declare(draft, tables, dataset, columns)
        self._rounds(draft, options, given, whole, kept)
        if self.bounds is not None:
            labelled = self._proven == "linear"
            if given.more:
                raise ValueError("enable_verify=True: rows have x and y alone; return no groups")
            if labelled and options.ridge_factor:
                raise ValueError(
                    "enable_verify=True: with ridge_factor the answer is not that of least squares; leave it out"
                )
            _certified.add_round(draft, given, self.bounds, self.verify_tolerance, self.valid, labelled=labelled)
        draft.outputs = ["params", *kept]
        spec: m.Json = {"kind": "regression", "model": self.model, "x": names, "y": given.target}
        spec |= {"missing": options.missing, "classes": self.classes, "task": self.name}
        # Under noise parameters move to the end: that says nothing about the columns.
        spec |= {"noise": True} if self.privacy else {}
        spec |= {"ridge": True} if options.ridge_factor else {}
        spec |= {"cov_type": options.cov_type} if options.cov_type != "nonrobust" else {}
        spec |= {"design": self.design} if self.design is not None else {}
        draft.options["result"] = [spec | self._spec(options, given)]
        return draft.build()

    def _check(self, options: Options, given: Inputs) -> None:
        """Refuse options that do not fit together, or do not fit what ``preprocess`` returned."""
        clustered = options.cov_type == "cluster"
        if clustered != ("groups" in given.more):
            raise ValueError(
                "options: cov_type='cluster' needs groups: preprocess must return (x, y, {'groups': data['ward']})"
                if clustered
                else "preprocess: groups are for cov_type='cluster' of options() only"
            )
        if options.cov_type != "nonrobust" and self.privacy is not None:
            raise ValueError(
                f"options: cov_type={options.cov_type!r} needs sums without noise; leave it out under privacy"
            )

    def _sums(self, given: Inputs) -> int:
        """Return how many numbers are summed beside derivatives, where there are no classes."""
        return 4 + len(given.names)

    def _spec(self, options: Options, given: Inputs) -> m.Json:
        """Return what a result must know beside what all have."""
        return {}

    def _further(self, options: Options, given: Inputs, size: int) -> dict[str, tuple[int, ...]]:
        """Return further sums that are kept, by name, with shapes."""
        return _robust.shapes(options.cov_type, size, len(given.levels))

    def _search(self) -> Options:
        """Return the options; under noise a fixed number of steps."""
        given = self.options()
        options = self.parse_options(given)
        if self.privacy is None:
            return options
        if options.missing == "raise":
            raise ValueError("options: missing='raise' needs a count without noise; leave it out under privacy")
        steps = options.maxiter if options.fixed or "maxiter" in given else _PRIVATE_STEPS
        return dataclasses.replace(options, fixed=True, maxiter=steps, missing="ignore")
