"""Which pictures come together in a batch: orders for `train.fit(..., batches=...)`, made from clusters.

Like `schedule.batch_rows`, each is a function of the step and the seed alone: nothing to save, nothing to lose.
"""

import hashlib

import torch
from torch import Tensor

from sslwork import checks
from sslwork.seeds import generator


class _Clustered:
    """Rows by cluster; its `repr` tells a checkpoint which clusters it was trained with."""

    def __init__(self, clusters: Tensor) -> None:
        self.clusters = checks.labels(clusters, len(clusters), "clusters").cpu()
        self.members = [(self.clusters == c).nonzero().flatten() for c in self.clusters.unique()]

    def __repr__(self) -> str:
        digest = hashlib.blake2b(self.clusters.numpy().tobytes(), digest_size=4).hexdigest()
        return f"{type(self).__name__}({len(self.members)} clusters, {digest})"

    def _check(self, rows: int) -> None:
        if rows != len(self.clusters):
            raise ValueError(f"clusters must name one per picture: {rows} wanted, got {len(self.clusters)}")


class OnePerCluster(_Clustered):
    """Batches in which no two pictures share a cluster, as far as that is possible.

    Every step draws one random member of as many clusters as the batch holds, in a random order of clusters. A batch
    larger than the number of clusters goes round again, with other members where a cluster has any left.
    (The order of the paper, every picture once an epoch by its rank within its cluster, is `guided_order`.)

    Args:
        clusters: (N,) cluster of each picture, whole numbers.

    Source: Chakraborty, Gosthipaty, Paul 2020, arXiv 2009.12007.
    """

    def __call__(self, step: int, rows: int, batch_size: int, seed: int) -> Tensor:
        self._check(rows)
        draw = generator(seed, step)
        order = torch.randperm(len(self.members), generator=draw).tolist()
        members = [own[torch.randperm(len(own), generator=draw)] for own in self.members]
        # Cluster after cluster, round and round, each time with the next member.
        places = [(members[order[i % len(order)]], i // len(order)) for i in range(batch_size)]
        return torch.stack([own[turn % len(own)] for own, turn in places])


class WithinCluster(_Clustered):
    """Batches from one cluster each: whatever is constant within it no longer tells positives from negatives.

    Every epoch shuffles each cluster, cuts it into whole batches and takes the batches in a random order, so that
    clusters are visited in proportion to their size. Remainders, and clusters smaller than a batch, are left out.

    Args:
        clusters: (N,) cluster of each picture, whole numbers.

    Raises:
        ValueError: no cluster fills a batch.

    Source: Zhang, Lan, Qu, Cheng, Feng, Hooi 2024, arXiv 2402.11816.
    """

    def __call__(self, step: int, rows: int, batch_size: int, seed: int) -> Tensor:
        self._check(rows)
        whole = [own for own in self.members if len(own) >= batch_size]
        if not whole:
            most = max(map(len, self.members))
            raise ValueError(f"no cluster fills a batch of {batch_size}: the largest holds {most} pictures")
        per_epoch = sum(len(own) // batch_size for own in whole)
        epoch, place = divmod(step, per_epoch)
        draw = generator(seed, epoch)
        cut = [own[torch.randperm(len(own), generator=draw)].split(batch_size) for own in whole]
        batches = [part for parts in cut for part in parts if len(part) == batch_size]
        return batches[int(torch.randperm(per_epoch, generator=draw)[place])]


def guided_order(clusters: Tensor) -> Tensor:
    """The order of the paper: by rank within the cluster, ties by cluster; cut it into consecutive batches.

    While no cluster is exhausted, every batch of as many pictures as there are clusters holds one of each.

    Args:
        clusters: (N,) whole numbers. The rank of a picture is its place among the pictures of its cluster.

    Returns:
        (N,) rows, each once.

    Source: Chakraborty, Gosthipaty, Paul 2020, arXiv 2009.12007.

    >>> guided_order(torch.tensor([0, 0, 0, 1, 1, 1, 2])).tolist()
    [0, 3, 6, 1, 4, 2, 5]
    """
    clusters = checks.labels(clusters, len(clusters), "clusters").cpu()
    rank = torch.empty_like(clusters)
    for c in clusters.unique():
        own = clusters == c
        rank[own] = torch.arange(int(own.sum()))
    # Stable sorts, the less important key first.
    by_cluster = clusters.argsort(stable=True)
    return by_cluster[rank[by_cluster].argsort(stable=True)]


class Guided(_Clustered):
    """Consecutive batches of `guided_order`, the same every epoch, as in the paper; a remainder is left out."""

    def __init__(self, clusters: Tensor) -> None:
        super().__init__(clusters)
        self._order = guided_order(self.clusters)

    def __call__(self, step: int, rows: int, batch_size: int, seed: int) -> Tensor:
        self._check(rows)
        place = step % (rows // batch_size)
        return self._order[place * batch_size :][:batch_size]
