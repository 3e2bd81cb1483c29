"""Geometry, as `scipy.spatial`: rotations."""

from functrans.scipy.spatial import transform

__all__ = ["transform"]
