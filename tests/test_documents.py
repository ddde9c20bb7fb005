"""Every command and example of the documents and the help is run by a test, here or named; their links and maps hold.

Here: on a tiny sweep and runs, with their ids for RUN_ID, SWEEP and the like. What needs a server, a cluster or an
environment of its own is parsed here by the program that it calls, and names the test that runs it.
"""

import ast
import importlib
import re
import shlex
import shutil
import subprocess
import tomllib
import warnings
from pathlib import Path

import pytest
import typer

from experiments import catalog
from experiments.cli import app as cli
from studies.sweep import JOURNAL
from tests.command import in_a_pipe
from tests.tracked import SWEEP, tiny_sweeps, tracked_in

pytestmark = pytest.mark.posix

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "studies", "reports", "experiments")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(
        each
        for pattern in ("README.md", ".github/*.md", *(f"{name}/*.md" for name in (*PACKAGES, "tests")))
        for each in ROOT.glob(pattern)
    )
    if path.name != "CHANGELOG.md"  # which names what was
}
FOLLOWED = DOCUMENTS[".github/CONTRIBUTING.md"].partition("## Add an optimizer")  # by tests/test_contributing.py
ALL = "\n".join({**DOCUMENTS, ".github/CONTRIBUTING.md": FOLLOWED[0]}.values())
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = ("harness", "make", "python", "pip", "mlflow", "ray", "apt-get", "export")
SHELL, TOML, PYTHON, OUTPUT = "", "toml", "python", "text"
SMALL = ["--data-dir", "data", "--epochs", "1", "--set", "dataset.train_size=160"]

ADJUSTED = (
    "tests/experiments/test_adjusting.py::test_a_sweep_stops_at_its_time_limit_with_a_report_and_can_be_resumed"
)
BENCHMARK = "tests/test_benchmarks.py::test_a_benchmark_stores_its_figures_with_the_machine_it_ran_on"
REGRET = "tests/test_benchmarks.py::test_a_sampler_with_more_regret_than_tpe_is_an_error"
CLI = "tests/experiments/test_cli.py"
CLUSTER = "tests/experiments/test_cluster.py::test_a_sweep_on_a_cluster_survives_killed_parts"
DASHBOARD = "tests/studies/test_optuna.py::test_the_dashboard_answers_with_the_sweeps_studies"
KNOWN_ANSWER = "tests/experiments/test_shipped.py::test_an_optimizer_is_never_better_than_itself"
SERVED = (
    "tests/harness/test_models.py::test_the_winner_of_a_sweep_is_registered_and_served_without_our_package_or_pickle"
)
SYSTEM = "tests/harness/test_tracking.py::test_system_metrics_are_recorded_if_mlflows_switch_is_on"
WHEEL = "tests/test_wheel.py::test_a_sweep_and_its_report_are_written_into_the_current_folder_and_nowhere_else"
UI = f"{CLI}::test_ui_serves_the_projects_runs_on_this_machine_only"
OWN_RUN = "tests/experiments/test_own_files.py::test_a_run_of_a_file_is_named_after_the_file_and_can_predict"
OWN_SWEEP = "tests/experiments/test_own_files.py::test_the_study_in_the_guide_can_be_planned_and_trained"
OWN_PROBLEM = "tests/experiments/test_own_files.py::test_the_own_dataset_in_the_guide_is_searched_and_predicts"
AS_A_MODULE = "tests/experiments/test_names.py::test_python_m_harness_works_whatever_the_names_of_files_in_the_folder"
FILE_OF_MY_OWN = "tests/experiments/test_own_files.py::test_a_new_study_runs_as_it_is_and_is_listed_with_its_folder"
TOML_OF_MY_OWN = "tests/experiments/test_own_files.py::test_a_toml_file_anywhere_declares_a_sweep_of_parts_beside_it"
README_PROGRAM = "tests/experiments/test_api.py::test_the_readmes_program_compares_its_own_network"
ELSEWHERE = {  # which commands: the test or script that runs them
    r"python -m harness": AS_A_MODULE,
    r"harness ui": UI,
    r"harness run": OWN_RUN,
    r"harness sweep \./my_study\.py": OWN_SWEEP,
    r"(python my_study\.py|harness sweep digits --set model\.name=my_study:Net .*)": README_PROGRAM,
    r"harness sweep \./my_digits\.py": OWN_PROBLEM,
    r"harness (new .*|list FOLDER)": FILE_OF_MY_OWN,
    r"harness sweep (mine\.toml|optimizers .*--(save|name) .*)": TOML_OF_MY_OWN,
    r"harness sweep optimizers --executor ray .*": CLUSTER,
    r"(pip install optimizer-harness\[system\]|export MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=true)": SYSTEM,
    r"pip wheel --no-deps \.": WHEEL,
    r"mlflow models serve .*": SERVED,
    r"harness sweep optimizers --(replicates|until|for) .*": ADJUSTED,
    r"(mlflow server|ray start|export|pip install optimizer-harness)\b.*": CLUSTER,
    r"mlflow ui": UI,
    r"(pip install )?optuna-dashboard.*": DASHBOARD,
    r"python -m tests\.benchmarks statistics": (
        "tests/studies/test_verdicts.py::test_at_most_one_sweep_in_twenty_makes_a_false_claim"
    ),
    r"python -m tests\.benchmarks known_answers": KNOWN_ANSWER,
    r"apt-get install chromium": ".ci/run",
    r"make (test|check|setup)": ".ci/run",
    r"make test-(fast|lowest)": ".github/workflows/tests.yml",
    r"python -m pytest tests/harness/test_config\.py": ".ci/run",
    r"make sweep": "tests/test_makefile.py::test_sweep_takes_an_experiment_and_workers",
    r"make clean-results": "tests/test_makefile.py::test_clean_results_asks_before_it_deletes",
    r"make ui": UI,
    r"make report": f"{CLI}::test_a_sweep_prints_what_its_report_says_and_its_status",
    r"make run": f"{CLI}::test_run_is_tracked_epoch_by_epoch",
    r"make bench.*": BENCHMARK,
    r"python -m tests\.benchmarks regret": REGRET,
    r"python -m tests\.benchmarks (default_sweep|fast|speed|sweeps|where)": BENCHMARK,
    r"make notebook": "tests/test_makefile.py::test_notebook_opens_the_chapter",
    r"make gallery": "tests/reports/test_browser.py::test_the_gallerys_pictures_show_a_page_and_its_charts",
}
EXAMPLES_ELSEWHERE = {  # what is in a Python example: the test that runs it
    "from experiments import sweep": README_PROGRAM,
    "class Net": OWN_SWEEP,
    "def images": OWN_PROBLEM,
    "import optuna": "tests/studies/test_optuna.py::test_the_documented_figure_has_a_line_for_each_trial",
}


