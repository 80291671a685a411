"""CACR trained: as many views as asked for reach the loss, and its repulsion is NT-Xent's Boltzmann law."""

import pytest
import torch

from sslwork import encoders, losses, measures, train
from sslwork.methods import CACR
from sslwork.seeds import generator


@pytest.mark.parametrize("n_views", [2, 4])
def test_all_views_reach_the_loss(stickers, n_views):
    method, seen = CACR(encoders.conv(4, 2), dim=8, n_views=n_views, tau_pos=1.5, tau_neg=0.9), []
    plain = method.loss
    method.loss = lambda *rows: (seen.append(rows), plain(*rows))[1]
    run = train.fit(method, stickers, steps=1, batch_size=16, progress=False)
    assert [len(rows) for rows in seen] == [n_views] and {rows.shape for rows in seen[0]} == {(16, 8)}
    assert run.losses == [pytest.approx(losses.cacr(seen[0], tau_pos=1.5, tau_neg=0.9).item())]


def test_settings_reach_the_loss():
    rows = torch.randn(3, 6, 4, generator=generator(0))
    options = {"tau_pos": 0.5, "tau_neg": 3.0, "alpha": 2.0, "beta": 0.3, "detach_weights": True}
    method = CACR(encoders.conv(4, 2), n_views=3, **options)
    assert torch.equal(method.loss(*rows), losses.cacr(rows, **options))
    assert method.settings == options | {"n_views": 3}


def test_the_push_is_that_of_nt_xent_at_temperature_one_over_two_tau():
    """exp(-tau d) with d = 2 - 2 s is exp(s / T) at T = 1 / (2 tau): where weights are held, it is their share."""
    keys = torch.nn.functional.normalize(torch.randn(7, 4, generator=generator(0), dtype=torch.double), dim=1)
    views = [keys[:1].repeat(7, 1), keys.clone().requires_grad_()]
    losses.cacr(views, tau_pos=1.0, tau_neg=1.6, alpha=0.0, detach_weights=True).backward()
    similarities = keys @ keys[0]
    pushes = 0
    for query in range(7):  # all at one place, each without its own key
        share = measures.relative_penalty(similarities[torch.arange(7) != query], temperature=1 / 3.2)
        pushes = pushes + torch.zeros(7).double().index_add(
            0, (torch.arange(7) != query).nonzero()[:, 0], share
        )
    along = keys[0] - similarities[:, None] * keys  # where a row of length one can go
    torch.testing.assert_close(views[1].grad, 2 / 7 * pushes[:, None] * along)


def test_one_view_is_refused():
    with pytest.raises(ValueError, match="n_views must be at least 2"):
        CACR(encoders.conv(4, 2), n_views=1)
