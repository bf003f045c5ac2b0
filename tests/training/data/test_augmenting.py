"""Augmentation: images and masks alike, by the seed alone, kornia's classes or anyone's functions."""

import pickle

import pytest
import torch

from mcore.config import ConfigError
from mcore.training.data.augmenting import Augment
from mcore.training.data.by_kornia import _names
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from tests.training.data.given import uninstall

HERE = "tests.training.data.given"
ROWS, COLUMNS = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")


def augment(*given, **options):
    return Augment([Typed.model_validate(one) for one in given], **options)


def ramp(**more):
    """An image whose values are its mask's, so that both must agree wherever they are moved."""
    mask = ROWS // 2 + COLUMNS
    return {"image": mask[None].float() / 64, "mask": mask, "name": "ramp", **more}


def volume():
    depth = torch.arange(8)[:, None, None] * 2 + COLUMNS[:16, :16]
    return {"image": depth[None].float() / 32, "mask": depth, "name": "volume"}


def apart(sample, scale):
    """How far the mask is from the image, in the middle, where nothing came in from outside."""
    size = sample["mask"].shape
    middle = tuple(slice(length // 4, -(length // 4)) for length in size)
    return (sample["image"][0] * scale - sample["mask"])[middle].abs().max().item()


@pytest.mark.parametrize(
    "typed",
    [
        {"type": "RandomHorizontalFlip", "p": 1.0},
        {"type": "RandomVerticalFlip", "p": 1.0},
        {"type": "RandomAffine", "degrees": [-20, 20], "translate": [0.1, 0.1], "p": 1.0},
        {"type": "RandomRotation90", "times": [1, 3], "p": 1.0},
        {"type": "RandomResizedCrop", "size": [24, 24], "p": 1.0},
        {"type": "RandomCrop", "size": [16, 16], "p": 1.0},
        {"type": "RandomPerspective", "distortion_scale": 0.2, "p": 1.0},
        {"type": "RandomElasticTransform", "sigma": [4.0, 4.0], "alpha": [2.0, 2.0], "p": 1.0},
    ],
    ids=lambda typed: typed["type"],
)
@pytest.mark.filterwarnings("ignore:Default grid_sample:UserWarning")
def test_a_mask_moves_with_its_image(typed):
    sample = augment(typed)(ramp(), 3)

    assert not torch.equal(sample["mask"], ramp()["mask"])
    # Half a step of the ramp in each axis, and the image between pixels.
    assert apart(sample, 64) < 1.5


@pytest.mark.parametrize(
    "typed",
    [
        {"type": "RandomHorizontalFlip3D", "p": 1.0},
        {"type": "RandomDepthicalFlip3D", "p": 1.0},
        {"type": "RandomAffine3D", "degrees": 10.0, "p": 1.0},
        {"type": "RandomCrop3D", "size": [4, 8, 8], "p": 1.0},
    ],
    ids=lambda typed: typed["type"],
)
def test_a_mask_of_a_volume_moves_with_it(typed):
    sample = augment(typed)(volume(), 3)

    assert not torch.equal(sample["mask"], volume()["mask"])
    assert apart(sample, 32) < 2


@pytest.mark.parametrize(("name", "shape"), [("RandomAffine", (32, 32)), ("RandomAffine3D", (8, 16, 16))])
def test_masks_keep_their_type_and_have_no_new_numbers(name, shape):
    mask = torch.where(torch.arange(shape[-1]) > shape[-1] // 2, 7, 2).expand(shape)
    sample = {"image": torch.zeros(1, *shape), "mask": mask, "name": "halves"}

    changed = augment({"type": name, "degrees": 30.0, "p": 1.0})(sample, 1)["mask"]

    assert changed.dtype == torch.int64
    assert set(changed.unique().tolist()) <= {0, 2, 7}


def test_values_change_in_the_image_alone():
    sample = augment({"type": "RandomBrightness", "brightness": [0.5, 0.6], "p": 1.0})(ramp(), 1)

    assert not torch.equal(sample["image"], ramp()["image"])
    assert torch.equal(sample["mask"], ramp()["mask"])


def test_all_targets_of_the_images_size_move_and_no_others():
    depth = torch.stack([COLUMNS, ROWS]).float()
    sample = ramp(depth=depth, label=torch.tensor(3), box=torch.tensor([1.0, 2.0, 3.0, 4.0]))

    changed = augment({"type": "RandomHorizontalFlip", "p": 1.0})(sample, 0)

    assert torch.equal(changed["depth"], depth.flip(-1))
    assert torch.equal(changed["mask"], sample["mask"].flip(-1))
    assert changed["label"] == 3
    assert changed["box"].tolist() == [1, 2, 3, 4]


def test_named_targets_alone_move():
    sample = ramp(other=COLUMNS)

    changed = augment({"type": "RandomHorizontalFlip", "p": 1.0}, targets=["mask"])(sample, 0)

    assert torch.equal(changed["other"], COLUMNS)
    assert torch.equal(changed["mask"], sample["mask"].flip(-1))


CHANGES = [{"type": "RandomHorizontalFlip"}, {"type": "RandomAffine", "degrees": 30.0}, {"type": "RandomGaussianNoise"}]


def test_the_seed_alone_says_what_is_drawn():
    steps = augment(*CHANGES)
    first = steps(ramp(), 4)
    torch.rand(5)

    assert torch.equal(steps(ramp(), 4)["image"], first["image"])
    assert not torch.equal(steps(ramp(), 5)["image"], first["image"])


def test_nothing_is_drawn_from_torchs_generator():
    before = torch.get_rng_state()
    augment(*CHANGES)(ramp(), 4)

    assert torch.equal(torch.get_rng_state(), before)


def test_augmentation_is_done_one_after_another():
    sample = augment({"type": f"{HERE}:brighter", "by": 2.0}, {"type": f"{HERE}:Darker", "by": 0.5})(ramp(), 0)

    assert torch.equal(sample["image"], ramp()["image"] + 2.0 - 0.5)


def test_a_function_that_draws_from_global_generators_is_seeded():
    steps = augment({"type": f"{HERE}:noisy"})

    assert torch.equal(steps(ramp(), 4)["image"], steps(ramp(), 4)["image"])
    assert not torch.equal(steps(ramp(), 4)["image"], steps(ramp(), 5)["image"])


def test_augmentation_travels_to_workers():
    steps = augment(*CHANGES, {"type": f"{HERE}:brighter"})

    again = pickle.loads(pickle.dumps(steps))

    assert torch.equal(again(ramp(), 4)["image"], steps(ramp(), 4)["image"])


def test_a_sample_stays_as_it_was():
    sample = ramp()
    augment(*CHANGES)(sample, 4)

    assert torch.equal(sample["image"], ramp()["image"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"type": "RandomHorizontalFlp"}, r"augment\[0\]\.type: no augmentation .*did you mean 'RandomHorizontalFlip'"),
        ({"type": "RandomMixUpV2"}, r"'RandomMixUpV2', which mixes samples of a batch"),
        ({"type": "RandomAffine"}, r"augment\[0\]: RandomAffine needs the argument 'degrees'"),
        ({"type": "RandomAffine", "degres": 3}, r"augment\[0\]\.degres: RandomAffine has no argument 'degres'"),
        ({"type": "RandomAffine", "degrees": "much"}, r"augment\[0\]\.degrees: .*'much' is text"),
        ({"type": "RandomAffine", "degrees": [1, 2, 3]}, r"augment\[0\]: RandomAffine: \w+"),
        ({"type": f"{HERE}:brigter"}, r"has no 'brigter' \(did you mean 'brighter'\?\)"),
        ({"type": f"{HERE}:brighter", "bye": 1}, r"has no argument 'bye' \(did you mean 'by'\?\)"),
        ({"type": f"{HERE}:Darker"}, r"needs the argument 'by'"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_made(typed, told):
    with pytest.raises(ConfigError, match=told):
        augment(typed)


@pytest.mark.parametrize(
    ("typed", "sample", "told"),
    [
        (
            {"type": "RandomHorizontalFlip3D"},
            ramp,
            r"ramp can't be augmented by RandomHorizontalFlip3D: .* is an image",
        ),
        (
            {"type": "RandomHorizontalFlip"},
            volume,
            r"volume can't be augmented by RandomHorizontalFlip: .* is a volume",
        ),
        ({"type": "RandomThinPlateSpline", "p": 1.0}, ramp, r"kornia can't move masks by it, only images"),
        ({"type": "RandomJPEG", "p": 1.0}, ramp, r"ramp can't be augmented by RandomJPEG: ShapeError"),
        ({"type": f"{HERE}:forgetful"}, ramp, r"forgetful: it gives NoneType; a sample with the tensor 'image' fits"),
    ],
)
def test_a_sample_that_cannot_be_augmented_is_named(typed, sample, told):
    with pytest.raises(DataError, match=told):
        augment(typed)(sample(), 0)


def test_kornias_augmentations_are_found_by_name():
    assert {"RandomHorizontalFlip", "RandomAffine", "ColorJiggle", "RandomAffine3D", "Resize"} <= set(_names())
    assert not {"AugmentationBase2D", "RandomMosaic", "AugmentationSequential"} & set(_names())


def test_without_kornia_the_error_names_the_extra(monkeypatch):
    uninstall(monkeypatch, "kornia")

    with pytest.raises(ImportError, match=r'kornia.* is not installed, .*: pip install "\.\[train\]"'):
        augment({"type": "RandomHorizontalFlip"})
