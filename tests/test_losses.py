"""What is asked of every loss alike: a scalar of its input's precision, whatever the strides, and no number from nonsense."""

import pytest
import torch

from sslwork import losses
from sslwork.seeds import generator

ORDER = torch.tensor([2, 0, 4, 1, 5, 3])


def mochi(query, key, queue):
    options = {"n_hard": 3, "n_mixed": 2, "n_query_mixed": 2, "generator": generator(1)}
    return losses.mochi(query, key, queue, losses.mochi_negatives(query, queue, **options), temperature=0.2)


CASES = {
    "ISogCLR": (2, lambda *z: losses.ISogCLR(6, rho=0.3, gamma=0.8)(*z, torch.arange(6))),
    "align_uniform": (2, losses.align_uniform),
    "barlow_twins": (2, losses.barlow_twins),
    "byol": (4, losses.byol),
    "cacr": (3, lambda *z: losses.cacr(z, tau_pos=1.0, tau_neg=2.0)),
    "dcl": (2, losses.dcl),
    "dclw": (2, losses.dclw),
    "distillation": (2, losses.distillation),
    "groco": (3, lambda *z: losses.groco(*z, top_k=2)),
    "hard_contrastive": (2, lambda *z: losses.hard_contrastive(*z, temperature=0.2, alpha=0.5)),
    "info_nce": (3, lambda *z: losses.info_nce(*z, temperature=0.2)),
    "info_nce across": (2, lambda *z: losses.info_nce(*z, temperature=0.2)),
    "mixed_barlow_twins": (
        3, lambda *z: losses.mixed_barlow_twins(*z, mix=0.3, permutation=ORDER, off_diagonal=0.1, regularisation=4.0),
    ),
    "mochi": (3, mochi),
    "nt_xent": (2, losses.nt_xent),
    "selfcon": (2, lambda *z: losses.selfcon(torch.stack(z, 1), torch.arange(6) % 4)),
    "simple_contrastive": (2, lambda *z: losses.simple_contrastive(*z, weight=0.2)),
    "simsiam": (4, losses.simsiam),
    "supcon": (2, lambda *z: losses.supcon(torch.cat(z), torch.arange(12) % 5)),
    "swav": (2, losses.swav),
    "trades": (2, lambda *z: losses.trades(*z, torch.arange(6) % 4)),
    "vicreg": (2, losses.vicreg),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    count, loss = CASES[request.param]
    return torch.randn(count, 6, 4, generator=generator(0), dtype=torch.double), loss


def test_none_is_forgotten():
    helpers = {"mochi_negatives", "sinkhorn", "sort_relaxed", "temperature_for"}
    assert set(losses.__all__) - helpers == {name.split()[0] for name in CASES}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scalar_in_the_precision_of_its_rows(case, dtype):
    z, loss = case
    value = loss(*z.to(dtype))
    assert value.shape == () and value.dtype == dtype and torch.isfinite(value)


def test_two_precisions_give_the_finer(case):
    z, loss = case
    for i in range(len(z)):
        rough = [row.float() if j == i else row for j, row in enumerate(z)]
        torch.testing.assert_close(loss(*rough), loss(*z), rtol=1e-5, atol=1e-6)


def test_strides_do_not_matter_and_slices_get_their_gradient(case):
    z, loss = case
    wide = torch.stack([z, torch.full_like(z, torch.nan)], -1)  # what lies between is never read
    one, every_other = z.clone().requires_grad_(), wide.requires_grad_()
    values = loss(*one), loss(*every_other[..., 0]), loss(*(row.T.contiguous().T for row in z))
    torch.testing.assert_close(values[1:], (values[0], values[0]), rtol=1e-12, atol=1e-12)
    for value in values[:2]:
        value.backward()
    torch.testing.assert_close(every_other.grad[..., 0], one.grad, rtol=1e-9, atol=1e-12)
    assert torch.isfinite(one.grad).all() and not every_other.grad[..., 1].any()


def test_a_row_of_zeros_and_equal_rows_have_finite_gradients(case):
    z, loss = case
    z[0, 1] = 0
    for rows in (z.clone(), torch.ones_like(z)):
        loss(*rows.requires_grad_()).backward()
        assert torch.isfinite(rows.grad).all()


def test_large_numbers_are_refused_or_right(case):
    """Most losses square their input: 1e50 is no float32. None may go on with infinity or zeros in its place."""
    z, loss = case
    large = (1e25 * z).float()
    try:
        value = loss(*large)
    except ValueError as error:
        assert "to be squared" in str(error) and "float32; lower the learning rate" in str(error)
    else:
        torch.testing.assert_close(value.double(), loss(*large.double()), rtol=1e-4, atol=0)
