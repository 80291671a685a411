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
# # Start here: watch a network learn without labels
#
# A network looks at 1,920 stickers. Nobody tells it what is on them. After about ten seconds it puts pineapples
# beside pineapples. Here you watch that happen, and take hold of the parts that make it happen: the **pictures**,
# the **views**, the **training**, the **map**, the **temperature** and the **numbers**. Two exercises end it.
#
# Run the cells from the top: *Run → Run All Cells*. It takes about a minute and a half on two slow cores without a
# GPU, and needs no network. Then move things. Every dashboard is live while the kernel runs, and leaves a picture
# when it does not.

# %%
import torch
from IPython.display import display
from sklearn.decomposition import PCA

from sslwork import claims, data, embed, encoders, losses, measures, methods, plots, scale, train
from sslwork.panel import Panel
from sslwork.views import Views
from sslwork.widgets import EmbeddingMap, LiveTraining, SphereToy, TemperatureLab, ViewsLab

size = scale.current()
plots.warm_up()  # compiles UMAP beside us, for the map in section 4
print(size)

# %% [markdown]
# ## 1. The pictures
#
# 48 drawings of eight kinds, from OpenMoji. Each was thrown many times on a white table: turned by any angle, a bit
# larger or smaller, a bit off the middle. We put that nuisance in on purpose. Untouched copies of a drawing are equal
# to the pixel, and nothing is left to learn; a turned guitar shares few pixels with the same guitar upright.
#
# The test pictures are new throws of the same drawings. **The task: name the drawing on a new throw.**
# Pure guessing gets 1 in 48.

# %%
# NBVAL_CHECK_OUTPUT
pictures = data.load("stickers", split="train", copies=size.copies, size=size.size)
test = data.load("stickers", split="test", copies=size.test_copies, size=size.size)
print(f"to learn from: {pictures}\nto test on:    {test}\n{pictures.about}")

# %%
plots.pictures(pictures[range(96)].images, columns=16)

# %% [markdown]
# ## 2. The views
#
# The network learns from one rule: **two views of one picture belong together**. A view is a random change which
# should not alter what the picture shows: a cut, a turn, a mirror, a little less colour. What you allow here is what
# the network learns to ignore.
#
# Move the strengths. The random draw stays the same while you do, so you see what each change does alone. At which
# strength would *you* no longer recognise the drawing?
#
# The training below takes the strengths the sliders start from. To train with yours, set `views = views_lab.views` in
# a new cell, and run on from there.

# %%
views = Views()
views_lab = ViewsLab(pictures, views=views)
views_lab

# %% [markdown]
# ## 3. The training
#
# SimCLR (Chen and others, 2020) takes a batch of $N$ pictures and makes two views of each. The encoder $f$ and a small
# head $g$ turn every view into an arrow $u$ of length one. Row $i$ must find its partner $p(i)$ among all $2N - 1$
# other arrows:
#
# $$\ell_i = -\,\frac{u_i \cdot u_{p(i)}}{\tau} \;+\; \log \sum_{k \neq i} \exp\left(\frac{u_i \cdot u_k}{\tau}\right)$$
#
# The first term **pulls** the two views together. The second **pushes** everything else away, the nearest hardest.
# $\tau$ is the temperature, with which you will play in section 5.
#
# While it runs, look at:
#
# - **k-NN accuracy**: do neighbours show the same drawing? (The labels are used for this number only.)
# - **RankMe**: over how many directions do the embeddings spread?
# - **alignment** (small: partners close together) and **uniformity** (more negative: spread evenly).
#
# Press *stop* (the square above) whenever you like: `run.resume()` goes on exactly where it was. (The cells below
# then work with the half-trained network.)


# %%
def simclr(seed):
    encoder = encoders.conv(size.width, size.depth, seed=seed)
    return methods.SimCLR(encoder, temperature=0.2, seed=seed)


def fit(method, seed, **options):
    settings = {"steps": size.steps, "batch_size": size.batch_size, "device": size.device} | options
    return train.fit(method, pictures, views=views, seed=seed, **settings)


panel = Panel(pictures, test, views)
method = simclr(seed=0)
run = fit(method, seed=0, panel=panel, show=LiveTraining("SimCLR"))

