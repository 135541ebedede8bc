"""The official Python SDK against the emulator: if it is content, the emulator is a Coze."""

import time

import cozepy
import pytest
from conftest import VERIFIER


@pytest.fixture
def bases(coze):
    return {"base_url": coze.base, "www_base_url": coze.base}


def client(coze, token):
    return cozepy.Coze(auth=cozepy.TokenAuth(token), base_url=coze.base)


def question(text):
    return cozepy.Message.build_user_question_text(text)


def test_pat_and_workspaces(coze):
    sdk = client(coze, coze.ready["pat"])
    assert sdk.users.me().user_name == "Alex"
    coze.settings(workspace_count=23)
    assert len([one.id for one in sdk.workspaces.list(page_size=10)]) == 23


def test_invalid_token(coze):
    with pytest.raises(cozepy.CozeAPIError) as caught:
        client(coze, "pat_nothing").users.me()
    assert caught.value.code == 4100 and caught.value.logid


def test_web_login_and_refresh(coze, bases):
    web = coze.ready["web"]
    app = cozepy.WebOAuthApp(client_id=web["client_id"], client_secret=web["client_secret"], **bases)
    answer = coze.approve(app.get_oauth_url(redirect_uri=web["redirect_uris"][0], state="状态 1"), user="Bo")
    assert answer["state"] == "状态 1"
    token = app.get_access_token(redirect_uri=web["redirect_uris"][0], code=answer["code"])
    assert client(coze, token.access_token).users.me().user_name == "Bo"
    fresh = app.refresh_access_token(token.refresh_token)
    assert client(coze, fresh.access_token).users.me().user_name == "Bo"
    with pytest.raises(cozepy.CozeAPIError) as caught:
        app.refresh_access_token(token.refresh_token)
    assert "invalid_grant" in str(caught.value) or "used before" in str(caught.value)


def test_web_login_for_one_workspace(coze, bases):
    web = coze.ready["web"]
    app = cozepy.WebOAuthApp(client_id=web["client_id"], client_secret=web["client_secret"], **bases)
    url = app.get_oauth_url(redirect_uri=web["redirect_uris"][0], state="", workspace_id="7400000000000000001")
    code = coze.approve(url)["code"]
    token = app.get_access_token(redirect_uri=web["redirect_uris"][0], code=code)
    assert [one.id for one in client(coze, token.access_token).workspaces.list()] == ["7400000000000000001"]


@pytest.mark.parametrize("method", ["plain", "S256"])
def test_pkce_login_and_refresh(coze, bases, method):
    pkce = coze.ready["pkce"]
    app = cozepy.PKCEOAuthApp(client_id=pkce["client_id"], **bases)
    url = app.get_oauth_url(
        redirect_uri=pkce["redirect_uris"][0], state="s", code_verifier=VERIFIER, code_challenge_method=method
    )
    code = coze.approve(url)["code"]
    token = app.get_access_token(redirect_uri=pkce["redirect_uris"][0], code=code, code_verifier=VERIFIER)
    assert app.refresh_access_token(token.refresh_token).access_token.startswith("czu_")


@pytest.mark.parametrize("workspace_id", [None, "7400000000000000001"])
def test_device_login_polls_until_the_person_approves(coze, bases, monkeypatch, workspace_id):
    app = cozepy.DeviceOAuthApp(client_id=coze.ready["device"]["client_id"], **bases)
    codes = app.get_device_code(workspace_id) if workspace_id else app.get_device_code()
    assert codes.verification_url.endswith(codes.user_code)
    pauses = []

    def sleep(seconds):
        # Instead of waiting, the emulator's clock moves; the person approves in the second pause.
        pauses.append(seconds)
        coze.advance(seconds)
        if len(pauses) == 2:
            coze.control("device", {"user_code": codes.user_code, "action": "approve"})

    monkeypatch.setattr(time, "sleep", sleep)
    token = app.get_access_token(codes.device_code, poll=True)
    assert pauses == [5, 5] and coze.stats()["device_polls"] == 3
    assert client(coze, token.access_token).users.me().user_name == "Alex"
    assert app.refresh_access_token(token.refresh_token).access_token


