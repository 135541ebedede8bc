"""Every operation that the official Python SDK has, driven by it: what it makes can be read back, its pages go on to
their end, its events come. The table of results is cozepy_table.py's; logins are in test_cozepy.py."""

import asyncio
import io
import json
import pathlib
import re
import threading
import time
import wave

import cozepy
import pytest
from contract import OPERATIONS
from conftest import VERIFIER
from cozepy.audio.rooms import RoomAudioConfig, RoomConfig, RoomMode, RoomVideoConfig
from cozepy.connectors.bots import AuditStatus
from cozepy.datasets.documents import DocumentFormatType
from cozepy.enterprises.members import EnterpriseMember, EnterpriseMemberRole
from cozepy.websockets import WebsocketsClient

BOT, WORKFLOW, ENTERPRISE = "7300000000000000001", "7300000000000000009", "7500000000000000001"
ANNA, BEN = "7300000000000000041", "7300000000000000042"
operation = pytest.mark.operation


@pytest.fixture
def sdk(coze):
    return cozepy.Coze(auth=cozepy.TokenAuth(coze.ready["pat"]), base_url=coze.base)


@pytest.fixture
def bases(coze):
    return {"base_url": coze.base, "www_base_url": coze.base}


@pytest.fixture
def space(sdk):
    return sdk.workspaces.list().items[0].id


@pytest.fixture
def bot(sdk, space):
    return sdk.bots.create(space_id=space, name="first").bot_id


@pytest.fixture
def published(sdk, bot):
    sdk.bots.publish(bot_id=bot)
    return bot


@pytest.fixture
def conversation(sdk):
    return sdk.conversations.create(bot_id=BOT).id


@pytest.fixture
def message(sdk, conversation):
    return say(sdk, conversation, "one")


@pytest.fixture
def dataset(sdk, space):
    return new_dataset(sdk, space, DocumentFormatType.DOCUMENT)


@pytest.fixture
def document(sdk, dataset):
    return add_document(sdk, dataset)


@pytest.fixture
def photo(sdk, space):
    """An image, as (dataset, document)."""
    dataset = new_dataset(sdk, space, DocumentFormatType.IMAGE)
    file = sdk.files.upload(file=("a.png", b"\x89PNG")).id
    source = cozepy.DocumentSourceInfo(source_file_id=file, document_source=5)
    base = cozepy.DocumentBase(name="a.png", source_info=source)
    strategy = cozepy.DocumentChunkStrategy(caption_type=0)
    made = sdk.datasets.documents.create(
        dataset_id=dataset, document_bases=[base], chunk_strategy=strategy, format_type=DocumentFormatType.IMAGE
    )
    return dataset, made[0].document_id


@pytest.fixture
def group(sdk):
    return sdk.audio.voiceprint_groups.create(name="first", desc="d").id


@pytest.fixture
def feature(sdk, group):
    return sdk.audio.voiceprint_groups.features.create(group_id=group, name="first", file=("a.wav", b"RIFF")).id


@pytest.fixture
def api_app(sdk):
    return sdk.api_apps.create(app_type=cozepy.AppType.NORMAL, name="first").id


@pytest.fixture
def events(sdk, api_app):
    sdk.api_apps.events.create(api_app_id=api_app, event_types=["bot.published", "bot.deleted"])
    return api_app


@pytest.fixture
def waiting(coze, sdk):
    """A chat that waits for the output of a tool."""
    coze.settings(chat_in_progress_polls=0)
    chat = ask(sdk, 'Call get_weather {"city":"Paris"}')
    return sdk.chat.retrieve(conversation_id=chat.conversation_id, chat_id=chat.id)


@pytest.fixture
def sockets(coze, sdk):
    """cozepy takes an https base only and makes a wss one of it; the emulator has no TLS."""
    client = WebsocketsClient("https://api.example", sdk._requester)
    client._base_url = coze.base.replace("http://", "ws://")
    return client


def say(sdk, conversation, text):
    return sdk.conversations.messages.create(
        conversation_id=conversation,
        role=cozepy.MessageRole.USER,
        content=text,
        content_type=cozepy.MessageContentType.TEXT,
    ).id


def question(text):
    return cozepy.Message.build_user_question_text(text)


def ask(sdk, text, **more):
    return sdk.chat.create(bot_id=BOT, user_id="u", additional_messages=[question(text)], **more)


def new_dataset(sdk, space, kind, name="first"):
    return sdk.datasets.create(name=name, space_id=space, format_type=kind).dataset_id


def add_document(sdk, dataset, name="a.txt"):
    source = cozepy.DocumentSourceInfo(file_base64="5L2g5aW9", file_type="txt")
    base = cozepy.DocumentBase(name=name, source_info=source)
    strategy = cozepy.DocumentChunkStrategy(chunk_type=0)
    made = sdk.datasets.documents.create(dataset_id=dataset, document_bases=[base], chunk_strategy=strategy)
    assert made[0].name == name
    return made[0].document_id


def documents(sdk, dataset):
    return {one.document_id: one.name for one in sdk.datasets.documents.list(dataset_id=dataset)}


def text_of(stream):
    delta = cozepy.ChatEventType.CONVERSATION_MESSAGE_DELTA
    return "".join(event.message.content for event in stream if event.event == delta)


def code_of(act):
    with pytest.raises(cozepy.CozeAPIError) as caught:
        act()
    return caught.value.code


# Logins


