"""The page of the support table in a real browser: what is shown, and that nothing else happens."""

import os
import shutil

import pytest

from tests.tools.tables import DEVICES, WHY, support_table
from tools.support import pages
from tools.support.statuses import STATUSES, matrix, problems, status

pytestmark = pytest.mark.long

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "{{7*7}}",
    "javascript:window.hacked=1",
    "'\"><svg onload=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
)
# WCAG 2.1, AA: text against its ground.
CONTRAST = 4.5
# The contrast of each text that is seen, where it's too low, by the formula of WCAG 2.1.
LOW_CONTRAST = """least => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => {
    const linear = c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels(color).slice(0, 3).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.checkVisibility() || ![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const what = `${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}`;
    if (ratio < least) low.push(`${what}: ${ratio.toFixed(2)}`);
  }
  return low;
}"""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed; `make browser` does")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; `make browser` installs one where it can")
    # As root, the browser starts without its sandbox only.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        started.close()


@pytest.fixture
def show(browser, tmp_path):
    """Shows a table; afterwards nothing may have been said on the console, failed, or asked for from anywhere."""
    contexts, said, asked = [], [], []

    def opened(table, hash="", **settings):
        pages.write(table, tmp_path)
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 950}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        page.goto((tmp_path / "index.html").as_uri() + hash)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert set(asked) == {(tmp_path / "index.html").as_uri()}


def names(page):
    return page.locator("#rows > tbody > tr:not(.more) .open").all_inner_texts()


def expected(table, fits):
    return [row["name"] for row in table["rows"] if fits(row)]


def settle(page):
    """Waits until all rows are there and the address is written."""
    page.wait_for_function(
        "() => document.querySelectorAll('#rows > tbody > tr:not(.more)').length"
        " === parseInt(document.querySelector('#found').textContent)"
    )
    page.wait_for_timeout(250)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("UNET", lambda name: "unet" in name),
        ("*net", lambda name: name.endswith("net")),
        ("conv?ext_* atto", lambda name: name == "convnext_atto"),
        ("[.+", lambda name: "[.+" in name),
    ],
)
def test_names_are_filtered_by_words_and_globs(show, text, fits):
    table = support_table(150)
    page = show(table)

    page.locator("#name").fill(text)
    settle(page)

    wanted = expected(table, lambda row: fits(row["name"].lower()))
    assert names(page) == wanted
    assert page.locator("#found").inner_text() == f"{len(wanted)} of 150 rows"


def test_kind_device_status_and_layer_filter_together(show):
    table = support_table(200)
    page = show(table)

    page.locator("#kind").select_option("backbone")
    page.locator("#device").select_option("ONNX Runtime, CPU")
    page.locator("#layer").fill("Conv2d")
    page.locator(".chip[data-s=ok]").click()
    settle(page)

    assert names(page) == expected(
        table,
        lambda row: (
            row["kind"] == "backbone"
            and "Conv2d" in row["layers"]
            and row["cells"]["onnxruntime-cpu"]["status"] == "ok"
        ),
    )
    assert page.locator("#rows > thead th:visible").all_inner_texts()[8:9] == ["ONNX Runtime, CPU"]
    page.get_by_role("button", name="Clear the filters").click()
    settle(page)
    assert len(names(page)) == 200


@pytest.mark.parametrize("device", ["", "torch-cpu"])
def test_the_counts_of_the_statuses_are_those_of_the_rows_that_the_other_filters_leave(show, device):
    table = support_table(100)
    page = show(table, f"#kind=network&device={device}")
    networks = [row for row in table["rows"] if row["kind"] == "network"]

    for name in STATUSES:
        found = sum(name in {status(row, d) for d in ([device] if device else row["cells"])} for row in networks)
        chip = page.locator(f".chip[data-s='{name}']")
        assert (chip.inner_text().split()[-1] == str(found)) if found else chip.is_hidden()


