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
# # Without negatives, and through the head
#
# Contrastive learning pushes pictures apart. The methods in this notebook do without that push, and yet most of them do
# not fall into one point. **What stops collapse? What does the head throw away? And what are a few labels worth?**
#
# 1. *BYOL, SimSiam, VICReg*: what each stands on, and what happens when it is taken away; the rank lab.
# 2. *Barlow Twins* and *Mixed Barlow Twins*: no column may repeat another, and what if there are few pictures.
# 3. *The projection head*: why the layer before it is the one to keep.
# 4. *SimCLRv2*: fine-tune from the middle of the head, with few labels, and teach a small network.
#
# Closed forms and everything you can move are computed on the spot. Short runs to look into are trained on the spot too,
# one seed each: they show, and prove nothing. Numbers of longer trainings come from recorded studies of the code you see,
# three seeds each; change that code, and they are measured anew (minutes). Every system has a claim, with a verdict that
# all three seeds decide, and every section an exercise that checks itself.
#
# ## The pictures
#
# MNIST digits, each turned, sized and shifted once, for good. A view cuts and turns them a little and changes the
# strength of the stroke.

# %%
import torch

from sslwork import (
    claims,
    data,
    embed,
    encoders,
    losses,
    measures,
    methods,
    plots,
    probing,
    scale,
    studies,
    train,
)
from sslwork.panel import Panel
from sslwork.views import Views
from sslwork.widgets import Sliders

size = scale.current()
print(size)

# %%
throw = {"size": 16, "turn": 30, "scale": (0.8, 1.2), "shift": 0.2}
pictures = data.load("affine-digits", count=size.pick(smoke=600, lab=20_000, gpu=60_000), **throw)
test = data.load("affine-digits", split="test", count=size.pick(smoke=200, lab=2_000, gpu=10_000), **throw)
bank = pictures[: size.pick(smoke=300, lab=4_000, gpu=20_000)]  # labelled, for the probes
views = Views(crop=0.5, flip=0, rotate=25, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0)
width = size.pick(smoke=4, lab=16, gpu=64)


def encoder(seed):
    return encoders.conv(width, 3, seed=seed)


# %%
plots.pairs(*views.pair(pictures[:11].images, torch.Generator().manual_seed(0)), pictures[:11].images)

# %% [markdown]
# ## Without negatives: what does a loss charge for collapse?
#
# SimCLR pulls two views of a picture together and pushes all other pictures away. The push costs a large batch, and it
# pushes pictures of the same thing as well. So leave it out? Then one constant answer to every picture is a perfect
# solution. Four methods do without negatives all the same:
#
# - **SimSiam** (Chen and He, 2021) predicts the embedding of one view from the other, through a small *predictor*. The
#   side that is predicted gets no gradient.
# - **BYOL** (Grill and others, 2020) does so too, and a slow twin of the network, a moving average of its weights, makes
#   what is predicted.
# - **VICReg** (Bardes and others, 2022) has no predictor and no twin. Its loss asks that every column of the embedding
#   keep a spread, and that no two columns tell the same.
# - **Barlow Twins** (Zbontar and others, 2021) asks both at once, with one matrix: the next section is about it.

# %%
import pandas as pd
from scipy.linalg import hadamard

from sslwork.plots.networks import networks
from sslwork.plots.price import price

networks()

# %% [markdown]
# Boxes of one colour share their weights or copy them. Look for what is *not* the same on both sides: that is all that
# SimSiam and BYOL have against collapse. VICReg and Barlow Twins are the same on both sides; what they have stands in
# the loss.
#
# ### In formulas
#
# With $s$ the cosine, $p = h(z)$ the prediction and $\mathrm{sg}$ "no gradient here":
#
# $$L_{\text{SimSiam}} = -\tfrac12\, s\big(p_1, \mathrm{sg}(z_2)\big) - \tfrac12\, s\big(p_2, \mathrm{sg}(z_1)\big),
# \qquad L_{\text{BYOL}} = 4 + 4\, L_{\text{SimSiam}}$$
#
# in BYOL with $z$ from the twin, whose weights follow by $\xi \leftarrow m\,\xi + (1 - m)\,\theta$. VICReg has three
# terms, for $N$ rows and $D$ columns:
#
# $$L_{\text{VICReg}} = 25\, \overline{(z_1 - z_2)^2} + \frac{25}{2} \sum_{v} \overline{\max\big(0,\, 1 -
# \sqrt{\mathrm{Var}_d + 10^{-4}}\big)} + \sum_{v} \frac1D \sum_{i \neq j} \mathrm{Cov}_{ij}^2$$
#
# where $v$ runs over the two views and bars are means, over rows and columns or over columns; $\mathrm{Var}_d$ is the
# variance of column $d$ over the rows, and $\mathrm{Cov}_{ij}$ the covariance of columns $i$ and $j$.
#
# ### What collapse costs, exactly
#
# Three situations of 64 rows and 16 columns, the views equal in all of them: all rows in **one point**, all on **one
# line** (every column says the same), and **16 directions**, no column knowing of another. The columns come from a
# Hadamard matrix: entries of 1 and -1, mean 0, exactly orthogonal. So the numbers are exact. NT-Xent, the loss of SimCLR
# (notebook 01), stands beside the four.

# %%
COLUMNS = torch.as_tensor(hadamard(64)[:, 1:17], dtype=torch.double)  # (N, D)
CENTRE = torch.linspace(1, 2, 16, dtype=torch.double)  # (D,)


def partly_collapsed(spread, directions):
    """64 rows around one centre, of this standard deviation in each of 16 columns, which repeat after some."""
    return CENTRE + spread * COLUMNS[:, torch.arange(16) % directions]


LOSSES = {
    "NT-Xent": lambda z: losses.nt_xent(z, z, temperature=0.2),
    "VICReg": lambda z: losses.vicreg(z, z),
    "Barlow Twins": lambda z: losses.barlow_twins(z, z, off_diagonal=8 / 16),
    "BYOL": lambda z: losses.byol(z, z, z, z),
    "SimSiam": lambda z: losses.simsiam(z, z, z, z),
}
SITUATIONS = {"one point": (0.0, 1), "one line": (1.0, 1), "16 directions": (1.0, 16)}
pd.DataFrame(
    {
        name: {loss: f"{of(partly_collapsed(*place)):.2f}" for loss, of in LOSSES.items()}
        for name, place in SITUATIONS.items()
    }
)

# %% [markdown]
# For **one point** NT-Xent charges $\log(2N - 1) = \log 127 = 4.84$, VICReg $25 \cdot (1 - \sqrt{10^{-4}}) = 24.75$ and Barlow
# Twins $D = 16$, 1 for each column. BYOL charges 0 and SimSiam -1. **These are the least values the two can have**, for
# the point, the line and the 16 directions alike. Their losses do not know what collapse is.
#
# Move the two sliders: shrink the rows to a point, or let them fall into fewer directions.


# %%
POINT = {
    "NT-Xent": torch.log(torch.tensor(127.0)).item(),
    "VICReg": 24.75,
    "Barlow Twins": 16.0,
}  # from the table
LEAST = {"SimSiam": -1.0}  # of the others it is 0
SPREADS = torch.logspace(-3, 1, 33, dtype=torch.double).tolist()


def charge(name, spread, directions):
    """What a loss costs above its least, in units of what a single point costs if it costs anything."""
    value = float(LOSSES[name](partly_collapsed(spread, directions)))
    return (value - LEAST.get(name, 0.0)) / POINT.get(name, 1.0)


def draw_price(spread, directions):
    shrinking = {name: [charge(name, each, directions) for each in SPREADS] for name in LOSSES}
    falling = {name: [charge(name, spread, k) for k in range(1, 17)] for name in LOSSES}
    told = ", ".join(f"{name} {charge(name, spread, directions):.2f}" for name in LOSSES)
    fig = price(SPREADS, shrinking, range(1, 17), falling, now=(spread, directions))
    return fig, f"Spread {spread:.3g}, {directions} of 16 directions. Of what a point costs: {told}."


Sliders(draw_price, log=["spread"], spread=(0.001, 10.0, 1.0), directions=(1, 16, 16))

# %% [markdown]
# What to see:
#
# - BYOL and SimSiam lie on zero everywhere.
# - VICReg and NT-Xent charge for **shrinking**. Barlow Twins does not: its columns are standardised first, so that only
#   the $10^{-5}$ beside the variance notices a spread below about 0.01.
# - For **few directions** VICReg and Barlow Twins charge more than for a point (the curves leave the picture). Each does
#   it in its own unit: VICReg takes covariances, so a wide spread makes it dear; Barlow Twins takes correlations.
#
# ### Take away what should help
#
# What keeps SimSiam and BYOL from falling then? Not the loss, but how it is walked down. The predictor can only say what
# the embedding of the *other* view will be on average. The target does not come to meet it. For linear networks one can work
# out that a small embedding then grows, as long as views agree in it and the decay of weights is not too strong (Tian
# and others, 2021, arXiv 2102.06810). For the networks here we take each part away and look.
#
# Seven runs from each of three seeds (AdamW, batch 128). The *spread* is that of the unit rows, 1 for an even sphere and 0
# for a point; *RankMe* counts the directions they use (the rank lab below has its formula). Both are of $z$, after the head.
# *k-NN* and *linear* are the accuracies of two probes, in %, read before the head.

# %%
CONTROLS = {
    "BYOL": (methods.BYOL, {}),
    "BYOL without predictor": (methods.BYOL, {"predictor": False}),
    "SimSiam": (methods.SimSiam, {}),
    "SimSiam without stop-gradient": (methods.SimSiam, {"stop_gradient": False}),
    "VICReg": (methods.VICReg, {}),
    "VICReg without variance": (methods.VICReg, {"variance": 0}),
    "VICReg without covariance": (methods.VICReg, {"covariance": 0}),
}


