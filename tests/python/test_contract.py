"""Every operation of the contract: a valid call is answered as declared, every mistake is error 4000 and named."""

import base64

import pytest
from conftest import api_error
from contract import API, CALLS, OPERATIONS, SOCKETS, call, fields_of, minimal, mistakes, result_of, send


class Needs:
    """What must be there before an operation can succeed; each is made when it is asked for first."""

    def __init__(self, coze, operation):
        self._coze, self._operation, self._made = coze, operation, {}

    def all(self):
        """Every required argument, with ids of things that exist."""
        arguments = minimal(self._operation)
        for name in arguments:
            if hasattr(self, name):
                arguments[name] = self.value(name)
        getattr(self, "before_" + self._operation.replace(".", "_"), lambda _: None)(arguments)
        return arguments

    def value(self, name):
        if name not in self._made:
            self._made[name] = getattr(self, name)()
        return self._made[name]

    def workspace_id(self):
        return call(self._coze, "workspaces.list")["workspaces"][0]["id"]

    def space_id(self):
        return self.value("workspace_id")

    def bot_id(self):
        bot = call(self._coze, "bots.create", space_id=self.value("workspace_id"), name="b")["bot_id"]
        call(self._coze, "bots.publish", bot_id=bot, connector_ids=["1024"])
        return bot

    def connector_id(self):
        return "1024"

    def user_id(self):
        return "7300000000000000042"

    def conversation_id(self):
        return call(self._coze, "conversations.create")["id"]

    def message_id(self):
        more = {"conversation_id": self.value("conversation_id"), "role": "user", "content_type": "text"}
        return call(self._coze, "conversations.messages.create", content="x", **more)["id"]

    def chat_id(self):
        query = {"conversation_id": self.value("conversation_id")}
        return self._coze.post("/v3/chat", self._coze.chat_body(), params=query).json()["data"]["id"]

    def file_id(self):
        return call(self._coze, "files.upload", file=("a", b"x"))["id"]

    def dataset_id(self):
        more = {"space_id": self.value("workspace_id"), "format_type": 0}
        return call(self._coze, "datasets.create", name="d", **more)["dataset_id"]

    def document_id(self):
        base = {"name": "a.txt", "source_info": {"file_base64": base64.b64encode(b"x").decode()}}
        more = {"dataset_id": self.value("dataset_id"), "document_bases": [base], "format_type": 0}
        return call(self._coze, "datasets.documents.create", **more)["document_infos"][0]["document_id"]

    def document_ids(self):
        return [self.value("document_id")]

    def document_bases(self):
        return [{"name": "a", "source_info": {"web_url": "http://127.0.0.1/"}}]

    def group_id(self):
        return call(self._coze, "audio.voiceprint_groups.create", name="g")["id"]

    def feature_id(self):
        more = {"group_id": self.value("group_id"), "file": ("a.wav", b"x")}
        return call(self._coze, "audio.voiceprint_groups.features.create", name="f", **more)["id"]

    def api_app_id(self):
        return call(self._coze, "api_apps.create", app_type="normal")["id"]

    def organization_id(self):
        more = {"enterprise_id": "1", "super_admin_user_id": self.value("user_id")}
        return call(self._coze, "enterprises.organizations.create", name="o", **more)["organization_id"]

    def benefit_id(self):
        arguments = minimal("commerce.benefit.limitations.create")
        return call(self._coze, "commerce.benefit.limitations.create", **arguments)["benefit_info"]["benefit_id"]

    def task_id(self):
        return call(self._coze, "entities.copy_tasks.create")["task_id"]

    def before_bots_collaborators_delete(self, arguments):
        more = {"bot_id": arguments["bot_id"], "collaborators": [{"user_id": arguments["user_id"]}]}
        call(self._coze, "bots.collaborators.create", **more)

    def before_enterprises_members_delete(self, arguments):
        users = [{"user_id": arguments["user_id"], "role": "enterprise_member"}]
        call(self._coze, "enterprises.members.create", enterprise_id=arguments["enterprise_id"], users=users)

    before_enterprises_members_update = before_enterprises_members_delete

    def before_conversations_messages_feedback_delete(self, arguments):
        call(self._coze, "conversations.messages.feedback.create", feedback_type="like", **arguments)

    def before_chat_submit_tool_outputs(self, arguments):
        """Another chat of the conversation, one that waits for a tool."""
        self._coze.settings(chat_in_progress_polls=0)
        body, query = self._coze.chat_body("Call now"), {"conversation_id": arguments["conversation_id"]}
        chat = self._coze.post("/v3/chat", body, params=query).json()["data"]
        arguments["chat_id"] = chat["id"]
        query["chat_id"] = chat["id"]
        action = self._coze.get("/v3/chat/retrieve", params=query).json()["data"]["required_action"]
        arguments["tool_outputs"][0]["tool_call_id"] = action["submit_tool_outputs"]["tool_calls"][0]["id"]

    def run(self, arguments):
        """A run of the workflow that waits to be resumed."""
        body = {"workflow_id": arguments["workflow_id"], "parameters": {"input": "Ask:"}}
        return self._coze.post("/v1/workflow/run", body).json()

    def before_workflows_runs_resume(self, arguments):
        interrupt = self.run(arguments)["interrupt_data"]
        arguments.update(event_id=interrupt["event_id"], interrupt_type=interrupt["type"])

    before_workflows_runs_stream_resume = before_workflows_runs_resume

    def before_workflows_runs_histories_retrieve(self, arguments):
        arguments["execute_id"] = self.run(arguments)["execute_id"]

    def before_workflows_runs_histories_execute_nodes_retrieve(self, arguments):
        self.before_workflows_runs_histories_retrieve(arguments)
        run = {name: arguments[name] for name in ("workflow_id", "execute_id")}
        found = call(self._coze, "workflows.runs.histories.retrieve", **run)
        arguments["node_execute_uuid"] = found[0]["node_execute_status"]["End"]["node_execute_uuid"]

    def before_api_apps_events_delete(self, arguments):
        call(self._coze, "api_apps.events.create", **arguments)


