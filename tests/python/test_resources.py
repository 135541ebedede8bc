"""Resources from their making to their end, and every style of pages to its last page."""

import base64

import pytest
from conftest import api_error
from contract import call, send

BOT, USER = "7300000000000000001", "7300000000000000042"


@pytest.fixture
def space(coze):
    return call(coze, "workspaces.list")["workspaces"][0]["id"]


def gone(coze, operation, argument, **arguments):
    return api_error(send(coze, operation, arguments), 4200, argument, status=404)


def page_numbers(coze, operation, items, size, count, **arguments):
    """Every item of a list with page numbers, asked for `size` at a time; checks total or has_more on each page."""
    found, number = [], 1
    while True:
        result = call(coze, operation, **arguments, page_num=number, page_size=size)
        found += result[items]
        is_last = len(found) >= count
        for name in ("total", "total_count"):
            assert result.get(name, count) == count
        assert result.get("has_more", not is_last) == (not is_last)
        assert len(result[items]) == min(size, count - size * (number - 1))
        if is_last:
            after = call(coze, operation, **arguments, page_num=number + 1, page_size=size)
            assert after[items] == [] and not after.get("has_more")
            return found
        number += 1


# Bots


def make_bot(coze, space, name="b", **more):
    return call(coze, "bots.create", space_id=space, name=name, **more)["bot_id"]


def test_a_bot_from_draft_to_publication(coze, space):
    dataset = call(coze, "datasets.create", name="facts", space_id=space, format_type=0)["dataset_id"]
    config = {"model_id": "5", "temperature": 0.5, "response_format": "markdown"}
    bot = make_bot(
        coze,
        space,
        "first",
        prompt_info={"prompt": "be kind"},
        onboarding_info={"prologue": "hi", "suggested_questions": ["a?"]},
        model_info_config=config,
        plugin_id_list={"id_list": [{"api_id": "11", "plugin_id": "12"}]},
        workflow_id_list={"ids": [{"id": "13"}]},
        suggest_reply_info={"reply_mode": "disable"},
    )
    call(coze, "bots.update", bot_id=bot, description="said later", knowledge={"dataset_ids": [dataset]})
    api_error(send(coze, "bots.retrieve", {"bot_id": bot}), 4015, "bot_id", status=400)
    draft = call(coze, "bots.retrieve", bot_id=bot, is_published=False)
    assert (draft["name"], draft["description"], draft["version"]) == ("first", "said later", "")
    assert draft["prompt_info"]["prompt"] == "be kind" and draft["onboarding_info"]["suggested_questions"] == ["a?"]
    assert draft["model_info"]["temperature"] == 0.5 and draft["suggest_reply_info"]["reply_mode"] == "disable"
    assert draft["plugin_info_list"][0]["api_info_list"][0]["api_id"] == "11"
    assert draft["workflow_info_list"][0]["id"] == "13"
    assert draft["knowledge"]["knowledge_infos"] == [{"id": dataset, "name": "facts"}]

    first = call(coze, "bots.publish", bot_id=bot, connector_ids=["1024", "999"])["version"]
    coze.advance(1)
    call(coze, "bots.update", bot_id=bot, name="second")
    assert call(coze, "bots.retrieve", bot_id=bot)["name"] == "first"
    assert call(coze, "bots.retrieve_published", bot_id=bot)["version"] == first
    second = call(coze, "bots.publish", bot_id=bot, connector_ids=["1024"])["version"]
    assert call(coze, "bots.retrieve", bot_id=bot)["name"] == "second"
    versions = call(coze, "bots.versions.list", bot_id=bot)["items"]
    assert [one["version"] for one in versions] == [second, first] and versions[0]["creator"]["name"] == "Alex"
    assert len(call(coze, "bots.versions.list", bot_id=bot, connector_id="999")["items"]) == 1
    assert call(coze, "bots.versions.list", bot_id=bot, publish_status="unpublished_draft")["items"] == []

    call(coze, "bots.unpublish", bot_id=bot, connector_id="1024")
    gone(coze, "bots.unpublish", "connector_id", bot_id=bot, connector_id="1024")
    api_error(send(coze, "bots.retrieve", {"bot_id": bot}), 4015)
    assert coze.post("/v3/chat", coze.chat_body(bot_id=bot)).json()["code"] == 0


