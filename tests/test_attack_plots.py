"""Pictures of attacks: drawn from real ones, and refused where they do not fit."""

import pytest
import torch

from sslwork import attacks, nets
from sslwork.plots.attacks import ladders, over_eps, perturbations, surfaces
from sslwork.plots.style import png, size
from sslwork.seeds import generator


@pytest.fixture(scope="module")
def case():
    net, x = nets.small_conv(2, 2, seed=3), torch.rand(6, 1, 8, 8, generator=generator(0))
    return net, x, net(x).argmax(1)


def test_a_row_for_each_attack_and_its_change_wrong_answers_in_red(case):
    net, x, y = case
    found = {"FGSM": attacks.fgsm(net, x, y, eps=0.1)}
    said = {name: [str(int(each)) for each in net(at).argmax(1)] for name, at in {"": x, **found}.items()}
    said["FGSM"][0] = "another"
    fig = perturbations(x, found, said, said[""])
    assert len(fig.axes) == 3 * len(x) and size(fig)[0] <= 880 and png(fig)
    red = [text.get_text() for text in fig.texts if text.get_color() == "#D55E00"]
    assert red[0] == "another" and [t.get_text() for t in fig.texts if t.get_ha() == "right"][1] == "FGSM"
    with pytest.raises(ValueError, match="FGSM: 6 pictures"):
        perturbations(x, {"FGSM": x[:2]}, said, said[""])


def test_curves_and_ladders_show_every_model_with_its_interval(case):
    net, x, y = case
    fig = over_eps([0.0, 0.1], {"PGD": [6, 2], "noise": [6, 5]}, 6, now=0.1, chance=0.1)
    (ax,) = fig.axes
    assert ax.get_legend_handles_labels()[1] == ["PGD", "noise"] and len(ax.collections) == 2 and png(fig)
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1, 1 / 3])
    with pytest.raises(ValueError, match="one count for each of 2 radii"):
        over_eps([0.0, 0.1], {"PGD": [6]}, 6)
    tables = {name: attacks.evaluate(net, x, y, eps=0.1, ladder=["FGSM"]) for name in "ab"}
    (ax,) = ladders(tables, chance=0.1).axes
    assert ax.lines[0].get_ydata().tolist() == tables["a"]["accuracy"].tolist()
    assert [each.get_text() for each in ax.get_xticklabels()] == ["clean", "FGSM"]
    with pytest.raises(ValueError, match="tables is empty"):
        ladders({})


def test_the_surface_is_the_loss_at_its_places(case):
    net, x, y = case
    places, heights = attacks.loss_surface(net, x[:1], y[:1], eps=0.2, points=5)
    assert places.tolist() == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2]) and heights.shape == (5, 5)
    here = float(attacks.cross_entropy(net(x[:1]), y[:1]).detach())
    assert float(heights[2, 2]) == pytest.approx(here, rel=1e-5)
    (gradient,) = torch.autograd.grad(
        attacks.cross_entropy(net(at := x[:1].clone().requires_grad_()), y[:1]).sum(), at
    )
    up = float(attacks.cross_entropy(net(x[:1] + 0.2 * gradient.sign()), y[:1]).detach())
    assert float(heights[4, 2]) == pytest.approx(up, rel=1e-4) and up > here
    assert len(surfaces({"net": (places, heights), "again": (places, heights)}).axes) == 2
    with pytest.raises(ValueError, match="one picture"):
        attacks.loss_surface(net, x, y, eps=0.2)
    with pytest.raises(ValueError, match="eps must be a finite number above 0"):
        attacks.loss_surface(net, x[:1], y[:1], eps=0.0)
    with pytest.raises(ValueError, match="points must be 2 or more"):
        attacks.loss_surface(net, x[:1], y[:1], eps=0.2, points=1)
    with pytest.raises(ValueError, match="found is empty"):
        surfaces({})
