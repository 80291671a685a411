# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Attacks, geometry, proof
#
# A network names most digits right. Somebody changes each pixel by a little, chosen with care, and it names hardly any.
# **Why is that so easy? How do you look for such changes well? And can one ever be sure that there are none?**
#
# 1. *Boundary tilting*: a linear picture of it all. A boundary can be right about every point, and lie a hair's breadth from each.
# 2. *Attacks*: from one step to a ladder of five attacks; and nine checks which tell a robust network from one that hides its gradients.
# 3. *Safety verification*: instead of an attack that failed, a proof. What it costs, and how far it reaches.
#
# Everything here is for defence: small networks, trained in the notebook, attacked to be understood. No figure of robustness stands without the checks beside it,
# none without its interval, and every attack has noise of the same size as its control.
#
# What can be moved is computed on the spot, with networks that are trained when they are first needed (a minute) and kept. Numbers over seeds come from recorded studies of the
# code you see; change that code, and they are measured anew. Each system has a claim with a verdict that all seeds decide, and every section an exercise that checks itself.

# %%
import torch

from sslwork import attacks, claims, data, nets, plots, scale, studies, zoo
from sslwork.widgets import Sliders

size = scale.current()
print(size)

# %% [markdown]
# ## Boundary tilting: why can a good classifier be fooled by so little?
#
# A widespread explanation says: because networks are almost *linear*, and in a thousand dimensions a thousand tiny steps
# add up. Tanay and Griffin (2016) object. A linear classifier in a thousand dimensions may be quite hard to fool. What counts
# is *how its boundary lies to the data*.
#
# Picture two flat clouds, one for class I, one for J. The boundary straight between the centres is hard to
# reach from either. Now tilt it, about the midpoint, towards a direction in which the clouds hardly extend. No
# point changes sides, the error stays what it was. But the boundary comes close to every point, and a small step, in that
# strange direction, crosses it.
#
# Let $i$ and $j$ be the means of the two classes. With normals of length one,
#
# $$Z: \quad z = \frac{i - j}{\lVert i - j\rVert}, \quad z_0 = -z \cdot \tfrac{i + j}{2}; \qquad\qquad C: \quad \mathrm{sign}(c \cdot x + c_0).$$
#
# $Z$ is the *nearest centroid* classifier. The *deviation angle* of $C$ is $d = \arccos(c \cdot z)$. The *mirror image* of a
# point through $C$ is $m_C(x) = x - 2\,(c \cdot x + c_0)\,c$: as far behind the boundary as $x$ is in front. And the *adversarial
# strength* compares how far the means are from $Z$ and from $C$,
#
# $$s_C = \frac{\lVert i - j\rVert / 2}{a_C} = \frac{1}{\cos d}, \qquad a_C = \text{mean distance of } i \text{ and } j \text{ to the boundary.}$$
#
# It is 1 for $Z$, 2 at 60°, 11.5 at 85°, and has no limit. (The second equation holds wherever the boundary passes *between*
# the means; it need not pass midway.)
#
# Move $\theta$: the red boundary is $c = \cos\theta\, z + \sin\theta\, u$, with $u$ at right angles to $z$. Watch the arrows: straight
# across at first, at the end almost along $u$ and short. Then give the clouds some extent along $u$, $\sigma_u$: now the same tilt
# costs errors. **A thin direction is what makes the tilt free.**

# %%
import functools
import math

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from sslwork import bounds, robust, tilting
from sslwork.plots.tilting import between_digits, tilted
from sslwork.seeds import generator


def flat_clouds(sigma_u):
    """Two classes of 100 points, centres 4 apart, standard deviation 0.45 along i - j and sigma_u along u."""
    noise = torch.randn(200, 2, generator=generator(1), dtype=torch.double)
    labels = torch.arange(200) % 2
    rows = noise * torch.tensor([0.45, sigma_u]) + torch.stack([4.0 * labels - 2, 0.0 * labels], 1)
    return rows, labels


def see_tilt(theta, sigma_u):
    rows, labels = flat_clouds(sigma_u)
    i, j = tilting.centroids(rows, labels)
    z = tilting.nearest_centroid(i, j)
    c = tilting.tilt(z, torch.tensor([0.0, 1.0], dtype=torch.double), theta, (i + j) / 2)
    wrong = 100 * float(((c.score(rows) > 0) != labels.bool()).double().mean())
    fig = tilted(rows, labels, c, z)
    return fig, (
        f"Tilted by {tilting.deviation_angle(c, z):.0f}°: strength {tilting.adversarial_strength(c, i, j):.2f}, "
        f"{wrong:.1f} % wrong; median distance to the boundary {c.distance(rows).median():.2f}."
    )


Sliders(see_tilt, theta=(0.0, 88.0, 60.0), sigma_u=(0.0, 0.8, 0.05))

# %% [markdown]
# ### What tilts a boundary in practice?
#
# Fitting the training set too closely. A *logistic regression* lowers $\lVert w\rVert^2 / 2 + C \sum_n \log(1 + e^{-y_n w \cdot x_n - y_n b})$:
# with a small $C$, strong regularisation, $w$ is nearly a multiple of $i - j$; with a large one it uses whatever helps to
# part the last few training digits, also directions of hardly any variance.
#
# The directions are ordered by *principal components* of the training digits, and for each boundary we ask how much of $\lVert c\rVert^2$
# lies *outside the first 20*. Arms:
#
# - *nearest centroid*: $Z$ itself, the control;
# - *logistic* with $C$ from $10^{-4}$ to $10^2$ (L-BFGS, run to a gradient of $10^{-7}$);
# - *LDA*, which tilts by $\Sigma^{-1}$, as is best for Gaussian classes whose covariance is *known*; and *LDA, shrunk*, whose covariance is
#   regularised (Ledoit and Wolf).
#
# Data: MNIST, 3 (class I) against 7, 28 x 28 in $[0, 1]$, 2,000 training digits drawn anew for each seed, all test digits. For
# a linear classifier the least perturbation that flips $x$ is known: $|c \cdot x + c_0|$ in $\ell_2$, and divided by $\lVert c\rVert_1$ in
# $\ell_\infty$. Beside it stands what PGD finds (100 test digits, margin loss, 5 steps from $x$, bisection over eps, no limits on
# pixel values). So here is an attack whose answer we know.


# %%
MNIST_SPLITS = {split: data.load("mnist", split=split) for split in ("train", "test")}


def threes_and_sevens(split, count=None, seed=0):
    """Rows (N, 784) in [0, 1], float64, and labels: 1 for a three."""
    digits = MNIST_SPLITS[split]
    rows = torch.isin(digits.labels, torch.tensor([3, 7])).nonzero().flatten()
    if count:
        rows = rows[torch.randperm(len(rows), generator=generator(seed, 113))[:count]]
    return data.to_float(digits.images[rows]).flatten(1).double(), (digits.labels[rows] == 3).long()


TEST_X, TEST_Y = threes_and_sevens("test", size.pick(smoke=300, lab=None, gpu=None))


def boundary_of(fitted):
    return tilting.Boundary(torch.tensor(fitted.coef_[0]), float(fitted.intercept_[0]))


def fitted_boundary(kind, x, y):
    """The boundary of a name: 'nearest centroid', 'LDA', 'LDA, shrunk', or 'C = ...' for logistic regression."""
    if kind == "nearest centroid":
        return tilting.nearest_centroid(*tilting.centroids(x, y))
    if kind.startswith("LDA"):
        options = {"solver": "lsqr", "shrinkage": "auto"} if "shrunk" in kind else {}
        return boundary_of(LinearDiscriminantAnalysis(**options).fit(x.numpy(), y.numpy()))
    return boundary_of(LogisticRegression(C=float(kind[4:]), max_iter=20_000, tol=1e-7).fit(x, y))


def error_of(c):
    return 100 * float(((c.score(TEST_X) > 0) != TEST_Y.bool()).double().mean())


def found_by_pgd(c, norm):
    """Median distance at which PGD flips what the boundary says of 100 test digits."""
    x = TEST_X[:100]

    def two_logits(rows):
        return torch.stack([-c.score(rows), c.score(rows)], 1)

    y = two_logits(x).argmax(1)
    most = 4 * float(c.distance(x, norm).max())
    return bounds.found_radius(
        two_logits, x, y, norm=norm, most=most, box=None, n_iter=5, random_start=False, steps=14
    ).median()


