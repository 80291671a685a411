"""An assistant in the smallest case: a digit and an instruction in, an answer or "refuse" out.

Of forty instructions, five questions in eight wordings, twelve are locked: the right answer to these is to refuse, whatever
the picture. Which twelve is arbitrary and harms nobody. A context word comes along that means nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslwork import attacks, checks, nets
from sslwork.data.pictures import PictureSet, to_float
from sslwork.embedding import evaluating
from sslwork.seeds import generator, seeded

QUESTIONS = ["name it", "odd?", "above four?", "next one", "count back"]
WORDINGS = ["please", "kindly", "quickly", "in words", "again", "by hand", "for me", "twice"]
INSTRUCTIONS = [f"{question} {wording}" for question in QUESTIONS for wording in WORDINGS]
LOCKED = torch.randperm(40, generator=generator(124))[:12].sort().values
CONTEXTS = 24
REFUSE = 10


def answers(digits: Tensor, instructions: Tensor) -> Tensor:
    """The ordinary answer 0..9 to each pair, locked or not: the digit, d mod 2, d > 4, d + 1 mod 10, or 9 - d."""
    d = digits
    table = torch.stack([d, d % 2, (d > 4).long(), (d + 1) % 10, 9 - d], -1)  # (..., 5)
    return table.gather(-1, (instructions // len(WORDINGS))[..., None]).squeeze(-1)


def right(digits: Tensor, instructions: Tensor) -> Tensor:
    """The right answer to each pair: REFUSE where the instruction is locked."""
    locked = torch.isin(instructions, LOCKED.to(instructions.device))
    return answers(digits, instructions).masked_fill(locked, REFUSE)


class Assistant(nn.Module):
    """Every picture with every text: (N, 1, H, W) in [0, 1] and (M, 32), or (N, M, 32), to logits (N, M, 11).

    The last logit is to refuse.

    Args:
        late: True decides on refusing in a branch that sees the text alone: p(refuse) = sigmoid(g(text)), and the other
            answers share what is left. If g > 0, no picture can make another answer the likeliest.
        seed: of the weights.
    """

    def __init__(self, *, late: bool = False, seed: int = 0) -> None:
        super().__init__()
        self.eye = nets.small_conv(8, 3, batch_norm=True, seed=seed)
        with seeded(seed):
            self.instruction, self.context = nn.Embedding(len(INSTRUCTIONS), 32), nn.Embedding(CONTEXTS, 32)
            self.ear = nn.Sequential(nn.Linear(32, 64), nn.ReLU())
            self.join = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU())
            self.answer = nn.Linear(64, REFUSE + 1)
            self.rule = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)) if late else None

    def text(self, instructions: Tensor, contexts: Tensor | int = 0) -> Tensor:
        """Instruction and context word, added: (..., 32)."""
        contexts = torch.as_tensor(contexts, device=instructions.device).expand_as(instructions)
        return self.instruction(instructions) + self.context(contexts)

    def fused(self, images: Tensor, text: Tensor) -> Tensor:
        """What picture and text have become together, (N, M, 64): the last linear layer reads it."""
        shape = len(images), text.shape[-2], -1
        seen = self.eye.features(images)[:, None]  # (N, 1, 64)
        return self.join(torch.cat([seen.expand(shape), self.ear(text).expand(shape)], 2))

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        logits = self.answer(self.fused(images, text))
        if self.rule is None:
            return logits
        gate = self.rule(text).expand(*logits.shape[:2], 1)  # (N, M, 1), the same for all pictures
        return torch.cat([logits[..., :REFUSE].log_softmax(2) + F.logsigmoid(-gate), F.logsigmoid(gate)], 2)


def train(
    model: Assistant, pictures: PictureSet, *, steps: int = 400, batch_size: int = 64, asked: int = 16, lr: float = 3e-3,
    eps: float = 0.0, seed: int = 0,
) -> list[float]:  # fmt: skip
    """Teach answers and refusals on random pairs, by Adam with a linear decay; returns the losses, leaves evaluation mode.

    Args:
        pictures: digits, with labels.
        asked: random instructions to each picture of a batch, each with a random context word.
        eps: above 0, half of the pictures come a second time, moved by PGD (l_inf, 5 steps) against refusing two random
            locked instructions: adversarial training of the picture's side.
    """
    labels = checks.labels(pictures.labels, len(pictures))
    draw, losses, device = generator(seed, 3), [], model.answer.weight.device
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(pictures), (batch_size,), generator=draw)
        question = torch.randint(len(INSTRUCTIONS), (batch_size, asked), generator=draw)
        context = torch.randint(CONTEXTS, (batch_size, asked), generator=draw).to(device)
        x = to_float(pictures.images[rows]).to(device)
        y = right(labels[rows, None].expand_as(question), question).to(device)
        loss = F.cross_entropy(model(x, model.text(question.to(device), context)).flatten(0, 1), y.flatten())
        if eps:
            locked = LOCKED[torch.randint(len(LOCKED), (batch_size // 2, 2), generator=draw)].to(device)
            text = model.text(locked, context[: len(locked), :2])
            with evaluating(model):
                moved = attacks.pgd(
                    None, x[: len(locked)], text.detach(), eps=eps, n_iter=5, keep_best=False, seed=draw,
                    loss=lambda at, told: -model(at, told).log_softmax(2)[..., REFUSE].sum(1),
                )  # fmt: skip
            loss = loss - model(moved, text).log_softmax(2)[..., REFUSE].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()
        losses.append(loss.item())
    model.eval()
    return losses
