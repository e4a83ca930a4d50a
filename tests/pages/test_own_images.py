"""Every page with own images: their names as they are, and nothing about other images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import paths
from core.baselines.obtain import obtain
from core.baselines.request import Request
from core.data.dataset import DataSet
from core.data.loading import load
from core.measuring.evaluation import evaluate_fully
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.specs.pruning import PruningSpec
from core.training import default_recipe
from core.ui.methods.explanation import explanation
from core.ui.parts.plain import plain
from core.ui.tour.tour import STOPS
from tests.pages.conftest import PAGES, OpenApp, assert_calm
from tests.pages.test_pages import charts, frames_of, metrics, words

FOLDER = "my *pets* :dog:"
CLASSES = ("**cat**", "[dog](x.y)", "日本 <b>")
VIEWS = ("Sensitivity", "Close-up", "Reordering", "By hand", "Budget")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 3 uneven classes: 30, 20 and 10 training images, 12, 8 and 4 test images."""
    place = tmp_path_factory.mktemp("pictures") / FOLDER
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        for part, images in (("train", 10), ("test", 4)):
            folder = place / part / name
            folder.mkdir(parents=True)
            for number in range(images * (3 - label)):
                pixels = rng.integers(0, 120, (16, 16, 3))
                pixels[..., label] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return place


@pytest.fixture
def own(
    pictures: Path, tmp_path: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> DataSet:
    """The app is started with the folder, on a machine without other images."""
    assert checkpoints.is_dir()
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setenv("EXPLORER_DATA", str(pictures))
    monkeypatch.setenv("EXPLORER_IMAGE_SIZE", "16")
    return load(f"folder:{FOLDER}")


@pytest.fixture
def baseline(own: DataSet, checkpoints: Path) -> Checkpoint:
    recipe = default_recipe(own.name, 4, "sgd", len(own.train_labels), own.image_size)
    *_, found = obtain(Request(own, recipe, width=8), folder=checkpoints)
    assert isinstance(found, Checkpoint)
    return found


def all_words(app: AppTest) -> str:
    """Everything that the page and the sidebar say."""
    tooltips = [str(getattr(each, "help", "")) for each in [*app.button_group, *app.toggle]]
    tables = [str(table.value) for table in [*app.table, *app.dataframe]]
    labels = [element.label for element in [*app.button, *app.toggle, *app.expander]]
    texts = [element.value for element in [*app.text, *app.success, *app.subheader]]
    return " ".join([words(app), *tooltips, *tables, *labels, *texts])


def assert_says_nothing_of_other_images(app: AppTest) -> None:
    text = all_words(app)
    for word in ("CIFAR", "cifar", "As in the study", "Original study", "five-epoch"):
        assert word not in text, text[max(0, text.find(word) - 200) :][:400]


@pytest.mark.usefixtures("baseline")
@pytest.mark.parametrize(
    ("page", "view"), [*((page, "") for page in PAGES), *(("layers", view) for view in VIEWS)]
)
def test_every_page_is_about_own_images(open_app: OpenApp, page: str, view: str) -> None:
    query = {"view": view} if view else {}
    app = open_app(page, dataset=FOLDER, **query)
    assert app.session_state["dataset"] == FOLDER
    assert_says_nothing_of_other_images(app)
    assert not app.warning
    if page == "compare":
        assert all(value.endswith("%") for value in metrics(app)["Accuracy"])
    if page == "layers" and not view:
        assert len(charts(app)) >= 1


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("page", PAGES)
def test_every_page_without_a_baseline_says_what_to_do(open_app: OpenApp, page: str) -> None:
    app = open_app(page, dataset=FOLDER)
    assert_says_nothing_of_other_images(app)
    if page != "tour":
        assert f"no trained baseline for {plain(FOLDER)} yet" in words(app)


def test_compare_shows_what_an_evaluation_apart_from_it_finds(
    open_app: OpenApp, own: DataSet, baseline: Checkpoint
) -> None:
    app = open_app("compare", dataset=FOLDER, ratio="0.4")
    for side, method in enumerate(("fine", "channel")):
        pruned = prune(baseline.network, PruningSpec(method, 0.4)).network
        result = evaluate_fully(pruned, own.test_images, own.test_labels)
        assert metrics(app)["Accuracy"][side] == f"{result.accuracy:.1%}"
    assert "24 images · live" in words(app)
    references = frames_of(app)[0]["references"].set_index("label")["accuracy"]
    assert references["Chance"] == pytest.approx(1 / 3)
    assert len(frames_of(app)[0]["study"]) == 0
    app.selectbox(key="dataset").set_value("CIFAR-10").run()
    assert_calm(app)


def test_a_baseline_is_measured_at_the_size_that_it_takes(
    open_app: OpenApp, baseline: Checkpoint, own: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_IMAGE_SIZE", "24")
    app = open_app("compare", dataset=FOLDER, ratio="0")
    result = evaluate_fully(baseline.network, own.test_images, own.test_labels)
    assert metrics(app)["Accuracy"] == [f"{result.accuracy:.1%}"] * 2
    assert "at 24×24 pixels" in words(open_app("baseline", dataset=FOLDER))


@pytest.mark.usefixtures("baseline")
def test_names_are_shown_as_they_are(open_app: OpenApp) -> None:
    app = open_app("baseline", dataset=FOLDER)
    assert FOLDER in app.selectbox(key="dataset").options
    (frame,) = (each.value for each in app.dataframe if "Class" in each.value)
    assert tuple(frame["Class"]) == CLASSES
    assert frame["Training images"].tolist() == [30, 20, 10]
    assert frame["Test images"].tolist() == [12, 8, 4]
    text = words(app)
    assert plain(f"{FOLDER}: 60 training and 24 test images") in text
    assert not any(name in text for name in (FOLDER, *CLASSES))
    assert plain(", ".join(CLASSES)) in text


@pytest.mark.usefixtures("own")
def test_a_baseline_is_trained_on_the_page(open_app: OpenApp) -> None:
    app = open_app("baseline", dataset=FOLDER)
    (epochs,) = (each for each in app.number_input if each.label == "Epochs")
    assert epochs.value == 30  # of few images
    epochs.set_value(1)
    next(each for each in app.button if each.label == "Train").click().run(timeout=300)
    assert_calm(app)
    assert "of 24 test images right" in app.success[0].value
    next(each for each in app.button if each.label == "Use it now").click().run()
    assert_calm(app)
    assert app.session_state["dataset"] == FOLDER
    assert metrics(app)["Test images right"][0].endswith("of 24")


@pytest.mark.usefixtures("own")
def test_the_tour_leads_back_to_its_own_images(open_app: OpenApp) -> None:
    app = open_app("tour", dataset=FOLDER)
    assert not any(stop.sentence in words(app) for stop in STOPS)
    next(each for each in app.button if each.label == "Take the tour").click().run()
    assert_calm(app)
    assert app.session_state["dataset"] == "CIFAR-10"
    assert STOPS[0].sentence in words(app)


@pytest.mark.usefixtures("own")
def test_a_link_to_the_tour_of_other_images_starts_none(open_app: OpenApp) -> None:
    app = open_app(dataset=FOLDER, tour="3")
    assert "tour" not in app.query_params
    assert STOPS[2].sentence not in words(app)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("EXPLORER_DATA", "/nowhere/_at_/all", "There is no folder /nowhere/\\_at\\_/all"),
        ("EXPLORER_IMAGE_SIZE", "1000", "8 to 224 pixels"),
    ],
)
def test_a_folder_that_cannot_be_read_is_said(
    open_app: OpenApp,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    complaint: str,
) -> None:
    monkeypatch.setenv(variable, value)
    label = "all" if variable == "EXPLORER_DATA" else FOLDER
    app = open_app("baseline", dataset=label)
    assert complaint in words(app)
    assert "Training needs the images" in words(app)


