"""Our losses: what torch's, MONAI's and scikit-image's functions give, and their gradients."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mcore.training.objectives.basic import L1, L2, BinaryCrossEntropy, Charbonnier, Cosine, CrossEntropy, Huber
from mcore.training.objectives.latent import InformationBottleneck
from mcore.training.objectives.overlap import Dice, Focal
from mcore.training.objectives.similarity import SSIM


@pytest.fixture
def scores():
    return torch.randn(2, 3, 5, 4, dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.randint(0, 3, (2, 5, 4))


@pytest.fixture
def yes():
    return torch.randint(0, 2, (2, 1, 5, 4)).double()


def hot(labels, classes=3):
    return F.one_hot(labels, classes).movedim(-1, 1).double()


def close(got, wanted):
    torch.testing.assert_close(got, wanted.to(got.dtype), rtol=1e-5, atol=1e-7)


# --- what others give


def test_cross_entropy_takes_weights_of_classes_smoothing_and_a_label_left_out(scores, labels):
    loss = CrossEntropy(ignore_index=2, label_smoothing=0.1, class_weights=[1, 2, 3])

    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    close(loss(scores, labels), F.cross_entropy(scores, labels, weight=weight, ignore_index=2, label_smoothing=0.1))


def test_cross_entropy_takes_the_share_of_every_class_for_labels(scores, labels):
    close(CrossEntropy()(scores, hot(labels)), F.cross_entropy(scores, labels))


def test_binary_cross_entropy_weighs_what_should_be_one(scores, labels):
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    got = BinaryCrossEntropy(pos_weight=[1, 2, 3])(scores, hot(labels))

    close(got, F.binary_cross_entropy_with_logits(scores, hot(labels), pos_weight=weight.view(3, 1, 1)))


def test_binary_cross_entropy_without_some_pixels_is_that_of_the_others(yes):
    scores, known = torch.randn_like(yes), torch.rand_like(yes) < 0.5

    got = BinaryCrossEntropy(ignore_index=255)(scores, torch.where(known, yes, 255.0))

    close(got, F.binary_cross_entropy_with_logits(scores[known], yes[known]))


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (L1(), F.l1_loss),
        (L2(), F.mse_loss),
        (Huber(0.5), lambda x, y: F.huber_loss(x, y, delta=0.5)),
        (Charbonnier(0.1), lambda x, y: torch.sqrt((x - y) ** 2 + 0.01).mean()),
        (
            Cosine(),
            lambda x, y: F.cosine_embedding_loss(*(t.flatten(2).mT.flatten(0, 1) for t in (x, y)), torch.ones(40)),
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_differences_are_torchs(scores, loss, reference):
    other = torch.randn_like(scores)

    close(loss(scores, other), reference(scores, other))


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_dice_of_labels_is_monais(scores, labels, together, background):
    losses = pytest.importorskip("monai.losses")
    theirs = losses.DiceLoss(softmax=True, to_onehot_y=True, batch=together, include_background=background)

    got = Dice(background=background, together=together)(scores, labels)

    close(got, theirs(scores, labels.unsqueeze(1)))


def test_dice_of_one_channel_is_monais(yes):
    losses, scores = pytest.importorskip("monai.losses"), torch.randn_like(yes)

    close(Dice()(scores, yes), losses.DiceLoss(sigmoid=True)(scores, yes))


def test_dice_without_a_label_is_that_of_the_other_pixels(scores, labels):
    kept, cut = labels.clone(), slice(0, 3)
    kept[:, 3:] = 255

    close(Dice(ignore_index=255)(scores, kept), Dice()(scores[:, :, cut], labels[:, cut]))


@pytest.mark.parametrize("loss", [Dice(), Focal()], ids=["dice", "focal"])
def test_whole_numbers_of_every_channel_are_no_labels(scores, labels, loss):
    assert loss(scores, hot(labels).long()) == loss(scores, hot(labels))


def test_dice_of_what_is_sure_and_right_is_nothing(labels):
    assert Dice()(hot(labels) * 100, labels) < 1e-4


def test_focal_loss_of_labels_is_monais(scores, labels):
    losses = pytest.importorskip("monai.losses")
    # Its mean is over the channels, too; its sum is of each image's mean over the pixels.
    theirs = losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=2.0, weight=[1.0, 2.0, 3.0], reduction="sum")

    got = Focal(gamma=2, alpha=[1, 2, 3])(scores, labels)

    close(got, theirs(scores, labels.unsqueeze(1)) / len(labels))


def test_focal_loss_of_scores_is_monais(yes):
    losses, scores = pytest.importorskip("monai.losses"), torch.randn_like(yes)

    close(Focal(gamma=1.5, alpha=0.25)(scores, yes), losses.FocalLoss(gamma=1.5, alpha=0.25)(scores, yes))


def test_focal_loss_without_gamma_is_cross_entropy(scores, labels, yes):
    close(Focal(gamma=0)(scores, labels), F.cross_entropy(scores, labels))
    close(Focal(gamma=0)(scores[:, :1], yes), F.binary_cross_entropy_with_logits(scores[:, :1], yes))


def test_focal_loss_without_a_label_is_that_of_the_other_pixels(scores, labels):
    kept = labels.clone()
    kept[:, 3:] = -100

    close(Focal(ignore_index=-100)(scores, kept), Focal()(scores[:, :, :3], labels[:, :3]))


def test_ssim_is_scikit_images():
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    x, y = torch.rand(1, 1, 24, 20, dtype=torch.float64), torch.rand(1, 1, 24, 20, dtype=torch.float64)
    y = 0.7 * x + 0.3 * y
    kept = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}

    # It leaves out as many pixels at the border as half the window has.
    padded = (np.pad(one[0, 0].numpy(), 5, mode="reflect") for one in (x, y))
    theirs = structural_similarity(*padded, **kept)

    assert float(SSIM()(x, y)) == pytest.approx(1 - theirs, rel=1e-4)


def test_ssim_of_equal_volumes_is_nothing():
    x = torch.rand(1, 1, 7, 8, 9)

    assert abs(float(SSIM(sigma=1.0)(x, x))) < 1e-6


def test_the_information_bottleneck_is_the_variance_over_the_samples(scores):
    got = InformationBottleneck(beta=0.5)(scores)

    assert float(got) == pytest.approx(0.5 * np.var(scores.numpy(), axis=0, ddof=1).mean())


# --- gradients


@pytest.mark.parametrize(
    "loss",
    [L1(), L2(), Huber(0.5), Charbonnier(), Cosine(), SSIM(sigma=0.5)],
    ids=lambda one: type(one).__name__,
)
def test_gradients_of_differences_are_those_of_finite_differences(loss):
    x, y = torch.rand(2, 2, 4, 5, dtype=torch.float64), torch.rand(2, 2, 4, 5, dtype=torch.float64)

    assert torch.autograd.gradcheck(lambda x: loss(x, y), x.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(ignore_index=1, label_smoothing=0.1, class_weights=[1, 2, 3]),
        Dice(ignore_index=1),
        Dice(background=False, together=True),
        Focal(),
        Focal(gamma=0.5, alpha=[1, 2, 3], ignore_index=1),
    ],
)
def test_gradients_of_losses_of_labels_are_those_of_finite_differences(scores, labels, loss):
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), scores.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize(
    "loss", [BinaryCrossEntropy(pos_weight=2, ignore_index=255), Dice(), Focal(gamma=0.5, alpha=0.3)]
)
def test_gradients_of_losses_of_scores_are_those_of_finite_differences(yes, loss):
    scores = torch.randn_like(yes).requires_grad_()

    assert torch.autograd.gradcheck(lambda x: loss(x, yes), scores, fast_mode=True)


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice(), Focal(), Focal(gamma=0.5)], ids=str)
def test_scores_far_out_have_finite_gradients(labels, loss):
    scores = (hot(labels).float() * 1000 - 500).requires_grad_()

    loss(scores, labels).backward()

    assert torch.isfinite(scores.grad).all()


# --- refusals


def test_weights_for_another_number_of_classes_are_refused(scores, labels):
    with pytest.raises(ValueError, match="class_weights has 2 numbers, but there are 3 classes"):
        CrossEntropy(class_weights=[1, 2])(scores, labels)


def test_weights_for_another_number_of_channels_are_refused(scores, labels):
    with pytest.raises(ValueError, match="pos_weight has 2 numbers, but there are 3 channels"):
        BinaryCrossEntropy(pos_weight=[1, 2])(scores, hot(labels))
    with pytest.raises(ValueError, match="alpha has 2 numbers, but there are 3 classes"):
        Focal(alpha=[1, 2])(scores, labels)
    with pytest.raises(ValueError, match="alpha has 2 numbers, but there are 3 channels"):
        Focal(alpha=[1, 2])(scores, hot(labels))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: CrossEntropy(label_smoothing=2), "label_smoothing=2 is not from 0 to 1"),
        (lambda: Huber(0), "delta=0 is not above 0"),
        (lambda: Charbonnier(-1), "eps=-1 is not above 0"),
        (lambda: Focal(-1), "gamma=-1 is below 0"),
        (lambda: SSIM(sigma=0), "data_range=1.0 and sigma=0 are to be above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_images_too_small_for_the_window_are_refused():
    with pytest.raises(
        ValueError, match="a window of 11 pixels needs images or volumes of more than 5 along each axis"
    ):
        SSIM()(torch.rand(1, 1, 5, 20), torch.rand(1, 1, 5, 20))


def test_a_single_sample_has_no_variance_in_training_and_none_to_count_in_validation(scores):
    with pytest.raises(ValueError, match="a single sample has no variance"):
        InformationBottleneck()(scores[:1])
    assert InformationBottleneck().eval()(scores[:1]) == 0
