"""Which handler answers which operation, and what every one of them has in common: token, arguments, rights, envelope.

A handler takes the call and returns what stands in the envelope, or a whole reply. The README tells them one by one.
"""

from __future__ import annotations

import inspect
from typing import Any, Awaitable, Callable, Dict

from . import (
    api_apps,
    bots,
    chat,
    commerce,
    conversations,
    copies,
    datasets,
    enterprises,
    files,
    shaped,
    speech,
    users,
    variables,
    voiceprints,
    voices,
    workflow,
    workspaces,
)
from .access import check_rights, token_of
from .arguments import arguments_of
from .audio_sockets import InterpretationSession, SpeechSession, TranscriptionSession
from .call import Call
from .chat_socket import ChatSession
from .contract import OPERATIONS, Operation
from .replies import AnyReply, ApiError, Reply, StreamReply, envelope
from .sockets import opener

# Every other operation is answered in shaped.py.
KEPT: Dict[str, Callable[[Call], Any]] = {
    "api_apps.create": api_apps.create,
    "api_apps.delete": api_apps.delete,
    "api_apps.events.create": api_apps.subscribe,
    "api_apps.events.delete": api_apps.unsubscribe,
    "api_apps.events.list": api_apps.list_events,
    "api_apps.list": api_apps.list_all,
    "api_apps.update": api_apps.update,
    "audio.speech.create": speech.create,
    "audio.transcriptions.create": speech.transcribe,
    "audio.voiceprint_groups.create": voiceprints.create,
    "audio.voiceprint_groups.delete": voiceprints.delete,
    "audio.voiceprint_groups.features.create": voiceprints.create_feature,
    "audio.voiceprint_groups.features.delete": voiceprints.delete_feature,
    "audio.voiceprint_groups.features.list": voiceprints.list_features,
    "audio.voiceprint_groups.features.update": voiceprints.update_feature,
    "audio.voiceprint_groups.list": voiceprints.list_all,
    "audio.voiceprint_groups.speaker_identify": voiceprints.identify,
    "audio.voiceprint_groups.update": voiceprints.update,
    "audio.voices.clone": voices.clone,
    "audio.voices.list": voices.list_all,
    "bots.collaboration_mode.update": bots.set_collaboration_mode,
    "bots.collaborators.create": bots.add_collaborators,
    "bots.collaborators.delete": bots.remove_collaborator,
    "bots.create": bots.create,
    "bots.list": bots.list_all,
    "bots.list_published": bots.list_published,
    "bots.publish": bots.publish,
    "bots.retrieve": bots.retrieve,
    "bots.retrieve_published": bots.retrieve_published,
    "bots.unpublish": bots.unpublish,
    "bots.update": bots.update,
    "bots.versions.list": bots.list_versions,
    "chat.cancel": chat.cancel,
    "chat.create": chat.create,
    "chat.messages.list": chat.message_list,
    "chat.retrieve": chat.retrieve,
    "chat.submit_tool_outputs": chat.submit_tool_outputs,
    "commerce.benefit.bill_tasks.create": commerce.create_bill_task,
    "commerce.benefit.bill_tasks.list": commerce.list_bill_tasks,
    "commerce.benefit.limitations.create": commerce.create_limitation,
    "commerce.benefit.limitations.list": commerce.list_limitations,
    "commerce.benefit.limitations.update": commerce.update_limitation,
    "conversations.clear": conversations.clear,
    "conversations.create": conversations.create,
    "conversations.delete": conversations.delete,
    "conversations.list": conversations.list_all,
    "conversations.messages.create": conversations.create_message,
    "conversations.messages.delete": conversations.delete_message,
    "conversations.messages.feedback.create": conversations.create_feedback,
    "conversations.messages.feedback.delete": conversations.delete_feedback,
    "conversations.messages.list": conversations.list_messages,
    "conversations.messages.retrieve": conversations.retrieve_message,
    "conversations.messages.update": conversations.update_message,
    "conversations.retrieve": conversations.retrieve,
    "conversations.update": conversations.update,
    "datasets.create": datasets.create,
    "datasets.delete": datasets.delete,
    "datasets.documents.create": datasets.create_documents,
    "datasets.documents.delete": datasets.delete_documents,
    "datasets.documents.list": datasets.list_documents,
    "datasets.documents.update": datasets.update_document,
    "datasets.images.list": datasets.list_images,
    "datasets.images.update": datasets.update_image,
    "datasets.list": datasets.list_all,
    "datasets.process": datasets.progress,
    "datasets.update": datasets.update,
    "enterprises.members.create": enterprises.add_members,
    "enterprises.members.delete": enterprises.remove_member,
    "enterprises.members.update": enterprises.update_member,
    "enterprises.organizations.create": enterprises.create_organization,
    "enterprises.organizations.list": enterprises.list_organizations,
    "entities.copy_tasks.create": copies.create,
    "entities.copy_tasks.retrieve": copies.retrieve,
    "files.retrieve": files.retrieve,
    "files.upload": files.upload,
    "organizations.members.create": enterprises.add_people,
    "organizations.members.delete": enterprises.remove_person,
    "organizations.members.list": enterprises.list_people,
    "organizations.members.update": enterprises.update_person,
    "organizations.update": enterprises.update_organization,
    "templates.duplicate": copies.duplicate_template,
    "users.me": users.me,
    "variables.retrieve": variables.retrieve,
    "variables.update": variables.update,
    "workflows.chat.stream": chat.create_by_workflow,
    "workflows.runs.create": workflow.create,
    "workflows.runs.histories.execute_nodes.retrieve": workflow.node_output,
    "workflows.runs.histories.retrieve": workflow.history,
    "workflows.runs.resume": workflow.resume,
    "workflows.runs.stream": workflow.stream_run,
    "workflows.runs.stream_resume": workflow.stream_resume,
    "workspaces.create": workspaces.create,
    "workspaces.list": workspaces.list_all,
    "workspaces.members.create": workspaces.add_members,
    "workspaces.members.delete": workspaces.remove_members,
    "workspaces.members.list": workspaces.list_members,
    "workspaces.update": workspaces.update,
}