def test_bots_by_publication(coze, space):
    published, changed, draft = (make_bot(coze, space, name) for name in ("published", "changed", "draft"))
    for bot in (published, changed):
        call(coze, "bots.publish", bot_id=bot, connector_ids=["1024"])
    coze.advance(1)
    call(coze, "bots.update", bot_id=changed, name="changed again")

    def listed(**more):
        return {one["id"] for one in call(coze, "bots.list", workspace_id=space, **more)["items"]}

    assert listed() == listed(publish_status="published_online") == {published, changed}
    assert listed(publish_status="published_draft") == {changed}
    assert listed(publish_status="unpublished_draft") == {draft}
    assert listed(publish_status="all") == {published, changed, draft}
    assert listed(connector_id="999") == set()
    assert call(coze, "bots.list", workspace_id="1", publish_status="all") == {"items": [], "total": 0}


def test_collaborators_of_a_bot(coze, space):
    bot = make_bot(coze, space)
    call(coze, "bots.collaboration_mode.update", bot_id=bot, collaboration_mode="collaboration")
    call(coze, "bots.collaborators.create", bot_id=bot, collaborators=[{"user_id": USER}])
    call(coze, "bots.collaborators.delete", bot_id=bot, user_id=USER)
    gone(coze, "bots.collaborators.delete", "user_id", bot_id=bot, user_id=USER)


def test_unknown_bots(coze):
    for operation, more in (
        ("bots.update", {}),
        ("bots.retrieve", {}),
        ("bots.publish", {"connector_ids": ["1024"]}),
        ("bots.versions.list", {}),
    ):
        gone(coze, operation, "bot_id", bot_id="1", **more)


def test_copies_of_bots(coze, space):
    bot = make_bot(coze, space, "original")
    target = call(coze, "workspaces.create", name="w", description="")["id"]
    made = call(coze, "entities.copy_tasks.create", entity_id=bot, entity_type="bot", to_workspace_id=target)
    task = call(coze, "entities.copy_tasks.retrieve", task_id=made["task_id"])
    assert task["task_status"] == "successful" and task["target_entity_id"] == made["copied_entity_id"] != bot
    copied = call(coze, "bots.retrieve", bot_id=made["copied_entity_id"], is_published=False)
    assert copied["name"] == "original"
    assert call(coze, "bots.list", workspace_id=target, publish_status="all")["total"] == 1
    gone(coze, "entities.copy_tasks.retrieve", "task_id", task_id="1")
    template = call(coze, "templates.duplicate", template_id="77", workspace_id=target, name="from template")
    assert call(coze, "bots.retrieve", bot_id=template["entity_id"], is_published=False)["name"] == "from template"


def test_a_token_for_one_workspace_sees_no_other(coze, space):
    bot = make_bot(coze, space)
    dataset = call(coze, "datasets.create", name="d", space_id=space, format_type=0)["dataset_id"]
    token = coze.login(workspace_id="7400000000000000001")["access_token"]
    api_error(send(coze, "bots.list", {"workspace_id": space}, token), 4101, "workspace_id", status=403)
    api_error(send(coze, "bots.create", {"space_id": space, "name": "n"}, token), 4101, "space_id", status=403)
    api_error(send(coze, "bots.retrieve", {"bot_id": bot, "is_published": False}, token), 4200, "bot_id")
    api_error(send(coze, "datasets.delete", {"dataset_id": dataset}, token), 4200, "dataset_id")
    api_error(send(coze, "conversations.retrieve", {"conversation_id": "1"}, token), 4101, status=403)
    own = call(coze, "bots.create", token=token, space_id="7400000000000000001", name="n")["bot_id"]
    assert call(coze, "bots.retrieve", token=token, bot_id=own, is_published=False)["bot_id"] == own


# Conversations


