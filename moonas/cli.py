"""The command `moonas`: run, check, profile, space, audit, show, list, copy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from moonas import content, design_space
from moonas.audit import Audit, audit_of
from moonas.checking import check
from moonas.errors import MoonasError
from moonas.profile import app as profile
from moonas.run import Assignments, Quiet, parse_assignments, run
from moonas.show import app as show
from moonas.terminal import exit_codes, say, stop_cleanly, while_read

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Search for neural networks that are accurate, fast and small on the device they will run on.",
)
app.command()(run)
app.command()(check)
app.add_typer(show, name="show")
app.add_typer(profile, name="profile")


def main() -> None:
    """Run the command line."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"moonas {version('moonas')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Options of the command itself."""


@app.command()
def audit(
    problem: Annotated[str, typer.Argument(help="A problem file, the name of a shipped one, or a run folder.")],
    networks: Annotated[int, typer.Option(help="Networks to train, spread over size.")] = 12,
    seeds: Annotated[int, typer.Option(help="Full trainings of each network.")] = 2,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder. Running again in it goes on.", show_default="runs/NAME-audit"),
    ] = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
) -> None:
    """Audit a proxy: does what a search sees order networks as full training does?"""
    with exit_codes():
        overrides = parse_assignments(assignments or [])
        stop_cleanly()
        try:
            found = audit_of(problem, networks, seeds, out, overrides, progress=not quiet, label="--set")
        except KeyboardInterrupt:
            say("\nStopped; what was trained is kept. The same command goes on.", err=True)
            raise
        if not quiet:
            _print_audit(found)


def _print_audit(found: Audit) -> None:
    from moonas.report.agreement import LEVEL
    from moonas.report.evidence import readable
    from moonas.report.table import print_frame

    with while_read():
        title = f"Agreement of {len(found.networks)} networks with full training, {100 * LEVEL:.0f} % intervals"
        print_frame(readable(found.agreement), title)
    for sentence in found.verdict:
        say(sentence)
    say(f"In {found.out}: audit.csv, agreement.csv, audit.png")


@app.command()
def space(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of random searches; the first is compared with.")],
    shrink_to: Annotated[
        Path | None, typer.Option("--shrink", metavar="FILE", help="Write the first one's space, narrowed.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="The objective by which networks are good.", show_default="all, by their fronts")
    ] = None,
    plot_to: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the error distributions (.png, .svg).")
    ] = None,
) -> None:
    """Judge search spaces by random networks: their distribution, the genes that matter, a narrower space."""
    with exit_codes():
        from moonas.report.table import print_frame
        from moonas.study.start import load

        studies = [load(run) for run in runs]
        first, objective = studies[0], studies[0].objectives[0]
        comparison, effects = design_space.compare(*studies), design_space.gene_effects(first, by=by)
        genes = {gene.name: gene.choices for gene in first.encoding.genes}
        effects["keep"] = [
            _kept(genes[gene], keep) for gene, keep in zip(effects["gene"], effects["keep"], strict=True)
        ]
        with while_read():
            print_frame(comparison, f"Random networks by {objective.metric} ({objective.goal})")
            judged = by or ", ".join(each.metric for each in first.objectives)
            print_frame(effects, f"What separates good networks of {first.spec.encoding.name} from bad, by {judged}")
        if plot_to is not None:
            design_space.plot(*studies, path=plot_to)
            say(f"Drew {plot_to}.")
        if shrink_to is not None:
            narrowed = design_space.shrink(first, shrink_to, by=by)
            say(f"Wrote {shrink_to}, in which {len(narrowed)} of {len(genes)} genes are narrowed.")


def _kept(choices: tuple[Any, ...], keep: tuple[Any, ...]) -> str:
    """What is kept of the choices, as a reader wants it."""
    listed = ", ".join(map(str, keep))
    return "all" if len(keep) == len(choices) else f"{listed}  of  {', '.join(map(str, choices))}"


@app.command("list")
def list_content(
    kind: Annotated[
        str | None, typer.Argument(help="problems, encodings, architectures or hw_profiles.", show_default="all")
    ] = None,
) -> None:
    """List what is shipped, and what lies in folders of these names here."""
    with exit_codes():
        kinds = [f"{kind}s" if f"{kind}s" in content.KINDS else kind] if kind else content.KINDS
        for each, found in [(each, content.available(each)) for each in kinds]:
            say(f"{each}:")
            for name, path in found.items():
                own = "" if path.parent == content.shipped_folder(each) else f" ({path})"
                size = f"{_encoding_size(path):<46} " if each == "encodings" else ""
                say(f"  {name:<22} {size}{content.summary(path)}{own}")


def _encoding_size(path: Path) -> str:
    """The family and the size of a search space, or that it has none."""
    from moonas.encoding.catalogue import encoding_of
    from moonas.spec.encoding import load_encoding

    try:
        spec = load_encoding(str(path))
        encoding = encoding_of(spec)
        return f"{spec.family}, {len(encoding.genes)} genes, {encoding.extent}"
    except MoonasError:
        return "cannot be read: moonas show encoding says why"


@app.command("copy")
def copy_content(
    name: Annotated[str, typer.Argument(help="A shipped problem, encoding, architecture or device profile.")],
    to: Annotated[Path | None, typer.Argument(help="The file to write.", show_default="./KIND/NAME.yaml")] = None,
) -> None:
    """Copy a shipped file to edit: ./problems/NAME.yaml then goes by the same name, before the shipped one."""
    with exit_codes():
        kind, source = content.find_shipped(name)
        target = to or Path(kind) / source.name
        if target.exists():
            example = target.with_stem("mine")
            raise MoonasError(
                f"{target} is there already, and stays as it is; give another file, as in moonas copy {name} {example}"
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise MoonasError(f"{target} cannot be written: {error.strerror}") from error
        say(f"Wrote {target}.")
