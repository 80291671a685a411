"""The camera pipeline: mosaic, simulated sensor, and the filter made of them."""

import pytest
import torch
import torch.nn.functional as F

from sslwork import nets, purify
from sslwork.data import PictureSet
from sslwork.purify import Camera, demosaic, mosaic, raw
from sslwork.seeds import generator

X = torch.rand(4, 3, 8, 8, generator=generator(0))


def test_a_mosaic_keeps_one_value_per_pixel_at_its_phase():
    planes = mosaic(X)
    assert planes.numel() == X.numel() // 3
    flat = F.pixel_shuffle(planes, 2)[:, 0]  # the mosaic as one picture
    for i in range(8):
        for j in range(8):
            assert torch.equal(flat[:, i, j], X[:, (i % 2) + (j % 2), i, j])  # R, G, G, B
    assert torch.equal(F.pixel_unshuffle(flat[:, None], 2), planes)
    red = torch.zeros(1, 3, 8, 8)
    red[0, 0, 0, 0] = 1
    assert mosaic(red)[0, 0, 0, 0] == 1 and mosaic(red).sum() == 1


def test_demosaic_keeps_every_sample_and_constants():
    found = demosaic(mosaic(X))
    torch.testing.assert_close(mosaic(found), mosaic(X))
    colour = torch.tensor([0.2, 0.5, 0.9])[:, None, None].expand(1, 3, 8, 8)
    torch.testing.assert_close(demosaic(mosaic(colour)), colour)


def test_demosaic_is_the_mean_of_the_nearest_sites():
    found, flat = demosaic(mosaic(X)), F.pixel_shuffle(mosaic(X), 2)[:, 0]
    torch.testing.assert_close(
        found[:, 0, 3, 3], flat[:, [2, 2, 4, 4], [2, 4, 2, 4]].mean(1)
    )  # red at a blue site
    torch.testing.assert_close(found[:, 1, 3, 3], flat[:, [2, 3, 3, 4], [3, 2, 4, 3]].mean(1))  # green there
    torch.testing.assert_close(found[:, 2, 3, 4], flat[:, 3, [3, 5]].mean(1))  # blue in its row


def test_what_is_developed_is_what_was_exposed_for_grey():
    grey = torch.linspace(0.15, 0.9, 60)[:, None, None, None].expand(-1, 3, 8, 8)
    camera = Camera()
    assert (camera.develop(camera.expose(grey)) - grey).abs().max() < 3 / 255
    assert len(camera.expose(X).mul(1023).frac().abs().round(decimals=3).unique()) <= 2  # 10 bits


def test_noise_has_the_variance_of_shots_and_read_out():
    planes = torch.full((50, 4, 40, 40), 0.3)
    found = Camera().noisy(planes, generator(1)) - planes
    assert abs(float(found.var()) / (0.01 * 0.3 + 0.0004) - 1) < 0.02


def test_development_has_a_gradient_and_passes_it_through_the_rounding():
    planes = (0.3 + 0.3 * torch.rand(1, 4, 2, 2, generator=generator(2))).double().requires_grad_()
    assert torch.autograd.gradcheck(Camera(mixing=((1, 0, 0), (0, 1, 0), (0, 0, 1))).develop, planes)
    x = X.clone().requires_grad_()
    Camera().develop(Camera().read_out(mosaic(x))).sum().backward()
    assert (x.grad != 0).sum() >= 0.9 * X.numel() / 3


def test_not_every_pattern_vanishes():
    """A stripe of period 2 in one channel falls on that channel's sites as a constant shift: sampling hides it as light."""
    grey, eps = torch.full((1, 3, 8, 8), 0.5), 0.1
    for rows, columns in ((True, False), (True, True)):
        sign = torch.ones(8, 8)
        sign[1::2] *= -1 if rows else 1
        sign[:, 1::2] *= -1 if columns else 1
        attacked = grey.clone()
        attacked[:, 0] += eps * sign
        shift = demosaic(mosaic(attacked))[:, 0] - 0.5
        torch.testing.assert_close(shift, torch.full_like(shift, eps))  # of mean 0 before


