"""The consent and device pages in a real Chromium, with JavaScript and without, and a program that it logs in."""

import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import ROOT, oauth_error
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


# The program's side: examples/c/loopback_login.c, built with the library, waits for this browser.


class Program:
    """A run of the example; `url` is the address that it asks the person to open."""

    def __init__(self, coze, host):
        binary = ROOT / "build/dev/examples/loopback_login"
        assert binary.exists(), "build it first: cmake --preset dev && cmake --build --preset dev"
        with socket.socket(socket.AF_INET6) as free:
            free.bind(("::", 0))  # of both families
            self.port = free.getsockname()[1]
        self.uri = f"http://{host}:{self.port}/callback"
        coze.control("redirect_uris", {"client_id": coze.ready["pkce"]["client_id"], "uri": self.uri})
        environment = {
            "COZE_API_BASE": coze.base,
            "COZE_PKCE_OAUTH_CLIENT_ID": coze.ready["pkce"]["client_id"],
            "COZE_PKCE_OAUTH_REDIRECT_URI": self.uri,
        }
        self.process = subprocess.Popen(
            [binary], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.url = next((found.group() for line in self.process.stdout if (found := re.search(r"http\S+", line))), "")
        assert self.url, self.process.communicate(timeout=WAIT_SECONDS)

    def end(self):
        """The exit code and everything that was printed after the address."""
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, out + err

    def listens(self):
        with socket.socket() as visitor:
            return visitor.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def program(coze):
    started = []

    def start(host="127.0.0.1"):
        started.append(Program(coze, host))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_program_is_logged_in(coze, browser, program, host):
    login = program(host)
    browser.get(login.url)
    user = browser.find_element(By.ID, "user")
    user.clear()
    user.send_keys("Zoë")
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: "You are logged in" in browser.title)
    screenshot(browser, f"loopback-approve-{host}")
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "close this window and return to the program" in text and "登录成功" in text
    assert browser.current_url.startswith(login.uri + "?code=")
    code, said = login.end()
    assert code == 0 and "Hello, Zoë" in said, said
    assert not login.listens()


def test_a_program_is_told_of_a_refusal(coze, browser, program):
    login = program()
    browser.get(login.url)
    browser.find_element(By.ID, "deny").click()
    wait_for(browser, lambda: "Access was denied" in browser.title)
    screenshot(browser, "loopback-deny")
    code, said = login.end()
    assert code == 1 and "login: The person refused the authorization" in said, said
    assert not login.listens()


def test_a_program_says_why_a_login_failed(coze, browser, program):
    login = program()
    fault = coze.fault(match={"path": "/api/permission/oauth2/token"}, status=500, times=1)
    browser.get(login.url)
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: "did not succeed" in browser.title)
    screenshot(browser, "loopback-failed")
    assert browser.find_element(By.CLASS_NAME, "why").text
    assert coze.fired(fault) == 1
    assert login.end()[0] == 1


def test_a_strangers_link_does_not_end_a_login(coze, browser, program):
    login = program()
    browser.get(login.uri + "?code=stolen&state=guessed")
    assert "does not belong to the login" in browser.find_element(By.TAG_NAME, "main").text
    screenshot(browser, "loopback-stranger")
    browser.get(f"http://127.0.0.1:{login.port}/favicon.ico")
    assert "nothing here" in browser.find_element(By.TAG_NAME, "body").text
    browser.get(login.url)
    browser.find_element(By.ID, "approve").click()
    wait_for(browser, lambda: "You are logged in" in browser.title)
    assert login.end()[0] == 0
