"""Datasets with their documents and images. A document is processed as soon as it arrives.

Contents are counted and then dropped.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

from . import files
from .arguments import bad_argument
from .call import Call
from .paging import page
from .replies import not_found

_IMAGES = 2
_PROCESSED = 1
_SLICE_CHARACTERS = 800


@dataclass
class Document:
    id: str
    dataset_id: str
    name: str
    type: str
    size: int
    char_count: int
    slice_count: int
    url: str
    source_type: int
    format_type: int
    chunk_strategy: Dict[str, Any]
    update_rule: Dict[str, Any]
    caption: str
    creator: str
    created_at: int
    updated_at: int


@dataclass
class Dataset:
    id: str
    workspace_id: str
    name: str
    description: str
    format_type: int
    icon_file_id: str
    creator: str
    creator_name: str
    created_at: int
    updated_at: int
    documents: Dict[str, Document] = field(default_factory=dict)


def create(call: Call) -> Dict[str, Any]:
    given, user, now = call.arguments, call.token.user, call.now()
    dataset = Dataset(
        id=call.new_id(),
        workspace_id=given["space_id"],
        name=given["name"],
        description=given.get("description", ""),
        format_type=given["format_type"],
        icon_file_id=given.get("file_id", ""),
        creator=user.user_id,
        creator_name=user.name,
        created_at=now,
        updated_at=now,
    )
    call.shelf(Dataset)[dataset.id] = dataset
    return {"dataset_id": dataset.id}


def list_all(call: Call) -> Dict[str, Any]:
    given, found = call.arguments, []
    for one in call.shelf(Dataset).values():
        is_of_kind = given.get("format_type", one.format_type) == one.format_type
        if one.workspace_id == given["space_id"] and is_of_kind and given.get("name", "") in one.name:
            found.append(one)
    return page(call, found, lambda one: _data(call, one))


def update(call: Call) -> None:
    dataset, given = _find(call), call.arguments
    dataset.name = given["name"]
    dataset.description = given.get("description", dataset.description)
    dataset.icon_file_id = given.get("file_id", dataset.icon_file_id)
    dataset.updated_at = call.now()


def delete(call: Call) -> None:
    del call.shelf(Dataset)[_find(call).id]


def _find(call: Call) -> Dataset:
    dataset = call.find(Dataset, "dataset_id")
    if call.token.workspace_id not in (None, dataset.workspace_id):
        raise not_found("dataset_id")
    return dataset


def _data(call: Call, dataset: Dataset) -> Dict[str, Any]:
    icon, documents = f"{call.emulator.www_url}/icon/{dataset.icon_file_id or 'dataset'}", dataset.documents.values()
    return {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "space_id": dataset.workspace_id,
        "status": 1,
        "format_type": dataset.format_type,
        "can_edit": dataset.creator == call.token.user.user_id,
        "icon_uri": dataset.icon_file_id,
        "icon_url": icon,
        "avatar_url": f"{call.emulator.www_url}/avatar/{dataset.creator}",
        "creator_id": dataset.creator,
        "creator_name": dataset.creator_name,
        "create_time": dataset.created_at,
        "update_time": dataset.updated_at,
        "doc_count": len(documents),
        "slice_count": sum(one.slice_count for one in documents),
        "all_file_size": sum(one.size for one in documents),
        "file_list": [one.name for one in documents],
        "hit_count": 0,
        "bot_used_count": 0,
        "chunk_strategy": next((one.chunk_strategy for one in documents), {}),
        "failed_file_list": [],
        "processing_file_list": [],
        "processing_file_id_list": [],
    }


# Documents


def create_documents(call: Call) -> Dict[str, Any]:
    dataset = _find(call)
    # All are read before any is kept: a mistake in the last one must not leave the first ones behind.
    documents = [_read(call, dataset, index, base) for index, base in enumerate(call.arguments["document_bases"])]
    for document in documents:
        dataset.documents[document.id] = document
    dataset.updated_at = call.now()
    return {"document_infos": [_document(one) for one in documents]}


def _read(call: Call, dataset: Dataset, index: int, base: Dict[str, Any]) -> Document:
    place = f"document_bases[{index}].source_info"
    kind, url, size, characters, source = _source(call, place, base["source_info"], base["name"])
    now = call.now()
    return Document(
        id=call.new_id(),
        dataset_id=dataset.id,
        name=base["name"],
        type=kind,
        size=size,
        char_count=characters,
        slice_count=1 + characters // _SLICE_CHARACTERS,
        url=url,
        source_type=source,
        format_type=call.arguments["format_type"],
        chunk_strategy=call.arguments.get("chunk_strategy", {"chunk_type": 0}),
        update_rule=base.get("update_rule", {}),
        caption=base.get("caption", ""),
        creator=call.token.user.user_id,
        created_at=now,
        updated_at=now,
    )


def _source(call: Call, place: str, source: Dict[str, Any], name: str) -> Tuple[str, str, int, int, int]:
    """Type, URL, bytes, characters and kind of source: a file in Base64, a web page or an uploaded file."""
    extension = os.path.splitext(name)[1][1:]
    if "file_base64" in source:
        try:
            content = base64.b64decode(source["file_base64"], validate=True)
        except (binascii.Error, ValueError):
            raise bad_argument(f"{place}.file_base64", "is not Base64") from None
        characters = len(content.decode("utf-8", "replace"))
        return source.get("file_type", extension or "txt"), "", len(content), characters, 0
    if "web_url" in source:
        return "html", source["web_url"], len(source["web_url"]), len(source["web_url"]), 1
    if "source_file_id" in source:
        stored = files.find(call, source["source_file_id"])
        if stored is None:
            raise not_found(f"{place}.source_file_id")
        extension = os.path.splitext(stored.file_name)[1][1:] or extension
        return extension or "txt", "", stored.bytes, stored.bytes, 0
    raise bad_argument(f"{place}.file_base64", "is missing, and so are web_url and source_file_id")


def update_document(call: Call) -> Dict[str, Any]:
    document, given = _find_document(call, call.arguments["document_id"], "document_id"), call.arguments
    document.name = given.get("document_name", document.name)
    document.update_rule = given.get("update_rule", document.update_rule)
    document.updated_at = call.now()
    return _document(document)


def list_documents(call: Call) -> Dict[str, Any]:
    return page(call, list(_find(call).documents.values()), _document)


def delete_documents(call: Call) -> None:
    documents = [_find_document(call, one, "document_ids") for one in call.arguments["document_ids"]]
    for document in documents:
        call.shelf(Dataset)[document.dataset_id].documents.pop(document.id, None)


def progress(call: Call) -> Dict[str, Any]:
    dataset, rows = _find(call), []
    for document_id in call.arguments["document_ids"]:
        document = dataset.documents.get(document_id)
        if document is None:
            raise not_found("document_ids")
        rows.append(_progress(document))
    return {"data": rows}


def _find_document(call: Call, document_id: str, argument: str) -> Document:
    for dataset in call.shelf(Dataset).values():
        if document_id in dataset.documents and call.token.workspace_id in (None, dataset.workspace_id):
            return dataset.documents[document_id]
    raise not_found(argument)


def _document(document: Document) -> Dict[str, Any]:
    return {
        "document_id": document.id,
        "name": document.name,
        "type": document.type,
        "size": document.size,
        "char_count": document.char_count,
        "slice_count": document.slice_count,
        "hit_count": 0,
        "status": _PROCESSED,
        "format_type": document.format_type,
        "source_type": document.source_type,
        "chunk_strategy": document.chunk_strategy,
        "create_time": document.created_at,
        "update_time": document.updated_at,
        "update_type": document.update_rule.get("update_type", 0),
        "update_interval": document.update_rule.get("update_interval", 0),
        "tos_uri": "",
    }


def _progress(document: Document) -> Dict[str, Any]:
    return {
        "document_id": document.id,
        "document_name": document.name,
        "url": document.url,
        "type": document.type,
        "size": document.size,
        "status": _PROCESSED,
        "status_descript": "processed",
        "progress": 100,
        "remaining_time": 0,
        "update_type": document.update_rule.get("update_type", 0),
        "update_interval": document.update_rule.get("update_interval", 0),
    }


# Images are the documents of a dataset for images.


def update_image(call: Call) -> None:
    image = _find(call).documents.get(call.arguments["document_id"])
    if image is None:
        raise not_found("document_id")
    image.caption, image.updated_at = call.arguments["caption"], call.now()


def list_images(call: Call) -> Dict[str, Any]:
    given = call.arguments
    images: List[Document] = []
    for one in _find(call).documents.values():
        is_captioned = given.get("has_caption", bool(one.caption)) == bool(one.caption)
        if one.format_type == _IMAGES and is_captioned and given.get("keyword", "") in one.caption:
            images.append(one)
    return page(call, images, lambda one: _image(call, one))


def _image(call: Call, image: Document) -> Dict[str, Any]:
    return {
        "document_id": image.id,
        "name": image.name,
        "url": image.url or f"{call.emulator.www_url}/image/{image.id}",
        "type": image.type,
        "size": image.size,
        "status": _PROCESSED,
        "caption": image.caption,
        "creator_id": image.creator,
        "create_time": image.created_at,
        "update_time": image.updated_at,
        "source_type": image.source_type,
    }
