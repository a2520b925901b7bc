"""What `import nplight` loads, and what it leaves to who needs it."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_loads_no_more_than_a_search_needs() -> None:
    late = ["lightning", "torchmetrics", "pandas", "sklearn", "plotly", "matplotlib", "rich", "transformers"]
    code = f"import sys, nplight; print([name for name in {late} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