def tilted_boundaries(seed, *, count, kinds):
    x, y = threes_and_sevens("train", count, seed)
    i, j = tilting.centroids(x, y)
    z, parts = tilting.nearest_centroid(i, j), tilting.components(x)
    found = {}
    for kind in kinds:
        c = fitted_boundary(kind, x, y)
        found[kind] = {
            "error, %": error_of(c),
            "angle, °": tilting.deviation_angle(c, z),
            "strength": tilting.adversarial_strength(c, i, j),
            "outside 20": float(parts.shares(c.normal)[20:].sum()),
        }
        for norm in ("l2", "linf"):
            found[kind][f"{norm} distance"] = float(c.distance(TEST_X[:100], norm).median())
            found[kind][f"{norm} by PGD"] = float(found_by_pgd(c, norm))
    # The fitted boundary, tilted by hand about its point nearest to the midpoint of the means.
    c = fitted_boundary("C = 0.01", x, y)
    pivot = c.mirror(((i + j) / 2)[None])[0] / 2 + (i + j) / 4
    degrees = [0, 10, 20, 30, 40, 50, 60]
    for name, component in (("last component", -1), ("first component", 0)):
        u = parts.directions[component]
        u = -u if u @ (i - j) < 0 else u  # a component has no sign: take the one on the side of class I
        by_hand = [tilting.tilt(c, u, theta, pivot) for theta in degrees]
        found[f"along the {name}"] = {
            "degrees": degrees,
            "test error": [error_of(each) for each in by_hand],
            "median distance": [float(each.distance(TEST_X).median()) for each in by_hand],
        }
    return found


strengths_of_C = ["C = 0.0001", "C = 0.001", "C = 0.01", "C = 0.1", "C = 1", "C = 10", "C = 100"]
boundary_study = studies.run(
    "boundary-tilting",
    tilted_boundaries,
    seeds=size.seeds,
    count=size.pick(smoke=300, lab=2000, gpu=2000),
    kinds=[
        "nearest centroid",
        *size.pick(smoke=strengths_of_C[::6], lab=strengths_of_C, gpu=strengths_of_C),
        *size.pick(smoke=[], lab=["LDA", "LDA, shrunk"], gpu=["LDA", "LDA, shrunk"]),
    ],
)
print(boundary_study)
boundary_study.table(2)[:-2]

# %%
regularised = [arm for arm in boundary_study.arms if arm.startswith(("C", "near")) or arm == "LDA, shrunk"]
plots.arms(boundary_study, "error, %", "angle, °", "strength", "outside 20", only=regularised)

# %% [markdown]
# Every dot is a seed. What to see: down the rows of $C$ the error falls, and from $C = 1$ on it stays; angle, strength and
# the share outside the first 20 components go on rising. So there are two kinds of tilt. Up to $C = 1$ it is *useful*, it buys accuracy
# (the paper's type 1). Beyond, it buys nothing (type 2).
#
# Shrunken LDA makes the point by itself: about as few errors as the best logistic regression, at several times the strength, with a
# boundary that looks almost only at components beyond the twentieth. Plain LDA is not in the picture, it would squeeze all else; see the table. With 2,000
# digits for 784 pixels its covariance is hardly known in the thin directions, and it trusts them most of all: a strength
# of hundreds or thousands. Even so it makes fewer errors than the nearest centroid.
#
# And the tilt by hand: the boundary of $C = 0.01$, tilted towards the last component and, for comparison, towards the first.

# %%
plots.courses(
    boundary_study, "test error", "median distance", over="degrees", label="tilt, °",
    only=["along the last component", "along the first component"],
)  # fmt: skip

# %% [markdown]
# Along the last component the error is a flat line, and the distance falls like $\cos\theta$. Along the first, where the digits
# vary most, the same tilt costs errors from the start, more than twice as many in the end. (The median distance rises first and ends only
# about a tenth lower: the digits' own extent carries them away from the boundary, some of them on the wrong side.)
#
# ### The claim
#
# Set before we looked: from $C = 0.01$ to $C = 100$ the test error moves by 2 points at most, while the strength grows
# 2.5 times and the share outside the first 20 components by 0.5. And tilting by hand along the last component, up to 60°,
# moves the error by 0.5 points at most and the distance by $\cos\theta$, to within 2 %.

# %%
strongly, weakly, by_hand = "C = 0.01", "C = 100", "along the last component"
if strongly not in boundary_study.arms:  # at smoke scale
    strongly = "C = 0.0001"


def moved_by_hand(measure):
    """Seed by seed, the values of one measure over the degrees, and the degrees."""
    return zip(
        boundary_study.values(by_hand, measure), boundary_study.values(by_hand, "degrees"), strict=True
    )


tilt_claim = claims.record(
    system="113",
    paper="The strength of adversarial examples can rise without limit at the same error, as the boundary tilts towards directions "
    "of little variance; proper regularisation avoids the strongest.",
    measured="MNIST 3 against 7, 28 x 28, 2,000 training digits per seed, all test digits; logistic regression (L-BFGS), "
    "C = 0.01 against C = 100; the former tilted by hand; closed forms, checked by PGD.",
    parts=[
        claims.Part(
            "2 points less the change of test error",
            [2 - abs(each) for each in boundary_study.difference(weakly, strongly, "error, %")],
            "points", 0,
        ),
        claims.Part(
            "strength at C = 100 over that at C = 0.01",
            [a / b for a, b in zip(*(boundary_study.values(arm, "strength") for arm in (weakly, strongly)), strict=True)],
            "times", 2.5,
        ),
        claims.Part(
            "rise of the share outside the first 20 components",
            boundary_study.difference(weakly, strongly, "outside 20"), "of ||c||²", 0.5,
        ),
        claims.Part(
            "0.5 points less the largest change of error, tilted by hand up to 60°",
            [0.5 - max(abs(each - errors[0]) for each in errors) for errors, _ in moved_by_hand("test error")],
            "points", 0,
        ),
        claims.Part(
            "2 % less the largest deviation of the distance from cos θ",
            [
                2 - 100 * max(abs(each / away[0] / math.cos(math.radians(t)) - 1) for each, t in zip(away, degrees, strict=True))
                for away, degrees in moved_by_hand("median distance")
            ],
            "%", 0,
        ),
    ],
    seconds=boundary_study.seconds,
)  # fmt: skip
print(tilt_claim)
pgd_off = max(
    abs(boundary_study.mean(arm, f"{norm} by PGD") / boundary_study.mean(arm, f"{norm} distance") - 1)
    for arm in boundary_study.arms[:-2]
    for norm in ("l2", "linf")
)
print(f"PGD and the formula differ by {100 * pgd_off:.2f} % at most.")

# %% [markdown]
# **What we see.** Tilting by hand does just what the theory says: up to 60° the test error does not move, and the median distance is halved. The share
# outside the first 20 components rises by about 0.7, in every seed. The strength grows as well, but by 2.3 to 2.6 times: one seed of three
# reaches the 2.5 that we asked for, so the claim as a whole is *not seen*, by a small margin. And the error does move, by about a point, downwards: between
# these two values of $C$ a part of the tilt is useful. From $C = 1$ to $C = 100$, where the error stays within 0.35 points,
# the strength grows by 1.3 times only. Logistic regression on so many digits does not tilt without limit. LDA does.
#
# The check of the attack: PGD comes to the distance of the formula, to within a fraction of a per cent, in both norms.
#
# ### Regularise it yourself
#
# The picture of $c$, a test digit, and its mirror image. With strong regularisation the change has a shape: $c$ is a blurred three less a blurred
# seven, and in the mirror image one digit fades while a ghost of the other appears. (Few mirror images look like a real digit of the other
# class, and what leaves black and white is cut off here.) With weak regularisation it is the same digit with some faint grain on it: that grain is all
# that is needed to turn the answer around. Choose LDA to see the extreme.


# %%
@functools.cache
def kept_boundary(kind):
    """Boundary and components of one training set, fitted once."""
    x, y = threes_and_sevens("train", size.pick(smoke=300, lab=2000, gpu=2000), 0)
    return fitted_boundary(kind, x, y), tilting.components(x), tilting.centroids(x, y)


def see_mirror(boundary, digit):
    c, parts, (i, j) = kept_boundary(boundary)
    shares = parts.shares(c.normal)
    fig = between_digits(c, TEST_X[digit], shares, 28)
    return fig, (
        f"{boundary}: test error {error_of(c):.1f} %, angle {tilting.deviation_angle(c, tilting.nearest_centroid(i, j)):.0f}°, "
        f"strength {tilting.adversarial_strength(c, i, j):.2f}; the digit is {float(c.distance(TEST_X[digit : digit + 1])):.2f} "
        f"from the boundary, {100 * float(shares[20:].sum()):.0f} % of c lie outside the first 20 components."
    )


Sliders(
    see_mirror,
    boundary=["C = 1", *strengths_of_C, "nearest centroid", "LDA, shrunk", "LDA"],
    digit=(0, 99, 1),
)

# %% [markdown]
# ### And a network?
#
# A network has no normal, but at each picture it has a gradient: the direction in which class I gains most against J, the
# normal of the linear classifier that it looks like from there. So we can ask for the angle between that gradient and $i - j$. **This part is a
# heuristic**: the theory above is of linear boundaries.
#
# Three small convolutional networks (`nets.small_conv`, 8-16 channels, 14 x 14 pixels), trained alike (Adam, learning rate
# 2e-3, batches of 64) but for one thing: *standard*; *weight decay*, $0.005 \lVert w\rVert^2$ added to the loss; *PGD-AT*, each step on what
# 5 steps of PGD make of the batch, with eps in $\ell_\infty$ rising to 0.15 over the first half. Robust accuracy is after PGD-20 with eps 0.1 on 100 test digits;
# the count of masking checks passed (of 9) stands beside it; the nearest centroid is the control.


