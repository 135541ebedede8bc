"""Users, workspaces, conversations, files, and the ways in which any API call can be refused."""

import hashlib
import json
from email.utils import parsedate_to_datetime

import pytest
from conftest import api_error, raw_exchange

ME = "/v1/users/me"


def test_users_me_with_each_kind_of_token(coze):
    for token in (coze.ready["pat"], coze.ready["sat"]):
        body = coze.me(token).json()
        assert body["code"] == 0 and body["data"]["user_name"] == "Alex"
        assert int(body["data"]["user_id"]) > 2**53
        assert {"nick_name", "avatar_url"} <= set(body["data"])


def test_every_answer_has_a_log_id_and_the_emulators_date(coze):
    coze.control("clock", {"offset": 86400 * 400})
    for path in (ME, "/nothing", "/opens/oauth/device", "/_control/stats", "/api/permission/oauth2/token"):
        response = coze.http.get(path)
        assert len(response.headers["x-tt-logid"]) > 20
        told = parsedate_to_datetime(response.headers["date"]).timestamp()
        assert told == pytest.approx(coze.get_control("clock")["now"], abs=2)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nothing", "Basic eDp5", "nothing"])
def test_missing_or_invalid_token(coze, header):
    headers = {} if header is None else {"Authorization": header}
    api_error(coze.http.get(ME, headers=headers), 4100, "authentication", status=401)


@pytest.mark.parametrize("style, status, code", [("200-4101", 200, 4101), ("401-700012006", 401, 700012006)])
def test_other_spellings_of_an_invalid_token(coze, style, status, code):
    coze.settings(api_auth_error=style)
    api_error(coze.me("nothing"), code, status=status)


def test_authentication_comes_before_the_arguments(coze):
    api_error(coze.http.post("/v3/chat", json={}), 4100, status=401)


def test_wrong_method_unknown_path(coze):
    response = coze.post(ME, {})
    api_error(response, 4000, "POST", status=405)
    assert response.headers["allow"] == "GET"
    api_error(coze.get("/v1/nothing"), 4200, status=404)
    api_error(coze.get("/"), 4200, status=404)
    assert coze.http.get("/v1/users/me/").status_code == 404


def test_status_of_api_errors_is_a_setting(coze):
    coze.settings(api_error_status=200)
    api_error(coze.post("/v3/chat", {}), 4000, status=200)
    assert coze.me("nothing").status_code == 401
    assert coze.get("/v1/nothing").status_code == 404


def test_requests_that_are_not_http(coze):
    answer = raw_exchange(coze, b"nonsense\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.") and b" 400 " in head and b"x-tt-logid" in head.lower()
    assert b"aiohttp" not in head
    assert json.loads(body)["code"] == 4000


def test_body_with_broken_framing(coze):
    head = f"POST /v3/chat HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {coze.ready['pat']}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    answer = raw_exchange(coze, head.encode())
    assert b" 400 " in answer.partition(b"\r\n")[0] and b"Traceback" not in answer


# Arguments


@pytest.mark.parametrize(
    "query, name",
    [
        ({"page_num": "x"}, "page_num"),
        ({"page_num": "0"}, "page_num"),
        ({"page_num": "1.5"}, "page_num"),
        ({"page_size": "51"}, "page_size"),
        ({"page_size": "-1"}, "page_size"),
        ({"page": "1"}, "page"),
    ],
)
def test_bad_query(coze, query, name):
    api_error(coze.get("/v1/workspaces", params=query), 4000, name, status=400)


def test_unknown_query_of_a_body_call(coze):
    api_error(coze.post("/v1/conversation/create", {}, params={"bot_id": "1"}), 4000, "bot_id")
    api_error(coze.get(ME, params={"x": "1"}), 4000, "x is not a known")


@pytest.mark.parametrize(
    "body, name",
    [
        ({"bot": "1"}, "bot"),
        ({"bot_id": 1}, "bot_id"),
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "system"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}, {"role": "user", "text": "x"}]}, "messages[1].text"),
        ({"meta_data": []}, "meta_data"),
    ],
)
def test_bad_body(coze, body, name):
    api_error(coze.post("/v1/conversation/create", body), 4000, name + " ", status=400)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":NaN}', b"[" * 200000])
def test_body_is_not_a_json_object(coze, content):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}", "Content-Type": "application/json"}
    api_error(coze.http.post("/v3/chat", content=content, headers=headers), 4000, "body", status=400)


