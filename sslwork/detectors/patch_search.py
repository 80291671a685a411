"""PatchSearch: a piece of one picture that pulls others into its cluster, found without any label."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork.data.pictures import to_float
from sslwork.seeds import generator


@torch.no_grad()
def patch_search(
    maps: Callable[[Tensor], Tensor], images: Tensor, *, side: int = 4, clusters: int = 20, held_out: int = 50,
    per_round: int = 2, drop: float = 0.25, seed: int = 0,
) -> Tensor:  # fmt: skip
    r"""How many held-out pictures each picture pulls into its cluster by its liveliest window, (N,); high = suspicious.

    The mean over the places of `maps` is the embedding; k-means gives clusters k with centres c_k. Of each picture the
    window with the largest sum of max(0, <map, c_k - mean of centres>) is pasted at a random place of held-out pictures:
    its score is the share (0..1) of those from other clusters that come to lie nearest to c_k. Round by round each
    remaining cluster offers its next pictures, and the clusters with the lowest best score are dropped. Pictures that
    were never tried score -1.

    It looks for patches: a trigger spread over the whole picture is outside its reach.

    Args:
        maps: pictures (N, C, H, W) in [0, 1] to feature maps (N, D, h, w): the encoder before its mean over places.
        images: (N, C, H, W), bytes or in [0, 1], poisoned or not.
        side: of the window, pixels.
        clusters: k-means clusters (the source: 1,000).
        held_out: pictures on which windows are tried.
        per_round: pictures per cluster and round.
        drop: share of the clusters given up after each round.
        seed: of the clusters, the held-out pictures and the places.

    Raises:
        ValueError: a window larger than the pictures, more clusters than pictures, no pictures to try on or to offer.

    Source: Tejankar, Sanjabi, Wang, Firooz, Pirsiavash, Tan 2023, arXiv 2304.01482.
    """
    from sklearn.cluster import KMeans

    height, width = images.shape[2:]
    if not 1 <= side <= min(height, width):
        raise ValueError(f"side must lie in 1..{min(height, width)}, got {side}")
    if not 2 <= clusters <= len(images):
        raise ValueError(f"clusters must lie in 2..{len(images)}, the number of pictures; got {clusters}")
    if held_out < 1 or per_round < 1 or not 0 <= drop <= 1:
        raise ValueError(
            f"held_out and per_round must be 1 or more and drop lie in 0..1, got {held_out}, {per_round}, {drop}"
        )
    draw = generator(seed)
    rows = torch.cat([maps(to_float(part)).mean((2, 3)) for part in images.split(512)])
    fitted = KMeans(clusters, n_init=1, random_state=seed).fit(rows.double().cpu().numpy())
    centres = torch.from_numpy(fitted.cluster_centers_).to(rows)  # (K, D)
    order = torch.randperm(len(images), generator=draw)
    tried_on, own = to_float(images[order[:held_out]]), torch.from_numpy(fitted.labels_).long()
    queues = {k: order[own[order] == k].tolist() for k in range(clusters)}
    scores = torch.full((len(images),), -1.0)
    best = dict.fromkeys(queues, 0.0)
    while best:
        for k in best:
            for row in queues[k][:per_round]:
                one = to_float(images[row : row + 1])
                heat = torch.einsum("dhw,d->hw", maps(one)[0], centres[k] - centres.mean(0)).clamp(min=0)
                heat = F.interpolate(heat[None, None], (height, width), mode="bilinear")
                mass = F.avg_pool2d(heat, side, stride=1)[0, 0]  # (H - side + 1, W - side + 1)
                y, x = divmod(int(mass.argmax()), mass.shape[1])
                place = int(torch.randint(0, mass.numel(), (1,), generator=draw))
                down, across = divmod(place, mass.shape[1])
                pasted = tried_on.clone()
                pasted[..., down : down + side, across : across + side] = one[..., y : y + side, x : x + side]
                came = torch.cdist(maps(pasted).mean((2, 3)), centres).argmin(1).cpu() == k
                others = own[order[:held_out]] != k
                scores[row] = float(came[others].double().mean()) if others.any() else 0.0
                best[k] = max(best[k], float(scores[row]))
            queues[k] = queues[k][per_round:]
        live = sorted((k for k in best if queues[k]), key=lambda k: best[k], reverse=True)
        best = {k: best[k] for k in live[: min(len(live), int((1 - drop) * len(best)))]}
    return scores
