"""Rewritings of jaxprs: interpreters that know primitives by their rules alone."""
