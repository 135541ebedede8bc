"""Enterprises, their organizations, and the people of both. An enterprise is whatever id is named.

The platform has no list of an enterprise's people; they are kept so that only known ones can be changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict

from .call import Call
from .paging import page
from .replies import not_found
from .workspaces import nickname


@dataclass
class Enterprise:
    members: Dict[str, str] = field(default_factory=dict)


@dataclass
class Person:
    role: str
    created_at: int


@dataclass
class Organization:
    id: str
    enterprise_id: str
    name: str
    description: str
    people: Dict[str, Person]


def _enterprise(call: Call) -> Enterprise:
    return call.shelf(Enterprise).setdefault(call.arguments["enterprise_id"], Enterprise())


def add_members(call: Call) -> None:
    _enterprise(call).members.update((user["user_id"], user["role"]) for user in call.arguments["users"])


def update_member(call: Call) -> None:
    members = _enterprise(call).members
    if call.arguments["user_id"] not in members:
        raise not_found("user_id")
    members[call.arguments["user_id"]] = call.arguments["role"]


def remove_member(call: Call) -> None:
    if _enterprise(call).members.pop(call.arguments["user_id"], None) is None:
        raise not_found("user_id")


def create_organization(call: Call) -> Dict[str, Any]:
    given = call.arguments
    people = {given["super_admin_user_id"]: Person("organization_super_admin", call.now())}
    one = Organization(call.new_id(), given["enterprise_id"], given["name"], given.get("description", ""), people)
    call.shelf(Organization)[one.id] = one
    return {"organization_id": one.id}


def list_organizations(call: Call) -> Dict[str, Any]:
    enterprise_id = call.arguments["enterprise_id"]
    found = [one for one in call.shelf(Organization).values() if one.enterprise_id == enterprise_id]
    return page(call, found, lambda one: _organization(call, one))


def update_organization(call: Call) -> None:
    one = call.find(Organization, "organization_id")
    one.name = call.arguments.get("name", one.name)
    one.description = call.arguments.get("description", one.description)


def add_people(call: Call) -> None:
    people = call.find(Organization, "organization_id").people
    for one in call.arguments["organization_people"]:
        people[one["user_id"]] = Person(one["organization_role_type"], call.now())


def list_people(call: Call) -> Dict[str, Any]:
    people = call.find(Organization, "organization_id").people
    return page(call, list(people.items()), lambda one: _person(call, *one))


def update_person(call: Call) -> None:
    _find_person(call).role = call.arguments["organization_role_type"]


def remove_person(call: Call) -> None:
    _find_person(call)
    del call.find(Organization, "organization_id").people[call.arguments["user_id"]]


def _find_person(call: Call) -> Person:
    person = call.find(Organization, "organization_id").people.get(call.arguments["user_id"])
    if person is None:
        raise not_found("user_id")
    return person


def _organization(call: Call, one: Organization) -> Dict[str, Any]:
    return {
        "organization_id": one.id,
        "organization_name": one.name,
        "organization_icon_url": f"{call.emulator.www_url}/icon/{one.id}",
        "is_default_organization": False,
    }


def _person(call: Call, user_id: str, person: Person) -> Dict[str, Any]:
    name = nickname(call, user_id)
    return {
        "user_id": user_id,
        "is_valid": True,
        "avatar_url": f"{call.emulator.www_url}/avatar/{user_id}",
        "created_at": person.created_at,
        "people_type": "guest" if person.role == "organization_guest" else "employee",
        "user_nickname": name,
        "user_unique_name": name,
        "organization_role_type": person.role,
    }