def test_a_conversation_from_beginning_to_end(coze):
    made = call(coze, "conversations.create", bot_id=BOT, name="talk", meta_data={"k": 1})
    query = {"conversation_id": made["id"]}
    assert call(coze, "conversations.retrieve", **query) == made and made["meta_data"] == {"k": 1}
    coze.advance(5)
    changed = call(coze, "conversations.update", **query, name="new")
    assert changed["name"] == "new" and changed["updated_at"] > made["updated_at"]
    section = call(coze, "conversations.clear", **query)
    assert section["conversation_id"] == made["id"] and section["id"] != made["last_section_id"]
    assert call(coze, "conversations.retrieve", **query)["last_section_id"] == section["id"]
    other = coze.login(user="other")["access_token"]
    api_error(send(coze, "conversations.retrieve", query, other), 4200, "conversation_id", status=404)
    call(coze, "conversations.delete", **query)
    for operation in ("conversations.retrieve", "conversations.delete", "conversations.clear"):
        gone(coze, operation, "conversation_id", **query)


def test_a_deleted_conversation_takes_its_chats_along(coze):
    chat = coze.post("/v3/chat", coze.chat_body()).json()["data"]
    call(coze, "conversations.delete", conversation_id=chat["conversation_id"])
    gone(coze, "chat.retrieve", "chat_id", conversation_id=chat["conversation_id"], chat_id=chat["id"])


def test_conversations_of_a_bot(coze):
    ids = [call(coze, "conversations.create", bot_id=BOT)["id"] for _ in range(5)]
    call(coze, "conversations.create", bot_id="other")
    ids.append(coze.post("/v3/chat", coze.chat_body(bot_id=BOT)).json()["data"]["conversation_id"])
    listed = page_numbers(coze, "conversations.list", "conversations", 2, 6, bot_id=BOT)
    assert [one["id"] for one in listed] == ids[::-1]
    listed = page_numbers(coze, "conversations.list", "conversations", 4, 6, bot_id=BOT, sort_order="ASC")
    assert [one["id"] for one in listed] == ids


def add_message(coze, conversation, content, role="user", **more):
    more = {"conversation_id": conversation, "role": role, "content_type": "text", **more}
    return call(coze, "conversations.messages.create", content=content, **more)


def test_a_message_from_beginning_to_end(coze):
    conversation = call(coze, "conversations.create")["id"]
    made = add_message(coze, conversation, "x", meta_data={"a": "b"})
    query = {"conversation_id": conversation, "message_id": made["id"]}
    assert made["type"] == "question" and call(coze, "conversations.messages.retrieve", **query) == made
    assert add_message(coze, conversation, "y", "assistant")["type"] == "answer"
    changed = call(coze, "conversations.messages.update", **query, content="z")
    assert changed["content"] == "z" and changed["meta_data"] == {"a": "b"}
    call(coze, "conversations.messages.feedback.create", **query, feedback_type="like")
    call(coze, "conversations.messages.feedback.delete", **query)
    gone(coze, "conversations.messages.feedback.delete", "message_id", **query)
    assert call(coze, "conversations.messages.delete", **query)["id"] == made["id"]
    gone(coze, "conversations.messages.retrieve", "message_id", **query)
    listed = call(coze, "conversations.messages.list", conversation_id=conversation)
    assert [one["content"] for one in listed["data"]] == ["y"]


