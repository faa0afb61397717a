"""Settings of networks that segment, and the recipes of kind `segmentation`.

An outcome recipe on automatic masks carries the same settings. Valid names of the segmentation room's registries stand
here, so that a spelling mistake is found before any job; a test holds them equal to the registries themselves.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from osteorad.cohort.settings import Name, Settings

# Network -> names of the settings of its constructor.
NETWORK_SETTINGS: dict[str, tuple[str, ...]] = {
    "unet2d_tiny": ("features", "dropout"),
    "unet2d_basic": ("features", "dropout"),
    "attunet2d": ("features", "dropout"),
    "unetpp2d": ("features", "dropout"),
    "attunetpp2d": ("features", "upsampling"),
    "hybrid_attunetpp": ("features", "upsampling"),
    "dynunet3d_small": ("features", "dropout"),
    "dynunet3d": ("features", "dropout"),
}
NETWORKS = tuple(NETWORK_SETTINGS)
# Share of the patches that are not laid on a lesion, where bone was drawn: there are the false positives.
ON_BONE = 0.75
AUTOMATIC = "auto-"  # start of the name of a mask set that a network drew


class NetworkSettings(Settings):
    """One network of a recipe: its class, what its constructor takes, and what its masks depend on."""

    network: str = Field(..., description="Name in the registry of networks.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the constructor, such as features.")
    loss: Literal["dice-ce", "bce-dual"] = Field(
        "dice-ce",
        description="Dice and cross-entropy over the labels, or 0.7 lesion and 0.3 bone binary cross-entropy.",
    )
    gate: str | None = Field(
        None,
        description="Another network of the recipe: lesions are looked for only in its bone mask, grown by gate_mm.",
    )
    gate_mm: float = Field(10.0, ge=0, description="How far the gate's bone mask is grown.")
    epochs: PositiveInt | None = Field(None, description="Most epochs of this network; null: those of training.")


class PlanSettings(Settings):
    """What is not set here is planned from the training cases of each fold."""

    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = Field(
        None, description="Spacing across, front to back, up and down; null: the median of the training cases."
    )
    window_hu: tuple[float, float] | None = Field(
        None, description="Values are cut off here; null: at 0.5 and 99.5 % of the voxels in training masks."
    )
    patch: list[PositiveInt] | None = Field(
        None, description="Edge lengths in voxels, (rows, columns) or (slices, rows, columns); null: as memory allows."
    )
    batch: PositiveInt | None = Field(None, description="Patches a step; null: as memory allows.")
    memory_gb: PositiveFloat = Field(8.0, description="Memory that training may fill with feature maps.")


class Augmentation(Settings):
    """How training patches are varied."""

    flip: bool = Field(True, description="Mirror left to right, half of the patches.")
    rotate_degrees: float = Field(10.0, ge=0, le=180, description="Largest rotation within the slice.")
    scale: float = Field(0.1, ge=0, lt=1, description="Largest share by which a patch grows or shrinks.")
    brightness: float = Field(0.1, ge=0, description="Largest shift of the scaled values.")
    contrast: float = Field(0.1, ge=0, lt=1, description="Largest share by which values are stretched.")
    noise: float = Field(0.05, ge=0, description="Largest SD of noise on the scaled values.")


class TrainingSettings(Settings):
    """How a network learns."""

    epochs: PositiveInt = Field(60, description="Most epochs.")
    steps: PositiveInt = Field(250, description="Steps of the optimiser an epoch.")
    optimiser: Literal["adamw", "adam", "sgd"] = Field(
        "adamw", description="Optimiser; sgd with Nesterov momentum 0.99."
    )
    learning_rate: PositiveFloat = Field(1e-3, description="Largest learning rate.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay.")
    schedule: Literal["one-cycle", "poly", "thirds", "constant"] = Field(
        "one-cycle",
        description="Course of the learning rate over all steps; thirds: 1, 1/2 and 1/10 of it, a third each.",
    )
    foreground: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of patches that are laid on a lesion; of the others, 75 % lie on bone where it was drawn.",
    )
    augmentation: Augmentation = Field(default_factory=Augmentation, description="How patches are varied.")
    validation_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the training patients on whom the best epoch is chosen; 0: the last epoch.",
    )
    patience: PositiveInt | None = Field(
        None, description="Epochs without a better validation before training stops; null: all epochs."
    )
    amp: Literal["off", "bf16", "fp16"] = Field("bf16", description="Mixed precision on a GPU; on a CPU always off.")
    device: Literal["auto", "cuda", "cpu"] = Field(
        "auto",
        description="auto: a GPU where there is one, else the CPU, which is told; cuda: stop where there is none.",
    )
    deterministic: bool = Field(True, description="Only operations that give the same bits again.")
    checkpoint_minutes: PositiveFloat = Field(10.0, description="A checkpoint at least so often, beside one an epoch.")
    seed: int = Field(1, description="Seed of weights, order and augmentation.")


class PredictionSettings(Settings):
    """How trained networks draw."""

    overlap: float = Field(0.5, ge=0, lt=1, description="Overlap of neighbouring windows.")
    threshold: float = Field(0.5, gt=0, lt=1, description="Mean probability from which a voxel is lesion.")
    smallest_ml: float = Field(0.1, ge=0, description="Components of lesion below this volume are dropped.")
    smallest_voxels: PositiveInt = Field(3, description="Components of fewer voxels are dropped.")


class ScoringSettings(Settings):
    """How lesions that a network drew are held against those of the reader."""

    match: Literal["share", "overlap", "iou", "centroid", "one-to-one"] = Field(
        "share",
        description="A lesion is found where: a share of it is covered; any voxel of it is; a component reaches an IoU "
        "with it; a component's centre lies in it; a component of its own reaches an IoU.",
    )
    at_least: float = Field(0.1, gt=0, le=1, description="Least share or IoU, where the rule has one.")
    bootstrap: PositiveInt = Field(2000, description="Bootstrap samples of patients.")


class SegmentationSettings(Settings):
    """Networks, what they learn from, and how they draw."""

    image: Literal["ct", "pet", "fused"] = Field("ct", description="Image that the networks see.")
    lesion: str = Field("lesion", description="ROI that is looked for.")
    bone: str | None = Field(
        None, description="ROI of all bone, where masks of it exist; needed by two decoders and gates."
    )
    mask_set: str = Field("manual", description="Mask set that the networks learn from.")
    networks: dict[Name, NetworkSettings] = Field(..., description="Our name -> network.")
    run: list[Name] = Field(
        default_factory=list, description="Networks that a plain run trains and the report compares; empty: all."
    )
    plan: PlanSettings = Field(default_factory=PlanSettings, description="Spacing, window, patch, batch.")
    training: TrainingSettings = Field(default_factory=TrainingSettings, description="How they learn.")
    prediction: PredictionSettings = Field(default_factory=PredictionSettings, description="How they draw.")

    def for_training(self, network: str) -> SegmentationSettings:
        """The same, with the number of epochs that is this network's where that of all stands."""
        own = self.networks[network]
        learned = self.training.model_copy(update={"epochs": own.epochs or self.training.epochs})
        networks = {**self.networks, network: own.model_copy(update={"epochs": None})}
        return self.model_copy(update={"training": learned, "networks": networks})


