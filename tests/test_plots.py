"""Plots: what is drawn is what was given."""

import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sslwork import data, measures, plots
from sslwork.measures import Pushes
from sslwork.plots import umap_layout
from sslwork.plots.colours import Colouring
from sslwork.plots.sheets import GAP, mosaic
from sslwork.plots.style import png, quantised, size
from sslwork.seeds import generator


@pytest.fixture(scope="module")
def stickers() -> data.PictureSet:
    return data.load("stickers", split="test", copies=2)


def run_of(steps: int, **numbers: float) -> SimpleNamespace:
    history = [{"step": step, "loss": 1.0, **numbers} for step in range(0, steps + 1, max(1, steps))]
    return SimpleNamespace(losses=[1.0] * steps, history=history)


def test_a_mosaic_holds_each_picture_in_its_place(stickers: data.PictureSet) -> None:
    sheet = mosaic(stickers.images[:5], columns=3)
    pitch = 32 + GAP
    assert sheet.shape == (2 * pitch, 3 * pitch, 4)
    assert (
        sheet[pitch : pitch + 32, pitch : pitch + 32, :3] == stickers.images[4].permute(1, 2, 0).numpy()
    ).all()
    assert not sheet[pitch:, 2 * pitch :, 3].any()  # no sixth picture: transparent


def test_floating_point_and_bytes_make_the_same_sheet(stickers: data.PictureSet) -> None:
    images = stickers.images[:4]
    assert png(plots.pictures(images)) == png(plots.pictures(images.float() / 255))


def test_sheets_fit_the_page(stickers: data.PictureSet) -> None:
    assert size(plots.pictures(stickers.images, titles=stickers.class_of))[0] <= 900
    views = stickers.images[:8]
    assert size(plots.pairs(views, views, views))[1] == 3 * (32 + GAP) * 2


@pytest.mark.parametrize("call", [
    lambda images: plots.pictures(images[:0]),
    lambda images: plots.pictures(images[:3], titles=["a"]),
    lambda images: plots.pictures(images[0]),
    lambda images: plots.pairs(images[:3], images[:2]),
    lambda images: plots.training({}),
])  # fmt: skip
def test_bad_input_is_refused(call, stickers: data.PictureSet) -> None:
    with pytest.raises(ValueError):
        call(stickers.images)


NUMBERS = {"knn": 0.5, "rankme": 3.0, "alignment": 0.1, "uniformity": -1.0}


@pytest.mark.parametrize("runs", [
    run_of(0, **NUMBERS),
    run_of(20, rankme=3.0, alignment=0.1, uniformity=-1.0),
    {"a": run_of(20, **NUMBERS), "b": run_of(20, **NUMBERS)},
    SimpleNamespace(losses=[2.0, 1.0], history=[]),
    run_of(20, **(NUMBERS | {"rankme": float("nan")})),
], ids=["one row", "no labels", "two runs", "no panel", "a NaN"])  # fmt: skip
def test_training_draws_every_kind_of_run(runs) -> None:
    fig = plots.training(runs)
    assert len(fig.axes) == 4 and len(png(fig)) > 5000


def test_training_shows_the_numbers_of_the_history() -> None:
    fig = plots.training(run_of(20, **NUMBERS))
    assert fig.axes[1].lines[0].get_ydata().tolist() == [0.5, 0.5]
    assert fig.axes[0].lines[0].get_xdata().tolist() == list(range(1, 21))


def test_a_figure_shows_itself_small_and_transparent() -> None:
    shown, about = plots.training(run_of(20, **NUMBERS))._repr_mimebundle_()
    assert about["image/png"]["width"] <= 900 and set(shown) == {"image/png", "text/plain"}
    image = Image.open(io.BytesIO(quantised(png(plots.training(run_of(0, **NUMBERS)), scale=2)))).convert(
        "RGBA"
    )
    assert image.getpixel((0, 0))[3] == 0


def test_a_stored_picture_keeps_to_its_limit() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 800, 3), np.uint8)).save(buffer, "PNG")
    assert len(quantised(buffer.getvalue(), limit=50_000)) <= 50_000


def test_colouring_keeps_rows_and_tells_more_than_eight_kinds_apart() -> None:
    names = [f"kind {i % 20}" for i in range(40)]
    shade = Colouring(names, 40)
    assert [shade.names[code] for code in shade.codes] == names
    assert (
        len({(shade.palette[code], symbol) for code, symbol in zip(shade.codes, shade.symbols, strict=True)})
        == 20
    )
    assert not Colouring(torch.linspace(0, 1, 40), 40).names and Colouring(torch.arange(40), 40).names
    with pytest.raises(ValueError, match="40 wanted"):
        Colouring(names[:3], 40)