def test_messages_that_come_with_the_conversation(coze):
    messages = [
        {"role": "user", "content": "q", "content_type": "text"},
        {"role": "assistant", "type": "function_call", "content": "{}"},
        {"role": "assistant", "content": "a"},
    ]
    conversation = call(coze, "conversations.create", messages=messages)["id"]

    def kinds(**more):
        listed = call(coze, "conversations.messages.list", conversation_id=conversation, order="asc", **more)
        return [one["type"] for one in listed["data"]]

    assert kinds() == ["question", "answer"]
    assert kinds(include_middle_message=True) == ["question", "function_call", "answer"]
    assert kinds(chat_id="1") == []


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_messages_by_cursor_in_both_directions(coze, order, limit):
    conversation = call(coze, "conversations.create")["id"]
    contents = [str(number) for number in range(7)]
    for content in contents:
        add_message(coze, conversation, content)
    expected = contents if order == "asc" else contents[::-1]

    def walk(cursor, end):
        pages, more = [], {}
        while True:
            asked = {"conversation_id": conversation, "order": order, "limit": limit, **more}
            result = call(coze, "conversations.messages.list", **asked)
            assert len(result["data"]) == min(limit, 7 - sum(map(len, pages)))
            pages.append([one["content"] for one in result["data"]])
            if not result["has_more"]:
                return pages
            more = {cursor: result[end]}

    assert sum(walk("after_id", "last_id"), []) == expected
    if limit < 7:
        # The same way back, from the last message.
        ids = call(coze, "conversations.messages.list", conversation_id=conversation, order=order)["data"]
        before = {"before_id": ids[-1]["id"], "limit": limit, "order": order}
        result = call(coze, "conversations.messages.list", conversation_id=conversation, **before)
        assert [one["content"] for one in result["data"]] == expected[6 - limit : 6]
        assert result["has_more"] == (limit < 6)


def test_messages_after_an_unknown_one(coze):
    conversation = call(coze, "conversations.create")["id"]
    gone(coze, "conversations.messages.list", "after_id", conversation_id=conversation, after_id="1")
    asked = {"conversation_id": conversation, "limit": 51}
    api_error(send(coze, "conversations.messages.list", asked), 4000, "limit must be at most 50")


# Workspaces, enterprises


def test_a_workspace_and_its_members(coze):
    workspace = call(coze, "workspaces.create", name="w", description="d")["id"]
    call(coze, "workspaces.update", workspace_id=workspace, name="w2")
    coze.settings(workspace_count=4)
    listed = page_numbers(coze, "workspaces.list", "workspaces", 2, 5)
    assert [one["name"] for one in listed] == ["Personal", "Team 2", "Team 3", "Team 4", "w2"]
    assert listed[-1]["role_type"] == "owner" and listed[-1]["description"] == "d"

    users = [{"user_id": str(10**18 + number), "role_type": "member"} for number in range(4)]
    added = call(coze, "workspaces.members.create", workspace_id=workspace, users=users[:3])
    assert len(added["added_success_user_ids"]) == 3
    again = call(coze, "workspaces.members.create", workspace_id=workspace, users=users[2:])
    assert again["already_joined_user_ids"] == [users[2]["user_id"]]
    members = page_numbers(coze, "workspaces.members.list", "items", 2, 5, workspace_id=workspace)
    assert [one["role_type"] for one in members] == ["owner"] + 4 * ["member"]
    owner = members[0]["user_id"]
    ids = [owner, users[0]["user_id"], "1"]
    removed = call(coze, "workspaces.members.delete", workspace_id=workspace, user_ids=ids)
    assert removed["removed_success_user_ids"] == [users[0]["user_id"]]
    assert removed["owner_not_support_remove_user_ids"] == [owner] and removed["not_in_workspace_user_ids"] == ["1"]
    gone(coze, "workspaces.members.list", "workspace_id", workspace_id="1")
    other = coze.login(user="other")["access_token"]
    assert workspace not in [one["id"] for one in call(coze, "workspaces.list", token=other)["workspaces"]]


def test_organizations_and_their_people(coze):
    made = [
        call(
            coze,
            "enterprises.organizations.create",
            enterprise_id="e1",
            name=f"o{number}",
            super_admin_user_id=USER,
        )["organization_id"]
        for number in range(3)
    ]
    call(coze, "organizations.update", organization_id=made[0], name="renamed")
    listed = page_numbers(coze, "enterprises.organizations.list", "items", 2, 3, enterprise_id="e1")
    assert [one["organization_name"] for one in listed] == ["renamed", "o1", "o2"]
    assert call(coze, "enterprises.organizations.list", enterprise_id="e2")["total_count"] == 0
    people = [{"user_id": "5", "organization_role_type": "organization_guest"}]
    call(coze, "organizations.members.create", organization_id=made[0], organization_people=people)
    role = {"organization_id": made[0], "user_id": "5"}
    found = page_numbers(coze, "organizations.members.list", "items", 1, 2, organization_id=made[0])
    assert [one["people_type"] for one in found] == ["employee", "guest"]
    call(coze, "organizations.members.update", **role, organization_role_type="organization_admin")
    found = call(coze, "organizations.members.list", organization_id=made[0])["items"]
    assert found[1]["organization_role_type"] == "organization_admin"
    call(coze, "organizations.members.delete", **role, receiver_user_id=USER)
    gone(coze, "organizations.members.delete", "user_id", **role, receiver_user_id=USER)
    gone(coze, "organizations.update", "organization_id", organization_id="1")