def leave_out(seed, *, arms, steps, dim):
    """Each method whole, and with the part left out that is said to keep it from collapse."""

    def row(kind, options):
        method = kind(encoder(seed), dim=dim, seed=seed, **options)
        run = train.fit(
            method, pictures, views=views, steps=steps, batch_size=128, lr=2e-3, seed=seed, progress=False
        )
        verdict = measures.collapse(embed(method, test, progress=False))
        found = probing.accuracies(method.encoder, bank, test)
        return {
            "last loss": run.losses[-1],
            "spread of z": verdict.spread,
            "RankMe of z": verdict.rank,
        } | found

    return {"untrained encoder": probing.accuracies(encoder(seed), bank, test)} | {
        name: row(*CONTROLS[name]) for name in arms
    }


left_out = studies.run(
    "left-out",
    leave_out,
    seeds=size.seeds,
    arms=list(CONTROLS),
    steps=size.pick(smoke=2, lab=200, gpu=5_000),
    dim=size.pick(smoke=8, lab=32, gpu=256),
)
print(left_out)
left_out.table(2)

# %%
plots.arms(left_out, "spread of z", "RankMe of z", "k-NN", only=list(CONTROLS))

# %% [markdown]
# Read three columns, not one. Without predictor or stop-gradient the **spread** goes: nearly one point. Without variance
# about half of it goes. VICReg without its *covariance* keeps all of its spread and loses its **rank**: 32 columns, of which
# about three say something. Its loss alone would have told you neither. And **k-NN**, read before the head, does not give the alarm for BYOL: the
# head takes the collapse upon itself. (Do not read k-NN against the untrained encoder: that one alone differs by 16 points
# between seeds, and no method passes it in all three. 200 steps are enough to collapse, and too few to learn.)
#
# ### What the spread does not see
#
# Unit rows forget how long the rows were, and VICReg's variance term is about just that: it asks every column of $z$ for a
# standard deviation of 1. So look at the columns as they are, too.


# %%
def as_they_are(seed, *, steps, dim):
    """Standard deviation of the columns of z, not of unit rows, with VICReg's variance term and without it."""

    def row(variance):
        method = methods.VICReg(encoder(seed), dim=dim, variance=variance, seed=seed)
        train.fit(
            method, pictures, views=views, steps=steps, batch_size=128, lr=2e-3, seed=seed, progress=False
        )
        return {"deviation of the columns": float(embed(method, test, progress=False).std(0).mean())}

    return {"VICReg": row(25.0), "VICReg without variance": row(0.0)}


as_they_come = studies.run(
    "columns-as-they-are",
    as_they_are,
    seeds=size.seeds,
    steps=left_out.settings["steps"],
    dim=left_out.settings["dim"],
)
print(as_they_come)
as_they_come.table(2)

# %% [markdown]
# ### The claims
#
# For each of the three: the spread of the whole method less that of the method with its safeguard removed. The bound,
# half an even sphere, was set before we looked. Where it is not reached, the table says which of the two did not
# behave: the whole method (its own spread is small), or its control (whose spread is large).

# %%
for system, name, without, paper in (
    ("B3", "BYOL", "BYOL without predictor", "BYOL: no negatives are needed; without its predictor it collapses."),
    ("B4", "SimSiam", "SimSiam without stop-gradient",
     "SimSiam: a stop-gradient alone prevents collapse; without it the spread falls to 0 at once."),
    ("B5", "VICReg", "VICReg without variance", "VICReg: the variance term prevents collapse; without it the rows shrink to a point."),
):  # fmt: skip
    whole, control = (left_out.mean(arm, "spread of z") for arm in (name, without))
    claim = claims.record(
        system=system,
        paper=paper,
        measured=f"spread of the embeddings of test digits, {name} less {without}; {left_out.settings['steps']} steps, AdamW.",
        effects=[100 * gap for gap in left_out.difference(name, without, "spread of z")],
        unit="% of the spread of an even sphere",
        needed=50,
        seconds=left_out.seconds,
    )
    seeds = ", ".join(f"{effect:+.1f}" for effect in claim.parts[0].effects)
    ranks = f"RankMe {left_out.mean(name, 'RankMe of z'):.1f} and {left_out.mean(without, 'RankMe of z'):.1f}"
    print(f"{claim}\n(Seed by seed {seeds}. Spread {whole:.2f} whole, {control:.2f} without; {ranks}.)\n")

# %% [markdown]
# **What we see.** For SimSiam the safeguard makes the difference that was asked for, in every seed and within 200 steps. BYOL
# without its predictor collapses as well, in every seed. But BYOL whole has not reached an even sphere yet: the mean gap just
# reaches the bound, one seed stays below it, and every seed must reach it. The rank, at least twice as high with the
# predictor in every seed, says the same more plainly.
#
# VICReg without variance fails another way. Its columns shrink, to a deviation of about 0.02 where 0.56 is left with the
# term and 1 is wished for. But they shrink around 0, and unit rows blow up again whatever is left. So the spread, which we
# had chosen as the measure for all three, sees only a part of it, and the claim is *not seen* by that measure. We leave it so:
# a measure that is changed after looking proves little.
#
# ### Exercise: the three terms of VICReg
#
# Write VICReg for one pair of views. `torch.var` and `torch.cov` divide by $N - 1$, which is what you want; mind that
# `torch.cov` takes variables as rows.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "vicreg", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_vicreg(z1, z2):
    ### BEGIN SOLUTION
    total = 25 * (z1 - z2).square().mean()
    for z in (z1, z2):
        total = total + 25 / 2 * torch.relu(1 - (z.var(0) + 1e-4).sqrt()).mean()
        cov = torch.cov(z.T)
        total = total + (cov.square().sum() - cov.diagonal().square().sum()) / z.shape[1]
    return total
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "vicreg-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
z1, z2 = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.double)
assert abs(my_vicreg(torch.ones(4, 3), torch.ones(4, 3)) - 24.75) < 1e-4, "one point: 25 * 0.99"
assert abs(my_vicreg(z1, z1 + 1) - my_vicreg(z1, z1) - 25) < 1e-9, (
    "views that differ by 1 everywhere: 25 more"
)
assert my_vicreg(2 * COLUMNS, 2 * COLUMNS) < 1e-9, "wide columns that know nothing of each other: 0"
assert abs(my_vicreg(z1, z2) - losses.vicreg(z1, z2)) < 1e-9, "the value is not VICReg's"
print("VICReg: right.")

# %% [markdown]
# ## The rank lab: collapse while it happens
#
# There are two ways to fail, and the loss of SimSiam or BYOL shows neither. In **complete collapse** all embeddings are one point, and the
# *spread*, the deviation of unit rows times $\sqrt D$, falls to 0. In **dimensional collapse** they fill a few
# directions of the $D$ there are. The singular values $s_k$ of the embeddings show it, and RankMe counts them smoothly
# (Garrido and others, 2023):
#
# $$p_k = \frac{s_k}{\sum_j s_j} + \varepsilon, \qquad \mathrm{RankMe} = \exp\Big(-\sum_k p_k \log p_k\Big)$$
#
# with a tiny $\varepsilon$ against $\log 0$. It is 1 for a line, and $D$ where all $s_k$ are equal.
#
# Four short runs of one seed with the same encoder, views and batches, and a lab which reads them on either side of the
# head: the *representation* before it, which is kept, and the *embedding* after it, on which the loss works. *Pull only*
# has nothing but the distance of the two views.

# %%
from sslwork.widgets import RankLab

brief = {"steps": size.pick(smoke=6, lab=100, gpu=2000), "batch_size": size.pick(smoke=32, lab=128, gpu=512)}
panel = Panel(bank[: size.pick(smoke=100, lab=1_000, gpu=10_000)], test[:500], views)