def blocks(language):
    return [text for each, text in BLOCK.findall(ALL) if each == language]


def spans(text):
    """Return the inline code of a text, each piece on one line."""
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", BLOCK.sub("", text))]


def words_of(line):
    """A command's words, without its comment and the variables before it; none where it is not one."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []


def is_command(span):
    words = words_of(span)
    return len(words) > 1 and (words[0] in PROGRAMS or shutil.which(words[0]) is not None)


def documented_commands():
    lines = [line for block in blocks(SHELL) for line in block.replace("\\\n", " ").splitlines()]
    docstrings = [importlib.import_module(package).__doc__ for package in PACKAGES]
    inline = [span for text in (ALL, *docstrings) for span in spans(text) if is_command(span)]
    of_help = [command.epilog for command in typer.main.get_command(cli.app).commands.values()]
    found = [shlex.join(words) for line in (*lines, *inline, *of_help) if (words := words_of(line))]
    return list(dict.fromkeys(found))


def test_every_code_block_is_of_a_kind_that_is_tested():
    assert {language for language, _ in BLOCK.findall(ALL)} <= {SHELL, TOML, PYTHON, OUTPUT}
    assert len(documented_commands()) > 30


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Return tracked runs in a store that no other test reads, since the commands write into it."""
    return tracked_in(tmp_path_factory.mktemp("documents"))


