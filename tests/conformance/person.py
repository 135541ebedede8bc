"""A person in front of a browser: opens an address, fills in every form that comes up and agrees, or refuses.

Knows pages, not servers: what a form is for is the server's business, and what the redirect means the program's.
"""

import html.parser
import urllib.parse

import aiohttp
import yarl

PAGES = 12  # more than any login has
REFUSAL = ("abort", "deny", "cancel")


class Page(html.parser.HTMLParser):
    """The forms of a page, as {action, method, fields, buttons}, and its links."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.by_id, self.links, self.inside = [], {}, [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.forms.append({"action": given.get("action") or "", "method": (given.get("method") or "get").upper(),
                               "fields": {}, "buttons": []})
            self.by_id[given.get("id")] = self.forms[-1]
            self.inside = True
        elif tag == "a":
            self.links.append(given.get("href") or "")
        elif tag in ("input", "button"):
            self.put(tag, given)

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "form"

    def put(self, tag, given):
        form = self.by_id.get(given["form"]) if "form" in given else self.forms[-1] if self.inside else None
        if form is None:
            return
        name, value = given.get("name"), given.get("value") or ""
        if tag == "button" or given.get("type") == "submit":
            form["buttons"].append((name, value))
        elif name:
            form["fields"][name] = value


def refuses(text):
    return any(word in (text or "").lower() for word in REFUSAL)


def choose(page, agrees, name):
    """What the person does next, as (method, address, fields, whether that refuses); None when nothing is asked."""
    if not page.forms:
        return None
    if not agrees:
        for link in filter(refuses, page.links):
            return "GET", link, None, True
    form = page.forms[0]
    fields = {field: value or name for field, value in form["fields"].items()}
    for button, value in form["buttons"]:
        if (refuses(button) or refuses(value)) != agrees:
            return form["method"], form["action"], {**fields, **({button: value} if button else {})}, not agrees
    return form["method"], form["action"], fields, False


async def visit(start, origins, name, agrees=True):
    """(address where the browser ends up, how many pages asked something). `origins` are the servers to stay on."""
    method, address, fields, refused, pages = "GET", start, None, False, 0
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        while pages < PAGES:
            where = yarl.URL(address, encoded=True)
            async with browser.request(method, where, data=fields, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307):
                    address = urllib.parse.urljoin(address, answer.headers["Location"])
                    method, fields = "GET", None
                    if not address.startswith(tuple(origin + "/" for origin in origins)):
                        return address, pages
                    continue
                step = choose(Page(await answer.text()), agrees, name)
                if step is None or refused or answer.status >= 400:
                    return address, pages
                method, action, fields, refused = step
                address, pages = urllib.parse.urljoin(address, action), pages + 1
    raise RuntimeError(f"{PAGES} pages, and no end to them")