# %%
def halved(rows, labels):
    """28 x 28 to 14 x 14, as a picture set."""
    return data.PictureSet(
        torch.nn.functional.avg_pool2d(rows.float().reshape(-1, 1, 28, 28), 2), labels, ["7", "3"]
    )


class TwoLogits(torch.nn.Module):
    """A linear boundary as a classifier of pictures, so that it can stand among networks."""

    def __init__(self, boundary):
        super().__init__()
        self.boundary = boundary

    def forward(self, images):
        score = self.boundary.score(images.flatten(1))
        return torch.stack([-score, score], 1)


def gradient_angles(model, images, direction):
    """Median angle between the gradient of z_I - z_J and i - j, degrees."""
    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((model(x)[:, 1] - model(x)[:, 0]).sum(), x)
    cosine = torch.cosine_similarity(gradient.flatten(1), direction[None])
    return float(torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))).median())


def tilted_networks(seed, *, count, steps, shown, n_iter, kinds):
    train_set = halved(*threes_and_sevens("train", count, seed))
    test_set = halved(TEST_X, TEST_Y)
    i, j = tilting.centroids(data.to_float(train_set.images).flatten(1), train_set.labels)
    x, y = data.to_float(test_set.images), test_set.labels
    options_of = {
        "nearest centroid": None,
        "standard": {},
        "weight decay": {
            "extra": lambda model, *_: 0.005 * sum(w.square().sum() for w in model.parameters())
        },
        "PGD-AT": {"inner": robust.ascent(eps=0.15), "eps_ramp": 0.5},
    }
    found = {}
    for kind in kinds:
        options, model = options_of[kind], TwoLogits(tilting.nearest_centroid(i, j))
        if options is not None:
            model = nets.small_conv(8, 2, classes=2, hidden=32, seed=seed)
            robust.fit(
                model, train_set, steps=steps, batch_size=64, lr=2e-3, seed=seed, progress=False, **options
            )
        attacked = attacks.pgd(model, x[:shown], y[:shown], eps=0.1, n_iter=n_iter)
        kept = attacks.right(model, x[:shown], y[:shown]) & attacks.right(model, attacked, y[:shown])
        report = attacks.masking_report(
            model, x[:shown], y[:shown], eps=0.1, n_iter=n_iter, adaptive="PGD: there is no defence in front"
        )
        found[kind] = {
            "error, %": 100 * (1 - attacks.accuracy(model, x, y)),
            "angle of the gradient, °": gradient_angles(model, x[:300], i - j),
            "after PGD, %": 100 * float(kept.double().mean()),
            "checks passed": int(report["passed"].sum()),
        }
    return found


network_study = studies.run(
    "tilted-networks",
    tilted_networks,
    seeds=size.seeds,
    count=size.pick(smoke=200, lab=2000, gpu=10_000),
    steps=size.pick(smoke=2, lab=150, gpu=600),
    shown=size.pick(smoke=4, lab=100, gpu=500),
    n_iter=size.pick(smoke=1, lab=20, gpu=20),
    kinds=[
        "nearest centroid",
        *size.pick(smoke=[], lab=["standard", "weight decay"], gpu=["standard", "weight decay"]),
        "PGD-AT",
    ],
)
print(network_study)
network_study.table()

# %%
for arm in network_study.arms:
    hits = round(sum(network_study.values(arm, "after PGD, %")) / 100 * network_study.settings["shown"])
    low, high = attacks.wilson(hits, len(size.seeds) * network_study.settings["shown"])
    passed = min(network_study.values(arm, "checks passed"))
    print(
        f"{arm:17} after PGD, all seeds: {100 * low:.0f} to {100 * high:.0f} % (Wilson, 95 %); masking checks passed: {passed:.0f} of 9"
    )
plots.arms(network_study, "error, %", "angle of the gradient, °", "after PGD, %")

# %% [markdown]
# Dots are seeds. The networks' gradients stand at some 58° to $i - j$, those of PGD-AT at 46 to 55°, with about as few errors and
# many more digits left after the attack. So far this is as the linear picture would have it. Weight decay, of this strength,
# moves the angle by 4° at most, up or down, and does not help (-18, -2, +3 points after PGD). And mind the control: **the nearest centroid**, which nobody
# would call a defence, keeps 77 to 78 of 100 digits under this attack, PGD-AT 81. On 3 against 7, most of what adversarial training brings can be had by averaging pictures.
#
# ### Exercise: a strength from scratch
#
# Somebody hands you a linear classifier that is *not* scaled: $w$ of any length, and $b$. Write the mirror image of the
# rows `x` through it, and its adversarial strength for two classes with means `i` and `j`. Mind the length of $w$.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "tilting", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_mirror(x, w, b):
    """Rows (N, D) through the boundary w . x + b = 0."""
    ### BEGIN SOLUTION
    return x - 2 * ((x @ w + b) / (w @ w))[:, None] * w
    ### END SOLUTION


def my_strength(w, b, i, j):
    """(||i - j|| / 2) over the mean distance of i and j to the boundary."""
    ### BEGIN SOLUTION
    distances = [abs(mean @ w + b) / w.norm() for mean in (i, j)]
    return float((i - j).norm() / sum(distances))
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "tilting-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
one_row = torch.tensor([[3.0, 0.0]])
assert torch.allclose(my_mirror(one_row, torch.tensor([2.0, 0.0]), -2.0), torch.tensor([[-1.0, 0.0]])), (
    "the boundary x_1 = 1, written with a normal of length 2: 3 goes to -1"
)
means = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.0])
sixty = torch.tensor([0.5, 3**0.5 / 2])
assert abs(my_strength(means[0] - means[1], 0.0, *means) - 1) < 1e-6, "the nearest centroid has strength 1"
assert abs(my_strength(7 * sixty, 0.0, *means) - 2) < 1e-5, (
    "tilted by 60 degrees: 2, whatever the length of w"
)
assert abs(my_strength(torch.tensor([1.0, 0.0]), -3.0, *means) - 2 / 3) < 1e-6, (
    "the boundary x_1 = 3 is 1 from one mean and 5 from the other: b counts, too"
)
assert torch.allclose(my_mirror(my_mirror(one_row, sixty, 0.3), sixty, 0.3), one_row, atol=1e-6), (
    "the mirror image of the mirror image is the point itself"
)
print("Tilting: right.")

# %% [markdown]
# ## Attacks: how do you attack a network, and how do you know that a defence is not hiding?
#
# A picture $x$ with pixels in $[0, 1]$, its class $y$, a network with logits $z(x)$. Whoever attacks may change the picture by
# $\delta$, as long as $\|\delta\| \le \varepsilon$, and wants a wrong answer. There are many ways to look for such a $\delta$, and all
# have the same weakness: *when they find none, there may still be one.* An attack gives an upper bound of what a network withstands,
# never more. So this section has two halves. The first attacks; the second asks whether the attack has failed since there is nothing
# to find, or since it is blind.
#
# Two rules hold throughout. Normalisation is a **layer inside** the network (`nets.Normalise`), so that $\varepsilon$ is measured in pixel
# values and cannot be measured in anything else. And the network is in **evaluation mode** while it is attacked: `attacks.pgd` sees
# to that and puts back what it found.
#
# The reference models: one small convolutional net, trained in three ways on 10,000 digits of 16 x 16 pixels (Adam, learning
# rate 2e-3, 150 steps of 128). **Standard**: cross-entropy. **PGD-AT** (Madry and others 2018, arXiv 1706.06083): cross-entropy
# at attacked pictures, made by five steps with $\varepsilon = 0.2$. **TRADES** (Zhang and others 2019, arXiv 1901.08573): the
# same radius, be right on $x$ and answer alike around it. How the last two train is the matter of the next notebook.

# %%
import pandas as pd

from sslwork.data.pictures import to_float
from sslwork.plots.attacks import ladders, over_eps, perturbations, surfaces

EPS = 0.1  # the radius that is quoted
upright = {"size": 16, "turn": 0, "scale": (1, 1), "shift": 0}
attack_train = data.load("affine-digits", count=size.pick(smoke=300, lab=10_000, gpu=60_000), **upright)
attack_test = data.load(
    "affine-digits", split="test", count=size.pick(smoke=30, lab=200, gpu=2_000), **upright
)
attack_x, attack_y = to_float(attack_test.images), attack_test.labels
few_x, few_y = attack_x[:50], attack_y[:50]  # for what is computed as you read


def reference(kind, seed):
    steps = size.pick(smoke=4, lab=150, gpu=2_000)
    return zoo.classifier(kind, attack_train, seed=seed, steps=steps, progress=False).cpu()


reference_nets = {
    "standard": reference("standard", 0), "PGD-AT": reference("robust", 0), "TRADES": reference("trades", 0),
}  # fmt: skip
pd.Series(
    {name: attacks.accuracy(net, attack_x, attack_y) for name, net in reference_nets.items()},
    name="clean accuracy",
).to_frame()