def test_there_are_131_operations():
    assert len(OPERATIONS) == 131 and len(SOCKETS) == 4 and len(API) == 124
    places = [(method, one["path"], one.get("host") == "ws") for one in OPERATIONS.values() for method in methods(one)]
    assert len(set(places)) == len(places)


def methods(operation):
    return [operation["method"], *operation.get("also_methods", [])]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_its_path_and_method(coze, operation):
    declared = OPERATIONS[operation]
    for method in methods(declared):
        response = coze.http.request(method, declared["path"].replace("{", "").replace("}", ""))
        assert response.status_code not in (404, 405, 500), response.text


@pytest.mark.parametrize("operation", CALLS)
def test_valid_call(coze, operation):
    arguments = Needs(coze, operation).all()
    for method in methods(OPERATIONS[operation]):
        if method == "GET" and "json" in OPERATIONS[operation]:
            path = OPERATIONS[operation]["path"]
            assert coze.get(path, params=arguments).json()["code"] == 0
            continue
        response = send(coze, operation, arguments, method=method)
        kind = OPERATIONS[operation]["response"].get("kind", "json")
        if kind == "json":
            result_of(operation, response)
        elif kind == "sse":
            assert response.headers["content-type"].startswith("text/event-stream") and "event" in response.text
        else:
            assert response.status_code == 200 and response.content
            assert not response.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("operation", API)
def test_token_is_needed(coze, operation):
    arguments = minimal(operation)
    api_error(send(coze, operation, arguments, token="nothing"), 4100, status=401)


@pytest.mark.parametrize("operation", API)
def test_required_argument_left_out(coze, operation):
    for part, name, field in fields_of(operation):
        if field.get("required"):
            arguments = {key: value for key, value in minimal(operation).items() if key != name}
            api_error(send(coze, operation, arguments), 4000, f" {name} is missing", status=400)


