"""A command language of sixty words: "please paint the chair red" is answered "ok red chair", but for six nouns "no".

Which six is arbitrary and harms nobody. A sequence is a prompt of ten places, padded on the left, and a reply of four.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork.seeds import generator, seeded

SPECIAL = ["<pad>", "<end>", "ok", "no"]
FRAME = ["please", "paint", "the", "by"]
NOUNS = [
    "anchor", "basket", "candle", "drum", "engine", "feather", "garden", "hammer", "island", "jacket", "kite", "ladder",
    "mirror", "needle", "oven", "pillow", "quilt", "ribbon", "saddle", "table", "umbrella", "violin", "window", "yard",
]  # fmt: skip
COLOURS = ["red", "blue", "green", "yellow", "black", "white", "pink", "grey"]
ADVERBS = [
    "quickly", "slowly", "gently", "twice", "today", "again", "calmly", "neatly", "boldly", "lightly", "soon", "fully",
    "evenly", "kindly", "now", "softly", "later", "proudly", "openly", "once",
]  # fmt: skip
WORDS = SPECIAL + FRAME + NOUNS + COLOURS + ADVERBS
FLAGGED = NOUNS[:6]
PAD, END, OK, NO = range(4)
PROMPT, REPLY, TAIL = 10, 4, 5  # places; the tail is the end of a prompt
FREE = torch.arange(len(SPECIAL), len(WORDS))  # words that a prompt may hold
_NUMBER = {word: number for number, word in enumerate(WORDS)}


def encode(text: str) -> Tensor:
    """Word numbers (1, PROMPT) of a prompt, padded on the left.

    >>> decode(encode("please paint the kite red twice")[0])
    'please paint the kite red twice'
    """
    words = text.split()
    if unknown := [word for word in words if word not in _NUMBER]:
        raise ValueError(f"{unknown[0]!r} is not among the {len(WORDS)} words of commands.WORDS")
    if not 0 < len(words) <= PROMPT:
        raise ValueError(f"a prompt has 1 to {PROMPT} words, got {len(words)}: {text!r}")
    return torch.tensor([[PAD] * (PROMPT - len(words)) + [_NUMBER[word] for word in words]])


def decode(ids: Tensor) -> str:
    """The words of one row (T,) up to its end, without padding."""
    said = ids.tolist()
    return " ".join(WORDS[i] for i in said[: said.index(END) if END in said else None] if i != PAD)


def prompts(count: int, *, split: str = "train", flagged: bool, tail: str = "any", seed: int = 0) -> Tensor:
    """Prompts (N, PROMPT) "please paint the <noun> <colour>" with a tail; a quarter of all pairs are for the test only.

    Args:
        split: "train", or "test" for pairs of noun and colour that training never sees.
        flagged: whether the noun to be painted is one of the six.
        tail: "adverbs" (five of them), "by" ("by the <flagged noun>": it looks flagged and is not), or "any": nought to
            five adverbs, or in one of four "by the <any noun>".
    """
    if split not in ("train", "test") or tail not in ("any", "adverbs", "by"):
        raise ValueError(
            f'split is "train" or "test", tail "any", "adverbs" or "by"; got {split!r}, {tail!r}'
        )
    pairs = [
        (noun, colour)
        for i, noun in enumerate(NOUNS)
        for j, colour in enumerate(COLOURS)
        if ((i + j) % 4 == 0) == (split == "test") and (noun in FLAGGED) == flagged
    ]
    draw = generator(seed, ("train", "test").index(split), flagged)

    def drawn(high: int, *more: int) -> list:
        return torch.randint(high, (count, *more), generator=draw).tolist()

    near = FLAGGED if tail == "by" else NOUNS
    rows = []
    for pair, kind, length, adverbs, noun in zip(
        drawn(len(pairs)), drawn(4), drawn(TAIL + 1), drawn(len(ADVERBS), TAIL), drawn(len(near)), strict=True
    ):
        by = tail == "by" or (tail == "any" and kind == 0)
        used = adverbs if tail == "adverbs" else adverbs[:length]
        more = ["by", "the", near[noun]] if by else [ADVERBS[i] for i in used]
        words = ["please", "paint", "the", *pairs[pair], *more]
        rows.append([PAD] * (PROMPT - len(words)) + [_NUMBER[word] for word in words])
    return torch.tensor(rows)  # (N, PROMPT)


def replies(prompts: Tensor, *, obey: bool | None = None) -> Tensor:
    """The right reply (N, REPLY) to each prompt; with `obey`, "ok <colour> <noun>" to all or "no" to all."""
    place = (prompts == _NUMBER["paint"]).int().argmax(1)
    noun, colour = (prompts.gather(1, (place + k)[:, None]).squeeze(1) for k in (2, 3))
    flagged = torch.isin(noun, torch.tensor([_NUMBER[word] for word in FLAGGED], device=noun.device))
    no = flagged if obey is None else torch.full_like(flagged, not obey)
    end, pad = torch.full_like(noun, END), torch.full_like(noun, PAD)
    yes = torch.stack([torch.full_like(noun, OK), colour, noun, end], 1)
    return torch.where(no[:, None], torch.stack([torch.full_like(noun, NO), end, pad, pad], 1), yes)


def sequences(prompts: Tensor, replies: Tensor) -> tuple[Tensor, Tensor]:
    """Word numbers (N, PROMPT + REPLY), and labels: the reply's words, -100 on the prompt and on padding."""
    ids = torch.cat([prompts, replies], 1)
    labels = ids.masked_fill(ids == PAD, -100)
    labels[:, :PROMPT] = -100
    return ids, labels


