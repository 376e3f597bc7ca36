"""What a problem may say of training: how much of it a candidate gets, and the recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from moonas.spec.validation import SpecModel

Positive = Annotated[int, Field(ge=1)]


class FidelitySpec(SpecModel):
    """How much training a candidate gets.

    Attributes:
        epochs: passes over the training images.
        samples: training images used, a stratified part drawn by `data.seed`; all if not given, or if there are fewer.
        resolution: shorter side to which images are resized, in pixels; theirs if not given.
        seeds: trainings from different initial weights, averaged.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    samples: Positive | None = None
    resolution: Positive | None = None
    seeds: Annotated[int, Field(ge=1, le=100)] = 1

    def work(self, inputs: int, side: int) -> float:
        """How many images pass through a network, in images of the data's own size.

        Args:
            inputs: training images, or sequences, that there are.
            side: the shorter side of the images; 1 for sequences.
        """
        seen = self.epochs * self.seeds * min(inputs, self.samples or inputs)
        return seen * ((self.resolution or side) / side) ** 2

    def takes_no_less_than(self, other: FidelitySpec) -> bool:
        """Whether this takes as much work as another fidelity, or more; False where only the data could tell."""
        if (self.samples is None) != (other.samples is None) or (self.resolution is None) != (other.resolution is None):
            return False
        images = max(self.samples or 1, other.samples or 1)
        return self.work(images, 1) >= other.work(images, 1)

    def __str__(self) -> str:
        parts = [f"{self.epochs} epoch{'s' * (self.epochs != 1)}"]
        if self.samples is not None:
            parts.append(f"{self.samples:,} images")
        if self.resolution is not None:
            parts.append(f"{self.resolution} pixels")
        if self.seeds > 1:
            parts.append(f"mean of {self.seeds} seeds")
        return ", ".join(parts)


Phase = Literal["validate", "proxy", "full"]
"""`validate` sees in a minute whether space and data work, `proxy` is the search, `full` what final networks get."""
PHASES: dict[Literal["validate", "full"], FidelitySpec] = {
    "validate": FidelitySpec(epochs=1, samples=256),
    "full": FidelitySpec(epochs=30),
}
"""The fidelities of the phases besides the search itself, which has `fidelity`, if a file does not give them."""


def _with_defaults(phases: Any) -> Any:
    return {**PHASES, **phases} if isinstance(phases, dict) else phases


Phases = Annotated[dict[Literal["validate", "full"], FidelitySpec], BeforeValidator(_with_defaults)]


class TrainingSpec(SpecModel):
    """The recipe: Nesterov SGD under a one-cycle schedule, with batch augmentation.

    Attributes:
        learning_rate: the peak of the cycle.
        shift: random shift of each image, in pixels to each side.
        flip: whether images are mirrored at random; wrong for digits and letters.
        stop_hopeless: whether a training ends, and its network fails, that after half of many steps has learnt nothing.
        processor: where candidates are trained; `auto` is the GPU if there is one.
        precision: of most of the arithmetic; `auto` is what is faster where the search begins, by trying.
    """

    batch: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[int, Field(ge=0, le=64)] = 1
    flip: bool = False
    stop_hopeless: bool = True
    processor: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