def short_run(kind, **settings):
    method = kind(encoder(0), seed=0, **settings)
    every = max(1, brief["steps"] // 5)
    return train.fit(method, pictures, views=views, panel=panel, every=every, progress=False, **brief)


broken = {
    "SimSiam": short_run(methods.SimSiam),
    "no stop-gradient": short_run(methods.SimSiam, stop_gradient=False),
    "BYOL, no predictor": short_run(methods.BYOL, predictor=False),
    "pull only": short_run(methods.PullOnly),
}
rank_lab = RankLab(broken)
rank_lab

# %%
pd.DataFrame(
    {
        name: {
            f"{what} {where}": value
            for where, verdict in (("after the head", after), ("before it", before))
            for what, value in (
                ("spread", f"{verdict.spread:.2f}"),
                ("RankMe", f"{verdict.rank:.1f}"),
                ("verdict", verdict.state),
            )
        }
        for name, (before, after) in rank_lab.verdicts.items()
    }
).T

# %% [markdown]
# Drag **step** to 0 and up again, and look at:
#
# - **the singular values.** At step 0 *BYOL* and *pull only* have one direction of the embedding far above all others: the
#   bias of a fresh head, the same for every picture. (SimSiam's head has none.) Training lifts the other directions as far as
#   the loss asks for it, and the pull alone asks for nothing. The representation is spread from the start and moves less.
# - **the spread.** Which runs end near 0, and which keep some of it and lose directions instead? (SimSiam without
#   stop-gradient is caught on its way here: after twice the steps, in the table above, little of its spread is left.)
# - **dots and dashes** in the panel of the ranks: after the head, and before it. The broken runs lose directions in
#   the head, while the encoder keeps most of its own. The head takes the collapse upon itself.
# - **the plane.** A collapsed run ends in its lower right corner, (0, 0): partners perfectly close, and everybody in one
#   place. A low alignment alone proves nothing.
# - **k-NN accuracy.** It is read before the head. In runs as short as these it lies below that of the fresh encoder even
#   for SimSiam, and BYOL without its predictor, collapsed, was no worse than SimSiam in our run. An alarm for collapse it
#   is not.
#
# Choose a run under *look closely at*: faint lines are its spectra at earlier steps. From Python:
# `rank_lab.step = 0`, `rank_lab.chosen = ["SimSiam", "pull only"]`.
#
# ### How wide should the head be?
#
# VICReg at three widths of the head, nothing else changed (its hidden layers have the width of its output). A wide head
# has room for more directions. Does it use them? And what is left for the encoder? First a short run of each to look into,
# then three seeds with twice the steps (AdamW, batch 128).

# %%
width_lab = RankLab({f"VICReg, {dim} wide": short_run(methods.VICReg, dim=dim) for dim in (8, 32, 128)})
width_lab


# %%
def head_widths(seed, *, dims, steps):
    """VICReg at several widths of the head: RankMe on either side of it, and probes of what lies before it."""

    def row(dim):
        method = methods.VICReg(encoder(seed), dim=dim, seed=seed)
        train.fit(
            method, pictures, views=views, steps=steps, batch_size=128, lr=2e-3, seed=seed, progress=False
        )
        after, before = (
            measures.collapse(embed(part, test, progress=False)) for part in (method, method.encoder)
        )
        return {
            "RankMe after the head": after.rank,
            "% of the width": 100 * after.rank / dim,
            "RankMe before it": before.rank,
        } | probing.accuracies(method.encoder, bank, test)

    fresh = measures.collapse(embed(encoder(seed), test, progress=False))
    control = {"RankMe before it": fresh.rank} | probing.accuracies(encoder(seed), bank, test)
    return {"untrained encoder": control} | {f"VICReg, {dim} wide": row(dim) for dim in dims}


width_study = studies.run(
    "head-widths",
    head_widths,
    seeds=size.seeds,
    dims=size.pick(smoke=[4, 8], lab=[8, 32, 128], gpu=[8, 32, 128, 512]),
    steps=size.pick(smoke=2, lab=200, gpu=5_000),
)
print(width_study)
width_study.table()

# %%
plots.arms(width_study, "% of the width", "RankMe before it", "k-NN")

# %% [markdown]
# The rank of the embedding rises with the width, but the **share** of the width that is used falls: a lot from 8 to 32
# columns, little from there to 128. That is dimensional collapse by degrees: the views leave only so many directions to
# tell pictures by. Even so the widest head leaves the best encoder, in every seed and by both probes: a narrow head lets
# little through to learn from. The rank *before* the head does not say so: on average it *falls* from
# the narrowest head to the widest. Compare RankMe between runs of one method *and one width* only, as its authors ask.
#
# (RankMe reads rows as they stand. Representations come out of a ReLU, so they are nowhere negative and share a large
# mean, which lowers their rank: a higher rank after the head than before it does not mean that the head invented
# something.)
#
# ### Exercise: count the directions
#
# Write RankMe of the rows `z`. `torch.linalg.svdvals` gives the singular values; nothing is centred.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "rankme", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_rankme(z, eps=1e-7):
    ### BEGIN SOLUTION
    s = torch.linalg.svdvals(z)
    p = s / s.sum() + eps
    return float(torch.exp(-(p * p.log()).sum()))
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "rankme-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
z = torch.randn(20, 6, generator=torch.Generator().manual_seed(1), dtype=torch.double)
assert abs(my_rankme(COLUMNS) - 16) < 1e-3, "16 columns which know nothing of each other, equally wide: 16"
assert abs(my_rankme(COLUMNS[:, :1].expand(-1, 16)) - 1) < 1e-3, "16 times the same column, a line: 1"
assert abs(my_rankme(10 * z) - my_rankme(z)) < 1e-6, "RankMe must not know of the length of the rows"
assert my_rankme(COLUMNS + CENTRE) < my_rankme(COLUMNS) - 1, (
    "a mean that all rows share takes rank away: nothing is centred"
)
assert abs(my_rankme(z) - measures.rankme(z)) < 1e-6, "not the value of the package"
print("RankMe: right.")

# %% [markdown]
# ## Barlow Twins: what if no column may repeat another?
#
# Take the embeddings of a batch as a table, $N$ rows and $D$ columns, one table per view. A column is a question put to
# every picture. Barlow Twins wants two things of these questions: **the same question gets the same answer on both
# views**, and **no two questions ask the same**. Nothing is pushed away, nothing predicted, nothing held still.
#
# Both wishes fit into one matrix. Standardise each column over the batch, separately for each view, and correlate column
# $i$ of view 1 with column $j$ of view 2:
#
# $$\hat z = \frac{z - \mathrm{mean}}{\sqrt{\mathrm{var} + 10^{-5}}}, \qquad
# C_{ij} = \frac1N \sum_n \hat z^{(1)}_{ni}\, \hat z^{(2)}_{nj}, \qquad
# L = \sum_i (1 - C_{ii})^2 + \lambda \sum_{i \neq j} C_{ij}^2$$
#
# $C$ should become the identity: ones on the diagonal (*invariance*), zeros beside it (no *redundancy*). Collapse cannot
# pay: a constant column has $C_{ii} = 0$ and costs 1.
#
# There are $D$ entries on the diagonal and $D^2 - D$ beside it, so what counts is $\lambda D$. The paper takes
# $\lambda = 0.0051$ at $D = 8192$: $\lambda D = 42$. We take 8, as others do for small pictures. With 0.0051
# at $D = 64$ the redundancy would hardly count, and Barlow Twins would look bad.

# %%
from torch import nn

from sslwork import heads
from sslwork.losses import columns
from sslwork.plots.courses import courses
from sslwork.widgets import CorrelationLab

correlation_lab = CorrelationLab()
correlation_lab

# %% [markdown]
# Fixed features, two noisy views of them, and a linear projector which learns before your eyes. The map is $C$. Drag
# **time** to 0 and up again: the line on the diagonal is there from the start, for the views are much alike, and the rest
# pales. Then try:
#
# - **λ × D** at 1/4 and 128, with the time at 20: at 1/4 the diagonal is strong, and the columns repeat each other
#   more; at 128 they are further apart, at the price of the diagonal.
# - **view strength** up, with N = 128: columns agree less, and the diagonal pales. With N = 64 it hardly does: a column of
#   the projector has 64 weights, and learns 64 rows by heart.
# - **D above N - 1**: the loss stops above the dashed line. Why?
# - `i` and `j`: the column of view 1 and the column of view 2 behind one entry of $C$.
#
# ### What cannot be reached, exactly
#
# Equal views make $C$ a correlation matrix of rank $N - 1$ at most, since each column has mean 0. A matrix with $D$ ones on
# its diagonal and rank $r$ has $\sum_{ij} C_{ij}^2 \geq D^2 / r$. So with more columns than rows zero is out of reach; of
# $N = 2$ rows every entry is 1 or -1. And columns which have nothing to do with each other correlate by chance:
# the mean of $C_{ij}^2$ is $1 / (N - 1)$. That is **noise in the loss**, and it falls with the batch only.

# %%
floors = {}
for n in (16, 64, 128, 1024):
    z1, z2 = torch.randn(2, n, 256, generator=torch.Generator().manual_seed(n), dtype=torch.double)
    noise = float(columns.redundancy(columns.cross_correlation(z1, z2))) / (256 * 255)
    least = {f"least loss, D = {dim}": f"{columns.floor(dim, n, 8 / dim):.1f}" for dim in (16, 64, 256)}
    floors[f"N = {n}"] = {
        "mean C² of random columns": f"{noise:.4f}",
        "1 / (N - 1)": f"{1 / (n - 1):.4f}",
    } | least
pd.DataFrame.from_dict(floors, orient="index")

# %% [markdown]
# The first two columns agree. The paper finds Barlow Twins at ease with batches of 256, where SimCLR wants thousands. At
# 16 or 32 rows the noise floor turns that round: most of what the loss sees beside the diagonal is chance. (We did not
# train at other batch sizes here.)
#
# ### How wide, and how strongly apart?
#
# The paper's surprise: Barlow Twins keeps improving as the embedding gets wider, up to thousands of columns, where SimCLR
# saturates early. Here: widths 16, 64 and 256 at $\lambda D = 8$, SimCLR at the narrowest and the widest with the same head,
# views and encoder, and at $D = 256$ other weights, among them none at all. AdamW, batch 128.


# %%
def wide_heads(seed, *, steps, dims):
    """Width of the embedding for Barlow Twins and SimCLR, and at the largest the weight of the redundancy."""
    pair = views.pair(test.images[:1000], torch.Generator().manual_seed(0))

    def row(model, method=None):
        found = probing.accuracies(model, bank, test)
        if method is None:
            return found
        z1, z2 = (embed(method, view, progress=False) for view in pair)
        c, dim = columns.cross_correlation(z1, z2), z1.shape[1]
        verdict, spectrum = measures.collapse(z1), measures.singular_values(z1, centred=True)
        return found | {
            "mean C² off the diagonal": float(columns.redundancy(c)) / (dim * dim - dim),
            "mean C on it": float(c.diagonal().mean()),
            "RankMe of z": verdict.rank,
            "spread": verdict.spread,
            "spectrum of z": spectrum / spectrum[0],
        }

    def trained(kind, dim, **options):
        method = kind(encoder(seed), dim=dim, seed=seed, **options)
        method.head = heads.mlp(method.encoder.out_features, 256, dim, seed=seed)  # the same for both methods
        train.fit(
            method, pictures, views=views, steps=steps, batch_size=128, lr=2e-3, seed=seed, progress=False
        )
        return row(method.encoder, method)

    widest, twins = dims[-1], methods.BarlowTwins
    return (
        {"raw pixels": row(nn.Flatten()), "untrained encoder": row(encoder(seed))}
        | {f"Barlow Twins, D = {dim}": trained(twins, dim) for dim in dims}
        | {f"SimCLR, D = {dim}": trained(methods.SimCLR, dim) for dim in (dims[0], widest)}
        | {
            f"D = {widest}, λD = {strength}": trained(twins, widest, strength=strength)
            for strength in (0, 1, 16)
        }
    )


wide_study = studies.run(
    "barlow-twins-width",
    wide_heads,
    seeds=size.seeds,
    steps=size.pick(smoke=2, lab=400, gpu=10_000),
    dims=size.pick(smoke=[4, 8, 32], lab=[16, 64, 256], gpu=[16, 64, 256, 1024, 4096]),
)
print(wide_study)
wide_study.table(2)

# %%
chosen = [arm for arm in wide_study.arms if arm not in ("raw pixels", "untrained encoder")]
plots.arms(wide_study, "k-NN", "RankMe of z", "mean C² off the diagonal", only=chosen,
           lines={"k-NN": {name: wide_study.mean(name, "k-NN") for name in ("raw pixels", "untrained encoder")}})  # fmt: skip

# %%
WIDEST = f"D = {wide_study.settings['dims'][-1]}"
weights = {"λD = 0": f"{WIDEST}, λD = 0", "λD = 1": f"{WIDEST}, λD = 1", "λD = 16": f"{WIDEST}, λD = 16"}
courses(
    wide_study,
    "spectrum of z",
    only=[*weights.values(), f"Barlow Twins, {WIDEST}"],
    label="direction k",
    log=True,
)

# %% [markdown]
# The singular values of the embedding, over the largest; each thin line is a seed. Without the weight ($\lambda = 0$) the
# columns still cannot shrink, for they are standardised: their *spread* in the table stays near 1. But nothing keeps them
# from repeating each other. The mean of $C_{ij}^2$ comes near 1, and a single direction stands above the rest: all columns ask
# nearly *one* question. The features before the head stay far below those of every other run. So it is the redundancy term that
# holds Barlow Twins up, and nothing else does. The more it weighs, the more directions stand.
#
# ### The claim
#
# The widest embedding less the narrowest, k-NN, at least 2 points asked for. Beside it what the weight does: from
# $\lambda D = 1$ to 16 the mean of $C_{ij}^2$ should halve and the k-NN accuracy rise by 5 points; both bounds were set before we
# looked.

# %%
dims = wide_study.settings["dims"]
claim = claims.record(
    system="033",
    paper="Barlow Twins: features keep improving with very wide embeddings, without negatives, predictor, stop-gradient or twin.",
    measured=f"k-NN accuracy on digits in any pose, D = {dims[-1]} less D = {dims[0]}, λD = 8; {wide_study.settings['steps']} steps, AdamW.",
    effects=wide_study.difference(f"Barlow Twins, D = {dims[-1]}", f"Barlow Twins, D = {dims[0]}", "k-NN"),
    unit="points of k-NN accuracy",
    needed=2,
    seconds=wide_study.seconds,
)
print(claim)
simclr = wide_study.difference(f"SimCLR, D = {dims[-1]}", f"SimCLR, D = {dims[0]}", "k-NN")
low, high = weights["λD = 1"], weights["λD = 16"]
off = [wide_study.values(arm, "mean C² off the diagonal") for arm in (low, high)]
print("\nSeed by seed:", *(f"{gain:+.1f}" for gain in claim.parts[0].effects))
print("SimCLR, from the same widening:", *(f"{gain:+.1f}" for gain in simclr))
print(
    "λD from 1 to 16: mean C² falls by a factor of",
    *(f"{a / b:.1f}" for a, b in zip(*off, strict=True)),
    "(2 asked for)",
)
print(
    "              and k-NN changes by",
    *(f"{gain:+.1f}" for gain in wide_study.difference(high, low, "k-NN")),
    "(5 asked for)",
)

# %% [markdown]
# **What we see.** The wider embedding is the better one in every seed, but not by 2 points in each: not seen as clearly as
# we asked. On average most of the gain comes by the first step, to 64 columns; 256 columns bring little more. SimCLR gains about as much from the
# same widening, so width is nothing that Barlow Twins alone can use here, and SimCLR is ahead at both. With 64 features
# before the head and ten kinds of digits there may be no use for more questions. The paper's widths go into the
# thousands, on a thousand classes.
#
# What the weight does to the correlations is clear: they fall by far more than half. The accuracy rises in every seed, but by
# the 5 points we asked for in one of three only.
#
# And the controls: after so few steps no run passes raw pixels with k-NN; with a linear probe all do,
# $\lambda = 0$ the least. A linear probe cannot undo a turn of the pixels; comparing with 4,000 neighbours can, a bit.
#
# ### Exercise: the loss
#
# Write Barlow Twins from the formula. Three numbers to test it with, for
# $z = (1, 1), (1, -1), (-1, 1), (-1, -1)$: equal views cost 0, opposite ones 8, and swapped columns $2 + 2\lambda$.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "barlow-twins", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_barlow_twins(z1, z2, off_diagonal):
    ### BEGIN SOLUTION
    a, b = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in (z1, z2))
    c = a.T @ b / len(z1)
    on = c.diagonal()
    return (1 - on).square().sum() + off_diagonal * (c.square().sum() - on.square().sum())
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "barlow-twins-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
four = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.double)
z1, z2 = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.double)
assert my_barlow_twins(four, four, 0.5) < 1e-3, "equal views, orthogonal columns: 0"
assert abs(my_barlow_twins(four, -four, 0.5) - 8) < 1e-3, "opposite views: (1 + 1)^2 for each of two columns"
assert abs(my_barlow_twins(four, four.flip(1), 0.5) - 3) < 1e-3, "swapped columns: 2 + 2 * 0.5"
assert abs(my_barlow_twins(four, torch.ones_like(four), 0.5) - 2) < 1e-3, "constant columns cost 1 each"
assert abs(my_barlow_twins(z1, z2, 0.1) - losses.barlow_twins(z1, z2, off_diagonal=0.1)) < 1e-9, (
    "not its value"
)
print("Barlow Twins: right.")

