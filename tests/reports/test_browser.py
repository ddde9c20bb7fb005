"""In a browser the report is readable at any width, offline and with a screen reader; MLflow's UI links to it."""

import os
import re
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from harness.colours import colours
from harness.config import with_settings
from harness.records import CONFUSION_ARTIFACT, POINT_LOSS, WINDOW_LOSS, Stage, Tag
from harness.tracking.charts import COLUMNS, charts_route, table_route
from harness.tracking.mlflow import MlflowTracker
from harness.tracking.read import read_run, read_sweep
from reports.page import build_report, write_files, write_report
from studies.executors.inline import InlineExecutor
from studies.executors.pool import WorkerPool
from studies.sweep import run_sweep
from tests import gallery, tiny
from tests.browser import (
    LEAST_PIXELS,
    PATIENCE,
    contrast,
    ground_of,
    installed_browser,
    launched,
    luminance,
    open_page,
    pixels_of_optimizers,
)
from tests.database import copies_of, fresh_database
from tests.mnist_folder import write_small_mnist
from tests.reports.sweeps import replicated
from tests.servers import free_port
from tests.started import start

pytestmark = pytest.mark.slow

WIDTHS = (1440, 800, 390)  # a desktop, a tablet, a phone
SHEET = 794  # of A4, in CSS pixels
LEAST_TEXT = 9  # CSS pixels
LEAST_CONTRAST = 4.5  # WCAG AA
SENTENCE = re.compile(r"^\S+( \S+){5}")

at_every_width = pytest.mark.parametrize("width", WIDTHS)
in_both_schemes = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="module")
def installed():
    return installed_browser()


@pytest.fixture(scope="module")
def folder(installed, tmp_path_factory):
    """Return the folder of a project with MLflow's store."""
    folder = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with copies_of(fresh_database()):
            yield folder


@pytest.fixture(scope="module")
def sweep_id(folder):
    inline = WorkerPool(InlineExecutor(), 1, write_small_mnist(folder / "data"))
    small = with_settings(tiny.BASE, {"dataset.train_size": 96})
    definition = tiny.definition().model_copy(update={"base": small})
    return run_sweep("tiny", definition, MlflowTracker(), inline).sweep_id


@pytest.fixture(scope="module")
def report(sweep_id):
    page, _ = write_report(sweep_id)
    return page.absolute().as_uri()


@pytest.fixture(scope="module")
def ui(report, folder):
    """Yield the address of `harness ui` on the store with the sweep and its report."""
    port, printed = free_port(), folder / "ui.txt"
    started = start("tests.ui", ("ui", "--port", str(port)), folder, os.environ, printed)
    started.wait_for("Application startup complete")
    yield f"http://127.0.0.1:{port}"
    started.signal_group(signal.SIGTERM)
    started.kill()


