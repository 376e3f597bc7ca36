"""`moonas profile`: device profiles of this machine, and of others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from moonas.errors import MoonasError
from moonas.run import parse_assignments
from moonas.show import task_for
from moonas.terminal import exit_codes, say, stop_cleanly

if TYPE_CHECKING:
    from moonas.profiling import Profiling
    from moonas.remote.target import Target
    from moonas.spec.device import DeviceSpec
    from moonas.spec.provenance import ValidationSpec


class _Group(TyperGroup):
    """Commands, and a profile's name in place of one: it is measured."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front of a name."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["measure", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group, no_args_is_help=True, help="Measure a device profile: how long each kernel of a search space takes."
)
Runtime = Literal["onnxruntime", "torch"]
Processor = Literal["cpu", "cuda"]
_WELL, _UNCERTAIN = 0.9, 0.2
EncodingOption = Annotated[str, typer.Option("--encoding", help="The search space whose kernels are measured.")]
ShapeOption = Annotated[str | None, typer.Option("--input", metavar="SHAPE", help="Of one input, as 3x32x32 or 128x6.")]
ClassesOption = Annotated[int | None, typer.Option("--classes", min=1, max=10**6, help="Outputs of the networks.")]
AssignmentsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key of the encoding, as resolution=32."),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="CPU threads of one inference.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Inputs of one inference.")]
RoundsOption = Annotated[int, typer.Option("--rounds", min=2, help="Visits to each kernel.")]
RoundMsOption = Annotated[float, typer.Option("--round-ms", min=0.001, help="Milliseconds of a visit.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the networks that are drawn.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but mistakes.")]