@operation("oauth.authorize")
def test_authorize(coze, bases):
    web = coze.ready["web"]
    app = cozepy.WebOAuthApp(client_id=web["client_id"], client_secret=web["client_secret"], **bases)
    answer = coze.approve(app.get_oauth_url(redirect_uri=web["redirect_uris"][0], state="s 1"))
    assert answer["state"] == "s 1" and answer["code"]


@operation("oauth.authorize_workspace")
def test_authorize_workspace(coze, bases):
    pkce = coze.ready["pkce"]
    app = cozepy.PKCEOAuthApp(client_id=pkce["client_id"], **bases)
    uri = pkce["redirect_uris"][0]
    url = app.get_oauth_url(redirect_uri=uri, state="s", code_verifier=VERIFIER, workspace_id="7400000000000000001")
    token = app.get_access_token(redirect_uri=uri, code=coze.approve(url)["code"], code_verifier=VERIFIER)
    mine = cozepy.Coze(auth=cozepy.TokenAuth(token.access_token), base_url=coze.base)
    assert [one.id for one in mine.workspaces.list()] == ["7400000000000000001"]


@operation("oauth.token")
def test_token(coze, bases):
    web = coze.ready["web"]
    app = cozepy.WebOAuthApp(client_id=web["client_id"], client_secret=web["client_secret"], **bases)
    code = coze.approve(app.get_oauth_url(redirect_uri=web["redirect_uris"][0], state="s"))["code"]
    token = app.get_access_token(redirect_uri=web["redirect_uris"][0], code=code)
    fresh = app.refresh_access_token(token.refresh_token)
    assert coze.me(fresh.access_token).json()["data"]["user_name"] == "Alex"


@pytest.mark.parametrize(
    "workspace",
    [
        pytest.param(None, marks=operation("oauth.device_code")),
        pytest.param("7400000000000000001", marks=operation("oauth.workspace_device_code")),
    ],
)
def test_device_code(coze, bases, workspace):
    app = cozepy.DeviceOAuthApp(client_id=coze.ready["device"]["client_id"], **bases)
    codes = app.get_device_code(workspace_id=workspace)
    coze.control("device", {"user_code": codes.user_code, "action": "approve"})
    token = app.get_access_token(codes.device_code).access_token
    assert coze.control("token", {"access_token": token})["workspace_id"] == workspace


# Bots


@operation("bots.create")
def test_bots_create(sdk, space):
    prompt = cozepy.BotPromptInfo(prompt="be kind")
    onboarding = cozepy.BotOnboardingInfo(prologue="hi", suggested_questions=["a?"])
    bot = sdk.bots.create(space_id=space, name="名字", prompt_info=prompt, onboarding_info=onboarding).bot_id
    sdk.bots.publish(bot_id=bot)
    found = sdk.bots.retrieve(bot_id=bot, use_api_version=2)
    assert found.name == "名字" and found.prompt_info.prompt == "be kind"
    assert found.onboarding_info.suggested_questions == ["a?"]


@operation("bots.update")
def test_bots_update(sdk, bot):
    sdk.bots.update(bot_id=bot, name="second")
    sdk.bots.publish(bot_id=bot)
    assert sdk.bots.retrieve(bot_id=bot).name == "second"


@operation("bots.publish")
def test_bots_publish(sdk, bot):
    assert code_of(lambda: sdk.bots.retrieve(bot_id=bot)) != 0
    assert sdk.bots.publish(bot_id=bot, connector_ids=["1024"]).bot_id == bot
    assert sdk.bots.retrieve(bot_id=bot).version


@operation("bots.unpublish")
def test_bots_unpublish(sdk, published):
    sdk.bots.unpublish(bot_id=published, connector_id="1024", unpublish_reason="old")
    assert code_of(lambda: sdk.bots.retrieve(bot_id=published)) != 0


@operation("bots.retrieve")
def test_bots_retrieve(sdk, bot):
    found = sdk.bots.retrieve(bot_id=bot, is_published=False, use_api_version=2)
    assert (found.bot_id, found.name, found.version) == (bot, "first", "")


@operation("bots.retrieve_published")
def test_bots_retrieve_published(sdk, published):
    found = sdk.bots.retrieve(bot_id=published)
    assert found.bot_id == published and found.bot_mode == 0


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(1, marks=operation("bots.list_published")),
        pytest.param(2, marks=operation("bots.list")),
    ],
)
def test_bots_list(sdk, space, version):
    made = {sdk.bots.create(space_id=space, name=f"b{number}").bot_id for number in range(5)}
    for bot in made:
        sdk.bots.publish(bot_id=bot)
    pages = list(sdk.bots.list(space_id=space, page_size=2, use_api_version=version).iter_pages())
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {one.id for page in pages for one in page.items} == made


@operation("bots.collaboration_mode.update")
def test_bots_collaboration_mode(sdk, bot):
    from cozepy.bots.collaboration_modes import BotCollaborationMode

    sdk.bots.collaboration_modes.update(bot_id=bot, collaboration_mode=BotCollaborationMode.COLLABORATION)


@operation("bots.collaborators.create")
def test_bots_collaborators_create(sdk, bot):
    from cozepy.bots.collaborators import BotCollaborator

    sdk.bots.collaborators.create(bot_id=bot, collaborators=[BotCollaborator(user_id=ANNA)])


@operation("bots.collaborators.delete")
def test_bots_collaborators_delete(sdk, bot):
    from cozepy.bots.collaborators import BotCollaborator

    sdk.bots.collaborators.create(bot_id=bot, collaborators=[BotCollaborator(user_id=ANNA)])
    sdk.bots.collaborators.delete(bot_id=bot, user_id=ANNA)
    assert code_of(lambda: sdk.bots.collaborators.delete(bot_id=bot, user_id=ANNA)) == 4200


