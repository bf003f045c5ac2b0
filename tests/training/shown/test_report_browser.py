"""The report of a run in a real browser: light, dark, on a phone, printed; and that nothing in it runs."""

import pytest

from mcore.training.shown import report
from tests.tools.test_page_browser import CONTRAST, LOW_CONTRAST, PHONE, browser
from tests.training.shown import made
from tests.training.shown.test_report import HOSTILE, hostile_events

pytestmark = pytest.mark.long

__all__ = ["browser"]


@pytest.fixture
def show(browser, tmp_path):
    """Shows a run; afterwards nothing may have been said on the console, or asked for from anywhere."""
    contexts, said, asked = [], [], []

    def opened(events, *, config=made.CONFIG, **settings):
        folder = made.folder(tmp_path / "a run", events, config=config)
        path = report.write(folder)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "a run" / "report.html").as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast_in_light_and_in_dark(show, scheme):
    page = show(made.events(3, reason="a loss that isn't finite"), color_scheme=scheme)

    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")

    assert page.evaluate(LOW_CONTRAST, CONTRAST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_curve_stands_out_from_its_ground(show, scheme):
    events = [made.start(), *(made.step(at, lrs={str(part): part / at for part in range(9)}) for at in (10, 20, 30))]
    page = show(events, color_scheme=scheme)

    found = page.evaluate(
        """() => {
          const light = color => {
            const linear = c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
            const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(Number).map(linear);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          return [...document.querySelectorAll('figure > svg .line')].map(line => {
            const ground = getComputedStyle(line.closest('figure')).backgroundColor;
            const both = [light(getComputedStyle(line).stroke), light(ground)];
            return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
          });
        }"""
    )

    assert len(found) > 8
    assert min(found) >= 3


def test_on_a_phone_nothing_is_wider_than_the_screen(show):
    page = show(made.events(), **PHONE)

    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")

    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]") == [375, 375]
    # Curves as wide as the screen, one below the other.
    boxes = [one.bounding_box() for one in page.locator(".charts figure").all()]
    assert all(box["width"] > 300 for box in boxes)


def test_pictures_are_shown(show):
    page = show(made.events(3))

    widths = page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")

    assert widths == [300, 300]


def test_a_print_shows_all_rows(show, tmp_path):
    page = show(made.events(60), viewport={"width": 1050, "height": 760})

    page.emulate_media(media="print")

    cut = "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
    assert page.locator(".scroller").evaluate_all(cut) == 0
    page.pdf(path=tmp_path / "print.pdf")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_shown_and_run_nothing(show, text):
    page = show(hostile_events(text), config=f"train: {{name: {made.json.dumps(text)}}}")

    assert page.locator("h1").inner_text() == text
    assert page.evaluate("window.hacked") is None


def test_the_policy_stops_a_script_that_would_get_into_the_page(browser, tmp_path):
    path = report.write(made.folder(tmp_path, made.events(1)))
    path.write_text(path.read_text().replace("<body>", "<body><script>window.hacked = 1</script>"))
    page = browser.new_page()

    page.goto(path.as_uri())

    assert page.evaluate("window.hacked") is None
    page.close()
