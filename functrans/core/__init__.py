"""What everything stands on: avals, jaxprs, primitives, traces, pytrees."""