@operation("bots.versions.list")
def test_bots_versions(sdk, published):
    assert len(list(sdk.bots.versions.list(bot_id=published))) == 1


# Apps, folders, templates, users


@operation("apps.list")
def test_apps(sdk, space):
    pages = list(sdk.apps.list(workspace_id=space, page_size=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 1] and pages[0].items[0].id


@operation("apps.collaborators.create")
def test_apps_collaborators_create(sdk):
    from cozepy.apps.collaborators import AppCollaborator

    sdk.apps.collaborators.create(app_id=BOT, collaborators=[AppCollaborator(user_id=ANNA)])


@operation("apps.collaborators.delete")
def test_apps_collaborators_delete(sdk):
    sdk.apps.collaborators.delete(app_id=BOT, user_id=ANNA)


@operation("folders.list")
def test_folders(sdk, space):
    listed = sdk.folders.list(workspace_id=space, folder_type=cozepy.FolderType.LIBRARY, page_size=2)
    found = list(listed)
    assert len({one.id for one in found}) == listed.total == 3
    assert {one.folder_type for one in found} == {cozepy.FolderType.LIBRARY}


@operation("folders.retrieve")
def test_folder(sdk):
    assert sdk.folders.retrieve(folder_id="7400000000000000077").id == "7400000000000000077"


@operation("templates.duplicate")
def test_template(sdk, space):
    copy = sdk.templates.duplicate(template_id=BOT, workspace_id=space, name="copy")
    assert copy.entity_type == cozepy.TemplateEntityType.AGENT
    assert sdk.bots.retrieve(bot_id=copy.entity_id, is_published=False, use_api_version=2).name == "copy"


@operation("users.me")
def test_me(sdk):
    me = sdk.users.me()
    assert (me.user_name, bool(me.user_id)) == ("Alex", True)


# Workspaces and enterprises


@operation("workspaces.list")
def test_workspaces(coze, sdk):
    coze.settings(workspace_count=5)
    pages = list(sdk.workspaces.list(page_size=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 2, 1] and pages[0].total == 5


def add_member(sdk, space):
    member = cozepy.WorkspaceMember(user_id=ANNA, role_type=cozepy.WorkspaceRoleType.ADMIN)
    return sdk.workspaces.members.create(workspace_id=space, users=[member])


def members(sdk, space):
    return {one.user_id: one.role_type for one in sdk.workspaces.members.list(workspace_id=space, page_size=1)}


@operation("workspaces.members.create")
def test_workspace_members_create(sdk, space):
    assert add_member(sdk, space).added_success_user_ids == [ANNA]
    assert add_member(sdk, space).already_joined_user_ids == [ANNA]


@operation("workspaces.members.list")
def test_workspace_members_list(sdk, space):
    before = members(sdk, space)
    add_member(sdk, space)
    assert members(sdk, space) == {**before, ANNA: cozepy.WorkspaceRoleType.ADMIN}


@operation("workspaces.members.delete")
def test_workspace_members_delete(sdk, space):
    add_member(sdk, space)
    gone = sdk.workspaces.members.delete(workspace_id=space, user_ids=[ANNA, BEN])
    assert (gone.removed_success_user_ids, gone.not_in_workspace_user_ids) == ([ANNA], [BEN])
    assert sdk.workspaces.members.delete(workspace_id=space, user_ids=[ANNA]).not_in_workspace_user_ids == [ANNA]


def add_to_enterprise(sdk, *users):
    new = [EnterpriseMember(user_id=user, role=EnterpriseMemberRole.ENTERPRISE_MEMBER) for user in users]
    sdk.enterprises.members.create(enterprise_id=ENTERPRISE, users=new)


def promote(sdk, user):
    admin = EnterpriseMemberRole.ENTERPRISE_ADMIN
    sdk.enterprises.members.update(enterprise_id=ENTERPRISE, user_id=user, role=admin)


def dismiss(sdk, user):
    sdk.enterprises.members.delete(enterprise_id=ENTERPRISE, user_id=user, receiver_user_id=BEN)


@operation("enterprises.members.create")
def test_enterprise_members_create(sdk):
    assert code_of(lambda: promote(sdk, ANNA)) == 4200
    add_to_enterprise(sdk, ANNA)
    promote(sdk, ANNA)


@operation("enterprises.members.update")
def test_enterprise_members_update(sdk):
    add_to_enterprise(sdk, ANNA)
    promote(sdk, ANNA)
    assert code_of(lambda: promote(sdk, BEN)) == 4200


@operation("enterprises.members.delete")
def test_enterprise_members_delete(sdk):
    add_to_enterprise(sdk, ANNA, BEN)
    dismiss(sdk, ANNA)
    assert code_of(lambda: dismiss(sdk, ANNA)) == 4200


@operation("enterprises.organizations.create")
def test_enterprise_organizations(sdk):
    sdk.enterprises.organizations.create(enterprise_id=ENTERPRISE, name="o", super_admin_user_id=ANNA)


# Conversations and chats


@operation("conversations.create")
def test_conversations_create(sdk):
    made = sdk.conversations.create(bot_id=BOT, name="talk", messages=[question("hi")], meta_data={"键": "值"})
    found = sdk.conversations.retrieve(conversation_id=made.id)
    assert (found.name, found.meta_data) == ("talk", {"键": "值"})
    assert [one.content for one in sdk.conversations.messages.list(conversation_id=made.id)] == ["hi"]


@operation("conversations.retrieve")
def test_conversations_retrieve(sdk, conversation):
    found = sdk.conversations.retrieve(conversation_id=conversation)
    assert found.id == conversation and found.last_section_id


@operation("conversations.list")
def test_conversations_list(sdk):
    made = [sdk.conversations.create(bot_id=BOT).id for _ in range(3)]
    assert {one.id for one in sdk.conversations.list(bot_id=BOT, page_size=2)} == set(made)


@operation("conversations.update")
def test_conversations_update(sdk, conversation):
    assert sdk.conversations.update(conversation_id=conversation, name="new").name == "new"
    assert sdk.conversations.retrieve(conversation_id=conversation).name == "new"


@operation("conversations.delete")
def test_conversations_delete(sdk, conversation):
    sdk.conversations.delete(conversation_id=conversation)
    assert code_of(lambda: sdk.conversations.retrieve(conversation_id=conversation)) == 4200


@operation("conversations.clear")
def test_conversations_clear(sdk, conversation):
    before = sdk.conversations.retrieve(conversation_id=conversation).last_section_id
    section = sdk.conversations.clear(conversation_id=conversation)
    assert section.conversation_id == conversation and section.id != before
    assert sdk.conversations.retrieve(conversation_id=conversation).last_section_id == section.id


@operation("conversations.messages.create")
def test_messages_create(sdk, conversation):
    made = say(sdk, conversation, "你好")
    found = sdk.conversations.messages.retrieve(conversation_id=conversation, message_id=made)
    assert (found.content, found.role) == ("你好", cozepy.MessageRole.USER)


@operation("conversations.messages.list")
def test_messages_list(sdk, conversation):
    made = [say(sdk, conversation, str(number)) for number in range(5)]
    pages = list(sdk.conversations.messages.list(conversation_id=conversation, order="asc", limit=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert [one.id for page in pages for one in page.items] == made


@operation("conversations.messages.retrieve")
def test_messages_retrieve(sdk, conversation, message):
    found = sdk.conversations.messages.retrieve(conversation_id=conversation, message_id=message)
    assert (found.id, found.conversation_id) == (message, conversation)


@operation("conversations.messages.update")
def test_messages_update(sdk, conversation, message):
    ids = {"conversation_id": conversation, "message_id": message}
    text = cozepy.MessageContentType.TEXT
    assert sdk.conversations.messages.update(**ids, content="two", content_type=text).content == "two"
    assert sdk.conversations.messages.retrieve(**ids).content == "two"


@operation("conversations.messages.delete")
def test_messages_delete(sdk, conversation, message):
    ids = {"conversation_id": conversation, "message_id": message}
    assert sdk.conversations.messages.delete(**ids).id == message
    assert code_of(lambda: sdk.conversations.messages.retrieve(**ids)) == 4200


def rate(sdk, conversation, message):
    sdk.conversations.messages.feedback.create(
        conversation_id=conversation,
        message_id=message,
        feedback_type=cozepy.FeedbackType.UNLIKE,
        reason_types=["wrong"],
        comment="no",
    )


@operation("conversations.messages.feedback.create")
def test_feedback_create(sdk, conversation, message):
    rate(sdk, conversation, message)
    assert code_of(lambda: rate(sdk, conversation, "1")) == 4200


@operation("conversations.messages.feedback.delete")
def test_feedback_delete(sdk, conversation, message):
    rate(sdk, conversation, message)
    sdk.conversations.messages.feedback.delete(conversation_id=conversation, message_id=message)


@operation("chat.create")
def test_chat_create(sdk, conversation, monkeypatch):
    assert ask(sdk, "Q").status == cozepy.ChatStatus.IN_PROGRESS
    stream = sdk.chat.stream(
        bot_id=BOT, user_id="u", conversation_id=conversation, additional_messages=[question("Hello 你好")]
    )
    assert text_of(stream) == "You said: Hello 你好"
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    polled = sdk.chat.create_and_poll(bot_id=BOT, user_id="u", additional_messages=[question("again")])
    assert polled.chat.status == cozepy.ChatStatus.COMPLETED and polled.messages[0].content == "You said: again"


@operation("chat.retrieve")
def test_chat_retrieve(coze, sdk):
    coze.settings(chat_in_progress_polls=1)
    chat = ask(sdk, "Q")
    states = [sdk.chat.retrieve(conversation_id=chat.conversation_id, chat_id=chat.id).status for _ in range(2)]
    assert states == [cozepy.ChatStatus.IN_PROGRESS, cozepy.ChatStatus.COMPLETED]


@operation("chat.messages.list")
def test_chat_messages(coze, sdk):
    coze.settings(chat_in_progress_polls=0)
    chat = ask(sdk, "Q")
    sdk.chat.retrieve(conversation_id=chat.conversation_id, chat_id=chat.id)
    messages = sdk.chat.messages.list(conversation_id=chat.conversation_id, chat_id=chat.id)
    assert messages[0].content == "You said: Q" and messages[0].type == cozepy.MessageType.ANSWER


def outputs(chat):
    calls = chat.required_action.submit_tool_outputs.tool_calls
    return [cozepy.ToolOutput(tool_call_id=one.id, output="sunny") for one in calls]


@operation("chat.submit_tool_outputs")
def test_chat_submit_tool_outputs(sdk, waiting):
    assert waiting.status == cozepy.ChatStatus.REQUIRES_ACTION
    assert waiting.required_action.submit_tool_outputs.tool_calls[0].function.name == "get_weather"
    stream = sdk.chat.submit_tool_outputs(
        conversation_id=waiting.conversation_id, chat_id=waiting.id, tool_outputs=outputs(waiting), stream=True
    )
    assert "sunny" in text_of(stream)


@operation("chat.cancel")
def test_chat_cancel(sdk):
    chat = ask(sdk, "Q")
    ids = {"conversation_id": chat.conversation_id, "chat_id": chat.id}
    assert sdk.chat.cancel(**ids).status == cozepy.ChatStatus.CANCELED
    assert sdk.chat.retrieve(**ids).status == cozepy.ChatStatus.CANCELED


# Workflows


def interrupted(sdk):
    """The run of a workflow that asks: its last event."""
    return list(sdk.workflows.runs.stream(workflow_id=WORKFLOW, parameters={"input": "Ask: name?"}))[-1]


@operation("workflows.list")
def test_workflows(sdk, space):
    found = list(sdk.workflows.list(workspace_id=space, page_size=2))
    assert len({one.workflow_id for one in found}) == 3


@operation("workflows.retrieve")
def test_workflow(sdk):
    assert sdk.workflows.retrieve(workflow_id=WORKFLOW).workflow_detail.workflow_id == WORKFLOW


@operation("workflows.versions.list")
def test_workflow_versions(sdk):
    pages = list(sdk.workflows.versions.list(workflow_id=WORKFLOW, page_size=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 1]
    assert {one.workflow_id for page in pages for one in page.items} == {WORKFLOW}


@operation("workflows.collaborators.delete")
def test_workflow_collaborators(sdk):
    sdk.workflows.collaborators.delete(workflow_id=WORKFLOW, user_id=ANNA)


@operation("workflows.runs.create")
def test_workflow_run(sdk):
    run = sdk.workflows.runs.create(workflow_id=WORKFLOW, parameters={"input": "a b"})
    assert json.loads(run.data) == {"output": "a b"} and run.usage.token_count == 4


@operation("workflows.runs.stream")
def test_workflow_stream(sdk):
    events = list(sdk.workflows.runs.stream(workflow_id=WORKFLOW, parameters={"input": "a b"}))
    assert [event.id for event in events] == [0, 1, 2]
    assert [event.message.content for event in events] == ["a ", "b", "a b"]


@operation("workflows.runs.stream_resume")
def test_workflow_resume(sdk):
    asked = interrupted(sdk)
    assert asked.event == cozepy.WorkflowEventType.INTERRUPT
    event = asked.interrupt.interrupt_data
    events = list(
        sdk.workflows.runs.resume(
            workflow_id=WORKFLOW, event_id=event.event_id, resume_data="Anna", interrupt_type=event.type
        )
    )
    assert events and "Anna" in events[-1].message.content


@operation("workflows.runs.histories.retrieve")
def test_workflow_history(sdk):
    run = sdk.workflows.runs.create(workflow_id=WORKFLOW, parameters={"input": "a b"}, is_async=True)
    first, then = (
        sdk.workflows.runs.run_histories.retrieve(workflow_id=WORKFLOW, execute_id=run.execute_id) for _ in range(2)
    )
    assert (first.execute_status.value, then.execute_status.value) == ("Running", "Success")
    assert then.execute_id == run.execute_id and json.loads(then.output) == {"output": "a b"}


@operation("workflows.runs.histories.execute_nodes.retrieve")
def test_workflow_node(sdk):
    run = sdk.workflows.runs.create(workflow_id=WORKFLOW, parameters={"input": "a b"})
    ids = {"workflow_id": WORKFLOW, "execute_id": run.execute_id}
    end = sdk.workflows.runs.run_histories.retrieve(**ids).node_execute_status["End"]
    node = sdk.workflows.runs.run_histories.execute_nodes.retrieve(**ids, node_execute_uuid=end.node_execute_uuid)
    assert node.is_finish and "a b" in node.node_output


@operation("workflows.chat.stream")
def test_workflow_chat(sdk):
    stream = sdk.workflows.chat.stream(
        workflow_id=WORKFLOW, bot_id=BOT, parameters={"n": 1}, additional_messages=[question("Hello")]
    )
    assert "Hello" in text_of(stream)


# Files and sound


@operation("files.upload")
def test_files_upload(coze, sdk, tmp_path):
    path = tmp_path / "说明.txt"
    path.write_bytes(b"x" * 1000)
    uploaded = sdk.files.upload(file=path)
    assert (uploaded.bytes, uploaded.file_name) == (1000, "说明.txt")
    assert coze.get_control(f"files/{uploaded.id}")["content_type"] == "text/plain"


@operation("files.retrieve")
def test_files_retrieve(sdk):
    uploaded = sdk.files.upload(file=("a.txt", b"abc"))
    assert sdk.files.retrieve(file_id=uploaded.id).bytes == 3


@operation("audio.speech.create")
def test_speech(sdk, tmp_path):
    wav = cozepy.AudioFormat.WAV
    answer = sdk.audio.speech.create(input="hello", voice_id="1", response_format=wav, sample_rate=16000)
    answer.write_to_file(str(tmp_path / "a.wav"))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getframerate() == 16000 and file.getnframes() > 0


@operation("audio.transcriptions.create")
def test_transcription(sdk):
    speech = sdk.audio.speech.create(input="hello world", voice_id="1", response_format=cozepy.AudioFormat.WAV)
    content = b"".join(speech._raw_response.iter_bytes())
    assert sdk.audio.transcriptions.create(file=("a.wav", io.BytesIO(content))).text


@operation("audio.voices.clone")
def test_voices_clone(sdk):
    wav = cozepy.AudioFormat.WAV
    cloned = sdk.audio.voices.clone(voice_name="mine", file=("a.wav", b"RIFF"), audio_format=wav)
    assert cloned.voice_id in [one.voice_id for one in sdk.audio.voices.list()]


@operation("audio.voices.list")
def test_voices_list(sdk):
    found = list(sdk.audio.voices.list(page_size=2, voice_state=cozepy.VoiceState.ALL))
    assert found and len({one.voice_id for one in found}) == len(found)


@operation("audio.rooms.create")
def test_rooms(sdk):
    config = RoomConfig(
        audio_config=RoomAudioConfig(codec="OPUS"),
        video_config=RoomVideoConfig(
            codec="H264", stream_video_type="main", video_frame_rate=1, video_frame_expire_duration=1
        ),
        prologue_content="hi",
        room_mode=RoomMode.DEFAULT,
        translate_config=None,
        prologue_delay_duration_ms=100,
    )
    room = sdk.audio.rooms.create(bot_id=BOT, uid="u-1", config=config)
    assert room.uid == "u-1" and room.room_id and room.token


@operation("audio.live.retrieve")
def test_live(sdk):
    live = sdk.audio.live.retrieve(live_id="7400000000000000077")
    assert live.app_id and live.stream_infos[0].stream_id


def groups(sdk):
    return {one.id: one for one in sdk.audio.voiceprint_groups.list(page_size=1)}


@operation("audio.voiceprint_groups.create")
def test_voiceprint_groups_create(sdk, group):
    assert groups(sdk)[group].name == "first"


@operation("audio.voiceprint_groups.list")
def test_voiceprint_groups_list(sdk, group):
    other = sdk.audio.voiceprint_groups.create(name="second").id
    assert set(groups(sdk)) == {group, other}
    assert [one.id for one in sdk.audio.voiceprint_groups.list(name="second")] == [other]


@operation("audio.voiceprint_groups.update")
def test_voiceprint_groups_update(sdk, group):
    sdk.audio.voiceprint_groups.update(group_id=group, name="other", desc="e")
    assert (groups(sdk)[group].name, groups(sdk)[group].desc) == ("other", "e")


@operation("audio.voiceprint_groups.delete")
def test_voiceprint_groups_delete(sdk, group):
    sdk.audio.voiceprint_groups.delete(group_id=group)
    assert groups(sdk) == {}


def features(sdk, group):
    listed = sdk.audio.voiceprint_groups.features.list(group_id=group, page_size=1)
    return {one.id: one.name for one in listed}


@operation("audio.voiceprint_groups.features.create")
def test_features_create(sdk, group):
    made = sdk.audio.voiceprint_groups.features.create(group_id=group, name="Anna", file=("a.wav", b"RIFF"), desc="d")
    assert features(sdk, group) == {made.id: "Anna"}


@operation("audio.voiceprint_groups.features.create", "with a number")
def test_features_create_number(sdk, group):
    sdk.audio.voiceprint_groups.features.create(group_id=group, name="A", file=("a.wav", b"R"), sample_rate=16000)
    assert list(features(sdk, group).values()) == ["A"]


@operation("audio.voiceprint_groups.features.list")
def test_features_list(sdk, group, feature):
    other = sdk.audio.voiceprint_groups.features.create(group_id=group, name="second", file=("b.wav", b"R")).id
    assert features(sdk, group) == {feature: "first", other: "second"}


@operation("audio.voiceprint_groups.features.update")
def test_features_update(sdk, group, feature):
    sdk.audio.voiceprint_groups.features.update(
        group_id=group, feature_id=feature, name="other", file=("b.wav", b"RIFF2")
    )
    assert features(sdk, group) == {feature: "other"}


@operation("audio.voiceprint_groups.features.delete")
def test_features_delete(sdk, group, feature):
    sdk.audio.voiceprint_groups.features.delete(group_id=group, feature_id=feature)
    assert features(sdk, group) == {}


@operation("audio.voiceprint_groups.speaker_identify")
def test_speaker_identify(sdk, group, feature):
    heard = sdk.audio.voiceprint_groups.speaker_identify(group_id=group, file=("x.wav", b"RIFF"))
    assert [(one.feature_id, one.score) for one in heard.feature_score_list] == [(feature, 100)]


@operation("audio.voiceprint_groups.speaker_identify", "with a number")
def test_speaker_identify_number(sdk, group, feature):
    heard = sdk.audio.voiceprint_groups.speaker_identify(group_id=group, file=("x.wav", b"RIFF"), top_k=1)
    assert len(heard.feature_score_list) == 1


# Datasets


@operation("datasets.create")
def test_datasets_create(sdk, space):
    made = new_dataset(sdk, space, DocumentFormatType.SPREADSHEET, "table")
    found = [one for one in sdk.datasets.list(space_id=space) if one.dataset_id == made]
    assert (found[0].name, found[0].format_type) == ("table", DocumentFormatType.SPREADSHEET)


@operation("datasets.list")
def test_datasets_list(sdk, space):
    made = {new_dataset(sdk, space, DocumentFormatType.DOCUMENT, name) for name in ("a", "b", "c")}
    pages = list(sdk.datasets.list(space_id=space, page_size=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 1] and pages[0].total == 3
    assert {one.dataset_id for page in pages for one in page.items} == made


@operation("datasets.update")
def test_datasets_update(sdk, space, dataset):
    sdk.datasets.update(dataset_id=dataset, name="second", description="d")
    assert [(one.name, one.description) for one in sdk.datasets.list(space_id=space)] == [("second", "d")]


@operation("datasets.delete")
def test_datasets_delete(sdk, space, dataset):
    sdk.datasets.delete(dataset_id=dataset)
    assert list(sdk.datasets.list(space_id=space)) == []


@operation("datasets.process")
def test_datasets_process(sdk, dataset, document):
    progress = sdk.datasets.process(dataset_id=dataset, document_ids=[document])
    assert [(one.document_id, one.document_name) for one in progress] == [(document, "a.txt")]


@operation("datasets.documents.create")
def test_documents_create(sdk, dataset):
    made = add_document(sdk, dataset, "b.txt")
    assert documents(sdk, dataset) == {made: "b.txt"}


@operation("datasets.documents.update")
def test_documents_update(sdk, dataset, document):
    sdk.datasets.documents.update(document_id=document, document_name="c.txt")
    assert documents(sdk, dataset) == {document: "c.txt"}


@operation("datasets.documents.update", "with a rule")
def test_documents_update_rule(sdk, dataset, document):
    rule = cozepy.DocumentUpdateRule.build_auto_update(24)
    sdk.datasets.documents.update(document_id=document, update_rule=rule)
    assert [one.update_interval for one in sdk.datasets.documents.list(dataset_id=dataset)] == [24]


@operation("datasets.documents.list")
def test_documents_list(sdk, dataset):
    made = {add_document(sdk, dataset, f"{number}.txt") for number in range(5)}
    pages = list(sdk.datasets.documents.list(dataset_id=dataset, page_size=2).iter_pages())
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {one.document_id for page in pages for one in page.items} == made


@operation("datasets.documents.delete")
def test_documents_delete(sdk, dataset, document):
    sdk.datasets.documents.delete(document_ids=[document])
    assert documents(sdk, dataset) == {}


@operation("datasets.images.update")
def test_images_update(sdk, photo):
    dataset, document = photo
    sdk.datasets.images.update(dataset_id=dataset, document_id=document, caption="a cat")
    assert [one.caption for one in sdk.datasets.images.list(dataset_id=dataset)] == ["a cat"]


@operation("datasets.images.list")
def test_images_list(sdk, photo):
    dataset, document = photo
    assert [one.document_id for one in sdk.datasets.images.list(dataset_id=dataset)] == [document]
    assert list(sdk.datasets.images.list(dataset_id=dataset, keyword="nothing of it")) == []


# Variables, connectors, benefits


def set_variable(sdk, value):
    data = [cozepy.VariableValue(keyword="名", value=value)]
    sdk.variables.update(connector_uid="u", bot_id=BOT, data=data)


@operation("variables.update")
def test_variables_update(sdk):
    set_variable(sdk, "值")
    set_variable(sdk, "二")
    assert [one.value for one in sdk.variables.retrieve(connector_uid="u", bot_id=BOT, keywords=["名"])] == ["二"]


@operation("variables.retrieve")
def test_variables_retrieve(sdk):
    set_variable(sdk, "值")
    found = sdk.variables.retrieve(connector_uid="u", bot_id=BOT, keywords=["名", "none"])
    assert ("名", "值") in [(one.keyword, one.value) for one in found]
    assert list(sdk.variables.retrieve(connector_uid="other", bot_id=BOT, keywords=["other"])) == []


@operation("connectors.bots.update")
def test_connector_bots(coze, sdk):
    sdk.connectors.bots.update(bot_id=BOT, connector_id="999", audit_status=AuditStatus.APPROVED, reason="ok")
    assert coze.get_control("requests")["requests"][-1]["status"] == 200


@operation("connectors.install")
def test_connector_install(sdk, space):
    sdk.connectors.install(connector_id="999", workspace_id=space)


@operation("connectors.bind")
def test_connector_bind(sdk):
    from cozepy.connectors import UserConfig, UserConfigEnum

    config = UserConfig(key="k", enums=[UserConfigEnum(label="l", value="v")])
    sdk.connectors.bind(connector_id="999", configs=[config], user_id="u")


@operation("commerce.benefit.limitations.create")
def test_benefit_limitations(sdk):
    info = {"active_mode": "absolute_time", "benefit_type": "resource_point", "limit": 5}
    info.update(started_at=1, ended_at=2)
    sdk.benefit_limitations.create(entity_type="enterprise_all_devices", benefit_info=info)


@operation("commerce.benefit.bill_tasks.list")
def test_bill_tasks(sdk):
    assert list(sdk.bill_tasks.list()) == []


@operation("commerce.benefit.benefits.retrieve")
def test_benefits(sdk):
    assert sdk.benefits.retrieve().benefit_info


# Apps of the API and their events


def api_apps(sdk, **more):
    return {one.id: one for one in sdk.api_apps.list(page_size=2, **more)}


@operation("api_apps.create")
def test_api_apps_create(sdk, api_app):
    found = api_apps(sdk)[api_app]
    assert (found.name, found.app_type) == ("first", cozepy.AppType.NORMAL) and found.verify_token


@operation("api_apps.update")
def test_api_apps_update(sdk, api_app):
    sdk.api_apps.update(app_id=api_app, name="second", callback_url="https://example.com/")
    assert (api_apps(sdk)[api_app].name, api_apps(sdk)[api_app].callback_url) == ("second", "https://example.com/")


@operation("api_apps.list")
def test_api_apps_list(sdk):
    normal, connector = cozepy.AppType.NORMAL, cozepy.AppType.CONNECTOR
    made = {sdk.api_apps.create(app_type=normal, name=str(number)).id for number in range(5)}
    other = sdk.api_apps.create(app_type=connector, name="c", connector_id="999").id
    assert set(api_apps(sdk)) == {*made, other}
    assert set(api_apps(sdk, app_type=connector)) == {other}


@operation("api_apps.delete")
def test_api_apps_delete(sdk, api_app):
    sdk.api_apps.delete(app_id=api_app)
    assert api_apps(sdk) == {}


def subscribed(sdk, api_app):
    listed = sdk.api_apps.events.list(api_app_id=api_app, page_size=1)
    return {one.event_type for one in listed}


@operation("api_apps.events.create")
def test_events_create(sdk, api_app):
    sdk.api_apps.events.create(api_app_id=api_app, event_types=["bot.unpublished"])
    assert subscribed(sdk, api_app) == {"bot.unpublished"}


@operation("api_apps.events.list")
def test_events_list(sdk, events):
    assert subscribed(sdk, events) == {"bot.published", "bot.deleted"}


@operation("api_apps.events.delete")
def test_events_delete(sdk, events):
    sdk.api_apps.events.delete(api_app_id=events, event_types=["bot.deleted"])
    assert subscribed(sdk, events) == {"bot.published"}


# WebSockets


class Heard:
    """The events that a socket brought, by type; ready when that of `last` came, or an error."""

    def __init__(self, last):
        self.events, self.errors, self.ready, self._last = {}, [], threading.Event(), last

    def handlers(self, types):
        def keep(_, event):
            self.events.setdefault(event.event_type.value, []).append(event)
            if event.event_type.value == self._last:
                self.ready.set()

        def fail(_, error):
            self.errors.append(error)
            self.ready.set()

        errors = {cozepy.WebsocketsEventType.ERROR: fail, cozepy.WebsocketsEventType.CLIENT_ERROR: fail}
        return {**{cozepy.WebsocketsEventType(one): keep for one in types}, **errors}

    def wait(self):
        assert self.ready.wait(10) and not self.errors, (self.errors, list(self.events))
        return self.events


@operation("websockets.audio.speech")
def test_socket_speech(sockets):
    heard = Heard("speech.audio.completed")
    handlers = heard.handlers(["speech.created", "speech.audio.update", "speech.audio.completed"])
    with sockets.audio.speech.create(on_event=handlers)() as client:
        client.input_text_buffer_append(cozepy.InputTextBufferAppendEvent.Data(delta="hello"))
        client.input_text_buffer_complete()
        events = heard.wait()
    assert sum(len(event.data.delta) for event in events["speech.audio.update"]) > 1000


@operation("websockets.audio.transcriptions")
def test_socket_transcriptions(sockets, sdk):
    speech = sdk.audio.speech.create(input="hello", voice_id="1", response_format=cozepy.AudioFormat.PCM)
    sound = b"".join(speech._raw_response.iter_bytes())
    heard = Heard("transcriptions.message.completed")
    handlers = heard.handlers(["transcriptions.message.update", "transcriptions.message.completed"])
    with sockets.audio.transcriptions.create(on_event=handlers)() as client:
        client.input_audio_buffer_append(cozepy.InputAudioBufferAppendEvent.Data(delta=sound))
        client.input_audio_buffer_complete()
        events = heard.wait()
    assert events["transcriptions.message.update"][-1].data.content


@operation("websockets.chat")
def test_socket_chat(sockets):
    heard = Heard("conversation.chat.completed")
    handlers = heard.handlers(["conversation.message.delta", "conversation.chat.completed"])
    with sockets.chat.create(bot_id=BOT, on_event=handlers)() as client:
        data = cozepy.ConversationMessageCreateEvent.Data(
            role=cozepy.MessageRole.USER, content_type=cozepy.MessageContentType.TEXT, content="Hello"
        )
        client.conversation_message_create(data)
        events = heard.wait()
    assert "".join(event.data.content for event in events["conversation.message.delta"]) == "You said: Hello"


# The asynchronous client


def test_asynchronously(coze):
    async def drive():
        sdk = cozepy.AsyncCoze(auth=cozepy.AsyncTokenAuth(coze.ready["pat"]), base_url=coze.base)
        assert (await sdk.users.me()).user_name == "Alex"
        page = await sdk.workspaces.list(page_size=2)
        space = [one.id async for one in page][0]
        bot = (await sdk.bots.create(space_id=space, name="a")).bot_id
        await sdk.bots.publish(bot_id=bot)
        assert (await sdk.bots.retrieve(bot_id=bot)).name == "a"
        assert (await sdk.files.upload(file=("a.txt", b"abc"))).bytes == 3
        stream = sdk.chat.stream(bot_id=bot, user_id="u", additional_messages=[question("Hello")])
        assert text_of([event async for event in stream]) == "You said: Hello"
        run = sdk.workflows.runs.stream(workflow_id=WORKFLOW, parameters={"input": "a b"})
        assert [event.message.content async for event in run] == ["a ", "b", "a b"]
        listed = await sdk.api_apps.list(page_size=1)
        assert [one.id async for one in listed] == []

    asyncio.run(drive())


def test_whatever_cozepy_calls_is_driven():
    """Each path of the contract that stands in cozepy's sources has a test here."""
    folder = pathlib.Path(cozepy.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))
    driven = set(re.findall(r'operation\("([a-z0-9_.]+)"', pathlib.Path(__file__).read_text(encoding="utf-8")))
    assert driven <= set(OPERATIONS)
    called = []
    for name, one in OPERATIONS.items():
        path = "{[^{}]+}".join(map(re.escape, re.split(r"{\w+}", one["path"].lstrip("/"))))
        if re.search(rf"""["/]{path}["'?]""", sources):
            called.append(one["path"])
    paths = {OPERATIONS[name]["path"] for name in driven}
    assert len(called) > 90 and set(called) <= paths, set(called) - paths