def test_people_of_an_enterprise(coze):
    one = {"enterprise_id": "e1", "user_id": USER}
    gone(coze, "enterprises.members.update", "user_id", **one, role="enterprise_admin")
    users = [{"user_id": USER, "role": "enterprise_member"}]
    call(coze, "enterprises.members.create", enterprise_id="e1", users=users)
    call(coze, "enterprises.members.update", **one, role="enterprise_admin")
    call(coze, "enterprises.members.delete", **one, receiver_user_id="1")
    gone(coze, "enterprises.members.delete", "user_id", **one, receiver_user_id="1")


# Datasets


def make_dataset(coze, space, name="d", format_type=0):
    return call(coze, "datasets.create", name=name, space_id=space, format_type=format_type)["dataset_id"]


def add_documents(coze, dataset, *bases, format_type=0):
    made = call(
        coze, "datasets.documents.create", dataset_id=dataset, document_bases=list(bases), format_type=format_type
    )
    return made["document_infos"]


def encoded(text):
    return {"file_base64": base64.b64encode(text.encode()).decode(), "file_type": "md"}


def test_a_dataset_and_its_documents(coze, space):
    dataset = make_dataset(coze, space, "facts")
    call(coze, "datasets.update", dataset_id=dataset, name="more facts", description="all of them")
    file_id = call(coze, "files.upload", file=("book.pdf", b"x" * 77))["id"]
    documents = add_documents(
        coze,
        dataset,
        {"name": "note", "source_info": encoded("知识" * 500)},
        {
            "name": "site",
            "source_info": {"web_url": "https://example.com/", "document_source": 1},
            "update_rule": {"update_type": 1, "update_interval": 24},
        },
        {"name": "book", "source_info": {"source_file_id": file_id, "document_source": 5}},
    )
    assert [one["type"] for one in documents] == ["md", "html", "pdf"]
    assert (documents[0]["size"], documents[0]["char_count"], documents[0]["slice_count"]) == (3000, 1000, 2)
    assert documents[1]["update_interval"] == 24 and documents[2]["size"] == 77
    ids = [one["document_id"] for one in documents]
    states = call(coze, "datasets.process", dataset_id=dataset, document_ids=ids)["data"]
    assert [(one["document_id"], one["status"], one["progress"]) for one in states] == [(id, 1, 100) for id in ids]
    changed = call(coze, "datasets.documents.update", document_id=ids[0], document_name="renamed")
    assert changed["name"] == "renamed"
    listed = call(coze, "datasets.list", space_id=space)["dataset_list"][0]
    assert (listed["name"], listed["doc_count"], listed["file_list"]) == ("more facts", 3, ["renamed", "site", "book"])
    call(coze, "datasets.documents.delete", document_ids=ids[:2])
    gone(coze, "datasets.documents.delete", "document_ids", document_ids=[ids[2], ids[0]])
    found = call(coze, "datasets.documents.list", dataset_id=dataset)
    assert [one["document_id"] for one in found["document_infos"]] == ids[2:] and found["total"] == 1
    call(coze, "datasets.delete", dataset_id=dataset)
    gone(coze, "datasets.documents.list", "dataset_id", dataset_id=dataset)
    gone(coze, "datasets.documents.update", "document_id", document_id=ids[2])