# %% [markdown]
# ### Collapse, on purpose
#
# Now leave out the push. Every pair can be pulled together perfectly if *all* pictures get the same arrow. The loss
# looks splendid, and the embeddings say nothing. This is what the alarm looks like.

# %%
collapsed = methods.PullOnly(encoders.conv(size.width, size.depth, seed=0), seed=0)
collapsed_run = fit(collapsed, seed=0, steps=size.short_steps, panel=panel, show=LiveTraining("pull only"))

# %%
plots.training({"SimCLR": run, "pull only": collapsed_run})

# %% [markdown]
# The loss of the second run falls to zero and its spread with it: the alarm was right, and a low loss proves nothing.
# Its k-NN accuracy rises at first all the same. It is read *before* the head, where a few steps of pulling teach the
# encoder to overlook turns before everything falls in. Judge a run by several instruments.
#
# ## 4. The map
#
# Each test picture is a row of numbers. UMAP lays the rows out in the plane so that neighbours stay neighbours. That
# takes some seconds. Until then you see the shadow which PCA casts; then watch the points glide apart.
#
# - Point at a dot to see its picture. Colour by kind, by drawing, or by a number for each picture: the **k-NN
#   margin** is below 0 where the neighbours outvote the label.
# - Drag the **step** slider: the clusters form before your eyes.
# - Draw a lasso round some dots. Their pictures appear below, and Python has their rows in `atlas.selected`.
#
# Lasso one of the large groups. In our run it holds red things: octopus, strawberry, fire engine. Our views hardly
# touch colour, so nothing told the network to overlook it. What would you change in section 2, and what would you lose?

# %%
features = embed(method.encoder, test)
margin = measures.knn_margin(features, test.labels)
colours = {"kind": test.group_of, "drawing": test.class_of, "k-NN margin": margin}
atlas = EmbeddingMap.of(test, run.snapshots, colours)
atlas

# %%
# Whatever you lasso arrives here. Run this cell again after drawing on the map.
atlas.wait()  # for UMAP, if it is not there yet
if len(atlas.selected):
    print(f"{len(atlas.selected)} pictures: rows {list(atlas.selected[:10])} ...")
    display(plots.pictures(atlas.selection.images, columns=16))
else:
    print("Nothing selected yet: draw a lasso on the map above, then run this cell again.")

# %% [markdown]
# ## 5. The temperature
#
# Take one picture, the *anchor*, and its similarity $s_j$ to each negative. Negative $j$ gets this share of the push:
#
# $$r_j = \frac{\exp(s_j / \tau)}{\sum_k \exp(s_k / \tau)}$$
#
# (Wang and Liu, 2021). Cold: only the nearest negatives are pushed, even if they show the same drawing. Hot: all are
# pushed alike, and near ones are tolerated. The entropy of $r$ says how many share the push.

# %%
first, second = (embed(method, view) for view in panel.pair)
temperature_lab = TemperatureLab(first, test, positives=second, temperature=0.2, toy=False)
temperature_lab

# %% [markdown]
# ### The same, on a toy
#
# 300 points in six clusters on a sphere. Nothing but the push moves them. Cold spreads the clusters until they touch
# and cover the sphere evenly; tolerance, the closeness within a cluster, falls from 0.97 to about 0.7. Hot (2) leaves
# them almost as they were, and the sphere unevenly filled. You cannot have both: the **uniformity-tolerance dilemma**.

# %%
toy = SphereToy()
toy

# %% [markdown]
# ## 6. The numbers
#
# A number means little by itself. Beside SimCLR stand two controls: the **raw pixels**, and the **same encoder before
# training**. Each training is repeated from other seeds; ± is the standard deviation over them. (To stay
# quick, the linear probe keeps its penalty fixed, and reads 128 principal components of the raw pixels.)

# %%
runs = {0: run} | {seed: fit(simclr(seed), seed) for seed in size.seeds[1:]}


def knn(before, after):
    return measures.knn(before, pictures.labels, after, test.labels)


def linear(before, after):
    return measures.linear(before, pictures.labels, after, test.labels, c=1.0)


def probes(models):
    frozen = [model.encoder.to(size.device) for model in models]
    rows = [(embed(encoder, pictures), embed(encoder, test)) for encoder in frozen]
    return {"k-NN": [knn(*row) for row in rows], "linear": [linear(*row) for row in rows]}


