"""DCL trained: the factor q it drops, the law of q, its trajectory against NT-Xent with q divided out, and the figures."""

import pytest
import torch

from sslwork import encoders, losses, methods, plots, train
from sslwork.measures import coupling, coupling_of
from sslwork.seeds import generator

SMALL = {"steps": 20, "batch_size": 32, "lr": 0.03, "optimiser": "sgd", "progress": False}


def rows(n=6, d=4, seed=0):
    return torch.randn(2, n, d, generator=generator(seed), dtype=torch.double)


def test_q_is_one_less_the_share_of_the_positive():
    z1, z2 = rows()
    u = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    for i, q in enumerate(coupling(z1, z2, temperature=0.3).tolist()):
        shares = {k: float(torch.exp(u[i] @ u[k] / 0.3)) for k in range(12) if k != i}
        assert q == pytest.approx(1 - shares[(i + 6) % 12] / sum(shares.values()), rel=1e-9)


def test_q_is_the_ratio_of_gradients():
    z1, z2 = (z.requires_grad_() for z in rows())
    q = coupling(z1, z2, temperature=0.2)
    ours, theirs = (f(z1, z2, temperature=0.2, reduction="none")[0] for f in (losses.dcl, losses.nt_xent))
    mine, other = (torch.autograd.grad(loss, z1)[0] for loss in (ours, theirs))
    torch.testing.assert_close(other, q[0] * mine)


@pytest.mark.parametrize("n", [2, 8, 32])
def test_q_of_equal_rows_grows_with_the_batch(n):
    same = torch.ones(n, 3, dtype=torch.double)
    q = coupling(same, same, temperature=0.1)
    assert q.tolist() == pytest.approx([(2 * n - 2) / (2 * n - 1)] * 2 * n)


def test_q_of_equal_negatives():
    """Each pair in a plane of its own: negatives at 0, positives at 0.7."""
    z1 = torch.eye(10, dtype=torch.double)[::2]
    z2 = 0.7 * z1 + (1 - 0.7**2) ** 0.5 * z1.roll(1, 1)
    law = coupling_of(torch.tensor(0.7).double(), torch.tensor(0.0), pictures=5, temperature=0.3)
    torch.testing.assert_close(coupling(z1, z2, temperature=0.3), law.expand(10))


def test_where_the_law_goes():
    """Down with an easy positive, up with the batch; half where the positive stands out by tau log(2N - 2)."""
    positive, zero = torch.linspace(-1, 1, 9).double(), torch.tensor(0.0).double()
    small, large = (coupling_of(positive, zero, pictures=n, temperature=0.1) for n in (4, 64))
    assert (small.diff() < 0).all() and (large > small).all()
    edge = torch.tensor(0.1).double() * torch.tensor(6.0).double().log()
    assert coupling_of(edge, zero, pictures=4, temperature=0.1).item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pictures": 1, "temperature": 0.1}, "pictures must be at least 2"),
        ({"pictures": 8, "temperature": 0}, "temperature must be"),
    ],
)
def test_the_law_refuses(options, says):
    with pytest.raises(ValueError, match=says):
        coupling_of(torch.tensor(0.5), torch.tensor(0.0), **options)


def test_figures():
    law = plots.coupling_law(0.6, 0.1, 32, 0.1)
    assert len(law.axes[0].lines) == 5  # N = 8, 32, 128, 512, and the dot
    q = coupling(*rows(), temperature=0.3)
    drawn = plots.couplings({"batch": {"N = 6": q, "again": q}})
    assert drawn.axes[0].get_yticklabels()[0].get_text().startswith("N = 6\nmean 0.")
    with pytest.raises(ValueError, match="panels must hold at least one case each"):
        plots.couplings({"batch": {}})


class Undone(methods.SimCLR):
    """SimCLR with each anchor's loss divided by its q, held."""

    def loss(self, z1, z2):
        each = losses.nt_xent(z1, z2, temperature=self.temperature, reduction="none")
        return (each / -torch.expm1(-each.detach())).mean()


def in_double(kind):
    """Rounding of two losses in float32 would part the runs by itself, to 3e-5 after 20 steps."""

    class Precise(kind):
        def loss(self, z1, z2):
            return super().loss(z1.double(), z2.double())

    return Precise


def test_simclr_with_q_divided_out_trains_as_dcl(stickers):
    def trained(kind):
        method = in_double(kind)(encoders.conv(4, 2), dim=8, temperature=0.1)
        path = []

        def follow(run):
            path.append(torch.cat([p.detach().flatten() for p in method.parameters()]))

        train.fit(method, stickers, show=follow, **SMALL)
        return torch.stack(path)

    undone, decoupled, coupled = map(trained, (Undone, methods.DCL, methods.SimCLR))
    assert (undone - decoupled).abs().max() < 1e-5
    assert (coupled - decoupled).abs().max() > 1e-2


def test_dclw_is_another_run_and_says_so(stickers):
    plain, weighted = (methods.DCL(encoders.conv(4, 2), dim=8, weighted=w) for w in (False, True))
    assert plain.settings != weighted.settings
    for loss, method in ((losses.dcl, plain), (losses.dclw, weighted)):
        z1, z2 = rows()
        assert torch.equal(method.loss(z1, z2), loss(z1, z2, temperature=0.1))


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"sigma": -1.0}])
def test_bad_settings_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a finite number above 0"):
        methods.DCL(encoders.conv(4, 2), **wrong)