class CaseSplits(Settings):
    """How patients are divided for networks: a held-out part that no network sees, and folds of the others."""

    test_share: float = Field(
        0.25, gt=0, lt=1, description="Share of patients held out; the ensemble of all folds draws them."
    )
    folds: int = Field(
        5, ge=2, description="Folds of the others; each patient is drawn by the network that skipped it."
    )
    seed: int = Field(1, description="Seed of the divisions.")


class SegmentationRecipe(Settings):
    """What networks are trained on, how, and how their masks are scored."""

    name: Name = Field(..., description="Name of the file, without .yaml.")
    title: str = Field(..., description="What the recipe does, in one line.")
    citation: str = Field("", description="The paper that it follows.")
    kind: Literal["segmentation"] = Field(..., description="Kind of analysis.")
    session: Literal["first", "last", "all"] = Field("all", description="Which sessions of a patient enter.")
    negatives: Literal["drawn", "all"] = Field(
        "drawn",
        description="Sessions without a drawn lesion count as free of lesions: where any region was drawn, or all.",
    )
    segmentation: SegmentationSettings = Field(..., description="Networks, what they learn from, how they draw.")
    splits: CaseSplits = Field(default_factory=CaseSplits, description="How patients are divided.")
    scoring: ScoringSettings = Field(default_factory=ScoringSettings, description="How masks are scored.")
    assumed: list[str] = Field(
        default_factory=list, description="What the paper does not state and this recipe assumes."
    )