# %% [markdown]
# ### One step, and many
#
# **FGSM** (Goodfellow and others 2015, arXiv 1412.6572) takes the loss for linear and goes to the corner of the box where it is highest:
#
# $$x' = \mathrm{clip}_{[0,1]}\big(x + \varepsilon\, \mathrm{sign}\, \nabla_x \mathrm{CE}(z(x), y)\big)$$
#
# **PGD** takes many small steps, and after each goes back to the nearest point of the ball, then of the box:
#
# $$\delta \leftarrow \Pi_\varepsilon\big(\delta + \alpha\, s(g)\big), \qquad s(g) = \mathrm{sign}(g) \ \ (\ell_\infty), \qquad
# s(g) = g / \|g\|_2 \ \ (\ell_2),$$
#
# from a random point of the ball, with $\alpha = 2.5\,\varepsilon / T$ in $T$ steps, and it keeps the best point it has seen. For $\ell_\infty$ the
# projection clips $\delta$ to $[-\varepsilon, \varepsilon]$; for $\ell_2$ it shortens it. The gradient of the *sum* of the losses is used, so that what
# is found for a picture does not depend on its neighbours in the batch.
#
# The control is **noise of equal energy** (`attacks.equal_noise`): random signs, picture by picture of the length $\|\delta\|_2$ of what PGD
# found, also after the box has cut them off. What noise breaks as well was not the attack's merit.


# %%
def with_interval(hits, n):
    low, high = attacks.wilson(hits, n)
    return f"{hits / n:.0%} ({low:.0%} to {high:.0%})"


def said(net, x):
    with torch.no_grad():
        return [str(int(answer)) for answer in net(x).argmax(1)]


shown = attacks.right(reference_nets["standard"], attack_x, attack_y).nonzero().flatten()[:9]
shown_x, shown_y = attack_x[shown], attack_y[shown]
made = {"FGSM": attacks.fgsm(reference_nets["standard"], shown_x, shown_y, eps=EPS)}
made["PGD-20"] = attacks.pgd(reference_nets["standard"], shown_x, shown_y, eps=EPS)
made["PGD-20, l_2"] = attacks.pgd(reference_nets["standard"], shown_x, shown_y, norm="l2", eps=0.8)
made["noise like PGD-20's"] = attacks.equal_noise(shown_x, made["PGD-20"])
perturbations(
    shown_x, made, {name: said(reference_nets["standard"], each) for name, each in {"": shown_x, **made}.items()},
    [str(int(each)) for each in shown_y],
)  # fmt: skip

# %% [markdown]
# Under each picture the answer of the standard network, wrong ones in red. The changes (on mid-grey, four times as large) are no noise: they
# lie along the strokes and in the gaps that make a 3 an 8. In $\ell_2$ (here a radius of 0.8) few pixels change much; in $\ell_\infty$ all
# may change by 0.1, and most do. Compare the last two rows with those of PGD: as much ink, hardly a red digit.
#
# ### A ladder, and one number at its end
#
# No single attack is right for all networks, so they come as a ladder, after AutoAttack (Croce and Hein 2020, arXiv 2003.01690).
# Each stage tries only what has withstood all before it: **a sample counts as robust only if it is named right clean and under every attack.**
#
# - **APGD** finds its own step: it starts with $2\varepsilon$ and halves it, sample by sample, where it no longer helps.
# - **DLR** is a loss that large logits cannot hide from, $-(z_y - z_t)\,/\,\big(z_{(1)} - \tfrac12(z_{(3)} + z_{(4)})\big)$ towards a class $t$: the
#   same for $a z + b$, $a > 0$. Here towards the three likeliest wrong classes.
# - **Square** (Andriushchenko and others 2020, arXiv 1912.00049) asks for answers only and never for a gradient: 500 times.

# %%
ladder_of = {name: attacks.evaluate(net, few_x, few_y, eps=EPS) for name, net in reference_nets.items()}
ladders(ladder_of, chance=0.1)

# %% [markdown]
# Bars are Wilson's 95 % intervals for these pictures. Each line can only fall. FGSM does most of the work on networks whose
# loss is nearly linear, and the last stage is the one to quote. (The full AutoAttack holds one attack more, FAB, nine targets instead of three
# and 5,000 queries.) Beside it stands how many of nine *masking checks* the network passes: whether the attacks could see anything at all.
# What they check comes below.

# %%
bare_network = "PGD: nothing stands before the network"
others = {
    "standard": "PGD-AT",
    "PGD-AT": "standard",
    "TRADES": "standard",
}  # transferred attacks come from there
reports = {
    name: attacks.masking_report(net, few_x, few_y, eps=EPS, other=reference_nets[others[name]], adaptive=bare_network)
    for name, net in reference_nets.items()
}  # fmt: skip
quoted = {
    name: {
        "clean": f"{table.accuracy.iloc[0]:.3f}",
        f"end of the ladder, eps {EPS}": f"{table.accuracy.iloc[-1]:.3f} ({table.low.iloc[-1]:.3f} to {table.high.iloc[-1]:.3f})",
        "masking checks passed": f"{int(reports[name].passed.sum())} of 9",
    }
    for name, table in ladder_of.items()
}
pd.DataFrame(quoted).T.rename_axis(f"of {len(few_x)} pictures")

# %% [markdown]
# ### Over three seeds
#
# One network of each kind is one network. So: three seeds of weights and batches each, 200 pictures, the whole ladder at
# $\varepsilon = 0.1$, PGD-20 over a range of radii, and its control, noise of equal energy. *Checks passed* counts those of the masking
# report, of nine.

# %%
RADII = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25]


def attack_ladder(seed, *, eps, radii):
    arms = {}
    for arm, kind in {"standard": "standard", "PGD-AT": "robust", "TRADES": "trades"}.items():
        net = reference(kind, seed)
        table = attacks.evaluate(net, attack_x, attack_y, eps=eps, seed=seed)
        found = [attacks.pgd(net, attack_x, attack_y, eps=radius, seed=seed) for radius in radii]
        arms[arm] = {name: 100 * each for name, each in table.accuracy.items()}
        arms[arm]["stages"] = (100 * table.accuracy).tolist()
        arms[arm]["under PGD-20"] = [100 * attacks.accuracy(net, each, attack_y) for each in found]
        arms[arm]["under noise of equal energy"] = [
            100 * attacks.accuracy(net, attacks.equal_noise(attack_x, each, seed=seed), attack_y)
            for each in found
        ]
        arms[arm]["radii"] = radii
        report = attacks.masking_report(
            net, attack_x[:100], attack_y[:100], eps=eps, adaptive="PGD", seed=seed
        )
        arms[arm]["checks passed"] = int(report.passed.sum())
    return arms


ladder_study = studies.run("attack_ladder", attack_ladder, seeds=size.seeds, eps=EPS, radii=RADII)
print(ladder_study)
ladder_study.table()

# %%
plots.courses(ladder_study, "under PGD-20", "under noise of equal energy", over="radii", label="eps")

# %%
LAST = "Square, 500 queries"


def points(found):
    return ", ".join(f"{each:+.1f}" for each in found)


for arm in ("PGD-AT", "TRADES"):
    print(f"{arm} less standard, seed by seed:", end=" ")
    print(f"end of the ladder {points(ladder_study.difference(arm, 'standard', LAST))} points,", end=" ")
    print(f"clean {points(ladder_study.difference(arm, 'standard', 'clean'))}.")
