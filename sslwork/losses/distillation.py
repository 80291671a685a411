"""Distillation: a student learns to say what a teacher says, shades included, and needs no labels for it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sslwork import checks


def distillation(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of the student's probabilities under the teacher's, both at one temperature.

        L = -mean_n sum_c softmax(t_n / temperature)_c log softmax(s_n / temperature)_c

    It is never below the entropy of the teacher, and equal to it where both agree. Its gradient is
    (softmax(s / temperature) - softmax(t / temperature)) / (temperature N); the teacher gets none. (Hinton and others
    multiply by temperature^2, so that the gradient keeps its size at high temperatures; SimCLRv2 does not.)

    Args:
        student_logits, teacher_logits: s and t, (N, C) floating point, of the same views of the same pictures.
        temperature: > 0; hot shows the student how the teacher ranks the wrong classes, cold only the best one.

    Raises:
        TypeError, ValueError: not floating point, unequal shapes, NaN, temperature <= 0.

    Source: Chen, Kornblith, Swersky, Norouzi, Hinton 2020, arXiv 2006.10029.

    >>> logits = torch.zeros(3, 4)
    >>> print(f"{distillation(logits, logits):.4f}")  # log 4
    1.3863
    """
    checks.pair(student_logits, teacher_logits, ("student_logits", "teacher_logits"), rows=1)
    checks.positive(temperature, "temperature")
    kind = torch.promote_types(torch.promote_types(student_logits.dtype, teacher_logits.dtype), torch.float32)
    targets = (teacher_logits.detach().to(kind) / temperature).softmax(dim=1)
    return F.cross_entropy(student_logits.to(kind) / temperature, targets)