@pytest.fixture(scope="module")
def browser(installed, ui):
    with launched(installed) as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Yield a function that opens an address."""
    pages = []

    def open_address(address, allowed, width, **options):
        pages.append(open_page(browser, address, allowed, viewport={"width": width, "height": 1000}, **options))
        return pages[-1]

    yield open_address
    for each in pages:
        each.close()


@pytest.fixture(scope="module")
def shown(browser, report):
    """Yield a function that opens the report with all sections unfolded, once for all tests that only read it."""
    pages = {}

    def show_report(width, scheme="light"):
        if (width, scheme) not in pages:
            viewport = {"width": width, "height": 1000}
            pages[width, scheme] = open_page(browser, report, report, viewport=viewport, color_scheme=scheme)
            pages[width, scheme].measure("openAll")
        return pages[width, scheme]

    yield show_report
    for each in pages.values():
        each.close()


@at_every_width
def test_the_page_needs_nothing_but_its_file_and_the_browser_has_no_complaint(shown, report, width):
    page = shown(width)
    assert page.complaints == []
    assert page.requests == [report]


@at_every_width
def test_every_figure_is_drawn_once_and_its_text_is_large_enough_to_read(shown, width):
    figures = shown(width).measure("figures")
    assert len(figures) >= 3
    assert [figure for figure in figures if figure["drawings"] != 1] == []
    smallest = [(figure["name"], min(figure["sizes"], default=0)) for figure in figures]
    assert [(name, size) for name, size in smallest if size < LEAST_TEXT] == []


@at_every_width
def test_every_figure_says_in_words_what_it_shows(shown, width):
    page = shown(width).page
    said = page.get_by_role("img", name=SENTENCE).evaluate_all(
        "images => images.map(image => [...document.querySelectorAll('figure')].indexOf(image.closest('figure')))"
    )
    chosen = page.locator("figure").evaluate_all("all => all.map(each => getComputedStyle(each).display !== 'none')")
    assert set(said) - {-1} == {index for index, is_chosen in enumerate(chosen) if is_chosen}


@at_every_width
def test_nothing_reaches_beyond_the_right_edge(shown, width):
    page = shown(width)
    assert page.page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.measure("beyondTheRightEdge") == []


@at_every_width
def test_scrolling_regions_can_be_scrolled_by_keyboard(shown, width):
    assert shown(width).measure("scrollersWithoutKeyboard") == []


@in_both_schemes
def test_the_page_follows_the_readers_light_or_dark_mode(shown, scheme):
    ground = luminance(ground_of(shown(800, scheme).measure("ground")))
    assert ground < 0.05 if scheme == "dark" else ground > 0.8


@in_both_schemes
def test_all_text_has_enough_contrast(shown, scheme):
    texts = shown(800, scheme).measure("colouredTexts")
    assert len(texts) > 20
    assert [(text["name"], contrast(text)) for text in texts if contrast(text) < LEAST_CONTRAST] == []


@in_both_schemes
@at_every_width
def test_the_text_of_figures_has_enough_contrast(opened, report, width, scheme):
    page = opened(report, report, width, color_scheme=scheme)
    page.measure("openAll")
    whole = page.page.evaluate("document.documentElement.scrollHeight")
    page.page.set_viewport_size({"width": width, "height": whole})  # what is behind a point is known inside it only
    texts = page.measure("colouredTextsOfFigures")
    assert len(texts) > 20
    assert [(text["name"], contrast(text)) for text in texts if contrast(text) < LEAST_CONTRAST] == []


def test_headings_and_language_tell_a_screen_reader_where_it_is(shown):
    page = shown(800).page
    levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map(each => +each.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert max(later - level for level, later in pairwise(levels)) <= 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert "tiny" in page.title()


def test_tables_have_names_and_say_which_cells_a_heading_is_for(shown):
    page = shown(800).page
    tables = page.locator("table").count()
    assert tables >= 3
    assert page.get_by_role("table", name=re.compile(r"\w")).count() == tables
    unclear = page.locator("th:not([scope=col], [scope=row], [scope=colgroup], [scope=rowgroup]), th:empty")
    assert unclear.evaluate_all("all => all.map(each => each.outerHTML)") == []


def test_on_paper_every_figure_is_drawn_although_its_section_is_folded(opened, report):
    page = opened(report, report, SHEET)
    page.page.emulate_media(media="print")
    figures = page.measure("figures")
    assert len(figures) >= 3
    assert [figure for figure in figures if figure["drawings"] != 1] == []


def test_an_optimizer_that_is_tapped_dims_the_others_everywhere_until_it_is_tapped_again(opened, report):
    page = opened(report, report, 800, reduced_motion="reduce").page
    keys = page.locator(".card").evaluate_all("all => all.map(each => each.dataset.of)")
    page.locator(".card").first.click()
    mine, others = f"[data-of='{keys[0]}']", f"[data-of='{keys[1]}']"
    for part in ("figure#convergence .page-wide", "figure#final-accuracy .page-wide", "table"):
        expect(page.locator(f"{part} {others}").first).to_have_class(re.compile(r"\bdim\b"))
        expect(page.locator(f"{part} {mine}").first).not_to_have_class(re.compile(r"\bdim\b"))
    expect(page.locator(".card").first).to_have_attribute("aria-pressed", "true")
    page.locator(".card").first.click()
    expect(page.locator(".dim")).to_have_count(0)


def test_a_point_that_is_tapped_says_its_seed_its_value_and_the_command_that_reproduces_it(opened, report):
    page = opened(report, report, 800).page
    expect(page.get_by_role("status")).to_be_hidden()
    page.locator("figure#final-accuracy .page-wide [data-of] > title").first.locator("..").click(force=True)
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\w+, seed \d+: [\d.]+%, harness reproduce \w{32}$"))


def test_convergence_is_shown_against_images_or_seconds(opened, report):
    page = opened(report, report, 800).page
    images, seconds = page.locator("figure#convergence"), page.locator("figure#convergence-seconds")
    expect(seconds).to_be_hidden()
    page.get_by_role("button", name="Show against seconds").click()
    expect(seconds).to_be_visible()
    expect(images).to_be_hidden()
    page.get_by_role("button", name="Show against images").click()
    expect(images).to_be_visible()


def test_without_its_script_the_page_is_complete(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator("figure").count() == page.locator("figure:visible").count() >= 10
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()


def test_the_page_allows_no_script_but_its_own(opened, report):
    page = opened(report, report, 800)
    page.page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.other = 1'}))"
    )
    assert page.page.evaluate("window.other") is None
    assert any("Content Security Policy" in each for each in page.complaints)
    page.complaints.clear()


def test_on_a_phone_no_table_has_to_be_scrolled(shown):
    wide = (
        "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.innerText.slice(0, 40))"
    )
    assert shown(390).page.locator(".scroll:has(.stacked)").evaluate_all(wide) == []


def test_on_paper_a_sweep_of_five_optimizers_and_three_replicates_takes_eight_sheets_at_most(opened, tmp_path):
    means = {"sgd": 0.98, "adagrad": 0.977, "adadelta": 0.983, "rmsprop": 0.982, "adam": 0.984}
    page = write_files(build_report(replicated(means, trials=8)).files, tmp_path) / "report.html"
    paper = opened(page.as_uri(), page.as_uri(), SHEET).page.pdf(format="A4")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 8


@pytest.fixture
def shown_in_ui(opened, ui, sweep_id):
    """Return a function that opens a page of the UI below the sweep's experiment."""
    experiment = read_run(sweep_id).info.experiment_id
    return lambda place: opened(f"{ui}/#/experiments/{experiment}/runs{place}", ui, WIDTHS[0]).page


