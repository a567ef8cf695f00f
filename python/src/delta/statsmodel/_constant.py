"""``add_constant``, as in statsmodels."""

from __future__ import annotations

from ..pandas import DataFrame, Series


def add_constant(data: DataFrame | Series, prepend: bool = True) -> DataFrame:
    """Add a column ``const`` of ones, as ``statsmodels.add_constant``.

    Parameters
    ----------
    data : DataFrame or Series
        Rows of the members; a Series becomes a column.
    prepend : bool
        Whether it stands in front, else behind.

    Returns
    -------
    DataFrame
        A copy.

    Raises
    ------
    ValueError
        There is a column of that name.
    """
    frame = data if isinstance(data, DataFrame) else data.to_frame("x" if data.name is None else data.name)
    names = frame.columns
    if "const" in names:
        raise ValueError("add_constant: there is a column 'const' already")
    made: DataFrame = frame.assign(const=1.0)
    return made[["const", *names]] if prepend else made