# Operations that begin with an upgrade to WebSocket.
SOCKETS: Dict[str, Callable[[Call], Awaitable[AnyReply]]] = {
    "websockets.audio.simult_interpretation": opener(InterpretationSession),
    "websockets.audio.speech": opener(SpeechSession),
    "websockets.audio.transcriptions": opener(TranscriptionSession),
    "websockets.chat": opener(ChatSession),
}


async def answer(operation: Operation, call: Call) -> AnyReply:
    """Token, arguments, rights, handler, envelope."""
    call.operation, call.token = operation, token_of(call)
    call.arguments = await arguments_of(call, operation)
    check_rights(call.token, operation, call.arguments)
    if operation.response.kind == "websocket":
        return await _answer_socket(operation, call)
    result = KEPT.get(operation.id, shaped.answer)(call)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, (Reply, StreamReply)):
        return result
    return envelope(result, call.log_id, operation.response.shape)


async def _answer_socket(operation: Operation, call: Call) -> AnyReply:
    handler = SOCKETS.get(operation.id)
    if handler is None or not call.is_upgrade:
        raise ApiError(4000, "this operation needs an upgrade to WebSocket", 426)
    return await handler(call)


def handlers_by_path() -> Dict[str, Dict[str, Callable[[Call], Awaitable[AnyReply]]]]:
    """path -> method -> handler, for every operation besides the OAuth ones."""
    found: Dict[str, Dict[str, Callable[[Call], Awaitable[AnyReply]]]] = {}
    for operation in OPERATIONS.values():
        if not operation.id.startswith("oauth."):
            for method in operation.methods:
                found.setdefault(operation.path, {})[method] = _bound(operation)
    return found


def _bound(operation: Operation) -> Callable[[Call], Awaitable[AnyReply]]:
    async def handler(call: Call) -> AnyReply:
        return await answer(operation, call)

    return handler
