"""Geometry, as `scipy.spatial`: distances and rotations."""

from functrans.scipy.spatial import distance, transform

__all__ = ["distance", "transform"]