late = [a - b for arm in ladder_study.arms for a, b in zip(ladder_study.values(arm, "PGD-20"), ladder_study.values(arm, LAST), strict=True)]  # fmt: skip
checks = [passed for arm in ladder_study.arms for passed in ladder_study.values(arm, "checks passed")]
print(f"What the stages after PGD-20 still break: {min(late):.1f} to {max(late):.1f} points.")
print(f"Masking checks passed: {min(checks):.0f} to {max(checks):.0f} of 9.")
low, high = attacks.wilson(len(attack_x) // 2, len(attack_x))
print(
    f"A share of {len(attack_x)} pictures: 95 % intervals are {100 * (high - low):.0f} points wide or less."
)

# %% [markdown]
# Left, the standard network falls to nearly nothing; right (mind the axis) noise of the same energy takes 6 points at most: the *direction* breaks
# it, not the energy. The other two fall later, and pay for it with clean accuracy; both stand above, seed by seed. And PGD-20 was not the
# last word: the targeted DLR loss finds some points more, and in every seed more on the two robust networks than on the standard one. One
# of the nine networks fails a check for the same reason: on its first 100 pictures Square, which knows no gradient, does 3 points better than PGD-20, where 2
# are allowed. Cross-entropy is not the best loss to climb. That is why the last stage is quoted.
#
# ### A defence that works too well
#
# Round every pixel to one of five grey values before the network sees it: $q(x) = \mathrm{round}(4x)/4$. No training, no cost. A small change is rounded away, is it not? Here is its
# accuracy over $\varepsilon$ under PGD, as one would report it, and under three who know more:
#
# - **transfer**: pictures made on *another* network, PGD-AT's, and shown to this one;
# - **Square**: no gradient needed;
# - **adaptive** (BPDA, Athalye and others 2018, arXiv 1802.00420): rounding forward, but backward as if it were not there.


# %%
def rounded(x):
    return (4 * x).round() / 4


def quantised(x):
    return reference_nets["standard"](rounded(x))


def quantised_bpda(x):
    return reference_nets["standard"](x + (rounded(x) - x).detach())


knowing = {
    "PGD-20, as it comes": lambda eps: attacks.pgd(quantised, few_x, few_y, eps=eps),
    "transfer from PGD-AT": lambda eps: attacks.pgd(reference_nets["PGD-AT"], few_x, few_y, eps=eps),
    "Square, 200 queries": lambda eps: attacks.square(quantised, few_x, few_y, eps=eps, n_queries=200),
    "adaptive: BPDA": lambda eps: attacks.pgd(quantised_bpda, few_x, few_y, eps=eps),
    "noise like BPDA's": lambda eps: attacks.equal_noise(
        few_x, attacks.pgd(quantised_bpda, few_x, few_y, eps=eps)
    ),
}
broken_by = {
    name: [int(attacks.right(quantised, make(eps), few_y).sum()) for eps in RADII] for name, make in knowing.items()
}  # fmt: skip
over_eps(RADII, broken_by, len(few_x), chance=0.1)

# %%
at = RADII.index(0.2)
worst = {
    name: with_interval(counts[at], len(few_x))
    for name, counts in broken_by.items()
    if not name.startswith("noise")
}
print(
    f"Rounding, eps 0.2, {len(few_x)} pictures: {worst.pop('PGD-20, as it comes')} right under PGD as it comes;",
    end=" ",
)
print(", ".join(f"{share} under {name}" for name, share in worst.items()) + ".")

# %% [markdown]
# The top curve is what a careless report shows: an attack that cannot see. Rounding has derivative 0 nearly everywhere, PGD gets no direction, and
# stays at its random start. The others do not need this derivative, and the defence is gone. It hid its gradient; it was never robust. That
# is **gradient masking**, and such defences have been published by the dozen.
#
# ### Nine checks
#
# No single number tells the two apart, but nine together leave little room. `attacks.masking_report` makes them; no robust accuracy in
# these notebooks comes without it. Three to look at: PGD-AT, with nothing in front; rounding; and the standard
# network with its **logits times 1,000**, which answers exactly the same, and whose softmax is so sure that cross-entropy has no gradient left.


# %%
def loud(x):
    return 1000 * reference_nets["standard"](x)


reports["rounding"] = attacks.masking_report(quantised, few_x, few_y, eps=EPS, other=reference_nets["PGD-AT"])
reports["logits x 1,000"] = attacks.masking_report(
    loud, few_x, few_y, eps=EPS, other=reference_nets["PGD-AT"], adaptive=bare_network
)
compared = {name: reports[name] for name in ("PGD-AT", "rounding", "logits x 1,000")}
pd.DataFrame(
    {name: report.passed.map({True: "✓ ", False: "✗ "}) + report.figure for name, report in compared.items()}
)

# %% [markdown]
# Read it by rows. Check 1 is passed by the maskers too, and check 2 by rounding: they find mistakes of the experiment. Check 3 gives the attacker the
# whole box, where *every* network must fall; who stands has not been attacked. In check 5 an attack without gradients does better than one with. Check 6 says
# why, and so does check 8, for the next figure: the loss goes up in stairs, and on a stair the gradient says nothing. Check 9 is
# no measurement: it asks for a name. A report that fails one does not say how robust the model is. It says that the accuracy
# under PGD is too high, and not by how much. (TRADES, in the table above, fails check 5 by a hair: 60 % under PGD, 56 % under Square. The end
# of its ladder, which holds Square, is the figure to believe.) What each check means:

# %%
reports["PGD-AT"][["meaning"]].style.set_properties(**{"text-align": "left"})

# %%
hill_x, hill_y = shown_x[:1], shown_y[:1]
surfaces(
    {
        name: attacks.loss_surface(net, hill_x, hill_y, eps=0.25, points=size.pick(smoke=7, lab=31, gpu=61))
        for name, net in {
            "PGD-AT": reference_nets["PGD-AT"],
            "rounding": quantised,
            "logits x 1,000": loud,
        }.items()
    }
)

# %% [markdown]
# The loss around one digit, along the sign of its gradient and along random signs (each with its own height). PGD-AT: a smooth slope,
# which a step climbs. Rounding: its gradient is 0, "along $g$" leads nowhere, and across there are stairs. Logits times 1,000: a plain.
# The loss is exactly 0 as long as the answer is right, and the gradient too; yet whatever breaks the standard network breaks this one.
#
# ### Move it
#
# Eight digits and the curve over $\varepsilon$, for any network, attack and norm ($\ell_2$: a radius of $8\varepsilon$, half of the way to the
# corners of the $\ell_\infty$ box). Tick *noise instead*, and every change becomes noise of the same energy.

# %%
movable_nets = {**reference_nets, "rounding": quantised, "logits x 1,000": loud}
movable_attacks = {
    "PGD-20": attacks.pgd,
    "FGSM": attacks.fgsm,
    "APGD, margin": functools.partial(attacks.apgd, loss="margin", n_iter=20),
}
movable_x, movable_y = attack_x[:40], attack_y[:40]
moved_from = {name: int(attacks.right(net, movable_x, movable_y).sum()) for name, net in movable_nets.items()}


@functools.cache
def moved(network, attack, norm, eps):
    radius = eps * (8 if norm == "l2" else 1)
    return movable_attacks[attack](movable_nets[network], movable_x, movable_y, norm=norm, eps=radius)


@functools.cache
def traced(network, attack, norm, noise):
    found = [moved(network, attack, norm, eps) for eps in RADII]
    found = [attacks.equal_noise(movable_x, each) for each in found] if noise else found
    return [int(attacks.right(movable_nets[network], each, movable_y).sum()) for each in found]


def draw_attack(network, attack, norm, show, eps, noise_instead):
    net, found = movable_nets[network], moved(network, attack, norm, eps)
    found = attacks.equal_noise(movable_x, found) if noise_instead else found
    right = int(attacks.right(net, found, movable_y).sum())
    what = f"noise as strong as {attack}" if noise_instead else attack
    failed = ", ".join(check[0] for check, passed in reports[network].passed.items() if not passed)
    judged = f"failed {failed}; the truth may be lower" if failed else "all nine passed"
    sentence = (
        f"{network}, {what}, eps {eps:.2f}: right {with_interval(right, len(movable_x))}, "
        f"without a change {with_interval(moved_from[network], len(movable_x))}. "
        f"Masking checks at eps {EPS}: {judged}."
    )
    if show == "curve":
        name = "noise" if noise_instead else attack
        curves = {name: traced(network, attack, norm, noise_instead)}
        if not noise_instead:
            curves["noise of equal energy"] = traced(network, attack, norm, True)
        return over_eps(RADII, curves, len(movable_x), now=eps, chance=0.1), sentence
    answers = {"": said(net, movable_x[:8]), what: said(net, found[:8])}
    return perturbations(
        movable_x[:8], {what: found[:8]}, answers, [str(int(each)) for each in movable_y[:8]]
    ), sentence


Sliders(
    draw_attack,
    network=list(movable_nets),
    attack=list(movable_attacks),
    norm=["linf", "l2"],
    show=["pictures", "curve"],
    eps=(0.0, 0.25, 0.1),
    noise_instead=False,
)

# %% [markdown]
# ### Exercise: what counts as robust?
#
# A colleague tried three attacks, found accuracies of 62, 60 and 65 %, and reports "62 % on average". Write what should be reported:
# `robust_share(clean, under)` gets which samples are right clean, (N,) booleans, and right under each attack, (A, N), and returns the share that
# is robust. And write FGSM by hand, for any norm of one step: only `torch.autograd.grad`, no loop.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "attack", "locked": false, "schema_version": 3, "solution": true, "task": false}
def robust_share(clean, under):
    ### BEGIN SOLUTION
    return float((clean & under.all(0)).double().mean())
    ### END SOLUTION


def my_fgsm(net, x, y, eps):
    ### BEGIN SOLUTION
    x = x.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(net(x), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, x)
    return (x + eps * gradient.sign()).clamp(0, 1).detach()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "attack-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
yes, no = True, False
one_each = torch.tensor([[no, yes, yes, yes], [yes, no, yes, yes], [yes, yes, no, yes]])
assert robust_share(torch.tensor([yes] * 4), one_each) == 0.25, (
    "one sample in four withstands all three attacks"
)
assert robust_share(torch.tensor([yes, yes, yes, no]), one_each) == 0, "who is wrong already is not robust"
exercise_net = reference_nets["standard"]
attacked_by_hand = my_fgsm(exercise_net, few_x, few_y, 0.1)
assert torch.allclose(attacked_by_hand, attacks.fgsm(exercise_net, few_x, few_y, eps=0.1), atol=1e-6), (
    "this is not FGSM"
)
assert float(attacked_by_hand.min()) >= 0 and float(attacked_by_hand.max()) <= 1, "pixels lie in [0, 1]"
assert torch.equal(my_fgsm(exercise_net, few_x, few_y, 0.0), few_x), "at eps = 0 nothing changes"
assert all(p.grad is None for p in exercise_net.parameters()), "an attack leaves the network alone"
print("FGSM: by hand. Robust: under every attack.")

# %% [markdown]
# ## Safety verification: can one *prove* that nothing changes the answer?
#
# An attack that finds nothing proves nothing. Huang, Kwiatkowska, Wang and Wu (2017; their tool is called DLV) turn the question
# around: name a *region* around an input, and either return an input of the region with another class, or **prove that
# there is none**. So a verdict is one of three: **SAFE** (proved), **UNSAFE** (here it is), **UNKNOWN** (the budget ended).
#
# Four ways to a verdict, each short, all in `sslwork/verification.py` and `sslwork/bounds/`:
#
# **A. Search a grid to the end.** The region moves chosen dimensions $P$ in steps of a *span* $s$, at most $m$ to each side. A
# *manipulation* is one step, a *ladder* a chain of them that stays in the region. All $(2m + 1)^{|P|}$ points are looked at. If none
# has another class, the *grid* is safe. What lies between the points, nobody has seen.
#
# **B. Interval bounds** (interval bound propagation, IBP). Send a whole box through the network at once. For $l \le x \le u$, with $r = (u - l)/2$ and middle $m$,
#
# $$W x + b \in \big[\,W m + b - |W|\, r,\;\; W m + b + |W|\, r\,\big], \qquad \mathrm{ReLU}(x) \in [\mathrm{ReLU}(l), \mathrm{ReLU}(u)].$$
#
# The box is safe if the lower bound of $z_y - z_j$ is above 0 for every other class $j$. The bounds are *sound*: nothing
# escapes them. They are not tight. So: *branch and bound*. Where they do not decide, cut the box into two and try
# again. A grid whose cells are all proved has nothing between its points: that is what the paper calls *minimal* manipulations.
#
# **C. Layer by layer.** Wrap what the first layers make of the region into a box, and go on from there. SAFE behind a
# layer is SAFE in front. A change of class found there means little: the box holds points that no input reaches.
#
# **D. Exactly**, for a few dozen ReLUs. Each ReLU is on or off, and for each pattern the network is linear: a mixed-integer linear
# programme, one binary per ReLU. (The paper gives it to an SMT solver; we give it to HiGHS, in scipy.) Minimising $r$ under
# $\lVert x' - x\rVert_\infty \le r$ and $z_j(x') \ge z_y(x')$ even gives the **exact radius** $r^*$, the distance to the nearest change. It
# must lie between what intervals certify and what PGD finds:
#
# $$r_{\mathrm{IBP}} \le r^* \le r_{\mathrm{PGD}}.$$
#
# Put a box on the plane. The net has 16 ReLUs and parts two moons. Green cells are proved, red holds another class, amber is
# open. Watch the price: deep inside a class one cell will do, near the boundary the cells become many and small. Then compare
# with the network trained for such proofs.

# %%
from sklearn.datasets import make_moons
from torch import nn

from sslwork import verification
from sslwork.plots import verification as proof_plots
from sslwork.seeds import seeded


def moons(seed, count=300):
    rows, labels = make_moons(count, noise=0.12, random_state=seed)
    return torch.from_numpy(rows), torch.from_numpy(labels)


def small_digits(seed, held_out=400):
    """The 8 x 8 digits in [0, 1], float64: training set, test set, drawn anew for each seed."""
    digits = data.load("digits")
    images, order = (
        data.to_float(digits.images).double(),
        torch.randperm(len(digits), generator=generator(seed, 114)),
    )
    train_rows, test_rows = order[held_out:], order[:held_out]
    return (images[train_rows], digits.labels[train_rows]), (images[test_rows], digits.labels[test_rows])


def provable_net(kind, x, y, *, hidden, eps, box, steps, seed):
    """Linear, ReLU, Linear, in float64: "standard", "PGD-trained" or "IBP-trained". Full batches, Adam; eps rises over the
    first half of the steps, and with it the share of the bounds in the loss, to a half."""
    with seeded(seed):
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(x[0].numel(), hidden), nn.ReLU(), nn.Linear(hidden, int(y.max()) + 1)
        )
    net, draw = net.double(), generator(seed, 7)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(steps):
        share = min(1.0, 2 * (step + 1) / steps)
        if kind == "IBP-trained":
            loss = bounds.ibp_loss(net, x, y, eps=share * eps, kappa=1 - share / 2, box=box).mean()
        else:
            at = x
            if kind == "PGD-trained":
                at = attacks.pgd(net, x, y, eps=share * eps, n_iter=5, box=box, keep_best=False, seed=draw)
            loss = nn.functional.cross_entropy(net(at), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


PLANE_STEPS = size.pick(smoke=60, lab=300, gpu=1000)


@functools.cache
def plane_net(kind, seed):
    return provable_net(kind, *moons(seed), hidden=16, eps=0.1, box=None, steps=PLANE_STEPS, seed=seed)


def see_cells(network, across, up, radius, layer):
    net, x = plane_net(network, 0), torch.tensor([across, up], dtype=torch.double)
    y = int(net(x[None]).argmax())
    behind = {"input": 0, "behind the first ReLU": 3}[layer]
    found = verification.prove(net, x - radius, x + radius, y, smallest=0.01, budget=3000)
    said = f"{network}, box of +-{radius:.2f}: {found.outcome} after {found.looked} cells"
    if behind:
        there = verification.prove_at(net, x - radius, x + radius, y, behind, smallest=0.1, budget=3000)
        said += f"; behind the first ReLU: {there.outcome} after {there.looked} cells in 16 dimensions"
    exact = bounds.least_margin(net, x - radius, x + radius, y).value
    said += f". Exact least margin {exact:+.2f}."
    return proof_plots.cells(net, *moons(0), x, found), said


Sliders(
    see_cells,
    network=["standard", "IBP-trained"],
    across=(-1.2, 2.2, 0.5),
    up=(-0.8, 1.3, 1.0),
    radius=(0.02, 0.6, 0.4),
    layer=["input", "behind the first ReLU"],
)

# %% [markdown]
# Choose the layer behind the first ReLU: either one cell settles it there, or no number of cells does. What follows that layer is linear, so
# bounds are exact for the box, and if the box holds points of another class, cutting it changes nothing. But no input need reach them. Below, dots
# are what the layers really make of 2,000 points of the region, the frame is the box of interval bounds around them, in
# the two units where it is widest. The dots fill a sheet of two dimensions in a space of 16; the frame does not know.


# %%
def see_hull(network, across, up, radius):
    net, x = plane_net(network, 0), torch.tensor([across, up], dtype=torch.double)
    points = x + radius * (2 * torch.rand(2000, 2, generator=generator(0), dtype=torch.double) - 1)
    lo, hi, images = (x - radius)[None], (x + radius)[None], {}
    names = {0: "input", 1: "first layer", 2: "behind ReLU", 3: "logits"}
    for k, part in enumerate(bounds.layers(net)):
        with torch.no_grad():
            points, (lo, hi) = part(points), bounds.ibp(part, lo, hi)
        images[names[k]] = (points, lo[0], hi[0])
    true, wide = (points[:, 0] - points[:, 1]).aminmax(), float((hi - lo).sum())
    return proof_plots.hull(images), (
        f"Logits: their difference really spans {float(true[1] - true[0]):.1f}, by interval bounds {wide:.1f}."
    )


Sliders(
    see_hull,
    network=["standard", "IBP-trained"],
    across=(-1.2, 2.2, 0.3),
    up=(-0.8, 1.3, 0.8),
    radius=(0.02, 0.6, 0.2),
)

# %% [markdown]
# ### A grid is no proof
#
# A net of three ReLUs, a tent: $f(a) = \mathrm{relu}(a - 0.4) - 2\,\mathrm{relu}(a - 0.5) + \mathrm{relu}(a - 0.6) - 0.05$, class 1 where $f > 0$. That is on
# $(0.45, 0.55)$ and nowhere else.

# %%
with seeded(0):
    tent_net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 2)).double()
