"""From jaxprs to native programs: see `program.py` for the stages and `docs/architecture.md` for the whole."""