@pytest.mark.parametrize(
    "source, code, words",
    [
        ({"file_base64": "*"}, 4000, "document_bases[1].source_info.file_base64 is not Base64"),
        ({}, 4000, "document_bases[1].source_info.file_base64 is missing"),
        ({"source_file_id": "1"}, 4200, "document_bases[1].source_info.source_file_id"),
    ],
)
def test_a_document_that_cannot_be_taken_keeps_out_the_others(coze, space, source, code, words):
    dataset = make_dataset(coze, space)
    bases = [{"name": "good", "source_info": encoded("x")}, {"name": "bad", "source_info": source}]
    arguments = {"dataset_id": dataset, "document_bases": bases, "format_type": 0}
    api_error(send(coze, "datasets.documents.create", arguments), code, words)
    assert call(coze, "datasets.documents.list", dataset_id=dataset)["total"] == 0


def test_datasets_and_documents_in_pages(coze, space):
    ids = [make_dataset(coze, space, f"d{number}", number % 2) for number in range(5)]
    listed = page_numbers(coze, "datasets.list", "dataset_list", 2, 5, space_id=space)
    assert [one["dataset_id"] for one in listed] == ids
    tables = page_numbers(coze, "datasets.list", "dataset_list", 1, 2, space_id=space, format_type=1)
    assert [one["name"] for one in tables] == ["d1", "d3"]
    assert call(coze, "datasets.list", space_id=space, name="d4")["total_count"] == 1
    made = add_documents(coze, ids[0], *({"name": str(n), "source_info": encoded("x")} for n in range(5)))
    found = []
    for number in (1, 2, 3, 4):
        result = call(coze, "datasets.documents.list", dataset_id=ids[0], page=number, size=2)
        assert result["total"] == 5
        found.append([one["document_id"] for one in result["document_infos"]])
    assert sum(found, []) == [one["document_id"] for one in made] and [len(one) for one in found] == [2, 2, 1, 0]


def test_images(coze, space):
    dataset = make_dataset(coze, space, format_type=2)
    bases = [{"name": f"{n}.png", "source_info": encoded("x"), "caption": c} for n, c in enumerate(("a cat", "", ""))]
    images = add_documents(coze, dataset, *bases, format_type=2)
    query = {"dataset_id": dataset, "document_id": images[1]["document_id"]}
    call(coze, "datasets.images.update", **query, caption="a dog")
    listed = page_numbers(coze, "datasets.images.list", "photo_infos", 2, 3, dataset_id=dataset)
    assert [one["caption"] for one in listed] == ["a cat", "a dog", ""]
    for more, names in (({"keyword": "dog"}, ["1.png"]), ({"has_caption": False}, ["2.png"])):
        found = call(coze, "datasets.images.list", dataset_id=dataset, **more)["photo_infos"]
        assert [one["name"] for one in found] == names
    gone(coze, "datasets.images.update", "document_id", dataset_id=dataset, document_id="1", caption="")


# Sound


def test_voices(coze):
    made = call(coze, "audio.voices.clone", voice_name="mine", audio_format="wav", file=("a.wav", b"x"), language="en")
    voice = made["voice_id"]
    listed = page_numbers_of_voices(coze)
    assert [one["is_system_voice"] for one in listed] == [True, True, True, False]
    own = call(coze, "audio.voices.list", filter_system_voice=True)["voice_list"]
    assert [(one["voice_id"], one["name"], one["language_code"]) for one in own] == [(voice, "mine", "en")]
    more = {"voice_name": "again", "audio_format": "wav", "file": ("a.wav", b"y"), "voice_id": voice}
    assert call(coze, "audio.voices.clone", **more)["voice_id"] == voice
    again = call(coze, "audio.voices.list", filter_system_voice=True)["voice_list"][0]
    assert again["name"] == "again" and again["available_training_times"] < own[0]["available_training_times"]
    gone(coze, "audio.voices.clone", "voice_id", **{**more, "voice_id": listed[0]["voice_id"]})
    assert call(coze, "audio.voices.list", voice_state="init")["voice_list"] == []


def page_numbers_of_voices(coze):
    return page_numbers(coze, "audio.voices.list", "voice_list", 3, 4)


