"""The emulator as a program: its line, its log, signals, bad arguments, no compiled part, with-emulator."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from conftest import ROOT, Coze


@pytest.fixture
def start(emulator_environment, tmp_path):
    """Starts `python -m coze.emulator`; gives the process and its ready line."""
    started = []

    def start_one(*arguments):
        log = open(tmp_path / f"log{len(started)}", "w+b")
        process = subprocess.Popen(
            [sys.executable, "-m", "coze.emulator", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            env=emulator_environment,
        )
        started.append((process, log))
        line = process.stdout.readline()
        return process, json.loads(line) if line else None

    start_one.log = lambda: (started[-1][1].seek(0), started[-1][1].read().decode())[1]
    yield start_one
    for process, log in started:
        process.terminate()
        process.wait(10)
        process.stdout.close()
        log.close()


def run(emulator_environment, *arguments):
    command = [sys.executable, "-m", "coze.emulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=emulator_environment)


def test_ready_line(start):
    _, ready = start("--control")
    apps = ["web", "pkce", "device", "jwt", "workload"]
    assert list(ready) == ["base_url", "www_url", "pat", "sat", *apps, "control_url"]
    assert ready["base_url"].startswith("http://127.0.0.1:") and ready["control_url"] == ready["base_url"] + "/_control"
    assert ready["pat"].startswith("pat_") and ready["sat"].startswith("sat_")
    assert all(ready[app]["client_id"].endswith(".app.coze") for app in ("web", "pkce", "device"))
    assert set(ready["web"]) == {"client_id", "client_secret", "redirect_uris"}
    key = ready["jwt"]["private_key_file"]
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    with open(key, encoding="ascii") as file:
        assert file.read().startswith("-----BEGIN PRIVATE KEY-----")
    assert Coze(ready).jwt_token().status_code == 200


def test_seed_and_no_control(start):
    (_, first), (_, second) = start("--seed", "5"), start("--seed", "5")
    assert first["pat"] == second["pat"] and first["web"]["client_secret"] == second["web"]["client_secret"]
    assert "control_url" not in first
    assert Coze(first).http.post("/_control/reset").status_code == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_at_once_with_streams_open(start, number, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"settings": {"stream_delay_ms": 60000}}))
    process, ready = start("--control", "--config", str(config))
    client = Coze(ready)
    client.fault(match={"path": "/v1/users/me"}, delay_ms=60000)
    host, port = ready["base_url"][7:].split(":")
    body = json.dumps(client.chat_body(stream=True))
    requests = [
        f"POST /v3/chat HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {ready['pat']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}",
        "GET /v1/users/me HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /v3/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
    ]
    connections = []
    for request in requests:
        connection = socket.create_connection((host, int(port)))
        connection.sendall(request.encode())
        connections.append(connection)
    assert connections[0].recv(10).startswith(b"HTTP/1.1 2")
    while client.stats()["requests"] < 3:
        pass
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(5) == 0
    took = time.monotonic() - started
    # 0.2 s is the promise; the rest is for a machine that is busy with other tests.
    assert took < 1, took
    assert "Traceback" not in start.log() and "Error" not in start.log()
    assert not os.path.exists(ready["jwt"]["private_key_file"])
    for connection in connections:
        connection.close()


def test_log_has_a_line_for_each_request_and_no_secret(start):
    process, ready = start("--control")
    client = Coze(ready)
    web, pkce = client.login("web"), client.login("pkce")
    client.refresh(web["refresh_token"])
    client.http.get(client.authorize_url("pkce", state="my-state"), follow_redirects=True)
    codes = client.device_code()
    client.http.get("/opens/oauth/device", params={"user_code": codes["user_code"]})
    client.poll(codes["device_code"])
    assertion = client.assertion()
    granted = client.jwt_token(assertion).json()
    client.me(granted["access_token"])
    client.http.get("/v1/" + ready["pat"])
    client.http.get("/v1/users/me", params={"access_token": ready["sat"], "x\n": "y\n"})
    count = len(client.get_control("requests")["requests"])
    process.terminate()
    process.wait(5)
    log = start.log()
    lines = [line for line in log.splitlines() if "/_control" not in line]
    assert len(lines) == count and all("ms " in line for line in lines)
    secrets = [web["access_token"], web["refresh_token"], pkce["access_token"], granted["access_token"], assertion]
    secrets += [ready["pat"], ready["sat"], ready["web"]["client_secret"], codes["device_code"], codes["user_code"]]
    secrets += ["my-state", "dBjftJeZ4CVP", "E9Melhoa2Owv", assertion.split(".")[2]]
    for secret in secrets:
        assert secret not in log
    assert "grant=refresh_token" in log and "error=authorization_pending" in log


def test_port_taken(emulator_environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(emulator_environment, "--port", port)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and port in result.stderr and "taken" in result.stderr


@pytest.mark.parametrize(
    "config, word",
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"prot": 1}', "prot"),
        ('{"port": "1"}', "port"),
        ('{"port": 70000}', "port"),
        ('{"settings": {"nothing": 1}}', "settings.nothing"),
        ('{"settings": {"code_seconds": "1"}}', "settings.code_seconds"),
        ('{"web": []}', "web"),
        ('{"web": {"redirect_urls": []}}', "web.redirect_urls"),
        ('{"web": {"redirect_uris": ["/cb"]}}', "web.redirect_uris"),
        ('{"pkce": {"client_secret": "x"}}', "pkce.client_secret"),
        ('{"web": {"client_id": "x"}, "pkce": {"client_id": "x"}}', "client_id"),
        ('{"jwt": {"private_key_file": "/nowhere/key.pem"}}', "jwt.private_key_file"),
        ('{"control": 1}', "control"),
        ('{"pat": ""}', "pat"),
    ],
)
def test_bad_config_names_the_key(emulator_environment, tmp_path, config, word):
    path = tmp_path / "c.json"
    path.write_text(config)
    result = run(emulator_environment, "--config", str(path))
    assert result.returncode == 1 and result.stdout == ""
    assert word in result.stderr and "Traceback" not in result.stderr and result.stderr.count("\n") == 1


def test_config_that_is_not_there(emulator_environment, tmp_path):
    result = run(emulator_environment, "--config", str(tmp_path / "none.json"))
    assert result.returncode == 1 and "none.json" in result.stderr and "Traceback" not in result.stderr


def test_config_gives_credentials_and_settings(start, tmp_path):
    from coze.emulator.credentials import make_credentials

    keys = make_credentials(None, {})
    config = {
        "control": True,
        "pat": "pat_mine",
        "settings": {"user_name": "小红"},
        "web": {"client_id": "1.app.coze", "client_secret": "s", "redirect_uris": ["https://a.example/cb"]},
        "jwt": {"client_id": "42", "public_key_id": "kid", "private_key_file": keys.private_key_file},
        "workload": {"client_id": "43", "client_secret": "ws"},
    }
    (tmp_path / "c.json").write_text(json.dumps(config))
    process, ready = start("--config", str(tmp_path / "c.json"))
    try:
        assert ready["web"] == config["web"] and ready["jwt"] == config["jwt"]
        endpoints = {name: ready["workload"][name] for name in ("token_endpoint", "access_token_endpoint")}
        assert ready["workload"] == {**config["workload"], **endpoints}
        client = Coze(ready)
        assert client.me("pat_mine").json()["data"]["user_name"] == "小红"
        assert client.jwt_token().status_code == 200
        process.terminate()
        process.wait(5)
        assert os.path.exists(keys.private_key_file)
    finally:
        keys.forget()


def test_runs_without_the_compiled_part():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['coze._coze'] = None\n"
        "import coze, coze.emulator.server, coze.emulator.__main__\n"
        "print(coze.emulator.Emulator.__name__, 'aiohttp' in sys.modules)\n"
    )
    command = [sys.executable, "-I", "-c", program, str(ROOT / "python")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["Emulator", "True"]


def test_import_loads_nothing_and_says_what_is_missing():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import coze\n"
        "assert not [name for name in sys.modules if name.startswith('coze.')], sys.modules\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'coze._coze': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "assert not hasattr(coze, '__wrapped__')\n"
        "try: coze.Client\n"
        "except ImportError as error: print(error)\n"
    )
    command = [sys.executable, "-I", "-c", program, str(ROOT / "python")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "coze._coze" in result.stdout and "pip install" in result.stdout


def test_missing_packages_are_named():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['aiohttp'] = None\n"
        "from coze.emulator.__main__ import main; sys.exit(main([]))\n"
    )
    command = [sys.executable, "-I", "-c", program, str(ROOT / "python")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "aiohttp" in result.stderr and "Traceback" not in result.stderr


def test_help_and_bad_arguments(emulator_environment):
    assert "--control" in run(emulator_environment, "--help").stdout
    assert run(emulator_environment, "--port", "99999").returncode == 2


# tests/with-emulator

WITH = str(ROOT / "tests" / "with-emulator")


def with_emulator(environment, *command, **more):
    return subprocess.run([WITH, *command], capture_output=True, text=True, timeout=60, env=environment, **more)


def test_with_emulator_exports_where_it_is(emulator_environment):
    program = (
        "import json, os, urllib.request as u; r = json.loads(os.environ['COZE_EMULATOR'])\n"
        "assert r['base_url'] == os.environ['COZE_API_BASE'] and r['www_url'] == os.environ['COZE_WWW_BASE']\n"
        "print(u.urlopen(r['control_url'] + '/stats').status)\n"
    )
    result = with_emulator(emulator_environment, sys.executable, "-c", program)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "200", "")


def test_with_emulator_passes_arguments_input_and_exit_code(emulator_environment):
    result = with_emulator(
        emulator_environment,
        "--emulator-args",
        "--seed 3",
        "--",
        "sh",
        "-c",
        'cat; echo "$COZE_EMULATOR"; exit 7',
        input="in\n",
    )
    assert result.returncode == 7 and result.stdout.startswith("in\n") and "the emulator's log" in result.stderr
    again = with_emulator(emulator_environment, "--emulator-args", "--seed 3", "sh", "-c", 'echo "$COZE_EMULATOR"')
    assert json.loads(again.stdout)["pat"] == json.loads(result.stdout.splitlines()[1])["pat"]


def test_with_emulator_keeps_the_log_where_asked(emulator_environment, tmp_path):
    environment = {**emulator_environment, "COZE_EMULATOR_LOG": str(tmp_path / "log")}
    result = with_emulator(environment, "sh", "-c", "exit 1")
    assert result.returncode == 1 and result.stderr == "" and (tmp_path / "log").exists()


def test_with_emulator_says_what_is_wrong(emulator_environment):
    assert with_emulator(emulator_environment).returncode == 2
    assert with_emulator(emulator_environment, "/nowhere/command").returncode == 127
    result = with_emulator(emulator_environment, "--emulator-args", "--config /nowhere.json", "true")
    assert result.returncode == 1 and "did not start" in result.stderr and "/nowhere.json" in result.stderr
    result = with_emulator({**emulator_environment, "COZE_PYTHON": "/nowhere/python"}, "true")
    assert result.returncode == 1 and "COZE_PYTHON" in result.stderr


def test_with_emulator_leaves_nothing_behind_when_it_is_ended(emulator_environment):
    program = (
        "import json, os, time; print(json.loads(os.environ['COZE_EMULATOR'])['base_url'], flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [WITH, sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=emulator_environment,
        stderr=subprocess.DEVNULL,
    )
    base = process.stdout.readline().strip()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    process.stdout.close()
    host, port = base[7:].split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