def test_every_column_sorts_up_and_down_by_mouse_and_by_keyboard(show):
    table = support_table(60)
    page = show(table)
    heads = page.locator("#rows > thead th")
    values = """index => [...document.querySelectorAll('#rows > tbody > tr')].map(line =>
        line.children[index].dataset.v ?? line.children[index].textContent.trim())"""

    for index in range(heads.count()):
        button = heads.nth(index).locator("button")
        button.click()
        settle(page)
        up = page.evaluate(values, index)
        assert heads.nth(index).get_attribute("aria-sort") == "ascending"
        button.focus()
        page.keyboard.press("Enter")
        settle(page)
        down = page.evaluate(values, index)
        assert heads.nth(index).get_attribute("aria-sort") == "descending"
        full = [value for value in up if value]
        assert sorted(up) == sorted(down)
        # What has no value is last both ways.
        assert (up[len(full) :], down[len(full) :]) == ([""] * (len(up) - len(full)),) * 2
        assert down[: len(full)] == full[::-1]
        if all(value.isdigit() for value in full):
            assert [int(value) for value in full] == sorted(int(value) for value in full)

    heads.last.locator("button").click()
    settle(page)
    assert names(page) == [row["name"] for row in table["rows"]]


def test_a_row_opens_its_details_by_mouse_and_by_keyboard_and_closes_again(show):
    table = support_table(6)
    row = table["rows"][1]
    row["excused"] = {"onnx-reference": "the evaluator computes in another order"}
    page = show(table)
    button = page.locator("#rows .open").nth(1)

    page.locator("#rows > tbody > tr").nth(1).locator("td").nth(1).click()

    text = page.locator(".details").inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    assert all(step in text for step in WHY)
    assert all(f"{name} {count}" in text for name, count in row["layers"].items())
    assert f"{row['parameters']:,}" in text
    assert "num_classes" in text
    assert "output 0 differs: relative difference 3.1e-02, allowed 1e-04" in text
    assert "Known: the evaluator computes in another order" in text
    for cell in row["cells"].values():
        assert all(f"{size['difference']:.1e}" in text for size in cell["sizes"])
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator(".details").count() == 0
    assert button.get_attribute("aria-expanded") == "false"


def test_the_matrix_tells_layers_and_devices_and_a_click_shows_the_rows(show):
    table = support_table(80)
    page = show(table)
    devices = [device["name"] for device in table["devices"]]
    layers = matrix(table["rows"], devices)

    page.get_by_role("link", name="Layers × devices").click()

    shown = page.locator("#matrix tbody tr")
    assert [line.split()[:3] for line in shown.all_inner_texts()] == [
        [x.name, str(x.rows), str(x.modules)] for x in layers
    ]
    layer, device = next((x, d) for x in layers for d in devices if x.devices[d][1] not in ("ok", "not tested"))
    ok, worst = layer.devices[device]
    cell = shown.nth(layers.index(layer)).locator("td").nth(2 + devices.index(device))
    assert " ".join(cell.inner_text().split()) == f"{STATUSES[worst].symbol} {worst} {ok}/{layer.rows}"
    cell.locator("a").click()
    settle(page)
    assert names(page) == expected(
        table, lambda row: layer.name in row["layers"] and row["cells"][device]["status"] == worst
    )
    page.go_back()
    assert page.locator("#matrix").is_visible()


def test_the_matrix_sorts_and_filters_its_layers(show):
    page = show(support_table(80), "#view=matrix&class=Conv?d&by=-rows")

    first = page.locator("#matrix tbody th")

    assert {"Conv2d", "Conv3d"} == set(first.all_inner_texts())
    page.locator("#class").fill("")
    page.locator("#matrix thead th").first.locator("button").click()
    shown = first.all_inner_texts()
    assert shown == sorted(shown, key=str.lower)


def test_a_view_can_be_linked_and_the_link_shows_it_again(show):
    table = support_table(100)
    page = show(table)

    page.locator("#name").fill("e")
    page.locator("#device").select_option("OpenVINO, CPU")
    page.locator("#rows > thead th[data-key=parameters] button").click()
    settle(page)
    page.locator("#rows .open").first.click()
    settle(page)

    again = show(table, "#" + page.url.partition("#")[2])
    settle(again)
    assert names(again) == names(page)
    assert again.locator("#name").input_value() == "e"
    assert again.locator(".details h2").inner_text() == names(page)[0]
    assert again.locator("#notice").is_hidden()