def test_pca_keeps_rows_and_scatter_rings_the_selected() -> None:
    features = torch.randn(50, 8, generator=generator(0))
    xy, order = plots.map2d(features, method="pca"), torch.arange(49, -1, -1)
    turned = plots.map2d(features[order], method="pca")
    assert np.allclose(np.abs(turned), np.abs(xy[order.numpy()]), atol=1e-4)  # the sign of an axis is free
    fig = plots.scatter(xy, torch.linspace(0, 1, 50), selected=[3, 4])
    assert np.allclose(fig.axes[0].collections[-1].get_offsets(), xy[[3, 4]])
    with pytest.raises(ValueError, match="umap"):
        plots.map2d(features, method="tsne")


def test_followed_maps_take_first_and_last_and_undo_turns() -> None:
    features = torch.randn(60, 5, generator=generator(1))
    snapshots = {step: features * torch.tensor([1.0, 1, 1, 1, 1]) for step in range(0, 110, 10)}
    snapshots[0] = -features  # the same shadow, mirrored
    maps = plots.follow(snapshots, method="pca", maps=4)
    assert list(maps) == [0, 30, 70, 100]
    assert np.allclose(maps[0], maps[100], atol=1e-4)
    with pytest.raises(ValueError, match="empty"):
        plots.follow({})


def test_umap_is_repeatable_and_starts_where_told() -> None:
    features = torch.randn(40, 5, generator=generator(2))
    first = plots.map2d(features)
    assert first.shape == (40, 2) and (first == plots.map2d(features)).all()
    shadow = plots.map2d(features, method="pca")
    assert (first == plots.map2d(features, init=shadow)).all()
    assert (first != plots.map2d(features, init=shadow[:, ::-1], epochs=20)).any()


def test_umap_takes_neighbours_found_before_and_reads_nothing_else() -> None:
    features = torch.randn(40, 5, generator=generator(3))
    found = measures.neighbours(features, k=9)
    given = plots.map2d(features, neighbours=found)
    assert (given == plots.map2d(features, neighbours=10)).all()
    start = plots.map2d(features, method="pca")
    assert (
        given == plots.map2d(torch.rand(40, 3, generator=generator(4)), neighbours=found, init=start)
    ).all()


def test_umap_keeps_clusters_together_and_survives_a_collapse() -> None:
    kinds = torch.arange(60) % 3
    features = torch.eye(3)[kinds] + 0.05 * torch.randn(60, 3, generator=generator(5))
    xy = torch.as_tensor(plots.map2d(features))
    assert (kinds[measures.neighbours(xy - xy.mean(0), k=1).rows.flatten()] == kinds).all()
    for collapsed in (torch.ones(30, 4), torch.zeros(30, 4)):
        assert np.isfinite(plots.map2d(collapsed, epochs=20)).all()


@pytest.mark.parametrize(("wrong", "told"), [
    ({"neighbours": 1}, "at least 2"),
    ({"neighbours": measures.neighbours(torch.eye(5), k=2)}, "of 5 rows, features have 4"),
    ({"init": np.zeros((4, 3))}, r"shape \(4, 2\); got \(4, 3\)"),
    ({"init": np.full((4, 2), np.nan)}, "finite"),
])  # fmt: skip
def test_what_umap_cannot_take_is_refused(wrong, told) -> None:
    with pytest.raises(ValueError, match=told):
        plots.map2d(torch.eye(4), **wrong)


def test_maps_come_one_by_one_the_last_step_first() -> None:
    snapshots = {step: torch.randn(30, 4, generator=generator(step)) for step in (0, 5, 10)}
    one_by_one = list(plots.following(snapshots, maps=2))
    assert [step for step, _ in one_by_one] == [10, 0]
    assert all((xy == plots.follow(snapshots, maps=2)[step]).all() for step, xy in one_by_one)


def test_after_a_warm_up_a_fresh_process_compiles_nothing(monkeypatch) -> None:
    monkeypatch.setattr(umap_layout, "_warming", None)
    plots.warm_up()
    assert umap_layout._warming is not None and umap_layout._warming.wait(300) == 0
    code = (
        "from sslwork.plots import umap_layout as u; u._rehearse(); from umap import layouts, umap_\n"
        "compiled = umap_.smooth_knn_dist, umap_.compute_membership_strengths, layouts.rdist\n"
        "print([(len(f.stats.cache_hits), len(f.stats.cache_misses)) for f in compiled])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == str([(1, 0)] * 3)


def test_the_pull_equals_the_sum_of_the_pushes() -> None:
    """Against autograd on the loss itself."""
    units = torch.nn.functional.normalize(
        torch.randn(9, 4, dtype=torch.double, generator=generator(0)), dim=1
    )
    views = torch.nn.functional.normalize(units + 0.1, dim=1)
    push = Pushes.of(units, views, 2, 0.3)
    similarity = torch.cat([torch.tensor([push.positive]), push.similarity]).requires_grad_()
    torch.nn.functional.cross_entropy(similarity[None] / 0.3, torch.tensor([0])).backward()
    assert similarity.grad is not None
    force = similarity.grad * 0.3
    assert -force[0].item() == pytest.approx(push.pull)
    assert torch.allclose(force[1:] / force[1:].sum(), push.share)
    assert push.taking(1.0) == 8 and push.rows.tolist().count(2) == 0
