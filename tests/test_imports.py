"""What `import nplight` loads, and what it leaves to who needs it."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_loads_no_more_than_a_search_needs() -> None:
    late = ["lightning", "torchmetrics", "pandas", "sklearn", "plotly", "matplotlib", "rich", "transformers"]
    code = f"""
import sys, torch, nplight
print([name for name in {late} if name in sys.modules])
from nplight.vit.hf_vit import HuggingFaceViT
print(HuggingFaceViT.matches(torch.nn.Linear(2, 2)), "transformers" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Neither does a question whether a model of another family is Hugging Face's.
    assert found.stdout.splitlines() == ["[]", "False False"]
