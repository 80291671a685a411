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
# # On equal terms: every method of the family, one page
#
# Papers compare methods at the settings that suit each. Here all of them get the same pictures, the same views, the
# same encoder, the same optimiser and **the same number of views to learn from**; and the same two probes judge them.
# Who wins here need not win on ImageNet. What you can learn is how large the differences are beside the spread of
# three seeds, and how much the rank of an embedding tells about its worth.
#
# The table below took many minutes. It comes from the record of a study, made by the code on this page with its
# seeds and time; change the code or the settings, and it is measured anew.

# %% [markdown]
# ## The terms
#
# - **pictures**: affine digits on the lab scale (MNIST, each turned, sized and shifted once), CIFAR-10 on the GPU scale;
# - **encoder**: a small convolutional net on the lab scale, ResNet-18 on the GPU scale, from the same seed for all;
# - **views**: a method that looks at four views a step, or makes a third picture of two, gets so many fewer steps;
# - **optimiser**: AdamW, learning rate 0.003, warm-up and cosine. Nobody's settings were tuned here: temperatures and
#   weights are those of the papers' small-picture experiments, and the head is as wide for all (64);
# - **probes**: k-NN and logistic regression on the frozen encoder, fitted on pictures which the probes alone see labelled.
#
# Controls: raw pixels, and the encoder before training.

# %%
import torch

from sslwork import (
    data,
    encoders,
    methods,
    plots,
    probing,
    scale,
    studies,
    train,
)
from sslwork.panel import Panel
from sslwork.views import Views
from sslwork.widgets import LiveTraining, Sliders

size = scale.current()
print(size)

# %%
throw = {"size": 16, "turn": 30, "scale": (0.8, 1.2), "shift": 0.2}
pictures = data.load("affine-digits", count=size.pick(smoke=600, lab=20_000, gpu=60_000), **throw)
test = data.load("affine-digits", split="test", count=size.pick(smoke=200, lab=2_000, gpu=10_000), **throw)
bank = pictures[: size.pick(smoke=300, lab=4_000, gpu=20_000)]  # labelled, for the probes
views = Views(crop=0.5, flip=0, rotate=25, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0)
width = size.pick(smoke=4, lab=16, gpu=64)

# %%
if size.name == "gpu":
    pictures, test = data.load("CIFAR10"), data.load("CIFAR10", train=False)
    bank, views = pictures, Views(rotate=0)


def encoder(seed):
    return encoders.resnet18(seed=seed) if size.name == "gpu" else encoders.conv(width, 3, seed=seed)


plots.pairs(*views.pair(pictures[:16].images, torch.Generator().manual_seed(0)), pictures[:16].images)

# %% [markdown]
# ## The methods
#
# One line each. A name in brackets means: the same loss, other batches or another way to use the encoders.

# %%
CONTESTANTS = {
    "SimCLR": lambda net, seed: methods.SimCLR(net, temperature=0.2, seed=seed),
    "MoCo": lambda net, seed: methods.MoCo(net, temperature=0.2, seed=seed),
    "DCL": lambda net, seed: methods.DCL(net, temperature=0.2, seed=seed),
    "DCLW": lambda net, seed: methods.DCL(net, temperature=0.2, weighted=True, seed=seed),
    "hard contrastive": lambda net, seed: methods.HardContrastive(net, seed=seed),
    "MoCHi": lambda net, seed: methods.MoCHi(net, seed=seed),
    "iSogCLR": lambda net, seed: methods.ISogCLR(net, seed=seed),
    "CACR": lambda net, seed: methods.CACR(net, seed=seed),
    "GroCo": lambda net, seed: methods.GroCo(net, seed=seed),
    "BYOL": lambda net, seed: methods.BYOL(net, seed=seed),
    "MYOW": lambda net, seed: methods.MYOW(net, seed=seed),
    "SimSiam": lambda net, seed: methods.SimSiam(net, seed=seed),
    "VICReg": lambda net, seed: methods.VICReg(net, dim=64, seed=seed),
    "Barlow Twins": lambda net, seed: methods.BarlowTwins(net, dim=64, seed=seed),
    "Mixed Barlow Twins": lambda net, seed: methods.MixedBarlowTwins(net, dim=64, seed=seed),
}

EXTRA = {"Mixed Barlow Twins": 1, "MYOW": 1}  # views which these make themselves


# %%
def compare(seed, *, steps, batch_size, names):
    panel = Panel(bank, test, views)
    arms = {"untrained encoder": probing.accuracies(encoder(seed).to(size.device), bank, test)}
    for name in names:
        method = CONTESTANTS[name](encoder(seed), seed)
        share = 2 / (method.n_views + EXTRA.get(name, 0))  # as many views for all
        train.fit(
            method,
            pictures,
            views=views,
            steps=round(steps * share),
            batch_size=batch_size,
            seed=seed,
            progress=False,
        )
        numbers = panel(method).numbers
        arms[name] = {
            **probing.accuracies(method.encoder, bank, test),
            "RankMe": numbers["rankme"],
            "uniformity": numbers["uniformity"],
            "alignment": numbers["alignment"],
        }
    return arms