def test_the_ui_shows_the_report_among_the_sweeps_artifacts(shown_in_ui, shown, sweep_id):
    page = shown_in_ui(f"/{sweep_id}/artifacts")
    page.get_by_text("report", exact=True).click()
    page.get_by_text("report.html", exact=True).click()
    report = page.frame_locator("iframe")
    expect(report.get_by_role("heading", level=1)).to_have_text(
        shown(WIDTHS[0]).page.get_by_role("heading", level=1).inner_text(), timeout=PATIENCE
    )
    expect(report.locator("figure").first).to_be_visible()


def test_the_ui_folds_the_runs_of_a_sweep_under_it(shown_in_ui, sweep_id):
    sweep, children = read_sweep(sweep_id)
    grid = shown_in_ui("").get_by_role("grid")
    runs = grid.locator("a[href*='/runs/']")
    expect(runs).to_have_text([sweep.name], timeout=PATIENCE)
    grid.get_by_role("gridcell").filter(has_text=sweep.name).get_by_role("button").click()
    expect(runs).to_have_count(1 + len(children), timeout=PATIENCE)
    assert sorted(runs.all_inner_texts()) == sorted([sweep.name, *(child.name for child in children)])


def test_the_ui_shows_the_sweeps_description_with_its_run(shown_in_ui, sweep_id):
    note = read_sweep(sweep_id)[0].tags[Tag.NOTE]
    shown = re.sub(r"<!--.*?-->|\]\(.*?\)", "", note, flags=re.DOTALL)  # less what is not seen
    words = re.compile(r"[\W_]+".join(re.findall(r"[^\W_]+", shown)))  # less the marks of its markdown
    main = shown_in_ui(f"/{sweep_id}").get_by_role("main")
    expect(main).to_contain_text(words, use_inner_text=True, timeout=PATIENCE)


@pytest.fixture
def first_visit(opened, ui, folder, sweep_id):
    """Yield a function that opens an address printed by `harness ui`, by its route, in a fresh browser."""

    def visit(route_of):
        route = route_of(read_run(sweep_id).info.experiment_id, sweep_id)
        assert f"{ui}/{route} " in (folder / "ui.txt").read_text(encoding="utf-8")
        page = opened(f"{ui}/{route}", ui, WIDTHS[0]).page
        expect(page.get_by_role("link", name="Models", exact=True)).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_role("link", name="Judges")).to_have_count(0)  # of the side for language models
        return page

    return visit