@pytest.mark.usefixtures("baseline")
def test_a_folder_that_has_other_classes_now_is_said(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    other = tmp_path / FOLDER
    for part in ("train", "test"):
        (other / part).mkdir(parents=True)
        for name in CLASSES[:2]:
            (other / part / name).symlink_to(pictures / part / name)
    monkeypatch.setenv("EXPLORER_DATA", str(other))
    app = open_app("compare", dataset=FOLDER, ratio="0.4")
    assert "has 3 classes, but" in words(app)
    assert metrics(app)["Accuracy"] == ["–", "–"]


@pytest.mark.usefixtures("checkpoints", "no_images")
def test_without_a_folder_no_other_data_set_is_offered(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPLORER_DATA", raising=False)
    app = open_app(dataset="pets")
    assert app.selectbox(key="dataset").options == ["CIFAR-10", "CIFAR-100", "digits"]
    assert app.session_state["dataset"] == "CIFAR-10"


def test_a_folder_with_the_name_of_another_data_set_is_told_apart(
    open_app: OpenApp, own: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    assert own.classes == 3
    (tmp_path / "digits").symlink_to(pictures)
    monkeypatch.setenv("EXPLORER_DATA", str(tmp_path / "digits"))
    app = open_app("baseline", dataset="digits (folder)")
    assert "60 training and 24 test images" in words(app)
    assert "1,297 training" in words(open_app("baseline", dataset="digits"))


@pytest.mark.usefixtures("small_baselines", "no_images")
@pytest.mark.parametrize(("study", "marks"), [("true", 6), ("false", 0)])
def test_the_study_is_shown_with_its_own_images(open_app: OpenApp, study: str, marks: int) -> None:
    app = open_app(study=study)
    assert len(frames_of(app)[0]["study"]) == marks
    assert app.session_state["study"] == (study == "true")
    app = open_app(study=study, dataset="digits", subset="50")
    assert len(frames_of(app)[0]["study"]) == 0
    assert "study" not in app.session_state


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("checkpoints", "no_images")
def test_cifar100_has_its_own_words(open_app: OpenApp, page: str) -> None:
    app = open_app(page, dataset="CIFAR-100")
    text = all_words(app).replace("CIFAR-100", "").replace("cifar100", "")
    assert "CIFAR-10" not in text
    if page == "baseline":
        assert any(each.label == "Download CIFAR-100 (169 MB)" for each in app.button)
        assert "CIFAR100_DIR" in words(app)


def test_the_links_of_the_explanation_stay_with_the_data_set() -> None:
    text = explanation("folder:a b&c")
    assert "](/layers?dataset=a+b%5C%26c&ratio=0.5)" in text
    assert text.count("?dataset=") == text.count("](/") > 0
    assert "<!--" not in text + explanation("cifar10")
    assert "CIFAR-10" in explanation("cifar10")


@pytest.mark.parametrize("text", ["a :dog: b", "www.a.de", "x@a.de"])
def test_emoji_and_addresses_are_broken_up_invisibly(text: str) -> None:
    assert plain(text) != text
    assert plain(text).replace("\u2060", "").replace("\\", "") == text


@pytest.mark.parametrize("name", ["my-pets", "my_pets 2", "CIFAR-10", "日本", "v1.2"])
def test_names_without_markup_stay_as_they_are(name: str) -> None:
    assert plain(name) == name
