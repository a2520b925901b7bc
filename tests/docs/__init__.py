"""The documentation: its site, its pages and its notebooks."""
