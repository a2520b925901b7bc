"""The search methods, one per file, and the table of them."""

from nplight.methods.table import METHODS, Method, is_control, is_proposed

__all__ = ["METHODS", "Method", "is_control", "is_proposed"]
