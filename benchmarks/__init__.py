"""Speed and memory, measured by hand: `python -m benchmarks.search`. Never part of the tests."""