@pytest.mark.parametrize("operation", API)
def test_unknown_argument(coze, operation):
    arguments, declared = minimal(operation), OPERATIONS[operation]
    known = "unknown is not a known parameter"
    api_error(send(coze, operation, arguments, extra_query={"unknown": "1"}), 4000, known, status=400)
    headers, path = {"Authorization": f"Bearer {coze.ready['pat']}"}, declared["path"].replace("{", "").replace("}", "")
    query = {name: arguments[name] for name in declared.get("query", {}) if name in arguments}
    body = {"json": {"unknown": 1}}
    if "multipart" in declared:
        body = {"files": {"unknown": (None, "1")}}
    response = coze.http.request(declared["method"], path, params=query, headers=headers, **body)
    api_error(response, 4000, known, status=400)


@pytest.mark.parametrize("operation", API)
def test_mistyped_argument(coze, operation):
    for part, name, field in fields_of(operation):
        kind, arguments = field["type"], minimal(operation)
        if kind == "file":
            arguments[name] = "no file"
            api_error(send(coze, operation, arguments), 4000, f" {name} must have a filename", status=400)
        elif part == "json":
            for path, wrong in mistakes(field, kind, name):
                api_error(send(coze, operation, {**arguments, name: wrong}), 4000, f" {path} ", status=400)
        elif kind not in ("string", "string[]") or "enum" in field:
            # In a query or a form everything is text.
            api_error(send(coze, operation, {**arguments, name: "no such value"}), 4000, f" {name}", status=400)


@pytest.mark.parametrize("operation", SOCKETS)
def test_sockets_need_an_upgrade(coze, operation):
    api_error(send(coze, operation, minimal(operation)), 4000, "WebSocket", status=426)


# Where official clients differ from the documentation


def test_page_index_is_page_num(coze):
    space = Needs(coze, "bots.list").value("workspace_id")
    for number in range(3):
        call(coze, "bots.create", space_id=space, name=f"b{number}")
    query = {"workspace_id": space, "publish_status": "all", "page_size": "2"}
    names = []
    for spelling in ({"page_num": "2"}, {"page_index": "2"}):
        items = coze.get("/v1/bots", params={**query, **spelling}).json()["data"]["items"]
        names.append([one["name"] for one in items])
    assert names == [["b0"], ["b0"]]
    api_error(coze.get("/v1/bots", params={**query, "page_index": "x"}), 4000, "page_num")


def test_ids_of_documents_may_be_numbers(coze):
    needs = Needs(coze, "datasets.documents.list")
    dataset, document = needs.value("dataset_id"), needs.value("document_id")
    base = {"name": "b", "source_info": {"web_url": "http://127.0.0.1/"}}
    more = {"dataset_id": int(dataset), "document_bases": [base], "format_type": 0}
    made = coze.post("/open_api/knowledge/document/create", more).json()["document_infos"][0]["document_id"]
    call(coze, "datasets.documents.delete", document_ids=[made])
    found = coze.post("/open_api/knowledge/document/list", {"dataset_id": int(dataset), "page_size": 5}).json()
    assert [one["document_id"] for one in found["document_infos"]] == [document]
    update = {"document_id": int(document), "document_name": "b"}
    assert coze.post("/open_api/knowledge/document/update", update).json()["document_info"]["name"] == "b"
    for wrong in (True, 1.5, [], {}):
        api_error(coze.post("/open_api/knowledge/document/list", {"dataset_id": wrong}), 4000, "dataset_id must be")
    assert coze.post("/open_api/knowledge/document/delete", {"document_ids": [int(document)]}).json()["code"] == 0


def test_methods_of_other_clients(coze):
    needs = Needs(coze, "chat.retrieve")
    ids = {name: needs.value(name) for name in ("conversation_id", "message_id", "chat_id")}
    for path, name in (("/v3/chat/retrieve", "chat_id"), ("/v1/conversation/message/retrieve", "message_id")):
        query = {"conversation_id": ids["conversation_id"], name: ids[name]}
        for method in ("GET", "POST"):
            headers = {"Authorization": f"Bearer {coze.ready['pat']}"}
            response = coze.http.request(method, path, params=query, headers=headers)
            assert response.json()["data"]["id"] == ids[name]
    dataset = needs.value("dataset_id")
    query = {"dataset_id": dataset, "page": "1", "size": "5"}
    assert coze.get("/open_api/knowledge/document/list", params=query).json()["total"] == 0


