"""What the page says of its charts and of the method."""

from __future__ import annotations

from types import MappingProxyType

CHARTS = MappingProxyType(
    {
        "pruning": (
            "Accuracy against neurons kept",
            "Top-1 accuracy (%) on held-out images when each keeps the neurons of its category's path and a share of "
            "the others is pruned; bars are 95% intervals over images.",
        ),
        "faithfulness": (
            "Faithfulness",
            "Top-1 accuracy (%) with all other neurons pruned, from a few neurons a layer to all of them. Bands are "
            "95% intervals; the control, random neurons, is dashed grey where it was searched.",
        ),
        "paths": (
            "Neuron paths",
            "Index (no unit) of the best neuron of each layer: a thin line an image, the bold line the category's "
            "path. Point at a line for its image and the label's probability.",
        ),
        "use": (
            "Neuron use",
            "Share of the chosen category's images (%) that have a neuron on their path, layer by neuron; where a "
            "layer is wide, a column stands for several neurons and shows the one used most.",
        ),
        "similarity": (
            "Similarity of categories",
            "Cosine (0 to 1) between the neurons that two categories' images use; ordered so that like stands by like.",
        ),
        "map": (
            "Images by path",
            "Images whose paths have neurons in common are near (t-SNE; the axes have no unit). Rings mark the images "
            "of the chosen categories.",
        ),
        "selectivity": (
            "Selectivity",
            "Top-1 accuracy (%) of each category's held-out images when only the neurons of another category's path "
            "are left: a bright diagonal means that a path serves its own category.",
        ),
    }
)
"""Name of a figure -> its title, and one line that explains it."""

DEVIATIONS = (
    "Mean relative change of the label's probability (%) and change of top-1 accuracy (points) when the category path "
    "is set to zero or doubled, with 95% intervals."
)
CLAIMS = "Held or not where the 95% interval of the paired difference leaves no doubt."
SHARED = "Share of images, mean over categories, and how many categories use it."
PARTICULAR = "Share of the category's images, and the largest of any other category's."
PAIRS = "Cosine between the neurons that their images use, with 95% intervals over images where they were measured."
SAMPLES = (
    "Held-out images with the probability (%) of their label: untouched, with the path removed, and with it enhanced."
)
DRIVERS = (
    "The held-out images in which a neuron of the category's path is largest (its value at the path tokens, no unit). "
    "The overlay shows its value at each patch, from none to the image's largest."
)
NO_METRICS = "This run has no metrics: it was searched, and not evaluated."
NO_PATHS = "This run holds no image paths."
NO_PICTURES = "No pictures were kept in this run."

CAVEATS = (
    "Intervals are over images, by bootstrap; they say nothing of other models or splits.",
    "Paths are drawn for at most {shown} images of a category, chosen by their pixels; counts are of all.",
    "Similarity and the map of images are of the first search; t-SNE keeps what is near, not how far the rest is.",
)

CITATION = """@inproceedings{wang2025discovering,
  title     = {Discovering Influential Neuron Path in Vision Transformers},
  author    = {Wang, Yifan and Liu, Yifei and Shi, Yingdong and Li, Changming and Pang, Anqi and Yang, Sibei and
               Yu, Jingyi and Ren, Kan},
  booktitle = {International Conference on Learning Representations},
  year      = {2025},
  note      = {arXiv:2503.09046}
}"""