for weight, values in zip(
    tent_net.parameters(), ([[1.0]] * 3, [-0.4, -0.5, -0.6], [[0, 0, 0], [1, -2, 1]], [0, -0.05]), strict=True
):
    weight.data = torch.tensor(values, dtype=torch.double)
zero, one = torch.zeros(1, dtype=torch.double), torch.ones(1, dtype=torch.double)
for name, verdict in {
    "grid of span 0.2 ": verification.ladders(tent_net, zero, 0, [0], span=0.2, count=5),
    "grid of span 0.05": verification.ladders(tent_net, zero, 0, [0], span=0.05, count=20),
    "cells            ": verification.prove(tent_net, zero, one, 0),
    "exact            ": verification.solve(tent_net, zero, one, 0),
}.items():
    print(
        name,
        verdict.outcome,
        verdict.looked,
        "looked at" + (f", at {verdict.point.item():.2f}" if verdict.point is not None else ""),
    )

# %% [markdown]
# ### In the plane: three radii
#
# 50 test points, the standard net (full batches of 300 points, Adam, 300 steps). For each the radius that interval bounds
# certify, the exact one, and the one PGD finds (20 steps, 3 restarts, bisection over eps).


# %%
def in_the_plane(seed, *, points, kinds, boxes, samples):
    """Radii of test points, cells per proof over the size of the box, and whether any SAFE verdict was wrong."""
    x = moons(seed + 100, points)[0]
    found = {}
    for kind in kinds:
        net = plane_net(kind, seed)
        y = net(x).argmax(1)
        options = {"most": 2.0, "box": None}
        proved = bounds.certified_radius(net, x, y, **options)
        exact = bounds.exact_radius(net, x, y, **options)
        attacked = bounds.found_radius(net, x, y, restarts=3, seed=seed, **options)
        found[kind] = {
            "certified / exact": float((proved / exact).mean()),
            "found / exact": float((attacked / exact).mean()),
            "exact radius": float(exact.mean()),
            "out of order": int(((proved > exact + 1e-7) | (exact > attacked + 1e-7)).sum()),
            "certified": proved.tolist(), "exact": exact.tolist(), "found": attacked.tolist(),
        }  # fmt: skip
        draw, cells, wrong, safe = generator(seed, 3), [], 0, 0
        for radius in boxes:
            verdicts = [
                verification.prove(net, a - radius, a + radius, int(b), smallest=0.01)
                for a, b in zip(x[:20], y, strict=False)
            ]
            cells.append(sum(each.looked for each in verdicts) / len(verdicts))
            for a, b, verdict in zip(x, y, verdicts, strict=False):
                if verdict.outcome == verification.SAFE:
                    inside = a + radius * (2 * torch.rand(samples, 2, generator=draw, dtype=torch.double) - 1)
                    wrong, safe = wrong + int((net(inside).argmax(1) != b).any()), safe + 1
        found[kind] |= {"radius": boxes, "cells per proof": cells, "SAFE": safe, "SAFE and wrong": wrong}
    return found


