"""Pictures of programs: `functrans.visualize(f)(*args)` draws what tracing, simplification and fusion make of `f`."""

from functrans.drawing.drawing import Drawing, visualize

__all__ = ["Drawing", "visualize"]
