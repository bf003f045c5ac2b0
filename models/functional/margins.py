"""Scores for training embeddings: the true class has to win by a margin.

Source: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", arXiv:1801.07698,
section 3.1, equation 3.
"""

import math

import mcore
from mcore import Tensor
from mcore import functional as F


def arcface(cosine: Tensor, labels: Tensor, *, margin: float = 0.5, scale: float = 64.0) -> Tensor:
    """Scores for cross-entropy: the angle to the true class is made larger by `margin`.

    Where angle and margin exceed half a turn, the cosine would rise again; there it goes on falling, by what
    the margin takes at most.

    Shapes:
        cosine: (n, num_classes), -1 to 1, as `models.heads.Embedding` gives it
        labels: (n,), the number of the true class of each
        returns: (n, num_classes), before softmax

    `margin` is in radians; cosines are multiplied by `scale`.

    Raises:
        ValueError: `margin` isn't between nothing and half a turn, or `scale` isn't positive.

    >>> scores = arcface(mcore.zeros(1, 2), mcore.tensor([1]), margin=0.5, scale=1.0)
    >>> [round(float(score), 3) for score in scores[0]]
    [0.0, -0.479]
    """
    if not 0.0 <= margin < math.pi or not scale > 0:
        raise ValueError(f"arcface: margin={margin} is not in 0 <= margin < pi, or scale={scale} not greater than 0.")
    # acos has no slope at the ends.
    angle = mcore.acos(cosine.clamp(-1.0 + 1e-7, 1.0 - 1e-7))
    falling = cosine - margin * math.sin(margin)
    wide = mcore.where(angle + margin < math.pi, mcore.cos(angle + margin), falling)
    true = F.one_hot(labels, cosine.shape[1]).to(cosine.dtype)
    return scale * (cosine + true * (wide - cosine))
