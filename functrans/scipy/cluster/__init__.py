"""Clusters, as `scipy.cluster`: vector quantization."""

from functrans.scipy.cluster import vq

__all__ = ["vq"]
