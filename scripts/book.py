"""A preprocessor of mdBook: fits what lies outside of `docs` into the book.

A chapter from elsewhere in the repository, `../examples/hosts/node/README.md`, has its place in the book under its path in the repository. Links are
changed to match: to a page of the book, or to a folder whose README is one. What else is linked is no part of a book: its path in the repository stands
in the place of the link, after the words of it.
"""

import json
import posixpath
import re
import sys

SOURCE = "docs"
# An inline link with a relative destination; links that begin with `#` stay within their page.
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]\n]+)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def in_repository(path: str) -> str:
    """The path in the repository of a path that begins at `docs`."""
    return posixpath.normpath(posixpath.join(SOURCE, path))


def in_book(path: str) -> str:
    """The place in the book of a path in the repository."""
    if path == "README.md":
        return "overview.md"  # `docs` has a README of its own, which is the first page.
    return posixpath.relpath(path, SOURCE) if path.startswith(f"{SOURCE}/") else path


def destination(path: str) -> str:
    """What a link to a page of the book says: mdBook makes an `index.html` of each README."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", in_book(path))


def chapters(items: list) -> list[dict]:
    """All chapters that have a file, at any depth."""
    found = [item["Chapter"] for item in items if isinstance(item, dict) and "Chapter" in item]
    return [chapter for one in found for chapter in [one, *chapters(one["sub_items"])] if chapter["path"]]


def main() -> None:
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    pages = {in_repository(chapter["path"]): chapter for chapter in chapters(book["items"])}
    for path, chapter in pages.items():
        place = in_book(path)

        def fitted(link: re.Match) -> str:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link["path"]))
            for page in (target, f"{target}/README.md"):
                if page in pages:
                    way = posixpath.relpath(destination(page), posixpath.dirname(place) or ".")
                    return f"[{link['words']}]({way}{link['anchor'] or ''})"
            words = link["words"]
            return words if words.strip("`") == target else f"{words} (`{target}`)"

        chapter["content"] = LINK.sub(fitted, chapter["content"])
        chapter["path"] = chapter["source_path"] = place
    json.dump(book, sys.stdout)


main()
