#!/usr/bin/env python3
"""Runs every example in C as a user would, beside the emulator: tests/with-emulator run_examples.py FOLDER

FOLDER holds the built programs. Settings come through the environment, a person's part is examples/person's.
"""

import http.server
import json
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERSON = [sys.executable, str(ROOT / "examples/person")]
SECONDS = 40
PROGRAMS = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else ROOT / "build/dev/examples"
READY = json.loads(os.environ["COZE_EMULATOR"])

SETTINGS = {
    "COZE_API_TOKEN": READY["pat"],
    "COZE_SERVICE_TOKEN": READY["sat"],
    "COZE_WEB_OAUTH_CLIENT_ID": READY["web"]["client_id"],
    "COZE_WEB_OAUTH_CLIENT_SECRET": READY["web"]["client_secret"],
    "COZE_WEB_OAUTH_REDIRECT_URI": READY["web"]["redirect_uris"][0],
    "COZE_PKCE_OAUTH_CLIENT_ID": READY["pkce"]["client_id"],
    "COZE_PKCE_OAUTH_REDIRECT_URI": READY["pkce"]["redirect_uris"][0],
    "COZE_DEVICE_OAUTH_CLIENT_ID": READY["device"]["client_id"],
    "COZE_JWT_OAUTH_CLIENT_ID": READY["jwt"]["client_id"],
    "COZE_JWT_OAUTH_PUBLIC_KEY_ID": READY["jwt"]["public_key_id"],
    "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH": READY["jwt"]["private_key_file"],
    "COZE_BOT_ID": "7300000000000000001",
    "COZE_WORKFLOW_ID": "7300000000000000009",
}
SECRETS = [READY["pat"], READY["sat"], READY["web"]["client_secret"]]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in ("COZE_PERSON", "COZE_LOG")}
    merged = {**kept, **SETTINGS, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def control(path, body, token=None, method="POST"):
    headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})}
    order = urllib.request.Request(READY["base_url"] + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(order, timeout=SECONDS) as answer:
        return json.load(answer)


def stats():
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        READY["base_url"] + "/_control/stats", timeout=SECONDS
    ) as answer:
        return json.load(answer)