def test_a_link_that_asks_for_what_is_not_there_is_told_so(show):
    page = show(support_table(), "#kind=spine&device=abacus&status=fine&row=UNet-1&name=a")

    assert page.locator("#notice").inner_text() == (
        "The link asks for kind “spine”, device “abacus”, status “fine”, row “UNet-1”, which this table doesn’t have; "
        "the rest is shown."
    )
    assert page.locator("#name").input_value() == "a"


def test_what_is_not_ok_is_a_view_and_leads_to_the_row(show):
    table = support_table(80)
    page = show(table, "#view=problems")
    faults = problems(table)

    assert page.locator("#problems tbody tr").count() == len(faults)
    page.locator("#problems tbody a").first.click()

    assert page.locator(".details h2").inner_text() == faults[0].row["name"]


def test_columns_are_hidden_and_the_details_still_span_the_table(show):
    page = show(support_table())

    page.locator("#rows .open").first.click()
    page.locator(".menu summary").click()
    page.get_by_label("parts", exact=True).uncheck()
    page.get_by_label("size", exact=True).uncheck()

    devices = list(DEVICES.values())[:4]
    heads = page.locator("#rows > thead th:visible").all_inner_texts()
    assert heads == ["name", "kind", "layers", *devices, "last change"]
    width = "selector => document.querySelector(selector).getBoundingClientRect().width"
    assert page.evaluate(width, "#rows > thead tr") == page.evaluate(width, "#rows .more")
    page.wait_for_url("**hide=parts&hide=size")


def test_hostile_names_and_messages_are_shown_and_run_nothing(show):
    table = support_table(len(HOSTILE))
    for row, text in zip(table["rows"], HOSTILE, strict=True):
        row.update(name=text, arguments={text: text}, layers={text: 2}, folder=text, error=text, excluded=text)
        row["parts"], row["excused"] = {"network": text}, {"torch-cpu": text}
        row["cells"]["torch-cpu"].update(status="failed", detail=text, version=text)
        row["changed"]["why"] = [text]
    table["devices"][0].update(title=HOSTILE[0], version=HOSTILE[1])
    page = show(table)

    for index in range(len(HOSTILE)):
        page.locator("#rows .open").nth(index).click()
    texts = page.locator(".details").all_inner_texts()
    for link in page.locator(".chips a").all()[:1] + page.locator("#matrix a").all()[:1]:
        link.dispatch_event("click")
    page.goto(
        page.url.partition("#")[0] + "#name=<img src=x onerror=window.hacked=1>&kind=<script>window.hacked=1</script>"
    )

    assert names(page) == [HOSTILE[1]]
    assert all(text.count(hostile) >= 6 for text, hostile in zip(texts, HOSTILE, strict=True))
    assert page.evaluate("window.hacked") is None


def test_the_policy_stops_a_script_that_would_get_into_the_page(browser, tmp_path):
    pages.write(support_table(), tmp_path)
    path = tmp_path / "index.html"
    path.write_text(path.read_text("utf-8").replace("<main>", "<main><script>window.hacked = 1</script>"), "utf-8")
    page = browser.new_page()

    page.goto(path.as_uri())

    assert page.evaluate("window.hacked") is None
    assert page.locator("#found").inner_text() == "6 rows"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["table", "matrix", "problems", "excluded"])
def test_every_text_has_enough_contrast_in_light_and_in_dark(show, tmp_path, scheme, view):
    table = support_table(60)
    for row, name in zip(table["rows"], STATUSES, strict=False):
        row["cells"]["torch-cpu"].update(status=name, detail=name) if name != "no artifact" else row.update(
            cells={}, error="ValueError: no"
        )
    page = show(table, f"#view={view}", color_scheme=scheme)
    if view == "table":
        page.locator("#rows .open").nth(1).click()
        page.locator(".chip").first.click()

    page.screenshot(path=tmp_path / f"{view}-{scheme}.png")

    assert page.evaluate(LOW_CONTRAST, CONTRAST) == []