def test_body_of_another_type(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
    api_error(coze.http.post("/v3/chat", data={"bot_id": "1"}, headers=headers), 4000, "Content-Type", status=400)


def test_body_over_20_megabytes(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}", "Content-Type": "application/json"}
    content = b'{"bot_id":"' + b"x" * (20 * 1024 * 1024) + b'"}'
    api_error(coze.http.post("/v3/chat", content=content, headers=headers), 4000, "large", status=413)


def test_null_is_absent(coze):
    assert coze.post("/v1/conversation/create", {"bot_id": None, "messages": None}).json()["code"] == 0
    api_error(coze.post("/v3/chat", coze.chat_body(bot_id=None)), 4000, "bot_id is missing")


# Operations


def test_workspaces_in_pages(coze):
    coze.settings(workspace_count=45)
    seen = []
    for page in (1, 2, 3, 4):
        data = coze.get("/v1/workspaces", params={"page_num": page}).json()["data"]
        assert data["total_count"] == 45
        seen += [one["id"] for one in data["workspaces"]]
    assert len(seen) == len(set(seen)) == 45 and all(int(one) > 2**53 for one in seen)
    one = coze.get("/v1/workspaces", params={"page_size": 1}).json()["data"]["workspaces"]
    assert len(one) == 1 and one[0]["workspace_type"] == "personal" and one[0]["role_type"] == "owner"


def test_conversation(coze):
    message = {"role": "user", "content": "hi", "content_type": "text", "type": "question"}
    body = {"bot_id": "1", "name": "名字", "messages": [message], "meta_data": {"k": "v"}, "connector_id": "999"}
    data = coze.post("/v1/conversation/create", body).json()["data"]
    assert int(data["id"]) > 2**53
    assert (data["name"], data["meta_data"], data["connector_id"]) == ("名字", {"k": "v"}, "999")
    assert coze.post("/v1/conversation/create", {}).json()["data"]["connector_id"] == "1024"


def test_workspace_tokens_have_no_rights_on_conversations(coze):
    token = coze.login("web", workspace_id="7400000000000000001")["access_token"]
    api_error(coze.post("/v1/conversation/create", {}, token), 4101, status=403)
    api_error(coze.post("/v3/chat", coze.chat_body(), token), 4101, status=403)
    assert coze.me(token).status_code == 200


# Files


def upload(coze, files, token=None, **more):
    headers = {"Authorization": f"Bearer {token or coze.ready['pat']}"}
    return coze.http.post("/v1/files/upload", files=files, headers=headers, **more)


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_001])
def test_upload_and_retrieve(coze, size):
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    data = upload(coze, {"file": ("报告 1.pdf", content, "application/pdf")}).json()["data"]
    assert data["bytes"] == size and data["file_name"] == "报告 1.pdf" and int(data["id"]) > 2**53
    assert coze.get("/v1/files/retrieve", params={"file_id": data["id"]}).json()["data"] == data
    kept = coze.get_control(f"files/{data['id']}")
    assert kept["sha256"] == hashlib.sha256(content).hexdigest() and kept["content_type"] == "application/pdf"


def test_upload_of_the_largest_file_keeps_memory_flat(coze):
    def pieces():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
        for _ in range(100):
            yield bytes(1024 * 1024)
        yield b"\r\n--b--\r\n"

    headers = {"Authorization": f"Bearer {coze.ready['pat']}", "Content-Type": "multipart/form-data; boundary=b"}
    response = coze.http.post("/v1/files/upload", content=pieces(), headers=headers)
    assert response.json()["data"]["bytes"] == 100 * 1024 * 1024
    record = coze.get_control("requests?path=/v1/files")["requests"][-1]
    assert record["body_dropped"] and record["body_base64"] == "" and record["body_size"] > 100 * 1024 * 1024


@pytest.mark.parametrize(
    "files, name",
    [
        ({"document": ("a.txt", b"x")}, "document"),
        ({"file": (None, b"x")}, "file"),
        ([("file", ("a", b"x")), ("file", ("b", b"y"))], "file"),
        ([("file", ("a", b"x")), ("note", (None, b"y"))], "note"),
    ],
)
def test_bad_upload(coze, files, name):
    api_error(upload(coze, files), 4000, name, status=400)


def test_upload_that_is_not_multipart(coze):
    headers = {"Authorization": f"Bearer {coze.ready['pat']}", "Content-Type": "multipart/form-data; boundary=b"}
    for content in (
        b"",
        b"nothing",
        b"--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx",
    ):
        api_error(coze.http.post("/v1/files/upload", content=content, headers=headers), 4000, status=400)
    headers["Content-Type"] = "multipart/form-data"
    api_error(coze.http.post("/v1/files/upload", content=b"x", headers=headers), 4000, status=400)
    api_error(coze.post("/v1/files/upload", {"file": "x"}), 4000, "multipart", status=400)


def test_files_belong_to_their_user(coze):
    data = upload(coze, {"file": ("a", b"x")}).json()["data"]
    token = coze.login(user="other")["access_token"]
    api_error(coze.get("/v1/files/retrieve", token, params={"file_id": data["id"]}), 4200, "file_id", status=404)
    api_error(coze.get("/v1/files/retrieve"), 4000, "file_id is missing")
    api_error(upload(coze, {"file": ("a", b"x")}, "nothing"), 4100, status=401)


def test_expect_100_continue(coze):
    head = f"POST /v1/conversation/create HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {coze.ready['pat']}\r\n"
    head += "Content-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    answer = raw_exchange(coze, head.encode())
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