def test_the_sweeps_description_links_to_its_charts_and_its_table(shown_in_ui, sweep_id):
    experiment = read_run(sweep_id).info.experiment_id
    page = shown_in_ui(f"/{sweep_id}")
    for name, route_of in (("the finals as charts", charts_route), ("all trials and finals as a table", table_route)):
        link = page.get_by_role("link", name=name)
        expect(link).to_have_attribute("href", route_of(experiment, sweep_id), timeout=PATIENCE)


def test_a_first_visit_to_the_charts_shows_the_finals_losses_first_in_one_colour_for_each_optimizer(first_visit):
    page = first_visit(charts_route)
    for name in ("sgd", "adam"):
        expect(page.get_by_text(f"Group: {name}", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Group: ")).to_have_count(2)
    cards = page.get_by_text(re.compile("^(trajectory|validation|test|train|seconds)/[a-z_]+$"))
    expect(cards.nth(3)).to_be_visible(timeout=PATIENCE)
    assert cards.all_inner_texts()[:4] == [WINDOW_LOSS, POINT_LOSS, "validation/accuracy", "test/accuracy"]
    lines = page.locator(".js-plotly-plot").first.locator("path.js-line")
    expect(lines).to_have_count(8, timeout=PATIENCE)  # two finals each, drawn as measured and as smoothed
    seen = lines.evaluate_all("all => all.map(each => getComputedStyle(each).stroke)")
    assert {tuple(map(int, re.findall(r"\d+", colour)[:3])) for colour in seen} == {
        tuple(bytes.fromhex(colour[1:])) for colour in colours(["sgd", "adam"]).values()
    }


def test_the_gallerys_pictures_show_a_page_and_its_charts(browser, report, ui, tmp_path):
    gallery.photograph_page(browser, Path(report.removeprefix("file://")), tmp_path / gallery.PAGE)
    gallery.photograph_charts(browser, ui, tmp_path / gallery.CHARTS)
    for name, width, height in (
        (gallery.PAGE, gallery.WIDTH, gallery.HEIGHT),
        (gallery.CHARTS, gallery.UI_WIDTH, gallery.UI_HEIGHT),
    ):
        with Image.open(tmp_path / name) as picture:
            assert picture.width == gallery.SCALE * width
            assert 300 < picture.height <= gallery.SCALE * height
            assert min(pixels_of_optimizers(picture, ["sgd", "adam"]).values()) > LEAST_PIXELS


def test_a_first_visit_to_the_table_shows_its_chosen_columns_and_the_best_run_first(first_visit, sweep_id):
    page = first_visit(table_route)
    header = page.locator("[role=columnheader][col-id]")
    expect(header.filter(has_text="harness.stage")).to_be_visible(timeout=PATIENCE)
    shown = header.evaluate_all("all => all.map(each => [+each.ariaColIndex, each.getAttribute('col-id')])")
    assert [name for _, name in sorted(shown) if name in COLUMNS] == list(COLUMNS)
    _, children = read_sweep(sweep_id)
    expect(page.locator("a[href*='/runs/']").filter(has_text="bs=")).to_have_count(len(children), timeout=PATIENCE)
    first = page.locator("a[href*='/runs/']").filter(has_text="bs=").all_inner_texts()[:4]
    assert {name.split()[0] for name in first} == {"final"}


def test_the_ui_shows_a_finals_confusion_matrix_among_its_artifacts(shown_in_ui, sweep_id):
    final = next(run for run in read_sweep(sweep_id)[1] if run.tags[Tag.STAGE] == Stage.FINAL)
    page = shown_in_ui(f"/{final.run_id}/artifacts")
    page.get_by_text(CONFUSION_ARTIFACT, exact=True).click()
    picture = page.locator(f"img[src*='{CONFUSION_ARTIFACT}'], img[src^='blob:']").first
    expect(picture).to_be_visible(timeout=PATIENCE)
    assert picture.evaluate("image => image.naturalWidth") > 400
