"""MYOW: BYOL that also predicts a neighbour, a view which was mined and not made."""

import torch
from torch import Tensor, nn

from sslwork import checks, distributed, heads, losses
from sslwork.encoders import Encoder
from sslwork.methods.method import Batch, Method
from sslwork.methods.twin import Twin
from sslwork.mining import mine
from sslwork.schedule import momentum
from sslwork.trainable import Changes
from sslwork.views import Views

CROPS = Views(
    crop=0.2, **dict.fromkeys(("flip", "rotate", "brightness", "contrast", "saturation", "hue", "grey"), 0.0)
)


class MYOW(Method):
    """BYOL, and a second projector and predictor on top of the first projector, for mined views.

    A third, milder view of each sample is encoded, y, and a pool of samples by the twin, Y'. Among the k rows of Y'
    nearest to y one is drawn, and predicted through both projectors. With w(t) from 0 before `warm_up` up to `weight`
    at `full`, and g, q projector and predictor,

        L = 1 / (1 + w) L_BYOL + w / (1 + w) mean_i (2 - 2 s(q2 g2 g1 y_i, g2' g1' Y'_mined(i)))

    where L_BYOL is the mean of both directions, so that each part lies in [0, 4]. The three kinds of views pass through
    the networks one after the other: batch norms never see them mixed.

    Args:
        encoder: kept after training.
        dim: width of both embeddings.
        pool: samples drawn anew each step to mine from; all there are if fewer.
        k: neighbours of which one is drawn; `pool` makes it any sample, the control.
        weight: of the mined part at last; 0 is BYOL.
        warm_up, full: shares of the training at which the weight begins to rise and has risen.
        projected: look for neighbours after the first projector, not in the representation: a control.
        mild: how mined views are made, for queries and pool; by default cuts of up to a fifth of the area.
        groups: (samples,) whole numbers. Nothing of the own group is mined: the trial of a moment in a recording,
            say. By default each sample is a group: nobody finds itself.
        momentum: of the twins at the beginning, as in BYOL.
        seed: of the initial weights of heads and predictors.

    After each step `mined` has the rows of the set for whom, and whom, the step has mined.

    Source: Azabou, Gheshlaghi Azar, Liu, Lin and others 2021, arXiv 2102.10106.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int = 64, pool: int = 512, k: int = 4, weight: float = 1.0, warm_up: float = 0.1,
        full: float = 0.2, projected: bool = False, mild: Changes = CROPS, groups: Tensor | None = None,
        momentum: float = 0.98, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, heads.mlp(encoder.out_features, 2 * dim, dim, seed=seed))
        if not 0 <= warm_up < full <= 1:
            raise ValueError(f"shares must be 0 <= warm_up < full <= 1, got warm_up={warm_up}, full={full}")
        self.weight = checks.positive(weight, "weight") if weight else 0.0
        self.pool, self.k, self.warm_up, self.full = pool, k, warm_up, full
        self.projected, self.mild, self.groups, self.momentum = projected, mild, groups, momentum
        self.predictor = heads.mlp(dim, 2 * dim, dim, seed=seed + 1)
        self.second = heads.mlp(dim, 2 * dim, dim, seed=seed + 2)
        self.second_predictor = heads.mlp(dim, 2 * dim, dim, seed=seed + 3)
        self.twin = Twin(nn.Sequential(self.encoder, self.head))
        self.second_twin = Twin(self.second)
        if not self.weight:  # nothing mined passes through them
            self.second.requires_grad_(False)
            self.second_predictor.requires_grad_(False)
        self.mined: tuple[Tensor, Tensor] | None = None

    def share(self, done: float) -> float:
        """The weight w of the mined part when this share of the training is done."""
        return self.weight * min(max((done - self.warm_up) / (self.full - self.warm_up), 0.0), 1.0)

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """As BYOL's; then predictions and targets of mined views, each (N, D), and the weight in each row, (N,)."""
        first, second = batch.views
        made = self.predictor(self(first)), self.predictor(self(second)), self.twin(first), self.twin(second)
        return made + self._mined_views(batch) if self.weight else made

    def _mined_views(self, batch: Batch) -> tuple[Tensor, ...]:
        draw, rows = batch.generator, distributed.gather(batch.rows)
        pool = torch.randperm(len(batch.images), generator=draw, device=draw.device)[: self.pool].to(
            rows.device
        )
        y = self.encoder(self._mild_views(batch, rows))  # (n, D), this process's share
        z = self.head(y)
        with torch.no_grad():
            encoder, head = self.twin.net.children()
            theirs = distributed.gather(encoder(self._mild_views(batch, pool)))[: len(pool)]  # (pool, D)
            near, far = (z, head(theirs)) if self.projected else (y, theirs)
            own = (
                (rows, pool)
                if self.groups is None
                else (self.groups.to(rows)[rows], self.groups.to(rows)[pool])
            )
            mined = mine(distributed.gather(near.detach()), far, k=self.k, generator=draw, own=own)
            self.mined = rows.cpu(), pool[mined].cpu()
            target = self.second_twin(head(theirs[distributed.part(mined)]))
        weight = target.new_full((len(target),), self.share(batch.done))
        return self.second_predictor(self.second(z)), target, weight

    def _mild_views(self, batch: Batch, rows: Tensor) -> Tensor:
        """This process's share of mild views of these rows, from random numbers which are drawn for all of them."""
        images = batch.images[rows.to(batch.images.device)].to(rows.device)
        drawn = self.mild.several(images, 1, batch.generator)[0]
        return self.mild.apply(
            distributed.part(images), {name: distributed.part(value) for name, value in drawn.items()}
        )

    def loss(self, *outputs: Tensor) -> Tensor:
        """Both parts, each a mean of 2 - 2 cos(prediction, target), weighed 1 to w."""
        made = losses.byol(*outputs[:4]) / 2  # the mean of both directions
        if not self.weight:
            return made
        prediction, target, weight = outputs[4:]
        mined = losses.byol(prediction, prediction, target, target) / 2  # one direction, twice
        return (made + weight[0] * mined) / (1 + weight[0])

    def after_step(self, done: float) -> None:
        m = momentum(done, self.momentum)
        self.twin.follow(nn.Sequential(self.encoder, self.head), m)
        self.second_twin.follow(self.second, m)