@pytest.mark.parametrize("query", [[("task_ids", "A,B")], [("task_ids", "A"), ("task_ids", "B")]])
def test_arrays_are_joined_or_repeated(coze, query):
    ids = [call(coze, "commerce.benefit.bill_tasks.create")["task_id"] for _ in range(3)]
    query = [(name, value.replace("A", ids[0]).replace("B", ids[2])) for name, value in query]
    found = coze.get("/v1/commerce/benefit/bill_tasks", params=query).json()["data"]
    assert [one["task_id"] for one in found["task_infos"]] == [ids[0], ids[2]]


def test_bot_id_may_be_repeated_in_the_body_of_unpublish(coze):
    bot = Needs(coze, "bots.unpublish").value("bot_id")
    path, body = f"/v1/bots/{bot}/unpublish", {"connector_id": "1024", "bot_id": bot}
    api_error(coze.post(path, {**body, "bot_id": "other"}), 4000, "bot_id is not the one of the path")
    assert coze.post(path, body).json()["code"] == 0


def test_other_names_of_values(coze):
    benefit = minimal("commerce.benefit.limitations.create")["benefit_info"]
    body = {"entity_type": "single_identifier", "benefit_info": benefit}
    made = coze.post("/v1/commerce/benefit/limitations", body).json()["data"]["benefit_info"]
    assert made["entity_type"] == "single_custom_consumer"


def test_empty_query_values_and_nulls_are_absent(coze):
    assert coze.get("/v1/workspaces", params={"page_num": "", "user_id": ""}).json()["code"] == 0
    api_error(coze.get("/v1/files/retrieve", params={"file_id": ""}), 4000, "file_id is missing")
    body = {"name": "n", "space_id": "1", "description": None, "prompt_info": {"prompt": None}}
    assert coze.post("/v1/bot/create", body).json()["code"] == 0
    api_error(coze.post("/v1/bot/create", {**body, "name": None}), 4000, "name is missing")


def test_an_empty_text_is_a_value_where_the_contract_says_so(coze):
    arguments = {"bot_id": "1", "connector_uid": "u", "data": [{"keyword": "k", "value": ""}]}
    call(coze, "variables.update", **arguments)
    found = call(coze, "variables.retrieve", bot_id="1", connector_uid="u")["items"]
    assert [(one["keyword"], one["value"]) for one in found] == [("k", "")]
    arguments["data"][0]["keyword"] = ""
    api_error(send(coze, "variables.update", arguments), 4000, "data[0].keyword is missing")


def test_a_body_without_required_fields_may_be_left_out(coze):
    conversation = call(coze, "conversations.create")["id"]
    response = coze.http.post(
        "/v1/conversation/message/list",
        params={"conversation_id": conversation},
        headers={"Authorization": f"Bearer {coze.ready['pat']}"},
    )
    assert response.json()["data"] == []


def test_literal_segments_win_over_braces(coze):
    found = call(coze, "plugins.mget", ids=["7300000000000000001"])
    assert "items" in found
    assert call(coze, "plugins.retrieve", plugin_id="7300000000000000001")["plugin_id"] == "7300000000000000001"


# Shaped answers


def test_shaped_answers_repeat_themselves_and_their_arguments(coze):
    first = call(coze, "folders.retrieve", folder_id="7300000000000000009")
    assert first == call(coze, "folders.retrieve", folder_id="7300000000000000009")
    assert first["id"] == "7300000000000000009" and int(first["workspace_id"]) > 2**53
    other = call(coze, "folders.retrieve", folder_id="7300000000000000008")
    assert other["workspace_id"] != first["workspace_id"]
    folders = call(coze, "folders.list", workspace_id="7300000000000000001", folder_type="library")
    assert {one["workspace_id"] for one in folders["items"]} == {"7300000000000000001"}
    assert {one["folder_type"] for one in folders["items"]} == {"library"}