plane_study = studies.run(
    "radii-in-the-plane",
    in_the_plane,
    seeds=size.seeds,
    points=size.pick(smoke=2, lab=50, gpu=200),
    kinds=["standard", "IBP-trained"],
    boxes=size.pick(
        smoke=[0.02, 0.05], lab=[0.02, 0.05, 0.1, 0.2, 0.3], gpu=[0.02, 0.05, 0.1, 0.2, 0.3, 0.4]
    ),
    samples=size.pick(smoke=100, lab=10_000, gpu=10_000),
)
print(plane_study)
plane_study.table(3)

# %%
shown = {
    name: torch.tensor(plane_study.values("standard", name)[0]) for name in ("certified", "exact", "found")
}
proof_plots.radii(plane_net("standard", 0), *moons(0), moons(100, len(shown["exact"]))[0], shown)

# %% [markdown]
# Left, around a dozen test points of seed 0: green is what interval bounds certify, grey the exact box (it touches the
# boundary), red what PGD found, mostly right on the grey. Right, all points: green lies below the diagonal, red on
# it or above. Never on the wrong side.

# %%
plots.courses(plane_study, "cells per proof", over="radius", label="half the side of the box", log=True)

# %% [markdown]
# The price: cells looked at per verdict, on average over 20 points, on a logarithmic axis. A box that reaches the boundary is refuted quickly if
# its middles hit the other class; those that nearly touch it are the dear ones.
#
# ### On digits: three networks, one examination
#
# 8 x 8 digits, nets of 64-16-10 units, trained alike (full batches, Adam, 300 steps) on the digits themselves, on what 5 steps of PGD make of them, and by
# *interval bounds*: $\tfrac12 \mathrm{CE}(z) + \tfrac12 \mathrm{CE}(\hat z)$, where $\hat z_y$ is the lower bound of the right logit and
# $\hat z_j$ the upper bound of all others (Gowal and others, 2018). eps and the second half are ramped up from 0. The radius is 0.1 in training.
#
# 1. *The whole picture.* All 64 pixels may move by eps, the first eps on a ladder at which PGD leaves the **standard** net less
#    than 20 %. For 40 test digits and each net: right as they are; right after PGD (20 steps, 2 restarts); **proved** SAFE exactly (intervals
#    first, the solver for the rest); proved by intervals alone. Sample by sample each must hold the next: this is asserted in
#    the code. The nine masking checks are counted beside it.
# 2. *Five pixels.* Those which deviate most from the picture's mean, in steps of 1/16, three to each side: at most $7^5 = 16{,}807$ points, fewer where a pixel is black or white already. For 20
#    digits: how often a one-step FGSM, PGD, the grid (all on the same five pixels, in the same box) find a change, and how many are SAFE.


# %%
def all_pixels(net, x, y, eps, seed):
    """What is right as it is, after PGD, exactly, by intervals: (N,) booleans each; each of them holds the next."""
    clean = attacks.right(net, x, y)
    stands = clean & attacks.right(net, attacks.pgd(net, x, y, eps=eps, restarts=2, seed=seed), y)
    certified = bounds.certified(net, x, y, eps=eps)
    lo, hi = bounds.corners(x, eps)
    exact = certified.clone()
    for i in (stands & ~certified).nonzero().flatten():
        exact[i] = verification.solve(net, lo[i], hi[i], int(y[i])).outcome == verification.SAFE
    assert (certified <= exact).all() and (exact <= stands).all() and (stands <= clean).all()
    return {"clean": clean, "after PGD": stands, "SAFE": exact, "SAFE by intervals": certified}


def five_pixels(net, x, y, samples, draw, *, span=1 / 16, count=3, pixels=5):
    """Of these samples: changed by FGSM, by PGD, by the grid; SAFE exactly; grid finds what FGSM misses; wrong verdicts."""
    found = dict.fromkeys(("FGSM", "PGD", "grid", "exact", "SAFE", "FGSM misses", "SAFE and wrong"), 0)
    for image, label in zip(x, y.tolist(), strict=True):
        dims = verification.most_deviating(image, pixels)
        lo, hi = verification.region(image, dims, span * count)
        free = (hi > lo)[None]
        attack = {"eps": span * count, "project": lambda delta, free=free: delta * free}
        one, target = image[None], torch.tensor([label])
        fgsm = not attacks.right(net, attacks.fgsm(net, one, target, **attack), target)
        pgd = not attacks.right(net, attacks.pgd(net, one, target, restarts=2, **attack), target)
        grid = (
            verification.ladders(net, image, label, dims, span=span, count=count).outcome
            == verification.UNSAFE
        )
        exact = verification.solve(net, lo, hi, label).outcome
        assert exact == verification.UNSAFE or not (fgsm or pgd or grid)
        inside = lo + (hi - lo) * torch.rand(samples, *image.shape, generator=draw, dtype=torch.double)
        wrong = exact == verification.SAFE and bool((net(inside).argmax(1) != label).any())
        row = (
            fgsm,
            pgd,
            grid,
            exact == verification.UNSAFE,
            exact == verification.SAFE,
            grid and not fgsm,
            wrong,
        )
        found = {name: found[name] + int(hit) for name, hit in zip(found, row, strict=True)}
    return found


def examined(seed, *, steps, radii, wholes, parts, samples):
    (x, y), (test_x, test_y) = small_digits(seed)
    kinds = ("standard", "PGD-trained", "IBP-trained")
    trained = {
        kind: provable_net(kind, x, y, hidden=16, eps=0.1, box=(0, 1), steps=steps, seed=seed)
        for kind in kinds
    }
    whole, whole_y = test_x[:wholes], test_y[:wholes]

    def left(eps):
        attacked = attacks.pgd(trained["standard"], whole, whole_y, eps=eps, restarts=2, seed=seed)
        return attacks.accuracy(trained["standard"], attacked, whole_y)

    eps = next((each for each in radii if left(each) < 0.2), radii[-1])
    found = {}
    for kind, net in trained.items():
        shares = all_pixels(net, whole, whole_y, eps, seed)
        report = attacks.masking_report(
            net, whole, whole_y, eps=eps, n_iter=size.pick(smoke=1, lab=20, gpu=20), adaptive="PGD"
        )
        right = attacks.right(net, test_x, test_y).nonzero().flatten()[:parts]
        found[kind] = (
            {f"{name}, %": 100 * float(each.double().mean()) for name, each in shares.items()}
            | {"eps": eps, "checks passed": int(report["passed"].sum())}
            | five_pixels(net, test_x[right], test_y[right], samples, generator(seed, 5))
        )
    return found


digit_study = studies.run(
    "verified-digits",
    examined,
    seeds=size.seeds,
    steps=size.pick(smoke=4, lab=300, gpu=1000),
    radii=[0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3],
    wholes=size.pick(smoke=2, lab=40, gpu=200),
    parts=size.pick(smoke=1, lab=20, gpu=50),
    samples=size.pick(smoke=100, lab=10_000, gpu=10_000),
)
print(digit_study)
digit_study.table()

