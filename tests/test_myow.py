"""MYOW: who is mined, how the parts are weighed, what moves by average alone; and recordings as samples."""

import math

import pytest
import torch
import torch.nn.functional as F

from sslwork import data, encoders, heads, train
from sslwork.methods import BYOL, MYOW, Batch
from sslwork.mining import mine
from sslwork.recordings import Moments, Nearby
from sslwork.schedule import momentum
from sslwork.seeds import generator

SMALL = {"batch_size": 32, "progress": False}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.double)


def make(**options):
    return MYOW(encoders.conv(4, 2), dim=8, **options)


# Mining


def test_the_nearest_by_cosine_in_a_loop():
    queries, pool = draw(7, 5), draw(11, 5, seed=1)
    far = [[2 - 2 * F.cosine_similarity(q, p, dim=0) for p in pool] for q in queries]
    nearest = [min(range(11), key=row.__getitem__) for row in far]
    assert mine(queries, pool, k=1, generator=generator(0)).tolist() == nearest


def test_lengths_do_not_matter():
    queries, pool = draw(7, 5), draw(11, 5, seed=1)
    scaled = mine(queries * torch.rand(7, 1, generator=generator(1)), 3 * pool, k=4, generator=generator(0))
    assert torch.equal(scaled, mine(queries, pool, k=4, generator=generator(0)))


def test_oneself_is_nearest_and_must_be_barred():
    z, rows = draw(20, 5), torch.arange(20)
    assert torch.equal(mine(z, z, k=1, generator=generator(0)), rows)
    for k in (1, 3, 50):
        assert (mine(z, z, k=k, generator=generator(0), own=(rows, rows)) != rows).all()


def test_a_pool_of_k_is_drawn_from_evenly():
    z = draw(1, 5).expand(4000, 5)
    counts = mine(z, draw(5, 5, seed=1), k=5, generator=generator(0)).bincount(minlength=5)
    assert ((counts - 800).abs() < 5 * 25.3).all(), "five standard deviations of a binomial"
    barred = mine(
        z, draw(5, 5, seed=1), k=5, generator=generator(0), own=(torch.zeros(4000), torch.arange(5))
    )
    assert barred.bincount(minlength=5)[0] == 0 and barred.bincount().min() >= 0


@pytest.mark.parametrize(
    ("queries", "options", "says"),
    [
        (draw(3, 4), {"k": 1}, "queries and pool must be of one width, got 4 and 5"),
        (draw(3, 5), {"k": 0}, "k must be at least 1, got 0"),
        (draw(3, 5) * math.nan, {"k": 1}, "queries holds NaN"),
        (draw(3, 5), {"k": 1, "own": (torch.arange(3), torch.ones(6))}, "query 1 finds its own group alone"),
    ],
)
def test_bad_mining(queries, options, says):
    with pytest.raises(ValueError, match=says):
        mine(queries, draw(6, 5, seed=1), generator=generator(0), **options)


# The method


def test_the_weight_rises_along_a_ramp():
    method = make(weight=0.6, warm_up=0.2, full=0.4)
    assert [method.share(done) for done in (0, 0.2, 0.3, 0.4, 1)] == pytest.approx([0, 0, 0.3, 0.6, 0.6])