def test_voiceprints(coze):
    group = call(coze, "audio.voiceprint_groups.create", name="family")["id"]
    call(coze, "audio.voiceprint_groups.update", group_id=group, desc="all of us")
    features = [
        call(coze, "audio.voiceprint_groups.features.create", group_id=group, name=name, file=("a.wav", sound))["id"]
        for name, sound in (("Ann", b"aaa"), ("Bo", b"bbb"), ("Cy", b"ccc"))
    ]
    (listed,) = page_numbers(coze, "audio.voiceprint_groups.list", "items", 1, 1)
    assert listed["feature_count"] == 3 and listed["desc"] == "all of us" and listed["user_info"]["name"] == "Alex"
    found = page_numbers(coze, "audio.voiceprint_groups.features.list", "items", 2, 3, group_id=group)
    assert [one["name"] for one in found] == ["Ann", "Bo", "Cy"]

    def speaker(sound, **more):
        asked = {"group_id": group, "file": ("q.wav", sound), **more}
        scores = call(coze, "audio.voiceprint_groups.speaker_identify", **asked)["feature_score_list"]
        return [(one["feature_name"], one["score"] > 0) for one in scores]

    assert speaker(b"bbb") == [("Bo", True), ("Ann", False), ("Cy", False)]
    assert speaker(b"bbb", top_k=1) == [("Bo", True)]
    assert not any(score for _, score in speaker(b"nobody"))
    one = {"group_id": group, "feature_id": features[2]}
    call(coze, "audio.voiceprint_groups.features.update", **one, name="Di", file=("d.wav", b"ddd"))
    assert speaker(b"ddd", top_k=1) == [("Di", True)] and speaker(b"ccc", top_k=1) != [("Di", True)]
    call(coze, "audio.voiceprint_groups.features.delete", **one)
    gone(coze, "audio.voiceprint_groups.features.delete", "feature_id", **one)
    call(coze, "audio.voiceprint_groups.delete", group_id=group)
    gone(coze, "audio.voiceprint_groups.features.list", "group_id", group_id=group)


def test_voiceprint_groups_by_name_and_user(coze):
    me = coze.me(coze.ready["pat"]).json()["data"]["user_id"]
    ids = [call(coze, "audio.voiceprint_groups.create", name=name)["id"] for name in ("ab", "bc", "cd")]

    def listed(**more):
        return [one["id"] for one in call(coze, "audio.voiceprint_groups.list", **more)["items"]]

    assert listed(name="b") == ids[:2] and listed(group_id=ids[2]) == ids[2:] and listed(user_id=me) == ids
    assert listed(user_id="1") == []


# Variables, benefits, API apps


def test_variables_are_apart_for_each_user_bot_and_connector(coze):
    scope = {"bot_id": BOT, "connector_uid": "u1"}
    call(coze, "variables.update", **scope, data=[{"keyword": "a", "value": "1"}, {"keyword": "b", "value": "2"}])
    coze.advance(3)
    call(coze, "variables.update", **scope, connector_id="1024", data=[{"keyword": "a", "value": "3"}])

    def kept(**more):
        return {one["keyword"]: one["value"] for one in call(coze, "variables.retrieve", **more)["items"]}

    assert kept(**scope) == {"a": "3", "b": "2"} and kept(**scope, keywords=["b", "c"]) == {"b": "2"}
    first = call(coze, "variables.retrieve", **scope, keywords=["a"])["items"][0]
    assert first["update_time"] > first["create_time"]
    for other in (
        {**scope, "connector_uid": "u2"},
        {**scope, "connector_id": "999"},
        {"app_id": BOT, "connector_uid": "u1"},
    ):
        assert kept(**other) == {}


def limit(coze, **more):
    info = {"limit": 10, "benefit_type": "resource_point", "active_mode": "absolute_time"}
    info = {**info, "started_at": 1, "ended_at": 2, **more}
    benefit = {"entity_type": "single_device", "entity_id": "d1", "benefit_info": info}
    return call(coze, "commerce.benefit.limitations.create", **benefit)["benefit_info"]


def tokens(coze, operation, items, token, size, **arguments):
    """Every item of a list with page tokens."""
    found, more = [], {}
    while True:
        result = call(coze, operation, **arguments, **more, page_size=size)
        found += result[items]
        assert result["has_more"] == bool(result[token])
        if not result["has_more"]:
            return found
        assert len(result[items]) == size
        more = {"page_token": result[token]}