@pytest.mark.long
@pytest.mark.parametrize("command", documented_commands())
def test_a_documented_command_is_run_by_a_test(command, tracked, monkeypatch):
    words = shlex.split(command)
    plain = " ".join(words)
    elsewhere = [test for commands, test in ELSEWHERE.items() if re.fullmatch(commands, plain)]
    if elsewhere:
        parse(words)
        assert_exists(elsewhere[0])
        return
    assert words[0] == "harness", f"no test runs {command!r}: name the one that does in ELSEWHERE"
    monkeypatch.chdir(tracked.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with tiny_sweeps():
        code, printed = in_a_pipe(*on_tiny_data(words[1:], tracked))
    assert code == 0, printed


def on_tiny_data(arguments, tracked):
    """Return the arguments with ids in place of their names, and with options that keep the work small."""
    runs = iter([tracked.trial, tracked.final])
    one = tracked.stopped if "--resume" in arguments else tracked.run
    ids = {"RUN_ID": one, "SWEEP_OR_RUN": tracked.sweep, "OTHER": tracked.run, "SWEEP": tracked.sweep}
    ids |= {"A": tracked.sweep, "B": tracked.run}
    arguments = [next(runs) if each == "RUN" else ids.get(each, each) for each in arguments]
    more = {"run": SMALL, "sweep": SWEEP, "reproduce": ["--data-dir", "data"], "predict": ["--data-dir", "data"]}
    if "--resume" in arguments:
        more["run"] = ["--data-dir", "data"]
    return [*arguments, *more.get(arguments[0], [])]


def assert_exists(test):
    """Check that the file of a test exists, and that it has the named function."""
    path, _, name = test.partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    if name:
        assert name in {each.name for each in ast.walk(ast.parse(source)) if isinstance(each, ast.FunctionDef)}


def parse(words):
    """Have the program that a command calls parse it, and do nothing."""
    program, *arguments = words
    parsers = {"harness": parse_harness, "mlflow": parse_mlflow, "ray": parse_ray, "make": parse_make}
    parsers |= {"export": parse_export, "pip": parse_pip, "python": parse_python, "apt-get": parse_apt_get}
    parsers |= {"optuna-dashboard": parse_optuna_dashboard}
    parsers[program](arguments)


def parse_harness(arguments):
    parse_by_group(typer.main.get_command(cli.app), arguments)


def parse_mlflow(arguments):
    parse_by_group(mlflow_group(), arguments)


def mlflow_group():
    with warnings.catch_warnings(action="ignore"):  # of its own, about a type of its own
        return importlib.import_module("mlflow.cli").cli


def parse_ray(arguments):
    parse_by_group(importlib.import_module("ray.scripts.scripts").cli, arguments)


def parse_by_group(group, arguments):
    name, *rest = arguments
    group.get_command(None, name).make_context(name, rest, resilient_parsing=True)


def parse_make(arguments):
    """Check that the target of make exists, and every command and module of ours that it calls."""
    # what setting up prints is nothing where it is done, and would hide that another target calls nothing
    options = ["--always-make"] if arguments == ["setup"] else ["--old-file", ".venv/.made-from-lock"]
    command = ["make", "--dry-run", *options, *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    called = re.findall(r"\.venv/bin/harness ([^|;$)]+)", printed)
    assert called or ".venv/bin/python" in printed
    for each in called:
        parse_harness(shlex.split(each))
    for module in re.findall(r"\.venv/bin/python -m (tests\S*)", printed):
        assert importlib.util.find_spec(module)


def parse_export(arguments):
    used = "".join(
        (ROOT / "tests" / path).read_text("utf-8")
        for path in ("experiments/test_cluster.py", "harness/test_tracking.py", "servers.py")
    )
    for each in arguments:
        assert each.partition("=")[0] in used + (ROOT / "Makefile").read_text("utf-8")


def parse_pip(arguments):
    """Check that pip installs this package with existing extras, or a package that the tests install."""
    if arguments[0] == "wheel":
        assert (ROOT / arguments[-1] / "pyproject.toml").exists()
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name, extras = re.fullmatch(r"install ([^[]+)(?:\[(.+)\])?", " ".join(arguments)).groups()
    if name == project["name"]:
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    else:
        assert name in [re.split(r"[>=<]", each)[0] for each in project["optional-dependencies"]["dev"]]


def parse_optuna_dashboard(arguments):
    (storage,) = arguments
    assert Path(storage).name == JOURNAL


def parse_python(arguments):
    if arguments == ["my_study.py"]:  # the README's own program
        return
    option, module, *names = arguments
    assert option == "-m"
    if module == "pytest":
        assert all((ROOT / each).exists() for each in names)
        return
    assert all(hasattr(importlib.import_module(f"{module}.{name}"), "main") for name in names)


def parse_apt_get(arguments):
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert re.search(rf"apt-get .*{arguments[0]} .*{arguments[1]}", script)


def options_of(group):
    parameters = [each for command in (group, *group.commands.values()) for each in command.params]
    return {"--help", *(option for each in parameters for option in each.opts)}


@pytest.mark.parametrize("span", [each for each in dict.fromkeys(spans(ALL)) if each.startswith("-")])
def test_a_documented_option_exists(span):
    known = options_of(typer.main.get_command(cli.app)) | options_of(mlflow_group())
    assert span.split()[0] in known


def test_documented_declarations_are_valid():
    declared = [tomllib.loads(block) for block in blocks(TOML)]
    whole = next(each for each in declared if each.get("kind") == "sweep")
    for each in declared:
        catalog.parse("mine", each if "kind" in each else whole | each)  # one without is a part


@pytest.mark.long
@pytest.mark.parametrize("example", blocks(PYTHON))
def test_a_documented_example_runs(example, tracked, monkeypatch):
    elsewhere = [test for what, test in EXAMPLES_ELSEWHERE.items() if what in example]
    if elsewhere:
        assert_exists(elsewhere[0])
        return
    monkeypatch.chdir(tracked.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    exec(example, {})


def linked(name):
    """The files that a document links to, as paths from the root."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", BLOCK.sub("", DOCUMENTS[name]))
    return [(ROOT / name).parent / each for each in links if "://" not in each]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_links_of_a_document_lead_to_existing_files(name):
    assert all(each.exists() for each in linked(name)), linked(name)


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_the_map_of_a_package_names_existing_files_and_fits_a_screen(package):
    text = DOCUMENTS[f"{package}/README.md"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    paths = [each for row in rows for each in re.findall(r"`([^`]+)`", row) if "/" in each or each.endswith(".py")]
    assert len(paths) > 5
    for each in paths:
        if not is_command(each) and not each.startswith("."):
            assert list((ROOT / package).glob(each)) or list(ROOT.glob(each)), each
    assert len(text.splitlines()) <= 60


def test_every_document_is_reached_from_the_readme():
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        found = [each.resolve().relative_to(ROOT).as_posix() for each in linked(name)]
        waiting += [each for each in found if each in DOCUMENTS and each not in reached]
    assert reached == DOCUMENTS.keys()
