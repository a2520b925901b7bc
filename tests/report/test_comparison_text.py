from __future__ import annotations

from nplight.report.comparison_text import claims_to_markdown, to_latex, to_markdown
from nplight.results import compare, paper_claims
from tests.results.samples import method


def test_text_to_paste() -> None:
    results = [method("jas", 2.0, 0.6, 0.9, 0), method("gradient_activation", 1.0, 0.8, 0.85, 10)]
    comparison = compare(results)
    markdown = to_markdown(comparison).splitlines()
    assert markdown[0] == "|  | `jas` | `gradient_activation` |"
    assert markdown[2] == "| joint score (JAS) | **+2** | +1 |"
    assert all(line.count("|") == 4 for line in markdown)
    latex = to_latex(comparison)
    assert r"gradient\_activation" in latex
    assert r"removed: $\Delta$ probability, \% & \textbf{-25.00} & +0.00 \\" in latex
    assert r"\begin{tabular}{lrr}" in latex
    claims = claims_to_markdown(paper_claims(results, 1))
    assert "| jas has the highest joint score | own | **undecided** | +1 [–] against gradient_activation |" in claims