def test_limitations_of_benefits(coze):
    made = [limit(coze, limit=number) for number in range(5)]
    asked = {"entity_type": "single_device", "entity_id": "d1", "benefit_type": "resource_point"}
    for size in (1, 2, 5, 9):
        listed = tokens(coze, "commerce.benefit.limitations.list", "benefit_infos", "page_token", size, **asked)
        assert [one["limit"] for one in listed] == [0, 1, 2, 3, 4]
    call(coze, "commerce.benefit.limitations.update", benefit_id=made[0]["benefit_id"], status="frozen", limit=99)
    frozen = call(coze, "commerce.benefit.limitations.list", **asked, status="frozen")["benefit_infos"]
    assert [one["limit"] for one in frozen] == [99]
    asked["entity_id"] = "d2"
    assert call(coze, "commerce.benefit.limitations.list", **asked)["benefit_infos"] == []
    gone(coze, "commerce.benefit.limitations.update", "benefit_id", benefit_id="1")
    wrong = {**asked, "page_token": "nonsense"}
    api_error(send(coze, "commerce.benefit.limitations.list", wrong), 4000, "page_token", status=400)


def test_bill_tasks(coze):
    made = [call(coze, "commerce.benefit.bill_tasks.create", started_at=1, ended_at=n)["task_id"] for n in range(3)]
    listed = page_numbers(coze, "commerce.benefit.bill_tasks.list", "task_infos", 2, 3)
    assert [one["task_id"] for one in listed] == made and listed[2]["ended_at"] == 2 and listed[0]["file_urls"]


def test_api_apps_and_their_events(coze):
    made = [call(coze, "api_apps.create", app_type="normal", name=f"a{number}") for number in range(3)]
    connector = call(coze, "api_apps.create", app_type="connector", connector_id="7")
    one = {"api_app_id": made[0]["id"]}
    assert len({app["verify_token"] for app in made}) == 3
    call(coze, "api_apps.update", **one, callback_url="http://127.0.0.1:1/", name="renamed")
    listed = tokens(coze, "api_apps.list", "items", "next_page_token", 2)
    assert [app["name"] for app in listed] == ["renamed", "a1", "a2", ""]
    assert call(coze, "api_apps.list", app_type="connector")["items"] == [connector]
    types = ["bot.published", "benefit.usage", "bot.deleted"]
    call(coze, "api_apps.events.create", **one, event_types=types[:2])
    call(coze, "api_apps.events.create", **one, event_types=types)
    events = tokens(coze, "api_apps.events.list", "items", "next_page_token", 2, **one)
    assert [event["event_type"] for event in events] == types
    call(coze, "api_apps.events.delete", **one, event_types=types[1:])
    gone(coze, "api_apps.events.delete", "event_types", **one, event_types=types[1:])
    assert len(call(coze, "api_apps.events.list", **one)["items"]) == 1
    call(coze, "api_apps.delete", **one)
    gone(coze, "api_apps.events.list", "api_app_id", **one)


# Pages of shaped lists, and the one list with page_index


def test_published_bots_by_page_index(coze, space):
    bots = [make_bot(coze, space, f"b{number}") for number in range(5)]
    for bot in bots:
        call(coze, "bots.publish", bot_id=bot, connector_ids=["1024"])
    found = []
    for number in (1, 2, 3, 4):
        result = call(coze, "bots.list_published", space_id=space, page_index=number, page_size=2)
        assert result["total"] == 5
        found.append([one["bot_id"] for one in result["space_bots"]])
    assert sum(found, []) == bots[::-1] and found[3] == []


def test_shaped_lists_have_an_end(coze):
    listed = page_numbers(coze, "folders.list", "items", 2, 3, workspace_id="1", folder_type="library")
    assert len({one["id"] for one in listed}) == 3
    assert len(page_numbers(coze, "stores.categories.list", "items", 2, 3, entity_type="plugin")) == 3
    versions = tokens(coze, "workflows.versions.list", "items", "next_page_token", 2, workflow_id="74")
    assert len({one["version"] for one in versions}) == 3
