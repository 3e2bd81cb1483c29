"""What happened, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class History(Mapping[str, list[float]]):
    """The loss and the metrics of each epoch: a mapping from their names to lists, with `"epoch"` for the numbers.

    >>> import functrans as ft
    >>> history = ft.train.History(epoch=[1, 2], loss=[0.5, 0.25], val_loss=[0.6, 0.4])
    >>> history["val_loss"]
    [0.6, 0.4]
    >>> history
    epoch  loss  val_loss
        1   0.5       0.6
        2  0.25       0.4
    """

    def __init__(self, **values: list[Any]):
        self._values = values

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add an epoch."""
        for name, value in {"epoch": epoch, **logs}.items():
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[float]:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"{name!r}; the history has {', '.join(self._values)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        columns = [[name, *(f"{value:.4g}" for value in values)] for name, values in self._values.items()]
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*([text.rjust(width) for text in column] for column, width in zip(columns, widths)))
        return "\n".join("  ".join(row) for row in rows)

    def plot(self, path: Any = None) -> Any:
        """Curves over the epochs: one picture for the loss and for each metric, with that of the validation data.

        Args:
            path: where to write the picture, in the format of its suffix; or nowhere.

        Returns:
            The figure, one of matplotlib's.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError("History.plot draws with matplotlib: pip install 'functrans[train]'") from error
        names = [name for name in self._values if name != "epoch" and not name.startswith("val_")]
        figure = Figure(figsize=(4.5 * max(len(names), 1), 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names):
            for label, key in (("training", name), ("validation", f"val_{name}")):
                if key in self._values:
                    axes.plot(self._values["epoch"], self._values[key], marker=".", label=label)
            axes.set(xlabel="epoch", ylabel=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure
