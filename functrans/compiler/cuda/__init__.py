"""Kernels for NVIDIA GPUs: the loop nests and scalar expressions of the CPU, on a grid of threads (`numba.cuda`)."""