def test_the_theme_is_switched_and_remembered(show):
    page = show(support_table(), color_scheme="dark")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)

    page.get_by_role("button", name="Theme: system").click()

    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert (page.evaluate(ground), page.locator("#theme").inner_text()) == (light, "Theme: light")
    page.locator("#theme").click()
    assert (page.evaluate(ground), page.locator("#theme").inner_text()) == (dark, "Theme: dark")


@pytest.mark.parametrize("view", ["table", "matrix", "problems", "excluded"])
def test_on_a_phone_nothing_is_wider_than_the_screen_but_the_scroller(show, tmp_path, view):
    table = support_table(40)
    table["rows"][1]["cells"]["onnx-reference"]["detail"] = "averyverylongwordwithoutaspace" * 10
    page = show(table, f"#view={view}", **PHONE)
    if view == "table":
        page.locator("#rows .open").nth(1).tap()
        page.locator(".details").wait_for()

    page.screenshot(path=tmp_path / f"phone-{view}.png", full_page=True)

    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]") == [375, 375]
    if view == "table":
        box = page.locator(".details").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375


def test_on_a_phone_the_names_stay_while_the_table_scrolls(show):
    page = show(support_table(), **PHONE)
    name = page.locator("#rows .open").first
    before = name.bounding_box()["x"]

    scrolled = page.evaluate(
        "() => { const s = document.querySelector('.scroller'); s.scrollLeft = 300; return s.scrollLeft; }"
    )

    assert scrolled > 200
    assert name.bounding_box()["x"] == before


def test_a_print_shows_all_rows_without_the_controls(show, tmp_path):
    page = show(support_table(120), "#name=e", viewport={"width": 1050, "height": 760})

    page.locator("#rows .open").first.click()
    page.emulate_media(media="print", color_scheme="dark")
    page.screenshot(path=tmp_path / "print.png")

    assert page.evaluate("document.documentElement.scrollWidth") <= 1050
    assert page.locator("#filters, nav, #theme").evaluate_all("all => all.every(one => !one.checkVisibility())")
    assert page.evaluate(LOW_CONTRAST, CONTRAST) == []
    # Names and messages aren't squeezed out.
    assert page.locator("#rows tbody th").first.bounding_box()["width"] > 60
    heads = page.locator("#rows > thead th:visible")
    assert heads.last.bounding_box()["x"] + heads.last.bounding_box()["width"] > 1000
    page.pdf(path=tmp_path / "print.pdf")
    assert len(names(page)) == int(page.locator("#found").text_content().split()[0])


def test_without_javascript_everything_can_be_read(show):
    table = support_table(30)
    page = show(table, java_script_enabled=False)

    text = page.locator("body").inner_text()

    assert all(row["name"] in text for row in table["rows"])
    assert all(fault.detail in text for fault in problems(table))
    assert page.locator("#matrix").is_visible()
    assert page.locator("#filters").is_hidden()


def test_five_hundred_rows_and_eight_devices_are_filtered(show):
    table = support_table(500, devices=8)
    page = show(table)

    page.get_by_label("Name").fill("res")

    named = sum("res" in row["name"].lower() for row in table["rows"])
    assert page.locator("#found").inner_text() == f"{named} of 500 rows"


def test_the_controls_have_names_and_can_be_reached_by_keyboard(show):
    page = show(support_table())

    unnamed = page.locator("button, input, select, a, summary, [tabindex]").evaluate_all(
        """all => all.filter(one => one.checkVisibility() && !(one.textContent.trim() || one.labels?.length
            || one.getAttribute('aria-label'))).map(one => one.outerHTML)"""
    )
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))

    assert unnamed == []
    assert {"theme", "name", "kind", "device", "layer", "scroller", "sort", "open"} <= reached