# %% [markdown]
# ## Mixed Barlow Twins: what if there are few pictures?
#
# In SimCLR every pair of pictures in a batch is a new task, so a small set lasts long. In Barlow Twins pictures hardly
# meet each other: a row enters the sums in $C$ and is forgotten. With few pictures and many epochs the network may learn
# *these* pictures by heart, and the loss goes on falling while the features do not get better (Bandara and others, 2023).
#
# The remedy makes pictures meet. A third view is a mix of two pictures, pixel by pixel, and **its embedding is to be the
# mix of their embeddings**. For each batch draw one share $m$ from 0 to 1 and one permutation $\pi$:
#
# $$x^M = m\, x^A + (1 - m)\, x^B_\pi, \qquad
# L = L_{\text{Barlow Twins}} + \lambda_{\text{reg}}\, \lambda \left( \big\|C^{MA} - G^{MA}\big\|^2 + \big\|C^{MB} - G^{MB}\big\|^2 \right)$$
#
# $C^{MA} = \hat z_M^\top \hat z_A / N$ is the correlation of the mixed view with view $A$, and $G^{MA} = [\,m\, \hat z_A + (1 - m)\,
# \hat z_{B,\pi}]^\top \hat z_A / N$ what it would be if the network were linear between pictures. Hats are columns
# standardised, as before. Gradients go into $G$ too.
#
# ### Where does the mix of two pictures land?
#
# Two short runs on a few pictures, plain and mixed, and the network before. Each dot is the embedding of one mixed test
# picture, seen from the line between the embeddings of its parts: **along** it (0: at the second picture, 1: at the first) and
# **off** it. A linear network would put all dots on the star. Move the share.

# %%
from sslwork.plots.mixing import mixing

few = pictures[len(bank) : len(bank) + size.pick(smoke=64, lab=256, gpu=256)]
few_nets = {"untrained": methods.BarlowTwins(encoder(0), dim=32)}
for name, kind in (("Barlow Twins", methods.BarlowTwins), ("mixed", methods.MixedBarlowTwins)):
    few_nets[name] = kind(encoder(0), dim=32)
    short = size.pick(smoke=3, lab=60, gpu=2000)
    train.fit(few_nets[name], few, views=views, steps=short, batch_size=128, lr=2e-3, progress=False)

first, second = views.pair(test.images[:200], torch.Generator().manual_seed(0))
second = second.roll(1, 0)  # the permutation: row i meets row i - 1


def place(net, share):
    """Of 200 mixed pictures: how far along the line from part 2 to part 1, and how far off it."""
    pictures_in = (first, second, second.lerp(first, share))
    a, b, m = (columns.standardise(embed(net, rows, progress=False), unbiased=True) for rows in pictures_in)
    line = a - b  # (N, D)
    along = ((m - b) * line).sum(1) / line.square().sum(1)
    return along, (m - b - along[:, None] * line).norm(dim=1) / line.norm(dim=1)


def draw_mix(share):
    places = {name: place(net, share) for name, net in few_nets.items()}
    miss = {name: float(torch.hypot(along - share, off).mean()) for name, (along, off) in places.items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in miss.items())
    return mixing(
        first, second, share, places
    ), f"Mean distance from the star, in lengths of the line: {told}."


Sliders(draw_mix, share=(0.0, 1.0, 0.5))

# %% [markdown]
# At 0 and 1 nothing is mixed and every network hits the star. In between nobody does. The untrained network comes nearest:
# learning to tell pictures apart bends a network, and Barlow Twins bends it most. The mixed method is to bend it less; after
# so few steps the difference is small. (A rest stays in any case. The columns of the mixed view are standardised by
# themselves, and an exact mix of two embeddings has less than their spread, so standardising moves it.)
#
# ### The experiment
#
# 256 pictures, seen again and again in batches of 128 (AdamW, D = 128, $\lambda D = 8$, $\lambda_{\text{reg}} = 4$). Labels of 4,000
# *other* pictures serve the k-NN probe. The mixed method makes three views where the plain one makes two, so a third
# run gets two thirds of the steps: as many views as plain Barlow Twins. Beside k-NN we read the loss of plain Barlow Twins
# for all of them, once on the pictures that they learn from and once on new ones.


