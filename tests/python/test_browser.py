"""The consent and device pages in a real Chromium, with JavaScript and without."""

import os
import shutil
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import oauth_error
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

WAIT_SECONDS = 20


@pytest.fixture(scope="module", params=["javascript", "no javascript"])
def browser(request, tmp_path_factory):
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver_path:
        pytest.fail("needs chromium and chromedriver (Debian: chromium, chromium-driver); or run -m 'not browser'")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        "--lang=en-US",
        f"--user-data-dir={profile}",
        "--window-size=900,900",
    ):
        options.add_argument(argument)
    if request.param == "no javascript":
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    service = webdriver.ChromeService(driver_path)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    driver.get("data:text/html,<title>off</title><script>document.title='on'</script>")
    assert driver.title == ("on" if request.param == "javascript" else "off")
    yield driver
    driver.quit()


class _App(BaseHTTPRequestHandler):
    """The app's side of the redirect: remembers the query that came back."""

    def do_GET(self):
        self.server.came_back.append({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"welcome back")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def app():
    with socketserver.TCPServer(("127.0.0.1", 0), _App) as server:
        server.came_back = []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def open_consent(coze, browser, app, kind="pkce", **changes):
    uri = f"http://127.0.0.1:{app.server_address[1]}/cb"
    coze.control("redirect_uris", {"client_id": coze.ready[kind]["client_id"], "uri": uri})
    browser.get(coze.authorize_url(kind, redirect_uri=uri, **changes))
    return uri


def wait_for(browser, condition):
    WebDriverWait(browser, WAIT_SECONDS, poll_frequency=0.02).until(lambda _: condition())


def screenshot(browser, name):
    """Kept only when somebody wants to look at the pages."""
    folder = os.environ.get("COZE_TEST_SCREENSHOTS")
    if folder:
        browser.save_screenshot(os.path.join(folder, name + ".png"))


@pytest.mark.parametrize("kind", ["web", "pkce"])
def test_approve(coze, browser, app, kind):
    uri = open_consent(coze, browser, app, kind, state="状态 &=1")
    assert "asks for access" in browser.title
    user = browser.find_element(By.ID, "user")
    user.clear()
    user.send_keys("Zoë")
    screenshot(browser, f"consent-{kind}")
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: app.came_back)
    answer = app.came_back[0]
    assert answer["state"] == "状态 &=1"
    body = coze.code_body(kind, answer["code"], redirect_uri=uri)
    token = coze.token(body, coze.secret(kind)).json()["access_token"]
    assert coze.me(token).json()["data"]["user_name"] == "Zoë"


def test_deny(coze, browser, app):
    open_consent(coze, browser, app)
    browser.find_element(By.ID, "deny").click()
    wait_for(browser, lambda: app.came_back)
    assert app.came_back[0]["error"] == "access_denied" and app.came_back[0]["state"] == "s1"


def test_switch_to_chinese_and_approve(coze, browser, app):
    open_consent(coze, browser, app)
    browser.find_element(By.ID, "language").click()
    wait_for(browser, lambda: "请求授权" in browser.title)
    screenshot(browser, "consent-zh")
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: app.came_back)
    assert app.came_back[0]["code"]


@pytest.mark.parametrize("page", ["consent", "device"])
def test_small_screen_has_no_sideways_scrolling(coze, browser, app, page):
    size = {"width": 320, "height": 568, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        if page == "consent":
            open_consent(coze, browser, app, state="x" * 300)
        else:
            browser.get(f"{coze.base}/opens/oauth/device?user_code={coze.device_code()['user_code']}")
        html = browser.find_element(By.TAG_NAME, "html")
        assert html.get_property("clientWidth") == 320
        assert html.get_property("scrollWidth") <= 320
        assert browser.find_element(By.ID, "deny").is_displayed()
        screenshot(browser, f"{page}-small")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("action", ["approve", "deny"])
def test_device_code_typed(coze, browser, action):
    codes = coze.device_code()
    browser.get(codes["verification_uri"])
    screenshot(browser, "device-empty")
    field = browser.find_element(By.ID, "user_code")
    field.send_keys(codes["user_code"].lower()[:4] + "-" + codes["user_code"].lower()[4:])
    browser.find_element(By.ID, "next").click()
    wait_for(browser, lambda: browser.find_elements(By.ID, action))
    assert codes["user_code"] in browser.find_element(By.TAG_NAME, "main").text
    screenshot(browser, "device-consent")
    browser.find_element(By.ID, action).click()
    wait_for(browser, lambda: browser.find_elements(By.ID, "done"))
    screenshot(browser, f"device-{action}")
    response = coze.poll(codes["device_code"])
    if action == "approve":
        assert response.status_code == 200
    else:
        oauth_error(response, "access_denied")


def test_device_code_prefilled(coze, browser):
    codes = coze.device_code()
    browser.get(f"{codes['verification_uri']}?user_code={codes['user_code']}")
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: browser.find_elements(By.ID, "done"))
    assert coze.poll(codes["device_code"]).status_code == 200


def test_wrong_device_code_is_told(coze, browser):
    browser.get(coze.base + "/opens/oauth/device?user_code=WRONG")
    assert "not valid" in browser.find_element(By.CSS_SELECTOR, "[role=alert]").text
    assert browser.find_element(By.ID, "user_code").get_attribute("value") == "WRONG"
    screenshot(browser, "device-wrong")


def test_error_page(coze, browser):
    browser.get(coze.authorize_url(client_id="1.app.coze"))
    assert "client_id" in browser.find_element(By.CSS_SELECTOR, "[role=alert]").text
    screenshot(browser, "error")