def test_device_login_denied_and_pending(coze, bases):
    app = cozepy.DeviceOAuthApp(client_id=coze.ready["device"]["client_id"], **bases)
    codes = app.get_device_code()
    with pytest.raises(cozepy.CozePKCEAuthError) as caught:
        app.get_access_token(codes.device_code)
    assert caught.value.error == cozepy.CozePKCEAuthErrorType.AUTHORIZATION_PENDING
    coze.control("device", {"user_code": codes.user_code, "action": "deny"})
    coze.advance(5)
    with pytest.raises(cozepy.CozePKCEAuthError) as caught:
        app.get_access_token(codes.device_code)
    assert caught.value.error == cozepy.CozePKCEAuthErrorType.ACCESS_DENIED


def test_jwt(coze):
    jwt = coze.ready["jwt"]
    app = cozepy.JWTOAuthApp(
        client_id=jwt["client_id"],
        private_key=coze.private_key,
        public_key_id=jwt["public_key_id"],
        base_url=coze.base,
    )
    token = app.get_access_token(ttl=3600, session_name="user_2222")
    assert token.access_token.startswith("czs_") and token.expires_in - time.time() == pytest.approx(3600, abs=5)
    auth = cozepy.JWTAuth(oauth_app=app)
    assert cozepy.Coze(auth=auth, base_url=coze.base).users.me().user_name == "Example service app"
    scope = cozepy.Scope.build_bot_chat(["7300000000000000001"])
    scoped = client(coze, app.get_access_token(scope=scope).access_token)
    assert list(scoped.chat.stream(bot_id="7300000000000000001", user_id="u", additional_messages=[question("x")]))
    with pytest.raises(cozepy.CozeAPIError) as caught:
        scoped.chat.create(bot_id="7300000000000000002", user_id="u")
    assert caught.value.code == 4101


def test_chat_stream(coze):
    sdk = client(coze, coze.ready["pat"])
    conversation = sdk.conversations.create()
    events = list(
        sdk.chat.stream(
            bot_id="7300000000000000001",
            user_id="u",
            conversation_id=conversation.id,
            additional_messages=[question("Hello 你好")],
        )
    )
    kinds = [event.event for event in events]
    assert kinds[0] == cozepy.ChatEventType.CONVERSATION_CHAT_CREATED
    delta = cozepy.ChatEventType.CONVERSATION_MESSAGE_DELTA
    assert "".join(event.message.content for event in events if event.event == delta) == "You said: Hello 你好"
    completed = [event for event in events if event.event == cozepy.ChatEventType.CONVERSATION_CHAT_COMPLETED]
    assert completed[0].chat.usage.token_count == 8 and completed[0].chat.conversation_id == conversation.id


def test_chat_polled(coze, monkeypatch):
    monkeypatch.setattr(time, "sleep", coze.advance)
    sdk = client(coze, coze.ready["pat"])
    polled = sdk.chat.create_and_poll(
        bot_id="7300000000000000001", user_id="u", additional_messages=[question("again")]
    )
    assert polled.chat.status == cozepy.ChatStatus.COMPLETED
    assert polled.messages[0].content == "You said: again"


def test_workflow_stream(coze):
    events = list(client(coze, coze.ready["pat"]).workflows.runs.stream(workflow_id="74", parameters={"input": "a b"}))
    assert [event.message.content for event in events if event.event == cozepy.WorkflowEventType.MESSAGE] == [
        "a ",
        "b",
        "a b",
    ]


def test_files(coze, tmp_path):
    path = tmp_path / "说明.txt"
    path.write_text("x" * 1000)
    sdk = client(coze, coze.ready["pat"])
    uploaded = sdk.files.upload(file=path)
    assert uploaded.bytes == 1000 and uploaded.file_name == "说明.txt"
    assert sdk.files.retrieve(file_id=uploaded.id).id == uploaded.id


def test_bad_arguments_reach_the_sdk_as_api_errors(coze):
    with pytest.raises(cozepy.CozeAPIError) as caught:
        client(coze, coze.ready["pat"]).files.retrieve(file_id="")
    assert caught.value.code == 4000 and "file_id" in caught.value.msg