# %%
def few_pictures(seed, *, few, steps, looks, dim):
    """Barlow Twins, plain and mixed, on the same few pictures again and again; how it goes, looked at `looks` times."""
    own = pictures[len(bank) : len(bank) + few]  # none of them among those the probe knows
    held_out = test[: min(few, len(test))]
    pairs = [
        views.pair(some.images, torch.Generator().manual_seed(0)) for some in (own[: len(held_out)], held_out)
    ]

    def look(method):
        rows = [[embed(method, view, progress=False) for view in pair] for pair in pairs]
        seen, new = (float(losses.barlow_twins(*both, off_diagonal=8 / dim)) for both in rows)
        before, after = (embed(method.encoder, some, progress=False) for some in (bank, test))
        found = measures.knn(before, bank.labels, after, test.labels, k=min(20, len(bank)))
        return {"k-NN": 100 * found.value, "loss on its pictures": seen, "loss on new pictures": new}

    def follow(kind, steps):
        method, course = kind(encoder(seed), dim=dim, hidden=2 * dim, seed=seed), []
        every = max(1, steps // looks)
        train.fit(
            method, own, views=views, steps=steps, batch_size=128, lr=2e-3, seed=seed,
            show=lambda run: course.append({"step": run.step} | look(method)) if run.step % every == 0 else None,
        )  # fmt: skip
        early = min(course, key=lambda row: abs(row["step"] - 0.4 * steps))
        curves = {f"{key}, course": [row[key] for row in course] for key in course[0]}
        last = {key: value for key, value in course[-1].items() if key != "step"}
        return last | {"gain after 40 %": last["k-NN"] - early["k-NN"]} | curves

    return {
        "Barlow Twins": follow(methods.BarlowTwins, steps),
        "mixed": follow(methods.MixedBarlowTwins, steps),
        "mixed, as many views": follow(methods.MixedBarlowTwins, 2 * steps // 3),
    }


few_study = studies.run(
    "mixed-few",
    few_pictures,
    seeds=size.seeds,
    few=size.pick(smoke=64, lab=256, gpu=256),
    steps=size.pick(smoke=10, lab=1200, gpu=20_000),
    looks=size.pick(smoke=2, lab=10, gpu=20),
    dim=size.pick(smoke=16, lab=128, gpu=512),
)
print(few_study)
few_study.table()

# %%
plain_and_mixed = {"over": "step, course", "only": ["Barlow Twins", "mixed"], "label": "step"}
courses(
    few_study, "loss on its pictures, course", "loss on new pictures, course", log=True, **plain_and_mixed
)

# %%
courses(few_study, "k-NN, course", **plain_and_mixed)

# %% [markdown]
# Thin lines are seeds; both panels have one axis. **Overfitting** is the distance between the two losses of one colour: what new pictures cost more
# than those that the network learns from. It is wider for the plain method. (Its loss is the lower one on both, for it
# has nothing else to do.) The k-NN curves hardly care.
#
# ### The claim
#
# The final k-NN accuracy of the mixed method less that of the plain one: at least 1 point asked for, and the plain one is to
# gain less than 1 point in the last 60 % of the steps while the mixed one keeps rising. Set before we looked.

# %%
claim = claims.record(
    system="029",
    paper="Mixed Barlow Twins: mixed pictures keep Barlow Twins from overfitting where pictures are few and epochs many.",
    measured=f"k-NN accuracy on digits in any pose, mixed less plain, {few_study.settings['few']} pictures; {few_study.settings['steps']} steps, AdamW.",
    effects=few_study.difference("mixed", "Barlow Twins", "k-NN"),
    unit="points of k-NN accuracy",
    needed=1,
    seconds=few_study.seconds,
)
print(claim)


def seeds_of(values):
    return ", ".join(f"{value:+.1f}" for value in values)


def overfit(arm):
    """What new pictures cost more than those it learns from, in % of the latter, seed by seed."""
    new, own = (few_study.values(arm, f"loss on {which} pictures") for which in ("new", "its"))
    return [100 * (a - b) / b for a, b in zip(new, own, strict=True)]


print("\nSeed by seed:", seeds_of(claim.parts[0].effects))
print("With as many views:", seeds_of(few_study.difference("mixed, as many views", "Barlow Twins", "k-NN")))
for arm in ("Barlow Twins", "mixed"):
    gain, extra = few_study.values(arm, "gain after 40 %"), overfit(arm)
    print(
        f"{arm}: gain after 40 % of the steps {seeds_of(gain)}; new pictures cost more by {seeds_of(extra)} %"
    )

# %% [markdown]
# **What we see.** Overfitting is there, and mixing works against it: what new pictures cost more than the own ones shrinks
# to little more than half, in every seed. But it is the *loss* that overfits, not the features. The plain method does not stall: its
# k-NN accuracy gains more than 1 point after 40 % of the steps, as much as the mixed one, and there is nothing to
# rescue. With as many views for both, the mixed method is behind.
#
# 1,200 steps are 600 epochs of 256 pictures; the paper shows 2,000 epochs of a network some hundred times larger. An encoder of 64
# features may have no room to learn by heart what harms it. To look further: set `steps` to 2500 and `dim` to 256 in the
# cell of the experiment, or `few` to 4000, where the two losses should meet (some minutes each).
#
# ### Exercise: the regulariser
#
# Write $\|C^{MA} - G^{MA}\|^2 + \|C^{MB} - G^{MB}\|^2$. The three tables of embeddings come in raw; `columns.standardise(z,
# unbiased=True)` does the hats. Mind that $\pi$ permutes the rows of $\hat z_B$, not those of $\hat z_A$.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "mixed-barlow-twins", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_regulariser(z1, z2, z_mixed, mix, permutation):
    ### BEGIN SOLUTION
    a, b, m = (columns.standardise(z, unbiased=True) for z in (z1, z2, z_mixed))
    target = mix * a + (1 - mix) * b[permutation]
    return sum(((m.T @ x - target.T @ x) / len(x)).square().sum() for x in (a, b))
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "mixed-barlow-twins-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
two, swap = torch.tensor([[1.0], [-1.0]], dtype=torch.double), torch.tensor([1, 0])
assert abs(my_regulariser(two, two, two, 0.25, swap) - 1.125) < 1e-4, "two rows, one column: 2 (1 - mix)^2"
z1, z2, z3 = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
order = torch.tensor([2, 0, 4, 1, 5, 3])
assert my_regulariser(z1, z2, z1, 1.0, order) < 1e-9, "mix = 1 and the mixed view is view 1: 0"
assert my_regulariser(z1, z2, z2[order], 0.0, order) < 1e-9, "mix = 0 and it is view 2, permuted: 0"
options = {"mix": 0.3, "permutation": order, "off_diagonal": 1.0}
with_it, without = (
    losses.mixed_barlow_twins(z1, z2, z3, regularisation=weight, **options) for weight in (1.0, 0.0)
)
assert abs(my_regulariser(z1, z2, z3, 0.3, order) - (with_it - without)) < 1e-9, (
    "not the value of the package"
)
print("Mixed Barlow Twins: right.")

# %% [markdown]
# ## Projection head: what does it throw away, and why is that good?
#
# The loss works on $z$, behind the head; we keep $y$, before it. Odd: the network was trained to make $z$ good. Xue, Gan,
# Ni, Joshi and Mirzasoleiman (2024) explain it by what gradient descent does to a feature, layer by layer. A model small
# enough to solve shows all of it.
#
# The input is a sum of independent features. Feature $i$ has the variance $\sigma_i^2$, and its values in two views
# of one picture are correlated by $\alpha_i$: 1 if the views leave it alone, 0 if they destroy it. The encoder $W_1$ and
# the head $W_2$ are linear, $y = W_1 x$, $z = W_2 y$, and the loss is the spectral contrastive one. With $M = W_2 W_1$,
# $C = \mathrm{diag}(\alpha_i \sigma_i^2)$ and $S = \mathrm{diag}(\sigma_i^2)$,
#
# $$L = -2\,\mathbb{E}\langle z, z^+\rangle + \mathbb{E}\langle z, z'\rangle^2 = -2\,\mathrm{tr}(M C M^\top) + \mathrm{tr}(M S M^\top)^2$$
#
# (the last trace is of the squared matrix). The best $M$ amplifies feature $i$ by $\sqrt{\alpha_i}/\sigma_i$, and nothing
# says how $W_1$ and $W_2$ should share that. Gradient descent from a small start does: it keeps
# $W_1 W_1^\top = W_2^\top W_2$, so each takes the square root. Hence the **weight** of a feature, its gain times $\sigma_i$:
#
# $$\text{input: } \sigma_i \qquad \text{before the head: } \alpha_i^{1/4}\,\sigma_i^{1/2} \qquad \text{after it: } \alpha_i^{1/2}$$
#
# After layer $l$ of $m$ it is $\alpha_i^{l/2m}\sigma_i^{1-l/m}$: step by step the strength of the input is exchanged for
# what the views leave alone. Let us train such nets, each from another seed.

# %%
from dataclasses import dataclass

from sslwork.plots.heads import feature_bars, two_features
from sslwork.toys import head_theory

cases = {
    "equally strong, disturbed by the views": ((1, 0.64, 0.25, 0.04), (1, 1, 1, 1), 0.05),
    "undisturbed, of unequal strength": ((1, 1, 1, 1), (4, 1, 0.25, 0.0625), 0.02),
    "three features for a head of two": ((0.9, 0.5, 0.7), (1, 4, 1), 0.02),
}
theory, found, error = {}, {}, 0.0
for name, (alpha, variance, lr) in cases.items():
    outputs = 2 if len(alpha) == 3 else None
    theory[name] = torch.stack(
        [head_theory.feature_weights(alpha, variance, layer=layer, outputs=outputs) for layer in range(3)]
    )
    layers = head_theory.descend(alpha, variance, outputs=outputs, lr=lr, steps=2500, seed=len(found))
    found[name] = torch.stack(
        [head_theory.measured_weights(layers, variance, layer=layer) for layer in range(3)]
    )
    error = max(error, float((found[name] - theory[name]).abs().max()))
print(
    f"largest difference between gradient descent and the closed form: {error:.4f} (less than 0.02 asked for)"
)
feature_bars(theory, found)

# %% [markdown]
# Each group of bars is a place in the network, each colour a feature; the dots are what gradient descent found. On the
# left the views disturb features more and more: the head makes their weights *more unequal* than they are before it.
# In the middle nothing is disturbed, and the head makes the weights *more even*: "before the head" is no better as such.
# The ratio decides: before the head favours feature $t$ over $o$ if $\sigma_t^2/\alpha_t > \sigma_o^2/\alpha_o$, that is,
# if $t$ is strong in the pictures and disturbed by the views. On the right the head has room for two: the strongest
# feature goes, because the views disturb it most.
#
# ### Who comes when, and what is left
#
# From a small start $\epsilon$ the gain $w_i$ of the first layer follows
# $\dot w = 4\alpha\sigma^2 w^3 - 4\sigma^4 w^7$: it leaves after about $1/(8\alpha\sigma^2\epsilon^2)$, strong undisturbed
# features first. A feature which the views destroy ($\alpha = 0$) is never *pushed out* of the net, it only fades:
# $w = (\epsilon^{-6} + 24\sigma^4 t)^{-1/6}$, and before the head far more of it is left ($\sigma w$) than after it
# ($\sigma w^2$).
#
# Move the two features. The time plays the training. `kappa` is the head of the last columns: no learning at all, just
# column $k$ times $\kappa^{-k}$ (`heads.Reweighting`). The loss then wants $\sqrt{\alpha}$ *behind* these weights, so what
# stands *before* them is more even.


# %%
def draw(target_strength, target_invariance, other_strength, other_invariance, kappa, time):
    alpha, variance = (target_invariance, other_invariance), (target_strength**2, other_strength**2)
    times = torch.cat([torch.zeros(1), torch.logspace(-1, 2.5, 60)])
    w = head_theory.flow(alpha, variance, times)
    fixed = torch.diag(kappa ** -torch.arange(2.0))
    lr = 0.1 / max(1.0, *variance)
    reweighted = head_theory.descend(alpha, variance, head=fixed, lr=lr, steps=1000)
    ends = {
        "input": head_theory.feature_weights(alpha, variance, layer=0),
        "before\nthe head": head_theory.feature_weights(alpha, variance, layer=1),
        "after\nthe head": head_theory.feature_weights(alpha, variance, layer=2),
        "before a\nfixed head": head_theory.measured_weights(reweighted, variance, layer=1),
    }
    target, other = (v / a if a else float("inf") for v, a in zip(variance, alpha, strict=True))
    better = (
        "more before" if target > other else "more after" if target < other else "as much before as after"
    )
    now = w[int((times - time).abs().argmin())]
    fig = two_features(ends, times, w, torch.tensor(variance).double().sqrt(), time)
    return fig, (
        f"strength² / invariance is {target:.3g} for the target and {other:.3g} for the other: once trained, the target "
        f"stands out {better} the head. At time {time:.3g} its gain is {now[0]:.2f}, the other's {now[1]:.2f}."
    )


Sliders(
    draw,
    log=["time"],
    target_strength=(0.5, 1.5, 1.0),
    target_invariance=(0.0, 1.0, 0.1),
    other_strength=(0.5, 1.5, 0.7),
    other_invariance=(0.0, 1.0, 1.0),
    kappa=(1.0, 2.0, 1.3),
    time=(0.1, 300.0, 10.0),
)

# %% [markdown]
# ### A head that is not linear can do it altogether
#
# Give the head a threshold per column, $(x - b)_+ - (-x - b)_+$ (torch calls it *softshrink*). A feature whose
# amplitude stays under $b$ is *exactly* zero after the head, at any time of training. Before the head it is all there. And
# weight decay takes what a linear head would have spared: the feature with $\alpha = 0$ then fades exponentially.

# %%
y = torch.tensor(
    [[1.5, 0.4], [-1.2, -0.3], [0.9, 0.2]], dtype=torch.double
)  # a strong feature, and a weak one
print(
    "sizes after a head with the threshold 0.5:",
    torch.nn.functional.softshrink(y, 0.5).abs().round(decimals=2).tolist(),
)
spared = {}
for weight_decay in (0.0, 0.01):
    layers = head_theory.descend((1, 0), (1, 1), weight_decay=weight_decay, steps=1500)
    spared[weight_decay] = [float(head_theory.measured_weights(layers, (1, 1), layer=i)[1]) for i in (1, 2)]
    print(
        f"weight decay {weight_decay}: before the head {spared[weight_decay][0]:.3f} of the destroyed feature is left, "
        f"after it {spared[weight_decay][1]:.3f}"
    )

# %% [markdown]
# ### The same with pictures
#
# Now a digit stands on a grating, in one of six directions. A view drops the digit, with probability $p$, and shows the
# grating alone: the views disturb the digit, and leave the grating alone. (The set keeps both pictures of each scene, one
# above the other; a view takes one of the two.)


# %%
@dataclass(frozen=True)
class DigitDropped:
    """Views of the upper of two stacked pictures, or, with probability `p`, of the lower one."""

    views: Views
    p: float

    def draw(self, images, generator):
        drawn = self.views.draw(images.chunk(2, dim=2)[0], generator)
        return drawn | {"drop": torch.rand(len(images), generator=generator, device=generator.device)}

    def several(self, images, count, generator):
        return [self.draw(images, generator) for _ in range(count)]

    def apply(self, images, drawn):
        scene, grating = images.chunk(2, dim=2)
        dropped = (drawn["drop"].to(images.device) < self.p)[:, None, None, None]
        return self.views.apply(torch.where(dropped, grating, scene), drawn)


def scenes(split, count):
    """Scenes, the same with the bare grating below each, and their factors."""
    whole, factors = data.scenes(split, count=count, ink=0.0)
    bare, _ = data.scenes(split, count=count, ink=0.0, digits=False)
    return whole, data.PictureSet(torch.cat([whole.images, bare.images], dim=2)), factors


scene_views = Views(crop=0.5, flip=0, rotate=10, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0)
scene_set, stacked, factors = scenes("train", size.pick(smoke=400, lab=8000, gpu=50_000))
scene_test, _, test_factors = scenes("test", size.pick(smoke=200, lab=2000, gpu=10_000))
seen = DigitDropped(scene_views, 0.5)
one, two = (
    seen.apply(stacked.images[:11], seen.draw(stacked.images[:11], torch.Generator().manual_seed(i)))
    for i in (0, 1)
)
plots.pairs(one, two, scene_set.images[:11])

# %% [markdown]
# Below each scene two views, with $p = 0.5$: in some pairs one view lacks the digit, in some both. We train SimCLR
# (AdamW) at three values of $p$, and read digit and grating by linear probes from $y$ and from $z$, which have equally many
# columns; and at $p = 0.5$ with other heads. Controls: the raw pixels, and the encoder before training. Chance is 10 %
# for the digit and 17 % for the grating.


# %%
def through_the_head(seed, *, steps, drops, kappa):
    """Probes for digit and grating before and after the head, at each probability that a view drops the digit."""
    rows = slice(0, size.pick(smoke=200, lab=4000, gpu=20_000))

    def probe(model):
        """%, of "digit" and "grating"."""
        known, asked = (embed(model, images, progress=False) for images in (scene_set[rows], scene_test))
        return {
            name: 100 * measures.linear(known, factors[key][rows], asked, test_factors[key], c=1.0).value
            for name, key in (("digit", "digit"), ("grating", "texture"))
        }

    def trained(p, head=None):
        method = methods.SimCLR(encoder(seed), temperature=0.5, seed=seed)
        if head is not None:
            method.head = head
        dropping = DigitDropped(scene_views, p)
        train.fit(method, stacked, views=dropping, steps=steps, batch_size=128, seed=seed, progress=False)
        before, after = probe(method.encoder), probe(method)
        return {f"{name} before": value for name, value in before.items()} | {
            f"{name} after": value for name, value in after.items()
        }

    def control(model):
        return {f"{name} before": value for name, value in probe(model).items()}

    fresh = encoder(seed)
    d = fresh.out_features
    arms = {"raw pixels": control(nn.Flatten()), "untrained encoder": control(fresh)}
    arms |= {f"MLP head, p = {p}": trained(p) for p in drops}
    others = {
        "no head": nn.Identity(),
        "linear head": heads.mlp(d, d, d, layers=1, seed=seed),
        "re-weighting head": heads.Reweighting(d, kappa=kappa),
    }
    return arms | {f"{name}, p = 0.5": trained(0.5, head) for name, head in others.items()}


drops = [0.0, 0.5, 0.9]
head_study = studies.run(
    "projection-head",
    through_the_head,
    seeds=size.seeds,
    steps=size.pick(smoke=2, lab=500, gpu=10_000),
    drops=drops,
    kappa=1.05,
)
print(head_study)
head_study.table()

# %%
plots.arms(
    head_study,
    "digit before",
    "digit after",
    lines={"digit before": {"chance": 10}, "digit after": {"chance": 10}},
)

# %% [markdown]
# Every row is one training, every dot a seed. Look at the digit, before and after the MLP head, as $p$ grows: what the
# views disturb gets lost, and behind the head far more of it than before; from 0.5 to 0.9 nothing more is lost. The grating,
# which no view touches, can be read almost perfectly on both sides (see the table).
#
# Two things spoil the simple story, and the figure does not hide them. The digit suffers *before* the head as well: once
# the views drop it, the trained encoder says less of the digit than the same encoder untrained, and than the pixels. A
# head protects what lies before it, but not against everything. And the fixed head, which does nearly as well as a trained
# one in the paper, does little more than no head here: compare the last rows. We tried one $\kappa$ only, 1.05 for 64
# columns.
#
# ### The claim
#
# Asked for in every seed, before we looked: at each $p$ the probe for the digit is at least 3 points better on $y$ than on
# $z$; and of what $y$ knows above chance, the share that survives the head is at least 15 points smaller at $p = 0.5$ than at
# $p = 0$. Recorded is the part which comes out worst against its bound.

# %%
share = {}
parts = {}
for p in drops:
    arm = f"MLP head, p = {p}"
    before, after = head_study.values(arm, "digit before"), head_study.values(arm, "digit after")
    share[p] = [100 * (z - 10) / (y - 10) for y, z in zip(before, after, strict=True)]
    parts[f"digit read before the head less after it, p = {p}"] = (
        [y - z for y, z in zip(before, after, strict=True)],
        3,
    )
    print(f"p = {p}: survives the head:", ", ".join(f"{each:.0f} %" for each in share[p]))
parts["share that survives the head at p = 0 less that at p = 0.5"] = (
    [a - b for a, b in zip(share[0.0], share[0.5], strict=True)],
    15,
)
for name, (effects, needed) in parts.items():
    seen = "seen" if min(effects) >= needed else "not seen"
    print(f"{name}: {', '.join(f'{effect:+.1f}' for effect in effects)} points, {needed:+} asked for: {seen}")
for control in (
    "untrained encoder",
    "no head, p = 0.5",
    "re-weighting head, p = 0.5",
    "linear head, p = 0.5",
):
    gap = head_study.difference("MLP head, p = 0.5", control, "digit before")
    print(f"  before the MLP head at p = 0.5, less {control}:", ", ".join(f"{each:+.1f}" for each in gap))
worst = min(parts, key=lambda name: min(parts[name][0]) - parts[name][1])

# %%
claim = claims.record(
    system="077",
    paper="Projection head: what the views disturb is kept better before the head than after it.",
    measured=(
        f"linear probes (C = 1) on digits over gratings, SimCLR, temperature 0.5, AdamW, {head_study.settings['steps']} steps; the "
        f"part of four that came out worst: {worst}."
    ),
    effects=parts[worst][0],
    unit="points",
    needed=parts[worst][1],
    seconds=head_study.seconds,
)
print(claim)

# %% [markdown]
# ### Exercise: which layer would you keep?
#
# A net of $m$ balanced linear layers has been trained. For two features of variance $\sigma^2$ and correlation $\alpha$,
# return the layer $l$ in $0, \dots, m$ behind which the first stands out most against the second: the one with the largest
# ratio of weights. (The weight of a feature stands at the head of this section.)


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "head-layer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_layer(alpha, variance, layers):
    ### BEGIN SOLUTION
    def ratio(layer):
        weights = [
            a ** (layer / (2 * layers)) * v ** ((1 - layer / layers) / 2)
            for a, v in zip(alpha, variance, strict=True)
        ]
        return weights[0] / weights[1]

    return max(range(layers + 1), key=ratio)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "head-layer-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
assert best_layer((0.1, 1.0), (1.0, 0.5), 3) == 0, "strong, but disturbed by the views: as early as possible"
assert best_layer((1.0, 0.5), (0.2, 1.0), 3) == 3, "weak, but the views leave it alone: behind the head"
for alpha, variance in (((0.9, 0.3), (2.0, 0.1)), ((0.2, 0.9), (0.3, 0.8))):
    by_layer = [head_theory.feature_weights(alpha, variance, layer=i, layers=4) for i in range(5)]
    ratios = [float(each[0] / each[1]) for each in by_layer]
    assert best_layer(alpha, variance, 4) == ratios.index(max(ratios)), "not the largest ratio of weights"
print("Exercise on the head: right.")

# %% [markdown]
# ## SimCLRv2: what are ten labels per class worth?
#
# The head is thrown away after pre-training. All of it? SimCLRv2 (Chen, Kornblith, Swersky, Norouzi and Hinton, 2020)
# keeps a part, and makes a recipe of three steps for many pictures and few labels:
#
# 1. **Pre-train** a big network without labels: NT-Xent, with a head of three layers.
# 2. **Fine-tune** it on the few labels, *from the middle of the head*: the encoder and the first head layer stay
#    (*selector 1*; ordinary fine-tuning from the encoder's output is *selector 0*), the rest of the head goes, and a
#    linear classifier takes its place. All weights learn.
# 3. **Distil**: a student, as big or smaller, looks at *all* pictures again and learns to say what the fine-tuned
#    teacher says of them, shades included. No label is read:
#
# $$L = -\frac{1}{N}\sum_n \sum_c \mathrm{softmax}(t_n/\tau)_c \,\log \mathrm{softmax}(s_n/\tau)_c$$
#
# with $t_n$ the logits of the teacher, frozen and in evaluation mode, and $s_n$ those of the student, both for the same
# view. $L$ is never below the entropy of the teacher, and its gradient by the student's logits,
# $(\mathrm{softmax}(s/\tau) - \mathrm{softmax}(t/\tau))/(\tau N)$, vanishes where the two agree.
#
# These are all the labels that a network learns from in the main comparison: ten of each digit.

# %%
import numpy as np

from sslwork import finetune
from sslwork.plots.pipeline import pipeline

few = data.per_class(pictures, 10, seed=0)
order = few.labels.argsort(stable=True)
plots.pictures(few.images[order], columns=20, zoom=2)

# %% [markdown]
# A hundred pictures: a network trained from labels alone sees no others. The recipe is three calls, `train.fit`,
# `finetune.finetune` on a `finetune.classifier` cut from the method, and `finetune.distil`. A fresh method in place of the
# pre-trained one gives the control which learns from the labels alone.

# %%
few_labels = size.pick(smoke=[1, 10], lab=[1, 10, 100], gpu=[1, 3, 10, 30, 100])


def simclr_v2(width, seed):
    """SimCLR with SimCLRv2's head: three layers, the last with a norm and no bias."""
    method = methods.SimCLR(encoders.conv(width, 3, seed=seed), temperature=0.2, seed=seed)
    d = method.encoder.out_features
    method.head = heads.mlp(d, d, 64, layers=3, last_norm=True, seed=seed)
    return method


def semi_supervised(seed, *, steps, widths, labels, shown, rates):
    """Accuracy on the test pictures after each step of the recipe, for a small and a big network."""
    options = {"views": views, "seed": seed, "progress": False}
    pool, held_out = pictures[: -len(pictures) // 20], pictures[-len(pictures) // 20 :]
    few = {count: data.per_class(pool, count, seed) for count in labels}

    def right(model, asked=test):
        return 100 * float((embed(model, asked, progress=False).argmax(1) == asked.labels).float().mean())

    def tuned(method, selector, labelled, stage="fine-tune"):
        """At the better of two learning rates, by the labels of pictures held out for this."""
        models = [finetune.classifier(method, 10, selector=selector) for _ in rates]
        for model, lr in zip(models, rates, strict=True):
            finetune.finetune(model, labelled, steps=steps[stage], lr=lr, **options)
        return max(models, key=lambda model: right(model, held_out))

    arms, kept = {}, {}
    for name, width in widths.items():
        fresh, trained = simclr_v2(width, seed), simclr_v2(width, seed)
        train.fit(trained, pictures, steps=steps["pre-train"], batch_size=128, **options)
        ways = {"labels alone": (fresh, 0), "selector 0": (trained, 0), "selector 1": (trained, 1)}
        for way, (method, selector) in ways.items():
            models = {count: tuned(method, selector, few[count]) for count in labels}
            found = {count: right(model) for count, model in models.items()}
            kept[name, way] = models[shown]
            arms[f"{name}, {way}"] = {
                "accuracy": found[shown],
                "accuracies": list(found.values()),
                "labels": labels,
            }
        if name == "small":  # as many steps as its student gets
            arms["small, selector 1, long"] = {"accuracy": right(tuned(trained, 1, few[shown], "distil"))}
    neighbours = [
        100 * measures.knn(part.raw(), part.labels, test.raw(), test.labels, k=1).value
        for part in few.values()
    ]
    arms["raw pixels, nearest"] = {
        "accuracy": neighbours[labels.index(shown)], "accuracies": neighbours, "labels": labels
    }  # fmt: skip

    teacher = kept["big", "selector 1"]
    some = data.per_class(test, size.pick(smoke=2, lab=6, gpu=6), 0)
    students = {
        "small, student of big": ("small", teacher, pictures),
        "big, student of big": ("big", teacher, pictures),
        "small, student of labels-alone big": ("small", kept["big", "labels alone"], pictures),
        "small, student on labelled only": ("small", teacher, few[shown]),
    }
    for arm, (name, model, seen) in students.items():
        student = finetune.classifier(simclr_v2(widths[name], seed + 100), 10, selector=1)
        finetune.distil(
            student, model, seen, steps=steps["distil"], lr=max(rates), temperature=1.0, **options
        )
        arms[arm] = {"accuracy": right(student)}
        kept[arm] = student
    said = {"teacher": teacher, "student": kept["small, student of big"]}
    arms["pictures"] = {
        name: embed(model, some, progress=False).round(decimals=2) for name, model in said.items()
    }
    y = embed(teacher[:2], some, progress=False)
    u, s, _ = torch.linalg.svd(y - y.mean(0), full_matrices=False)
    arms["pictures"]["map"] = u[:, :2] * s[:2]
    return arms


study = studies.run(
    "simclr-v2",
    semi_supervised,
    seeds=size.seeds,
    steps=size.pick(
        smoke={"pre-train": 2, "fine-tune": 2, "distil": 2},
        lab={"pre-train": 500, "fine-tune": 150, "distil": 600},
        gpu={"pre-train": 20_000, "fine-tune": 1000, "distil": 10_000},
    ),
    widths=size.pick(smoke={"small": 2, "big": 4}, lab={"small": 4, "big": 16}, gpu={"small": 16, "big": 64}),
    labels=few_labels,
    shown=10,
    rates=[0.003, 0.01],
)
print(study)
study.table().drop("pictures")

# %% [markdown]
# The table is at ten labels per class, ± the standard deviation over seeds. *small* and *big* are 4 and 16 channels wide;
# *selector* is where the head is cut; *long* has as many steps as a student. The optimiser is AdamW throughout (the paper
# uses LARS), and all see the same kind of views. Every fine-tuned network gets the better of two learning rates, 0.003 and
# 0.01, by its accuracy on 1,000 labelled pictures held out for that: more labels than it learns from, for all networks alike.
# Students learn at 0.01.
#
# Now all numbers of labels, and what size and pre-training are worth: in points, in the error left, and in labels ("more":
# in some seed the reference does not get there with all the labels it was given; at one label the figure cannot fall
# below 1).

# %%
ways = ("labels alone", "selector 0", "selector 1")
nets = [f"{name}, {way}" for name in ("small", "big") for way in ways]
fig = courses(
    study, "accuracies", over="labels", only=[*nets, "raw pixels, nearest"], label="labels per class"
)
fig.axes[0].set(xscale="log", xticks=few_labels, xticklabels=few_labels)
fig.axes[0].set_title("accuracy on new pictures, %", fontsize=9)
fig.axes[0].minorticks_off()
fig


# %%
def curve(seed, arm):
    return np.array(study.results[seed][arm]["accuracies"])


def labels_for(accuracy, reference):
    """How many labels per class the reference needs for these accuracies; NaN if more than it was given."""
    return np.exp(np.interp(accuracy, np.maximum.accumulate(reference), np.log(few_labels), right=np.nan))


rows = {}
for name, arm, reference in (
    ("big over small, labels alone", "big, labels alone", "small, labels alone"),
    ("big over small, selector 1", "big, selector 1", "small, selector 1"),
    ("pre-trained over not, small", "small, selector 1", "small, labels alone"),
    ("pre-trained over not, big", "big, selector 1", "big, labels alone"),
):
    pairs = [(curve(seed, arm), curve(seed, reference)) for seed in study.results]
    points = np.mean([a - b for a, b in pairs], axis=0)
    ratio = np.mean([(100 - a) / (100 - b) for a, b in pairs], axis=0)
    worth = np.mean([labels_for(a, b) / few_labels for a, b in pairs], axis=0)
    rows[name, "points gained"] = points.round(1)
    rows[name, "error left, of 1"] = ratio.round(2)
    rows[name, "one label is worth"] = worth.round(1)
worths = pd.DataFrame(rows, index=pd.Index(few_labels, name="labels per class")).T.astype(object)
worths.where(worths.notna(), "more")

# %% [markdown]
# ### The recipe, to move
#
# Choose the labels and the place of the cut; look at pictures one after the other, from the one of which the teacher is
# surest to the one of which it is least sure. The temperature is that of the probabilities: heat shows how the teacher
# ranks the *wrong* digits, which is what a student hears beyond a label. (Seed 0; students were made for ten labels per class.)

# %%
kept = {name: torch.tensor(rows) for name, rows in study.results[size.seeds[0]]["pictures"].items()}
some = data.per_class(test, len(kept["teacher"]) // 10, 0)
by_confidence = kept["teacher"].softmax(1).amax(1).argsort(descending=True)


def recipe(labels_per_class, selector, picture, temperature):
    at = few_labels.index(int(labels_per_class))
    steps = {
        f"{name}: {said}": [values[at] for values in study.values(f"{name}, {way}", "accuracies")]
        for name in ("small", "big")
        for said, way in (("labels alone", "labels alone"), ("fine-tuned", f"selector {selector}"))
    }
    steps["small, student of big\n(10 labels)"] = study.values("small, student of big", "accuracy")
    row = int(by_confidence[picture])
    said = {name: (kept[name][row] / temperature).softmax(0) for name in ("teacher", "student")}
    fig = pipeline(
        steps, kept["map"], kept["teacher"], kept["student"], some.images, row, temperature=temperature
    )
    spread = {name: float(torch.exp(-(p * p.clamp_min(1e-30).log()).sum())) for name, p in said.items()}
    return fig, (
        f"A {some.class_of[row]}. The teacher says {int(said['teacher'].argmax())}, the student "
        f"{int(said['student'].argmax())}. At this temperature they hesitate between {spread['teacher']:.1f} and "
        f"{spread['student']:.1f} digits."
    )


Sliders(
    recipe,
    log=["temperature"],
    labels_per_class=[str(count) for count in (10, *(c for c in few_labels if c != 10))],
    selector=["1", "0"],
    picture=(0, len(some) - 1, len(some) - 2),
    temperature=(0.1, 10.0, 1.0),
)

# %% [markdown]
# ### The claim
#
# Six things were asked for at ten labels per class, in every seed; the student may fall 2 points behind its teacher. These
# bounds were set before we looked, and have not been moved. **The learning rate of fine-tuning was: twice, after looking.**
# First it was 0.003 for all, and in two seeds fresh small networks were far from done in these few steps. Then it was 0.01 for
# all, and in one seed pre-training was of no use to the big network. One rate for all would have decided the comparison, so
# now each network has the better of the two. Read the verdicts as those of a third try.

# %%
PAPER = "SimCLRv2: pre-train big without labels, fine-tune from the middle of the head on few labels, distil into a small student."
asked = {
    "selector 1 less selector 0, small network": ("small, selector 1", "small, selector 0", 2),
    "selector 1 less selector 0, big network": ("big, selector 1", "big, selector 0", 2),
    "big network less small network, selector 1": ("big, selector 1", "small, selector 1", 10),
    "small student less its big teacher": ("small, student of big", "big, selector 1", -2),
    "small student less the small network, selector 1": ("small, student of big", "small, selector 1", 10),
    "big network, selector 1 less labels alone": ("big, selector 1", "big, labels alone", 2),
}


six_parts = [
    claims.Part(name, study.difference(*arms, "accuracy"), "points of accuracy", needed)
    for name, (*arms, needed) in asked.items()
]
pd.DataFrame(
    {
        part.what: {
            f"seed {seed}": f"{effect:+.1f}" for seed, effect in zip(study.results, part.effects, strict=True)
        }
        | {"asked for": f"{part.needed:+}", "verdict": part.verdict}
        for part in six_parts
    }
).T

# %% [markdown]
# All six go on record. Below them three controls of the student.

# %%
claim = claims.record(
    system="057",
    paper=PAPER,
    measured=(
        f"test accuracy on digits, 10 labels per class. AdamW; steps {study.settings['steps']}, "
        f"widths {study.settings['widths']}."
    ),
    parts=six_parts,
    seconds=study.seconds,
)
print(claim)
print("\nThe small student, seed by seed, less")
for control, why in (
    ("small, selector 1, long", "the small network itself, fine-tuned for as many steps"),
    ("small, student of labels-alone big", "a student whose teacher was not pre-trained"),
    ("small, student on labelled only", "a student that saw the labelled pictures alone"),
):
    gap = ", ".join(f"{gap:+.1f}" for gap in study.difference("small, student of big", control, "accuracy"))
    print(f"  {why}: {gap}")

# %% [markdown]
# **What we see.** *Contradicted* is one part, not the recipe: the small student ends below its teacher in every seed, and by
# more than the 2 points allowed. Of the other five parts three hold and two are not seen.
#
# What carries the recipe here is size, and the pictures without labels. The big network beats the small one by far. The
# small student learns most of that, and more than the small network itself does when it is fine-tuned for as many steps. A
# student of four channels, from scratch, has not caught up with its teacher in these steps; one as big as the teacher has
# (*big, student of big* in the table of the study). Distilled on the hundred labelled pictures alone, or from a teacher that
# was not pre-trained, the student is worse.
#
# The cut in the middle of the head gains in every seed, but not the 2 points in each. At the first learning rate, 0.003 for
# all, it gained about 3 to 12 points in the two seeds we looked at. With the better of two rates for each, most of that is
# gone. A layer that is already trained is a head start, and counts most where time is short.
#
# "The fewer the labels, the more size helps" does not show: in the table of worths the lead of the big network *grows* with
# the labels, in points and in the error left. One label per class is too little for either network, and a hundred are more
# than four channels can use. The paper compares networks which are all large, at a thousand classes.
#
# ### Exercise: write the distillation loss
#
# `s` and `t` are logits `(N, C)` of student and teacher. Write $L$ from the formula at the head of this section. The
# teacher must get no gradient.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "distillation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_distillation(s, t, temperature):
    ### BEGIN SOLUTION
    p = torch.softmax(t.detach() / temperature, dim=1)
    return -(p * torch.log_softmax(s / temperature, dim=1)).sum(1).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "distillation-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
s, t = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.double)
equal = torch.zeros(6, 4, dtype=torch.double)
assert torch.isclose(my_distillation(equal, equal, 1.0), torch.tensor(4.0).double().log()), (
    "two that know nothing of four classes: log 4"
)
assert torch.isclose(my_distillation(s + 3, t, 0.5), my_distillation(s, t, 0.5)), (
    "a constant added to a row of logits must not matter"
)
assert torch.isclose(my_distillation(s, t, 0.5), losses.distillation(s, t, temperature=0.5)), (
    "the value is not that of the formula; where does the temperature go?"
)
t.requires_grad_()
my_distillation(s.requires_grad_(), t, 1.0).backward()
assert t.grad is None, "the teacher learns too: detach its logits"
print("Exercise on distillation: right.")

# %% [markdown]
# ## Where next?
#
# - Notebook 03: which feature wins, and can the choice of samples change it? Notebook 04: all methods on equal terms.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