study = studies.run(
    "equal-terms",
    compare,
    seeds=size.seeds,
    steps=size.pick(smoke=4, lab=400, gpu=20_000),
    batch_size=size.pick(smoke=32, lab=128, gpu=512),
    names=list(CONTESTANTS),
)
print(study)

# %%
study.table(2)

# %% [markdown]
# Each dot below is a seed, each stroke a mean. The dotted line is what raw pixels give.

# %%
pixels = probing.accuracies(torch.nn.Flatten(), bank, test)
ordered = sorted(study.arms, key=lambda arm: -study.mean(arm, "k-NN"))
plots.arms(
    study,
    "k-NN",
    "linear",
    only=ordered,
    lines={name: {"raw pixels": value} for name, value in pixels.items()},
)

# %% [markdown]
# Four things to see before you pick a winner. Look how wide the dots of one row lie, and how many rows overlap. Look
# at the two panels: their orders differ, so "better" needs a probe beside it. Look at the lower end: BYOL, SimSiam and
# MYOW have no negatives, and need more steps than these to get going, so at a short distance they come last (MYOW,
# which spends a third of its views on mining, not even past the untrained encoder by k-NN). And look where the raw pixels stand:
# nearest neighbours in pixels are hard to beat on digits, a linear reading of pixels is not.
#
# ## Does the rank tell?
#
# RankMe needs no labels. It was proposed for choosing settings *within* one method. Across methods, does a higher rank
# of the embedding go with a higher accuracy? Choose what stands on either axis.

# %%
from sslwork.plots.against import against


def across_methods(across, up):
    return against(study, across, up)


Sliders(
    across_methods,
    across=["RankMe", "uniformity", "alignment", "k-NN"],
    up=["k-NN", "linear", "RankMe"],
)

# %% [markdown]
# The sentence above the picture gives Spearman's rank correlation over the methods, means over seeds, with the interval
# that a bootstrap over the methods gives. With so few methods it is wide. Here a higher rank does tend to go with a higher
# accuracy. But find VICReg: the loss that asks most plainly for columns which do not repeat each other has the lowest
# rank of all, and stands well above BYOL and SimSiam in accuracy. Across methods the rank is a hint, not a judge.
#
# ## One of them, live
#
# Train one of them in front of you, with the panel of the start notebook. Change the name, and run the cell again.

# %%
name = "DCL"
live = CONTESTANTS[name](encoder(0), 0)
run = train.fit(
    live,
    pictures,
    views=views,
    steps=size.pick(smoke=4, lab=120, gpu=2000),
    batch_size=128 if size.name != "smoke" else 32,
    panel=Panel(bank[:1000], test[:500], views),
    show=LiveTraining(name),
)

# %% [markdown]
# ## What is the difference of two methods worth?
#
# ### Exercise: a difference beside its spread
#
# Each seed gave every method the same initial encoder, the same pictures and the same order of batches: differences
# are *paired*. Given the accuracies of two methods, seed by seed, return the mean difference and its standard error:
# the standard deviation of the differences (with $n - 1$) over $\sqrt n$.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "paired", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_difference(ours, theirs):
    ### BEGIN SOLUTION
    difference = torch.tensor(ours, dtype=torch.double) - torch.tensor(theirs, dtype=torch.double)
    return float(difference.mean()), float(difference.std() / len(difference) ** 0.5)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "paired-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
mean, error = paired_difference([80.0, 82.0, 84.0], [79.0, 80.0, 81.0])
assert abs(mean - 2) < 1e-9, "the differences are 1, 2 and 3: their mean is 2"
assert abs(error - 1 / 3**0.5) < 1e-9, "their deviation is 1 (with n - 1), over the root of 3"
assert paired_difference([50.0, 90.0], [49.0, 89.0])[1] < 1e-9, "pair by seed before you take the deviation"
print("Exercise: right.")

# %%
for name in ordered[:6]:
    if name not in ("SimCLR", "untrained encoder"):
        mean, error = paired_difference(study.values(name, "k-NN"), study.values("SimCLR", "k-NN"))
        print(f"{name} less SimCLR: {mean:+.1f} ± {error:.1f} points of k-NN accuracy")

# %% [markdown]
# With three seeds a difference of less than about four standard errors may be luck (the 95 % bound of Student's $t$
# with two degrees of freedom is 4.3). How many of the differences above survive that?
#
# ## Left out, and why
#
# - **SimCLRv2** pre-trains as SimCLR does; what is new comes after, with labels. **The projection head** is no method
#   of its own. Both: notebook 02.
# - **Multistage contrastive learning** gives three encoders, **ScatSimCLR** brings its own, and **G-SimCLR** is SimCLR
#   in other batches. Each is compared with its own controls in notebook 03.
# - Longer runs, larger pictures: `SSLWORK_SCALE=gpu` runs this page on CIFAR-10 with a ResNet-18, five seeds.