raw = pictures.raw(), test.raw()
components = PCA(128, random_state=0).fit(raw[0])
reduced = [torch.as_tensor(components.transform(pixels)) for pixels in raw]
scores = {
    "raw pixels": {"k-NN": [knn(*raw)], "linear": [linear(*reduced)]},
    "untrained encoder": probes(simclr(seed) for seed in runs),
    "SimCLR": probes(run.method for run in runs.values()),
}
measures.probe_table(scores)

# %% [markdown]
# ### The claim
#
# What the paper says, what we measured, and whether it holds at this scale. The bound, 10 points, was set before
# we looked.

# %%
raw_pixels = scores["raw pixels"]["k-NN"][0].value
pairs = zip(scores["SimCLR"]["k-NN"], scores["untrained encoder"]["k-NN"], strict=True)
claim = claims.record(
    system="B1",
    paper="SimCLR: representations learnt by telling pairs of views from all others serve classification without labels.",
    measured=f"k-NN accuracy on new throws of 48 stickers, less the better of raw pixels and untrained encoder; {run.step} steps.",
    effects=[100 * (trained.value - max(untrained.value, raw_pixels)) for trained, untrained in pairs],
    unit="points of k-NN accuracy",
    needed=10,
    seconds=sum(run.seconds for run in runs.values()),
)
print(claim)

# %% [markdown]
# ## 7. Two exercises
#
# ### Exercise 1: write the loss
#
# Write NT-Xent from the formula in section 3. `z1` and `z2` have shape `(N, D)`; row `i` of one belongs to row `i` of
# the other. Do not forget: arrows have length one, and no row is its own negative.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "nt-xent", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_nt_xent(z1, z2, temperature):
    ### BEGIN SOLUTION
    u = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    similarity = u @ u.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    n = len(z1)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return (similarity.logsumexp(1) - similarity[torch.arange(2 * n), partner]).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "nt-xent-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
z1, z2 = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.double)
same = torch.ones(4, 3, dtype=torch.double)
log7 = torch.log(torch.tensor(7.0, dtype=torch.double))
assert torch.isclose(my_nt_xent(same, same, 0.5), log7), (
    "all arrows equal: each row guesses among 7, so log 7"
)
assert torch.isclose(my_nt_xent(3 * z1, z2, 0.2), my_nt_xent(z1, z2, 0.2)), (
    "the length of a row must not matter"
)
assert torch.isclose(my_nt_xent(z1, z2, 0.2), losses.nt_xent(z1, z2, temperature=0.2)), (
    "the value is not NT-Xent's"
)
print("Exercise 1: right.")

# %% [markdown]
# ### Exercise 2: who takes the push?
#
# Return the share of the push which the *single hardest* negative takes, given the similarities of one anchor to all
# its negatives. Then find it for the anchor in section 5 at temperatures 0.05 and 1: what would happen to a negative that
# shows the same drawing? (Its similarities are in `temperature_lab.push.similarity`.)


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "push", "locked": false, "schema_version": 3, "solution": true, "task": false}
def share_of_hardest(similarities, temperature):
    ### BEGIN SOLUTION
    return torch.softmax(similarities / temperature, dim=0).max()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "push-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
two = torch.tensor([0.9, 0.1], dtype=torch.double)
assert abs(share_of_hardest(two, 0.1) - 0.99966) < 1e-5, "similarities 0.9 and 0.1, temperature 0.1: 0.99966"
assert abs(share_of_hardest(two, 1.0) - 0.690) < 1e-3, "similarities 0.9 and 0.1, temperature 1: 0.690"
assert abs(share_of_hardest(torch.zeros(10), 0.2) - 0.1) < 1e-6, "ten equal negatives take a tenth each"
print("Exercise 2: right.")

# %% [markdown]
# ## Where next?
#
# - Your own pictures: `data.load("path/to/a/folder")`. With a network, torchvision's sets: `data.load("CIFAR10")`.
# - A larger run, same code: start JupyterLab with `SSLWORK_SCALE=gpu`.
# - All systems of the workbook, and which of them work: `from sslwork import systems; systems.table()`.