@app.command("measure")
def measure_one(
    name: Annotated[str, typer.Argument(help="Of the profile; it is written to ./hw_profiles/NAME.yaml and .csv.")],
    encoding: EncodingOption,
    shape: ShapeOption = None,
    classes: ClassesOption = None,
    assignments: AssignmentsOption = None,
    runtime: Annotated[Runtime, typer.Option(help="What runs the networks.")] = "onnxruntime",
    processor: Annotated[
        Processor | None,
        typer.Option(help="What they run on; cuda wants --runtime torch.", show_default="as `here`; elsewhere cpu"),
    ] = None,
    threads: ThreadsOption = 1,
    batch: BatchOption = 1,
    rounds: RoundsOption = 12,
    round_ms: RoundMsOption = 7.5,
    seed: SeedOption = 0,
    ssh: Annotated[
        str | None, typer.Option(metavar="USER@HOST", help="Measure there; it needs Python, numpy and onnxruntime.")
    ] = None,
    adb: Annotated[
        str | None, typer.Option(metavar="SERIAL", help="Measure there; it needs the same, for adb's own user.")
    ] = None,
    python: Annotated[str, typer.Option(help="The interpreter on that device.")] = "python3",
    dry_run: Annotated[bool, typer.Option(help="Only say how many kernels there are, and how long it takes.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Measure the kernels of a search space, here or on another device (the word `measure` may be left out).

    Interrupted, the same command goes on where it stopped.
    """
    with exit_codes():
        from moonas.profiling import measure, plan  # late: `--help` needs none of it
        from moonas.remote.errand import measure_there

        stop_cleanly()
        progress = _Progress(quiet)
        target = _target(ssh, adb, python)
        changes: dict[str, Any] = {"runtime": runtime, "threads": threads, "batch": batch}
        changes |= {"rounds": rounds, "round_ms": round_ms}
        if processor is not None or target is not None:
            changes["processor"] = processor or "cpu"
        overrides, task = parse_assignments(assignments or []), task_for(encoding, shape, classes)
        made = plan(name, encoding, task, changes=changes, overrides=overrides, seed=seed)
        if dry_run:
            _say_what_it_takes(made, progress)
            return
        try:
            if target is None:
                found, left = measure(made, progress), ""
            else:
                errand = measure_there(made, target, progress)
                found, left = errand.profile, errand.left
        except KeyboardInterrupt as stopped:
            place = f" {stopped}" if stopped.args else ""
            has_some = place or made.table_path.exists()
            kept = "what was measured is kept" if has_some else "no group of kernels was done yet"
            say(f"\nStopped; {kept}{place}. The same command goes on.", err=True)
            raise
        _say_how_well(found, made.path, quiet)
        if left:
            say(left, err=True)


@app.command("bundle")
def bundle(
    name: Annotated[str, typer.Argument(help="Of the profile that is to be.")],
    encoding: EncodingOption,
    shape: ShapeOption = None,
    classes: ClassesOption = None,
    assignments: AssignmentsOption = None,
    threads: ThreadsOption = 1,
    batch: BatchOption = 1,
    rounds: RoundsOption = 12,
    round_ms: RoundMsOption = 7.5,
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="NAME.zip")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write a zip that measures itself on any device with Python, numpy and onnxruntime."""
    with exit_codes():
        from moonas.profiling import plan
        from moonas.remote.bundle import write_bundle

        stop_cleanly()
        changes: dict[str, Any] = {"threads": threads, "batch": batch, "rounds": rounds, "round_ms": round_ms}
        changes["processor"] = "cpu"
        overrides, task = parse_assignments(assignments or []), task_for(encoding, shape, classes)
        made = plan(name, encoding, task, changes=changes, overrides=overrides, seed=seed)
        written = write_bundle(made, out or Path(f"{name}.zip"), _Progress(quiet)).path
        if not quiet:
            size = f"{written.stat().st_size / 1e6:.1f} MB"
            there = f"unzip {written.name} measure.py && python3 measure.py {written.name}"
            say(f"Wrote {written} ({size}). On the device: {there}")
            say("Bring results.json back, and here: moonas profile import results.json")


@app.command("import")
def import_here(
    results: Annotated[Path, typer.Argument(help="What measure.py wrote.")],
    name: Annotated[str | None, typer.Option(help="Of the profile.", show_default="as the bundle says")] = None,
    quiet: QuietOption = False,
) -> None:
    """Make a profile of the results of a bundle."""
    with exit_codes():
        from moonas.remote.imported import import_results

        found = import_results(results, name=name)
        _say_how_well(found, Path("hw_profiles") / f"{found.name}.yaml", quiet)


def _target(ssh: str | None, adb: str | None, python: str) -> Target | None:
    """The device that is meant, if it is another."""
    from moonas.remote.target import over_adb, over_ssh

    if ssh is not None and adb is not None:
        raise MoonasError("--ssh and --adb name two devices; give one of them")
    if ssh is not None:
        return over_ssh(ssh, python=python)
    return None if adb is None else over_adb(adb, python=python)


def _say_how_well(found: DeviceSpec, path: Path, quiet: bool) -> None:
    proof = found.validation
    if proof is not None and not quiet:
        rank = "" if proof.spearman is None else f", Spearman {proof.spearman:.3f}"
        say(
            f"On {proof.networks} other networks: mean error {_percent(proof.mape)}, "
            f"{_percent(proof.within_10_percent)} within 10 %{rank}. "
            f"In {path} and {path.stem}.csv; search with --set device={found.name}"
        )
        if not proof.of.startswith("random"):
            say(f"Its errors are of {proof.of}: the search space has no more, and few may be predicted well by chance.")
        if disturbed := _disturbed(proof):
            say(f"The device was busy: {disturbed}. Remove both files, and measure again when it is idle.", err=True)


def _disturbed(proof: ValidationSpec) -> str | None:
    """What shows that others computed meanwhile, if anything does."""
    if proof.timed_well is not None and proof.timed_well < _WELL:
        well = _percent(proof.timed_well)
        return f"only {well} of the networks were timed so that another measurement would find the same"
    if proof.kernel_uncertainty is not None and proof.kernel_uncertainty > _UNCERTAIN:
        by = _percent(proof.kernel_uncertainty)
        return f"one half of the rounds found other times of kernels than the other half, by {by} of all of them"
    return None


def _say_what_it_takes(made: Profiling, progress: _Progress) -> None:
    from moonas.profiling import find_kernels, minutes

    space = find_kernels(made, progress)
    say(
        f"{len(space.kernels):,} kernels in {space.networks} networks; of others, about {100 * space.unseen:.1f} % of "
        f"the kernels are not among them. Measuring takes about {minutes(made, space):.0f} minutes."
    )


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


class _Progress:
    """Says how far it is, every few seconds."""

    def __init__(self, quiet: bool):
        self._quiet, self._last = quiet, 0.0

    def __call__(self, line: str) -> None:
        if not self._quiet and time.monotonic() - self._last > 5:
            self._last = time.monotonic()
            say(line, err=True)
