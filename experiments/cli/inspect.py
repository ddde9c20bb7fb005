"""Define the commands that train nothing: list, status, leaderboard, compare, export, report and doctor."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.options import DataDir, Json, LatestSweep, Limit, Quiet
from experiments.cli.prose import print_json
from experiments.cli.steps import command_of, flags_of, next_step, with_flags
from harness.errors import BadInputError, unknown

FORMATS = ("csv", "parquet", "json")


def list_experiments(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A folder with your own experiment files to list instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the declared experiments.

    Each line gives an experiment's name, kind, cost and purpose.
    """
    from experiments import declared

    experiments = (
        declared.in_folder(folder) if folder else {name: declared.describe(name) for name in declared.names()}
    )
    if as_json:
        print_json([{"name": name} | each._asdict() for name, each in experiments.items()])
        return
    from experiments.cli.terminal import print_experiments

    print_experiments(experiments)


def status(
    sweep_id: LatestSweep = None,
    as_json: Json = False,
) -> None:
    """Show the progress of a sweep.

    It shows the spent budgets, the best accuracies and the running trials, or how to resume a stopped sweep.
    """
    from experiments.cli.terminal import print_cut_off, print_progress
    from harness.cut_off import cut_off_runs
    from harness.lock import holder
    from harness.tracking.read import latest_sweep
    from reports.status import read_progress
    from studies.snapshot import read_snapshot, sweep_folder

    cut_off = cut_off_runs()
    print_cut_off(cut_off)  # before the sweep is read, since an error follows if there is none
    progress = read_progress(sweep_id or latest_sweep())
    progress = progress.model_copy(update={"command": command_of(progress.command, progress.name)})
    folder = sweep_folder(progress.sweep_id)
    process = holder(folder) if folder.exists() else None
    now = read_snapshot(folder) if process else None
    if as_json:
        dead = [{"run_id": each.run_id, "stage": each.stage, "next_step": next_step(each)} for each in cut_off]
        here = {"process": process, "resumable": folder.exists(), "cut_off": dead}
        print_json(progress.model_dump(mode="json") | here | (now.model_dump(mode="json") if now else {}))
    else:
        print_progress(progress, process, folder.exists(), now)


def leaderboard(
    sweep_id: LatestSweep = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Rank a sweep's optimizers and runs.

    Optimizers are ranked by mean test accuracy, their finals and trials by validation accuracy.
    """
    from reports.queries import leaderboard, records

    found = leaderboard(sweep_id)
    if as_json:
        if limit is not None:
            from reports.board import shortened

            found = shortened(found, limit)
        print_json(records(found))
    else:
        from experiments.cli.results import SHOWN_RUNS, print_leaderboard

        print_leaderboard(found, limit or SHOWN_RUNS)


def compare(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, trial or final; see `harness ui`.")],
    other_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of the other run.")],
    as_json: Json = False,
) -> None:
    """Show where two runs differ.

    It compares their configs, outcomes and last metrics.
    """
    from experiments.cli.results import print_differences
    from reports.queries import compare

    found = compare(run_id, other_id)
    if as_json:
        print_json(found.to_dict(orient="index"))
    else:
        print_differences(found)


def export(
    sweep_id: LatestSweep = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"The format of the table: {', '.join(FORMATS)}.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write; by default stdout.")
    ] = None,
) -> None:
    """Write a sweep as a table.

    The table has one row per run and epoch.
    """
    if file_format not in FORMATS:
        raise unknown("format", file_format, FORMATS, "choose one with --format")
    if file_format == "parquet" and out is None:
        raise BadInputError(
            "format",
            file_format,
            "is binary",
            expected="csv or json on stdout",
            next_step="choose one of these, or name a file with --out",
        )
    from reports.queries import export, table_bytes

    content = table_bytes(export(sweep_id), file_format)
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise BadInputError(
            "file", str(out), f"can't be written ({error.strerror})", next_step="name another file with --out"
        ) from None


def report(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="SWEEP", help="The id of a sweep or single run; by default the latest sweep."),
    ] = None,
    other_id: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="The id of a second sweep or run to compare with.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="The folder for the page, figures and tables.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option(metavar="LIST", help="File formats of the figures: svg, png, pdf, a list like svg,png, or all."),
    ] = "svg",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the report of a sweep or run.

    With two ids, the report compares both side by side. Everything is read from MLflow.
    """
    from experiments.cli.progress import working
    from reports.figures.svg import formats_of

    kinds = formats_of(formats)
    with working("reading the runs and drawing the figures", quiet):
        if run_id and other_id:
            from reports.comparing import write_comparison

            page = str(write_comparison(run_id, other_id, out, kinds).resolve())
        else:
            from reports.page import write_report

            page = str(write_report(run_id, out, kinds)[0].resolve())
    if as_json:
        print_json({"report": page})
    else:
        typer.echo(page)


def doctor(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check this machine and this folder.

    It shows what a run here would use, and what is wrong. If something is wrong, the exit code is 1.
    """
    from experiments.cli.terminal import print_findings
    from harness.doctor import diagnose

    flags = flags_of(context.command.params)
    findings = [
        each.model_copy(update={"advice": each.advice and with_flags(each.advice, flags)})
        for each in diagnose(next_step, data_dir)
    ]
    if as_json:
        print_json([finding.model_dump(mode="json") for finding in findings])
    else:
        print_findings(findings)
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)