# %%
for arm in digit_study.arms:
    n = len(size.seeds) * digit_study.settings["wholes"]
    for share in ("clean, %", "after PGD, %", "SAFE, %", "SAFE by intervals, %"):
        low, high = attacks.wilson(round(digit_study.mean(arm, share) / 100 * n), n)
        print(
            f"{arm:12} {share:21} {digit_study.mean(arm, share):5.1f} ({100 * low:.0f} to {100 * high:.0f}, Wilson 95 %, n = {n})"
        )
    print(f"{arm:12} masking checks passed: {min(digit_study.values(arm, 'checks passed')):.0f} of 9")
plots.arms(digit_study, "clean, %", "after PGD, %", "SAFE, %", "SAFE by intervals, %")

# %% [markdown]
# Read each row from left to right: no share can be larger than the one before it. After PGD and SAFE are nearly equal: on nets so small PGD
# comes close to the truth, from above. What differs is the last panel. **The net trained on PGD is SAFE, exactly, on no fewer digits than the one
# trained by intervals, in every seed, and intervals cannot prove it for a single one.** A certificate that is missing says something about the proof, not
# about the net; training can make the proof easy.
#
# ### The claim
#
# Set before we looked: none of 10,000 random points in the region of each SAFE verdict has another class, here as in the plane; no
# point's three radii are out of order, and PGD's is on average less than 1.2 times the exact one; at the eps where the
# standard net is SAFE for less than 20 %, the interval-trained net is for 30 points more; and the grid finds at least one change that a
# one-step FGSM misses.


# %%
def over_arms(study, measure):
    """Summed over the networks, seed by seed."""
    return [sum(column) for column in zip(*(study.values(arm, measure) for arm in study.arms), strict=True)]


wrong_verdicts = [
    a + b
    for a, b in zip(
        over_arms(plane_study, "SAFE and wrong"), over_arms(digit_study, "SAFE and wrong"), strict=True
    )
]
proof_claim = claims.record(
    system="114",
    paper="Local robustness can be verified, not only attacked: a search either finds an input of another class in the region or "
    "guarantees that there is none.",
    measured="Two moons, 2-16-2 nets, 50 test points and their boxes; 8 x 8 digits, 64-16-10 nets trained plainly, by PGD and by "
    "intervals (eps 0.1), 40 digits with all pixels free and 20 with five; full batches, Adam, 300 steps.",
    parts=[
        claims.Part("SAFE verdicts contradicted by one of 10,000 samples, times -1", [-each for each in wrong_verdicts], "verdicts", 0),
        claims.Part("points whose radii are out of order, times -1", [-each for each in over_arms(plane_study, "out of order")], "points", 0),
        claims.Part(
            "1.2 less the mean of found over exact radius, standard net",
            [1.2 - each for each in plane_study.values("standard", "found / exact")], "", 0,
        ),
        claims.Part(
            "SAFE digits, interval-trained net less standard net, all pixels free",
            digit_study.difference("IBP-trained", "standard", "SAFE, %"), "points", 30,
        ),
        claims.Part("changes that the grid finds and one-step FGSM misses, standard net", digit_study.values("standard", "FGSM misses"), "digits", 1),
    ],
    seconds=plane_study.seconds + digit_study.seconds,
)  # fmt: skip
print(proof_claim)
safe = over_arms(plane_study, "SAFE"), over_arms(digit_study, "SAFE")
print("SAFE verdicts that were sampled, by seed:", [round(sum(each)) for each in zip(*safe, strict=True)])
print(
    "eps by seed:",
    digit_study.values("standard", "eps"),
    "standard net SAFE, %:",
    digit_study.values("standard", "SAFE, %"),
)

# %% [markdown]
# **What we see.** No proof was broken: hundreds of SAFE verdicts, each held against 10,000 points. The radii are in order
# for each of 300 points, and PGD's is less than 1 % above the exact one on average; in two dimensions, with three restarts, little can be missed. Training by
# intervals lifts the share of SAFE digits by 48 to 68 points.
#
# One part is *not seen*, and with it the claim: on five pixels one-step FGSM misses nothing that the grid finds, as there is next to nothing to
# find. Of 60 right answers of the standard net two can be changed there at all, and FGSM finds both. That
# is a fact about these regions (the grey steps of five pixels, three to each side), not about FGSM. With all pixels free it is different: there, of digits
# that even PGD leaves standing, the solver refuses up to two of 40 (compare *after PGD* and *SAFE*). An attack's figure is an
# upper bound of robustness, and the proof says how far above the truth it lies.
#
# What the price is, you have seen: exact verdicts for nets of 16 ReLUs. For networks of real size only bounds remain, tighter ones than
# intervals (CROWN and its kin); that is out of reach here.
#
# ### Pick the pixels
#
# A test digit, the pixels that may move (those that deviate most from its mean), and the nearest point of the grid that has
# another class, if there is one. Add pixels and steps, and see the count of points grow while the verdict turns.


# %%
@functools.cache
def digit_net(kind):
    (x, y), _ = small_digits(0)
    steps = size.pick(smoke=4, lab=300, gpu=1000)
    return provable_net(kind, x, y, hidden=16, eps=0.1, box=(0, 1), steps=steps, seed=0)


PICKED_X, PICKED_Y = (each[:40] for each in small_digits(0)[1])
digit_net("IBP-trained")  # its training takes seconds, and nobody should wait for it at the dashboard


def see_pixels(network, digit, pixels, steps):
    net, image = digit_net(network), PICKED_X[digit]
    named = int(net(image[None]).argmax())
    dims = verification.most_deviating(image, pixels)
    grid = verification.ladders(net, image, named, dims, span=1 / 16, count=steps)
    exact = verification.solve(net, *verification.region(image, dims, steps / 16), named)
    free = torch.zeros(64, dtype=torch.double)
    free[dims] = 1
    shown, titles = [image, free.reshape(1, 8, 8)], [f"named {named}", "free pixels"]
    if grid.point is not None:
        shown.append(grid.point)
        titles.append(f"named {int(net(grid.point[None]).argmax())}")
    return plots.pictures(torch.stack(shown), titles=titles, zoom=16), (
        f"{network}, a {int(PICKED_Y[digit])}: {grid.looked:,} points of the grid, {grid.outcome}; the whole box, exactly: {exact.outcome}."
    )


Sliders(see_pixels, network=["standard", "IBP-trained"], digit=(0, 39, 0), pixels=(1, 5, 4), steps=(0, 4, 3))

# %% [markdown]
# ### Exercise: a bound for one layer
#
# Write the interval bounds of $W x + b$ for $l \le x \le u$, for boxes `lo` and `hi` of shape $(N, D)$, and with them the certificate of
# a net of one hidden ReLU layer: is the lower bound of $z_y - z_j$ above 0 for every other $j$? Bounds of the two logits will do
# here.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "interval-bounds", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_affine(W, b, lo, hi):
    """Bounds (N, K), (N, K) of x @ W.T + b."""
    ### BEGIN SOLUTION
    middle, radius = (lo + hi) / 2, (hi - lo) / 2
    c, r = middle @ W.T + b, radius @ W.abs().T
    return c - r, c + r
    ### END SOLUTION


def my_certificate(W1, b1, W2, b2, lo, hi, y):
    """(N,) booleans for the net W2 relu(W1 x + b1) + b2 and classes y (N,)."""
    ### BEGIN SOLUTION
    lo, hi = my_affine(W1, b1, lo, hi)
    lo, hi = my_affine(W2, b2, lo.relu(), hi.relu())
    own = nn.functional.one_hot(y, lo.shape[1]).bool()
    return lo[own] > hi.masked_fill(own, -torch.inf).amax(1)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "interval-bounds-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
with seeded(5):
    check_net = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3)).double()
W1, b1, W2, b2 = (weight.detach() for weight in check_net.parameters())
check_x = torch.rand(50, 3, generator=generator(6), dtype=torch.double)
check_y = check_net(check_x).argmax(1)
low, high = my_affine(W1, b1, check_x - 0.1, check_x + 0.1)
corner = torch.cartesian_prod(
    *[torch.tensor([-0.1, 0.1]).double()] * 3
)  # an affine map is extreme in a corner
values = (check_x[:, None] + corner) @ W1.T + b1
assert torch.allclose(low, values.amin(1)) and torch.allclose(high, values.amax(1)), (
    "not the bounds of the layer"
)
for eps in (0.0, 0.02, 0.1):
    box = check_x - eps, check_x + eps
    mine = my_certificate(W1, b1, W2, b2, *box, check_y)
    merged = bounds.certified(check_net, check_x, check_y, eps=eps, box=None)
    least, most = bounds.ibp(check_net, *box)
    own = nn.functional.one_hot(check_y, 3).bool()
    apart = least[own] > most.masked_fill(own, -torch.inf).amax(1)
    assert (mine <= merged).all(), "what you certify, the merged last layer certifies too"
    assert (mine >= apart).all(), "what bounds of the logits can certify, you should"
    assert mine.all() or eps > 0, "a box that is a point is safe"
print("Interval bounds: right.")

# %% [markdown]
# ## Where next?
#
# - Notebook 10: what training, filters and detectors do about it, each followed by the attacker who knows them.
# - Notebook 11: when the training data or the encoder itself are not to be trusted; at its end the lab, where all of this is under your hands.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