class Examples(unittest.TestCase):
    def setUp(self):
        control("/_control/reset", {})
        control("/_control/settings", {"device_poll_interval_seconds": 1})

    def run_program(self, name, *arguments, given="", code=0, **changes):
        done = subprocess.run(
            [PROGRAMS / name, *arguments], input=given, env=environment(**changes), capture_output=True, text=True,
            timeout=SECONDS,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for secret in SECRETS:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def start(self, name, **changes):
        program = subprocess.Popen(
            [PROGRAMS / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(**changes),
        )
        self.addCleanup(program.kill)
        return program

    def address(self, program):
        """The address that the program asks a person to open."""
        seen = ""
        for line in program.stdout:
            seen += line
            found = re.search(r"http\S+", line)
            if found:
                return found.group()
        return self.fail("no address in:\n" + seen)

    def visit(self, address, *arguments):
        done = subprocess.run([*PERSON, *arguments, address], capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout

    def log_in_with_browser(self, name):
        program = self.start(name)
        landed = self.visit(self.address(program))
        out, err = program.communicate("this is no address\n" + landed, timeout=SECONDS)
        self.assertEqual(program.returncode, 0, out + err)
        self.assertIn("login:", err)
        self.assertIn("Logged in", out)
        self.assertIn("Hello, Alex", out)

    def test_token_auth(self):
        self.assertIn("Hello, Alex", self.run_program("token_auth").stdout)

    def test_token_auth_without_a_token(self):
        done = self.run_program("token_auth", code=2, COZE_API_TOKEN=None)
        self.assertIn("COZE_API_TOKEN is not set", done.stderr)

    def test_token_auth_with_a_wrong_token(self):
        done = self.run_program("token_auth", code=1, COZE_API_TOKEN="pat_wrong_CANARY")
        self.assertIn("users.me", done.stderr)
        self.assertNotIn("CANARY", done.stderr)

    def test_web_oauth(self):
        self.log_in_with_browser("web_oauth")

    def test_pkce_oauth(self):
        self.log_in_with_browser("pkce_oauth")

    def test_web_oauth_refused(self):
        program = self.start("web_oauth")
        out, err = program.communicate(self.visit(self.address(program), "--deny"), timeout=SECONDS)
        self.assertEqual(program.returncode, 1, out + err)
        self.assertIn("login:", err)

    def come_back_by_itself(self, *arguments):
        """A login whose browser visits the program; what it was shown, the exit code, and what was printed."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{free.getsockname()[1]}/callback"
        control("/_control/redirect_uris", {"client_id": READY["pkce"]["client_id"], "uri": uri})
        program = self.start("loopback_login", COZE_PKCE_OAUTH_REDIRECT_URI=uri)
        landed = self.visit(self.address(program), *arguments).strip()
        self.assertTrue(landed.startswith(uri), landed)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(landed, timeout=SECONDS) as answer:
            page = answer.read().decode()
        out, err = program.communicate(timeout=SECONDS)
        return page, program.returncode, out + err

    def test_loopback_login(self):
        page, code, said = self.come_back_by_itself()
        self.assertIn("You are logged in", page)
        self.assertEqual(code, 0, said)
        self.assertIn("Hello, Alex", said)

    def test_loopback_login_refused(self):
        page, code, said = self.come_back_by_itself("--deny")
        self.assertIn("Access was denied", page)
        self.assertEqual(code, 1, said)
        self.assertIn("login: The person refused the authorization", said)

    def test_loopback_login_on_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            uri = f"http://127.0.0.1:{port}/callback"
            done = self.run_program("loopback_login", code=1, COZE_PKCE_OAUTH_REDIRECT_URI=uri)
        self.assertIn(f"127.0.0.1:{port}", done.stderr)

    def test_device_oauth(self):
        program = self.start("device_oauth")
        self.visit(self.address(program))
        out, err = program.communicate(timeout=SECONDS)
        self.assertEqual(program.returncode, 0, out + err)
        self.assertIn("Hello, Alex", out)

    def test_device_oauth_refused(self):
        program = self.start("device_oauth")
        self.visit(self.address(program), "--deny")
        out, err = program.communicate(timeout=SECONDS)
        self.assertEqual(program.returncode, 1, out + err)
        self.assertIn("login:", err)

    def test_login_once(self):
        state = tempfile.TemporaryDirectory()
        self.addCleanup(state.cleanup)
        first = self.start("login_once", XDG_STATE_HOME=state.name)
        self.visit(self.address(first))
        out, err = first.communicate(timeout=SECONDS)
        self.assertEqual((first.returncode, "Hello, Alex" in out), (0, True), out + err)
        self.assertEqual(self.run_program("login_once", XDG_STATE_HOME=state.name).stdout, "Hello, Alex\n")
        control("/_control/clock", {"advance": 901})
        ten = [self.start("login_once", XDG_STATE_HOME=state.name) for _ in range(10)]
        for program in ten:
            self.assertEqual(program.communicate(timeout=SECONDS), ("Hello, Alex\n", ""))
        self.assertEqual(stats()["by_grant"]["refresh_token"], 1)
        out = self.run_program("login_once", "logout", XDG_STATE_HOME=state.name).stdout
        self.assertEqual(out, "Logged out\n")
        again = self.start("login_once", XDG_STATE_HOME=state.name)
        self.address(again)  # a person is asked

    def test_chat_tools(self):
        done = self.run_program("chat_tools", 'Call get_weather {"city":"Paris"}')
        self.assertIn("sunny", done.stdout)
        self.assertIn("get_weather", done.stderr)

    def test_workflow_interrupt(self):
        done = self.run_program("workflow_interrupt", '{"input": "Ask: Which size?"}', given="Large \"L\"\n")
        self.assertIn("Which size?", done.stdout)
        self.assertIn('Large "L"', done.stdout.split("> ")[1])

    def test_workflow_interrupt_without_an_answer(self):
        done = self.run_program("workflow_interrupt", '{"input": "Ask: Which size?"}', code=1)
        self.assertIn("no answer was given", done.stderr)

    def test_upload_progress(self):
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.truncate(30_000_000)
            done = self.run_program("upload_progress", file.name)
        self.assertRegex(done.stdout, r"file_id \d+")

    def test_upload_progress_of_nothing(self):
        done = self.run_program("upload_progress", "/nowhere/a.bin", code=1)
        self.assertIn("/nowhere/a.bin", done.stderr)

    def test_speech_to_file_and_live_transcription(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "morning.wav")
            self.run_program("speech_to_file", 'Good "morning"', path)
            self.assertEqual(os.listdir(folder), ["morning.wav"])
            heard = self.run_program("live_transcription", path).stdout
        self.assertIn("Hz", heard)

    def test_live_transcription_of_something_else(self):
        done = self.run_program("live_transcription", "/etc/hostname", code=2)
        self.assertIn("usage", done.stderr)

    def callback(self, event_type):
        """A callback as the emulator delivers it: its headers in the names of CGI, its body, the verify token."""
        arrived = queue.Queue()

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                arrived.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(server.shutdown)
        app = control("/v1/api_apps", {"app_type": "normal"}, READY["pat"])["data"]
        url = f"http://127.0.0.1:{server.server_port}/"
        control("/v1/api_apps/" + app["id"], {"callback_url": url}, READY["pat"], "PUT")
        control("/_control/callback", {"api_app_id": app["id"], "event_type": event_type, "event": {"名": "字"}})
        headers, body = arrived.get(timeout=SECONDS)
        given = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
        return {**given, "CONTENT_LENGTH": str(len(body.encode())), "COZE_VERIFY_TOKEN": app["verify_token"]}, body

    def test_webhook_cgi(self):
        variables, body = self.callback("bot.published")
        done = self.run_program("webhook_cgi", given=body, **variables)
        self.assertTrue(done.stdout.startswith("Status: 200 OK"), done.stdout + done.stderr)
        self.assertIn('"audit_status": 2', done.stdout)
        self.assertIn("bot.published", done.stderr)

    def test_webhook_cgi_of_somebody_else(self):
        variables, body = self.callback("benefit.usage")
        for spoiled in ({"COZE_VERIFY_TOKEN": "other"}, {"HTTP_X_COZE_SIGNATURE": None}, {"HTTP_X_COZE_NONCE": "x"}):
            done = self.run_program("webhook_cgi", given=body, **{**variables, **spoiled})
            self.assertTrue(done.stdout.startswith("Status: 401"), spoiled)
            self.assertIn("must not be trusted", done.stderr)

    def test_jwt_oauth(self):
        self.assertIn("Hello, ", self.run_program("jwt_oauth").stdout)

    def test_chat_stream(self):
        self.assertIn("You said: ", self.run_program("chat_stream").stdout)

    def test_event_loop(self):
        self.assertIn("20 calls, one thread", self.run_program("event_loop").stdout)

    def test_quickstart(self):
        out = self.run_program("quickstart", COZE_PERSON=str(ROOT / "examples/person")).stdout
        self.assertIn("You said: ", out)
        self.assertNotIn("failed", out)


if __name__ == "__main__":
    unittest.main(verbosity=1)