def test_loss_by_its_formula():
    outputs = *draw(6, 9, 4), torch.full((9,), 0.25, dtype=torch.double)
    p1, p2, t1, t2, p, v = ([list(map(float, row)) for row in z] for z in outputs[:6])

    def distance(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return 2 - 2 * dot / math.hypot(*a) / math.hypot(*b)

    made = sum(distance(p1[i], t2[i]) + distance(p2[i], t1[i]) for i in range(9)) / 18
    mined = sum(distance(p[i], v[i]) for i in range(9)) / 9
    assert 0 <= made <= 4 and 0 <= mined <= 4
    assert float(make().loss(*outputs)) == pytest.approx(made / 1.25 + 0.25 * mined / 1.25, rel=1e-12)


def test_gradients_by_differences_and_none_into_targets():
    z, weight = draw(3, 5, 4).requires_grad_(), torch.full((5,), 0.7, dtype=torch.double)
    targets = draw(3, 5, 4, seed=1)
    method = make()

    def loss(z):
        return method.loss(z[0], z[1], targets[0], targets[1], z[2], targets[2], weight)

    assert torch.autograd.gradcheck(loss, z)
    t = targets.clone().requires_grad_()
    method.loss(z[0], z[1], t[0], t[1], z[2], t[2], weight).backward()
    assert t.grad is None


def test_without_weight_it_is_byol(stickers):
    """Step for step the same weights: MYOW takes the mean of both directions, half of BYOL's sum."""
    ours, theirs = make(weight=0), BYOL(encoders.conv(4, 2), dim=8)
    plain = {"steps": 6, "optimiser": "sgd", "weight_decay": 0.0} | SMALL
    curve = train.fit(ours, stickers, lr=0.04, **plain).losses
    assert [2 * loss for loss in curve] == train.fit(theirs, stickers, lr=0.02, **plain).losses
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert all(p.grad is None for p in [*ours.second.parameters(), *ours.second_predictor.parameters()])


def test_before_the_warm_up_ends_the_second_heads_get_no_gradient(stickers):
    method = make(warm_up=0.5, full=1.0)
    train.fit(method, stickers, steps=2, **SMALL)
    assert all(not p.grad.any() for p in method.second_predictor.parameters())
    train.fit(method, stickers, steps=8, **SMALL)
    assert all(p.grad.any() for p in method.second_predictor[0].parameters())


def test_targets_move_by_their_average_alone(stickers):
    method = make(warm_up=0, full=0.1)
    before = {name: p.clone() for name, p in method.named_parameters() if "twin" in name}
    train.fit(method, stickers, steps=1, **SMALL)
    m = momentum(1, 0.98)
    now = dict(method.named_parameters())
    online = {"second_twin.net.": "second.", "twin.net.0.": "encoder.", "twin.net.1.": "head."}
    for name, old in before.items():
        prefix = next(each for each in online if name.startswith(each))
        new = now[name.replace(prefix, online[prefix], 1)]
        assert now[name].grad is None
        torch.testing.assert_close(now[name], m * old + (1 - m) * new)


def test_nobody_mines_itself_or_its_group(stickers):
    seen = []
    for groups, own in ((None, torch.arange(len(stickers))), (stickers.labels, stickers.labels)):
        for projected in (False, True):
            method = make(groups=groups, projected=projected, pool=40)
            train.fit(method, stickers, steps=3, **SMALL)
            query, found = method.mined
            assert (own[query] != own[found]).all() and len(query) == 32
            seen.append(found)
    assert not torch.equal(seen[0], seen[1]), "other space, other neighbours"


def test_the_twin_embeds_the_pool_and_the_second_head_stands_on_the_first(stickers):
    method = make(pool=40)
    parts = {
        "encoder": method.encoder,
        "theirs": method.twin.net[0],
        "head": method.head,
        "twin": method.twin.net[1],
    }
    parts |= {"second": method.second, "second twin": method.second_twin.net}
    calls = {name: [] for name in parts}
    for name, part in parts.items():
        part.register_forward_hook(lambda _, inputs, out, name=name: calls[name].append((inputs[0], out)))
    views = tuple(stickers.images[:8].float() / 255 for _ in range(2))
    method.outputs(Batch(views, torch.arange(8), stickers.images, 0.5, generator(0)))
    assert [len(x) for x, _ in calls["encoder"]] == [8, 8, 8] and [len(x) for x, _ in calls["theirs"]] == [
        8,
        8,
        40,
    ]
    assert torch.equal(calls["second"][0][0], calls["head"][-1][1])
    assert torch.equal(calls["second twin"][0][0], calls["twin"][-1][1])


def test_norms_do_not_mix_the_kinds_of_views(stickers):
    """What BYOL's part gives does not depend on the pool: each kind of views has batch norms of its own."""
    views = tuple(stickers.images[:8].float() / 255 for _ in range(2))
    parts = []
    for pool in (10, 90):
        batch = Batch(views, torch.arange(8), stickers.images, 0.5, generator(0))
        parts.append(make(pool=pool).outputs(batch)[:4])
    torch.testing.assert_close(parts[0], parts[1])


@pytest.mark.parametrize(
    "bad", [{"weight": -1.0}, {"warm_up": 0.5, "full": 0.5}, {"warm_up": -0.1}, {"full": 1.1}]
)
def test_bad_settings(bad):
    with pytest.raises(ValueError, match=r"weight must be|0 <= warm_up < full <= 1"):
        make(**bad)


# Recordings


@pytest.fixture(scope="module")
def moments():
    return Moments(data.reaches(trials=16).spikes)


def test_moments_hold_their_surroundings(moments):
    spikes = data.reaches(trials=16).spikes
    assert moments.images.shape == (320, 9, 120) and len(moments) == 320
    for row in (0, 7, 19, 150, 319):
        trial, place = int(moments.trial[row]), int(moments.bin[row])
        expected = torch.stack([spikes[trial, min(max(place + lag, 0), 19)] for lag in range(-4, 5)])
        assert torch.equal(moments.images[row], expected)
        assert torch.equal(moments.now[row], spikes[trial, place])
    assert moments.fingerprint() == Moments(spikes).fingerprint() != Moments(spikes + 1).fingerprint()


def test_views_are_of_one_trial_and_lose_the_same_neurons(moments):
    made = Nearby(lag=4, noise=0.0)
    first, second = made.several(moments.images, 2, generator(0))
    assert (first["place"] == 4).all() and second["place"].unique().tolist() == list(range(9))
    assert torch.equal(first["kept"], second["kept"])
    assert torch.equal(made.apply(moments.images, first), moments.now * first["kept"])
    lost = 1 - first["kept"].mean(1)
    assert 0.05 < (lost == 0).float().mean() < 0.25 and 0.6 < lost.max() <= 0.9
    assert 0.3 < lost[lost > 0].mean() < 0.5, "drawn evenly up to 0.8"


def test_a_view_without_strength_is_the_moment(moments):
    still = Nearby(lag=0, dropout=0.0, noise=0.0)
    for drawn in still.several(moments.images, 2, generator(0)):
        assert torch.equal(still.apply(moments.images, drawn), moments.now)


def test_fit_takes_recordings_and_resumes(moments, tmp_path):
    def method():
        net = heads.mlp(120, 16, 8)
        net.out_features = 8
        return MYOW(net, dim=8, k=3, mild=Nearby(lag=0, dropout=0.0), groups=moments.trial)

    path, settings = tmp_path / "run.pt", {"views": Nearby(), "batch_size": 64, "progress": False, "steps": 6}
    whole = train.fit(method(), moments, **settings)
    train.fit(
        method(),
        moments,
        checkpoint=path,
        show=lambda run: run.save(path) if run.step == 3 else None,
        **settings,
    )
    again = train.fit(method(), moments, checkpoint=path, **settings)
    assert again.losses == whole.losses
    query, found = whole.method.mined
    assert (moments.trial[query] != moments.trial[found]).all()
    with pytest.raises(ValueError, match="make Moments with lag=6"):
        train.fit(method(), moments, **settings | {"views": Nearby(lag=6)})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Moments(torch.zeros(4, 5)), r"shape \(trials, bins, neurons\), got torch.float32 \(4, 5\)"),
        (lambda: Moments(torch.zeros(2, 3, 4, dtype=torch.long)), "spikes must be floating point"),
        (lambda: Moments(torch.full((2, 3, 4), math.nan)), "spikes hold NaN"),
        (lambda: Nearby(dropout=1.5), "dropout and applied in 0..1; got .*dropout=1.5"),
        (lambda: Nearby(lag=-1), "lag and noise must be 0 or more"),
    ],
)
def test_bad_recordings(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_figures_are_drawn(moments):
    from sslwork.plots import mined

    spikes = data.reaches(trials=16).spikes
    assert len(mined.rasters(spikes[:3], ["a", "b", "c"]).axes) == 3
    with pytest.raises(ValueError, match="one title each"):
        mined.rasters(spikes[:3], ["a"])
    xy, kind = draw(20, 2), torch.arange(20) % 8
    fig = mined.mined(xy, kind, 0, torch.tensor([3, 8]), {0: 0.1, 5: 0.4}, 5, 1 / 8)
    assert "step 5" in fig.axes[0].get_title("left")
