"""Tests of the `sostenuto` package, with a fake server in Python. Run: `python3 -m unittest discover -s python/tests`."""
