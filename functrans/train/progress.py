"""How a training shows what it does: a line on the standard error for each epoch, and a bar within it in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from functrans.train.judging import Tally

_INTERVAL = 0.1  # seconds between two looks at the bar


class Progress:
    """The display of one epoch, a context."""

    def __init__(self, shown: bool, epoch: int, epochs: int, batches: int | None, done: int):
        self.shown, self.label = shown, f"epoch {epoch:{len(str(epochs))}d}/{epochs}"
        self.bar = self._bar(batches, done) if shown and sys.stderr.isatty() else None
        self.due = 0.0
        self.waiting = 0

    def _bar(self, batches: int | None, done: int) -> Any:
        try:
            from tqdm import tqdm
        except ImportError:
            return None
        return tqdm(total=batches, initial=done, desc=self.label, unit="batch", leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, tally: Tally) -> None:
        """One more batch."""
        if self.bar is None:
            return
        self.waiting += 1
        if (now := time.monotonic()) >= self.due:
            self.bar.set_postfix_str(_text(tally.running()), refresh=False)
            self.bar.update(self.waiting)
            self.due, self.waiting = now + _INTERVAL, 0

    def finish(self, logs: Mapping[str, float], seconds: float) -> None:
        """The line of the epoch."""
        if self.bar is not None:
            self.bar.close()
        if self.shown:
            print(f"{self.label}  {_text(logs)}  ({seconds:.1f} s)", file=sys.stderr, flush=True)


def _text(logs: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
