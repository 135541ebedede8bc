"""Coze's dialect in front of an OAuth server of the RFCs: JSON bodies become forms, durations points in time.

Changes words, never decides: what is right is the server's to say, and its errors are passed on as they are. Keeps a
journal of token requests, and can lose or hold answers; what may be in the journal is the tests' to say.
"""

import asyncio
import time
import urllib.parse

import aiohttp
from aiohttp import web

import person

OAUTH = "/api/permission/oauth2"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def bearer(request):
    """What stands in the Authorization header, None without one."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value if scheme == "Bearer" else None


def basic(client_id, secret):
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    return aiohttp.encode_basic_auth(*map(urllib.parse.quote_plus, (client_id, secret)))


def to_form(body, credential):
    """A token request of Coze's as (form, headers) of the RFCs."""
    form = {name: value for name, value in body.items() if isinstance(value, str)}
    if body.get("grant_type") == JWT_GRANT:
        return {"grant_type": JWT_GRANT, "assertion": credential or ""}, {}
    if credential is None:
        return form, {}
    return form, {"Authorization": basic(form.pop("client_id", ""), credential)}


def from_answer(answer, now):
    """A token answer of the RFCs as Coze's; an error as it is."""
    if "access_token" in answer:
        return {**{name: answer[name] for name in ("access_token", "refresh_token", "token_type") if name in answer},
                "expires_in": int(now + answer["expires_in"])}
    return answer


class Translator:
    def __init__(self, base, server):
        self.base, self.server = base, server  # server: its ready line
        self.journal, self.lose = [], 0
        self.open = asyncio.Event()
        self.open.set()

    def app(self):
        app = web.Application()
        app.add_routes([
            web.get(OAUTH + "/authorize", self.authorize),
            web.post(OAUTH + "/token", self.token),
            web.post(OAUTH + "/device/code", self.device),
            web.get("/v1/users/me", self.me),
            web.post("/_judge/reset", self.reset),
            web.get("/_judge/journal", self.show_journal),
            web.post("/_judge/person", self.visit),
            web.post("/_judge/faults", self.set_faults),
            web.post("/_judge/steal", self.steal),
        ])
        app.cleanup_ctx.append(self.connections)
        return app

    async def connections(self, _):
        async with aiohttp.ClientSession() as self.http:
            yield

    # --- Coze's side

    async def authorize(self, request):
        query = {**request.query, "scope": self.server["scope"], "prompt": "consent"}
        raise web.HTTPFound(self.server["authorize"] + "?" + urllib.parse.urlencode(query))

    async def token(self, request):
        body = await request.json()
        entry = {"grant": body["grant_type"], "client": body.get("client_id", ""),
                 "refresh_token": body.get("refresh_token", ""), "authorized": "Authorization" in request.headers,
                 "status": 0, "lost": False}
        self.journal.append(entry)
        await self.open.wait()
        status, answer = await self.ask(body, bearer(request))
        entry["status"] = status
        if self.lose:
            self.lose -= 1
            entry["lost"] = True
            request.transport.abort()
        return web.json_response(answer, status=status)

    async def device(self, request):
        form = {**await request.json(), "scope": self.server["scope"]}
        async with self.http.post(self.server["device"], data=form) as answer:
            # A pace that suits a test; RFC 8628's is 5 seconds when the server names none.
            return web.json_response({"interval": 1, **await answer.json()}, status=answer.status)

    async def me(self, request):
        """The one call of the API: whom the token stands for, by the server's word."""
        headers = {"Authorization": request.headers.get("Authorization", "")}
        async with self.http.get(self.server["userinfo"], headers=headers) as answer:
            if answer.status != 200:
                return web.json_response({"code": 4100, "msg": "authentication is invalid"}, status=401)
            name = (await answer.json(content_type=None))["sub"]
            return web.json_response({"code": 0, "msg": "", "data": {"user_name": name}})

    async def ask(self, body, credential):
        form, headers = to_form(body, credential)
        async with self.http.post(self.server["token"], data=form, headers=headers) as answer:
            return answer.status, from_answer(await answer.json(content_type=None), time.time())

    # --- the tests' side

    async def reset(self, _):
        self.journal.clear()
        self.lose = 0
        self.open.set()
        return web.json_response({})

    async def show_journal(self, _):
        return web.json_response({"requests": self.journal})

    async def visit(self, request):
        wish = await request.json()
        origin = "/".join(self.server["token"].split("/")[:3])
        address, pages = await person.visit(wish["url"], (self.base, origin), self.server["person"], wish["agrees"])
        return web.json_response({"address": address, "pages": pages})

    async def set_faults(self, request):
        """lose: the next so many token answers never arrive. hold: token requests wait until it is false again."""
        wish = await request.json()
        self.lose = wish.get("lose", self.lose)
        self.open.clear() if wish.get("hold") else self.open.set()
        return web.json_response({})

    async def steal(self, request):
        """A token request by somebody else who knows the secrets: not in the journal."""
        wish = await request.json()
        status, answer = await self.ask(wish["body"], wish["credential"])
        return web.json_response({"status": status, "refusal": answer.get("error", "")})
