"""An order of categories and a plane of images in which similar ones are near each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

Floats = npt.NDArray[np.float64]

_PERPLEXITY = 30


def clustered(similarity: Tensor) -> list[int]:
    """Categories in the order of average-linkage clustering of 1 - similarity; those without images are last.

    Args:
        similarity: (categories, categories) in [0, 1], NaN for categories without images.

    Examples:
        >>> import torch
        >>> from nplight.report import clustered
        >>> similarity = torch.tensor([[1.0, 0.1, 0.8], [0.1, 1.0, 0.2], [0.8, 0.2, 1.0]])  # 0 and 2 are similar
        >>> clustered(similarity)
        [1, 0, 2]
    """
    # Imported here: they take seconds, which most commands do not need.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    values = similarity.cpu().double().numpy()
    tested = np.flatnonzero(~np.isnan(values.diagonal()))
    missing = np.flatnonzero(np.isnan(values.diagonal())).tolist()
    if len(tested) < 3:
        return [*tested.tolist(), *missing]
    distance = np.clip(1 - values[np.ix_(tested, tested)], 0, None)
    np.fill_diagonal(distance, 0)
    return [*tested[leaves_list(linkage(squareform(distance, checks=False), "average"))].tolist(), *missing]


def image_plane(neurons: npt.NDArray[np.int64], width: int) -> Floats:
    """Images on a plane by t-SNE (van der Maaten and Hinton 2008) of the distance 1 - share of common neurons.

    Args:
        neurons: (images, layers) int64, the path of each image.
        width: neurons in the widest layer.

    Returns:
        (images, 2), without a unit.

    Examples:
        >>> import numpy as np
        >>> from nplight.report import image_plane
        >>> neurons = np.array([[3, 1, 4]] * 3 + [[7, 5, 2]] * 3)  # three images with one path, three with another
        >>> plane = image_plane(neurons, width=8)
        >>> distance = np.linalg.norm(plane - plane[0], axis=1)  # from the first image
        >>> (distance[:3].max() < distance[3:].min()).item()
        True
    """
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    images, layers = neurons.shape
    keys = neurons + np.arange(layers) * width
    used, columns = np.unique(keys, return_inverse=True)
    rows = np.repeat(np.arange(images), layers)
    paths = csr_matrix((np.ones(keys.size), (rows, columns.reshape(-1))), shape=(images, len(used)))
    if images < 5 or len(used) < 3:
        return np.stack([np.arange(images, dtype=np.float64), np.zeros(images)], 1)
    distance = np.clip(1 - (paths @ paths.T).toarray() / layers, 0, None)
    start = TruncatedSVD(2, random_state=0).fit_transform(paths)
    start = start / max(float(np.std(start[:, 0])), 1e-12) * 1e-4
    perplexity = min(_PERPLEXITY, (images - 1) / 3)
    plane = TSNE(metric="precomputed", init=start, perplexity=perplexity, learning_rate="auto", random_state=0)
    # With several threads the order of summation, and with it the result, would vary.
    with threadpool_limits(1):
        positions: Floats = np.asarray(plane.fit_transform(distance), dtype=np.float64)
    return positions