def test_no_half_pixel_lies_between_the_paths():
    """An impulse at a green site comes out of S where it went in; of G, learnt, every shift of a pixel fits worse."""
    for i, j in ((3, 4), (4, 3)):
        dot = torch.full((1, 3, 8, 8), 0.2)
        dot[..., i, j] = 0.9
        assert Camera().develop(Camera().expose(dot))[0, 1].argmax() == 8 * i + j
    smooth = F.interpolate(torch.rand(64, 3, 4, 4, generator=generator(4)), size=8, mode="bilinear")
    model = purify.Raw(camera=Camera(shot=0, read=0))
    raw.fit(model, PictureSet(smooth), noise=0.0, steps=80, batch_size=16, lr=5e-3)
    found = model.learnt(model.camera.expose(smooth))
    assert found.shape == model.camera.develop(model.camera.expose(smooth)).shape
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        moved = found.roll(shift, (2, 3))
        inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
        assert F.l1_loss(found[inside], smooth[inside]) < F.l1_loss(moved[inside], smooth[inside])


def test_w_chooses_the_path_and_the_filter_draws_nothing():
    for w, path in ((1.0, "G"), (0.0, "S")):
        model = purify.Raw(w=w)
        assert torch.equal(model(X), model.stages(X)[path])
    model = purify.Raw()
    assert torch.equal(model(X), model(X)) and model.deterministic
    assert not torch.equal(model.stages(X, generator(0))["O"], model(X))
    assert model(X).min() >= 0 and model(X).max() <= 1


def test_one_filter_for_every_task():
    model = purify.Raw()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for classes in (2, 5):
        net = nets.small_conv(channels=3, classes=classes)
        assert torch.equal(purify.Guarded(net, model)(X), net(model(X)))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_training_lowers_all_losses():
    pictures = PictureSet(torch.rand(40, 3, 1, 1, generator=generator(3)).expand(-1, -1, 8, 8))
    losses = raw.fit(purify.Raw(), pictures, steps=40, batch_size=16)
    losses["autoencoder"] = raw.fit_autoencoder(raw.Autoencoder(), pictures, steps=40, batch_size=16)
    assert all(sum(each[-5:]) < sum(each[:5]) for each in losses.values())


class Watched(Camera):
    """Remembers what was exposed, and whether noise was asked for."""

    def expose(self, x, generator=None):
        exposed.append((x, generator is not None))
        return super().expose(x, generator)


exposed: list[tuple[torch.Tensor, bool]] = []


def test_the_first_net_sees_noise_and_aims_at_what_has_none_the_second_starts_from_a_noisy_sensor():
    for noise in (0.0, 0.02):
        exposed.clear()
        model, seen = purify.Raw(camera=Watched()), []
        model.to_raw.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        raw.fit(model, PictureSet(X), noise=noise, steps=2, batch_size=2)
        assert [noisy for _, noisy in exposed] == [False, False, True, True]
        away = seen[0] - exposed[0][0]
        assert float(away.std()) == pytest.approx(noise, rel=0.2)


def test_the_control_is_of_equal_size():
    sizes = [sum(p.numel() for p in model.parameters()) for model in (purify.Raw(), raw.Autoencoder())]
    assert sizes[0] == sizes[1]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="w must lie in"):
        purify.Raw(w=1.2)
    with pytest.raises(ValueError, match="even sides"):
        mosaic(X[..., 1:])
    with pytest.raises(ValueError, match="planes must have shape"):
        demosaic(X)
    with pytest.raises(ValueError, match="three rows of mixing"):
        Camera(mixing=((1, 1, 0), (0, 1, 0), (0, 0, 1)))
    for bad, name in (
        ({"bits": 0}, "bits"),
        ({"gains": (1, 0, 1)}, "the least gain"),
        ({"read": -1}, "read"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be"):
            Camera(**bad)


def test_a_mosaic_is_shown_at_its_sites():
    shown = purify.sites(purify.mosaic(X))
    assert torch.equal(purify.mosaic(shown), purify.mosaic(X))
    assert ((shown != 0).sum(1) == 1).all()