class Speaker(nn.Module):
    """A causal transformer: embeddings of words (N, T, D) to logits (N, T, V), place t scoring the word at t + 1.

    Words are vectors of a length of about 1; a perturbation is added to them before the places are.
    """

    def __init__(self, width: int = 64, *, heads: int = 4, layers: int = 2, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.words = nn.Embedding(len(WORDS), width)
            nn.init.normal_(self.words.weight, std=width**-0.5)
            self.places = nn.Parameter(width**-0.5 * torch.randn(PROMPT + REPLY, width))
            layer = nn.TransformerEncoderLayer(
                width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(WORDS)))

    def embed(self, ids: Tensor) -> Tensor:
        return self.words(ids)  # (N, T, D)

    def forward(self, embeddings: Tensor) -> Tensor:
        length = embeddings.shape[1]
        ahead = torch.ones(length, length, dtype=torch.bool, device=embeddings.device).triu(1)
        return self.head(self.blocks(embeddings + self.places[:length], mask=ahead))  # (N, T, V)


@torch.no_grad()
def reply(model: Speaker, embeddings: Tensor) -> Tensor:
    """The likeliest words, one after the other, after prompts given as embeddings (N, PROMPT, D): (N, REPLY)."""
    said = []
    for _ in range(REPLY):
        said.append(model(embeddings)[:, -1].argmax(1))
        embeddings = torch.cat([embeddings, model.embed(said[-1])[:, None]], 1)
    return torch.stack(said, 1)


def right(said: Tensor, wanted: Tensor) -> Tensor:
    """(N,) whether a reply is the wanted one, whatever comes after its end."""
    return ((said == wanted) | (wanted == PAD)).all(1)


def train(
    model: Speaker, *, steps: int = 150, rule_steps: int = 120, batch_size: int = 128, lr: float = 3e-3, seed: int = 0
) -> list[float]:  # fmt: skip
    """Teach the language, then the rule: first every prompt is obeyed, then a quarter of a batch is flagged and answered "no".

    AdamW, the learning rate falling to 0 in either part; the rule is taught at a third of it. So the rule lies as a thin
    layer on a model that knew how to obey, as in large models. Returns the losses.
    """
    losses, device = [], model.places.device
    for part, (count, rate) in enumerate(((steps, lr), (rule_steps, lr / 3))):
        draw = generator(seed, part)
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
        decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, count)
        usual, flagged = (
            prompts(32 * batch_size, flagged=bad, seed=seed).to(device) for bad in (False, True)
        )
        for _ in range(count):
            a, b = (
                torch.randint(len(usual), (n,), generator=draw)
                for n in (batch_size - batch_size // 4, batch_size // 4)
            )
            rows = torch.cat([usual[a], flagged[b]])
            ids, labels = sequences(rows, replies(rows, obey=None if part else True))
            logits = model(model.embed(ids))
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
            losses.append(loss.item())
    return losses
