#!/usr/bin/env python3
"""Draws the pictures of the pages, as SVG beside this file: docs/pictures.py

They follow the reader's choice of a light or a dark page.
"""
from pathlib import Path

STYLE = """
  text { font: 14px sans-serif; fill: #1f2328; text-anchor: middle }
  .small { font-size: 12px; fill: #59636e }
  .code { font: 12px monospace; fill: #59636e }
  .left { text-anchor: start }
  .box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.5 }
  .live { fill: #dafbe1; stroke: #2da44e }
  .bin { fill: #fff8c5; stroke: #bf8700 }
  .gone { fill: #ffebe9; stroke: #cf222e }
  .held { fill: #ddf4ff; stroke: #0969da }
  .new { fill: #0969da }
  .line { fill: none; stroke: #59636e; stroke-width: 1.5 }
  .head { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small, .code, .head { fill: #9198a1 }
    .box { fill: #151b23; stroke: #656c76 }
    .live { fill: #12261e; stroke: #3fb950 }
    .bin { fill: #272115; stroke: #d29922 }
    .gone { fill: #25171c; stroke: #f85149 }
    .held { fill: #121d2f; stroke: #4493f8 }
    .new { fill: #4493f8 }
    .line { stroke: #9198a1 }
  }"""


class Picture:
    """Shapes, and the file that they make."""

    def __init__(self, name, title, width, height):
        self.path = Path(__file__).parent / f"{name}.svg"
        self.head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img">\n<title>{title}</title>\n<style>{STYLE}\n</style>\n'
            '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"'
            ' orient="auto-start-reverse"><path class="head" d="M0 0L10 5L0 10z"/></marker>'
        )
        self.shapes = []

    def text(self, x, y, words, kind=""):
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        self.shapes.append(f'<text x="{x}" y="{y}" class="{kind}">{words}</text>')

    def box(self, x, y, width, height, lines, kind=""):
        """A box with its lines in the middle; the first is its name."""
        self.shapes.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="box {kind}"/>'
        )
        top = y + height / 2 + 5 - 9 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * number, line, "small" if number else "")

    def arrow(self, path, label="", at=(0, 0), kind="code"):
        self.shapes.append(f'<path class="line" d="{path}" marker-end="url(#tip)"/>')
        if label:
            self.text(*at, label, kind)

    def save(self):
        self.path.write_text("\n".join([self.head, *self.shapes, "</svg>"]) + "\n")


def life_of_a_row():
    picture = Picture("life-of-a-row", "Life of a row", 760, 250)
    picture.arrow("M10 75H50", "INSERT", (30, 62))
    picture.box(55, 45, 130, 60, ["live", "in the table"], "live")
    picture.box(325, 45, 150, 60, ["deleted", "listed by the bin"], "bin")
    picture.box(310, 170, 180, 60, ["held", "stays, whatever its age"], "held")
    picture.box(620, 45, 130, 60, ["gone", "for good"], "gone")
    picture.arrow("M185 62H320", "DELETE, TRUNCATE", (253, 52))
    picture.arrow("M325 90H190", "restore, undo()", (257, 108))
    picture.arrow("M475 75H615", "purge, when due", (545, 65))
    picture.arrow("M380 105V165", "hold", (358, 140))
    picture.arrow("M420 170V110", "lift", (440, 140))
    picture.arrow("M120 45V12H685V40", "erase(): the right to be forgotten", (545, 28))
    picture.save()


def one_deletion():
    title = "One deletion takes what CASCADE connects, under one stamp"
    picture = Picture("one-deletion", title, 760, 300)
    picture.text(20, 24, "DELETE FROM threads WHERE id = 1;", "code left")
    for x, heading in ((20, "threads"), (290, "comments"), (530, "ledger: deletions")):
        picture.text(x, 62, heading, "left")
    picture.box(20, 75, 180, 50, ["1 Cats", "deleted at 10:05"], "bin")
    picture.box(290, 75, 180, 50, ["2 Purr", "deleted at 10:05"], "bin")
    picture.box(290, 140, 180, 50, ["1 Meow", "deleted at 10:01"], "bin")
    picture.box(20, 215, 180, 50, ["2 Dogs"], "live")
    picture.box(290, 215, 180, 50, ["3 Woof"], "live")
    picture.box(530, 75, 210, 50, ["10:05", "alice: spam"])
    picture.box(530, 140, 210, 50, ["10:01", "bob: typo"])
    picture.arrow("M200 100H285", "CASCADE", (243, 92))
    picture.arrow("M470 100H525")
    picture.arrow("M470 165H525")
    picture.text(380, 288, "undo('10:05') brings back thread 1 and comment 2; comment 1 stays deleted", "small")
    picture.save()


def before_and_after():
    picture = Picture("before-and-after", "A table before and after tag()", 760, 350)
    sides = (
        (
            20,
            "before",
            ["id     integer", "slug   text", "title  text"],
            ["posts_pkey      (id)", "posts_slug_key  (slug)"],
        ),
        (
            390,
            "after tag('posts')",
            ["id     integer", "slug   text", "title  text", "+deleted_at  timestamptz"],
            [
                "posts_pkey      (id)",
                "posts_slug_key  (slug)",
                "+ WHERE deleted_at IS NULL",
                "+posts_deleted_at_idx (deleted_at)",
                "+ WHERE deleted_at IS NOT NULL",
            ],
        ),
    )
    for x, heading, columns, indexes in sides:
        picture.text(x, 24, heading, "left")
        picture.box(x, 35, 350, 305, [])
        y = 58
        for title, lines in (("columns", columns), ("indexes", indexes)):
            picture.text(x + 15, y, title, "small left")
            for line in lines:
                y += 18
                indent = 50 if line.startswith("+ ") else 30
                words = line.lstrip("+ ").replace(" ", "\u00a0")
                picture.text(x + indent, y, words, "code left" + " new" * line.startswith("+"))
            y += 28
        if x > 20:
            picture.text(x + 15, y, "triggers, views, companion", "small left")
            for line in ("~soft_delete, ~soft_delete_key, …", "posts_deleted, posts_active", "posts_tombstones"):
                y += 18
                picture.text(x + 30, y, line, "code left new")
    picture.save()


def two_storages():
    picture = Picture("two-storages", "Where a deleted row is: in place, or aside", 760, 330)
    picture.text(20, 24, "in place", "left")
    picture.box(20, 35, 210, 205, [])
    picture.text(125, 60, "table posts")
    picture.box(40, 75, 170, 44, ["1 Hello", "deleted_at is null"], "live")
    picture.box(40, 130, 170, 44, ["2 World", "deleted at 10:05"], "bin")
    picture.text(125, 204, "a DELETE sets deleted_at,", "small")
    picture.text(125, 222, "queries pass over the row", "small")
    picture.box(65, 275, 120, 44, ["posts_deleted", "the bin"])
    picture.arrow("M125 240V270")
    picture.text(300, 24, "aside", "left")
    picture.box(300, 35, 210, 205, [])
    picture.text(405, 60, "table posts")
    picture.box(320, 75, 170, 44, ["1 Hello"], "live")
    picture.text(405, 204, "a DELETE is a real one,", "small")
    picture.text(405, 222, "the table has no further column", "small")
    picture.box(560, 35, 190, 205, [])
    picture.text(655, 60, "its companion")
    picture.text(655, 80, "posts_tombstones", "code")
    picture.box(575, 130, 160, 44, ["2 World", "deleted at 10:05"], "bin")
    picture.arrow("M490 152H570", "DELETE", (533, 144))
    picture.box(595, 275, 120, 44, ["posts_deleted", "the bin"])
    picture.arrow("M655 240V270")
    picture.save()


def decision_tree():
    picture = Picture("decision-tree", "Which tables to tag, and where their deleted rows are", 760, 440)
    questions = (
        (["Would you want a deleted row back,", "or must you keep it for a time?"], "no", ["leave it untagged"], ""),
        (["Do rows come and go by the minute?", "queues, caches, sessions"], "yes", ["leave it untagged"], ""),
        (["Does the application delete softly", "by itself?"], "yes", ["tag it with a bridge", "bridge => 'deleted'"], "held"),
        (["Read by position, compared by tools,", "mostly deleted, or without the library?"], "no",
         ["in place", "the default"], "bin"),
        (["Are rows many kB wide?", "files, documents, images"], "yes",
         ["in place, once code", "names its columns"], "bin"),
    )
    for number, (question, answer, outcome, kind) in enumerate(questions):
        y = 10 + 76 * number
        picture.box(20, y, 330, 50, [], "")
        for line, words in enumerate(question):
            picture.text(185, y + 21 + 18 * line, words, "" if line == 0 else "small" if number in (1, 4) else "")
        picture.arrow(f"M350 {y + 25}H525", answer, (438, y + 17), "small")
        picture.box(530, y, 210, 50, outcome, kind)
        picture.arrow(f"M185 {y + 50}V{y + 71}", "yes" if answer == "no" else "no", (205, y + 66), "small")
    picture.box(80, 390, 210, 44, ["aside", "storage => 'aside'"], "live")
    picture.save()


if __name__ == "__main__":
    life_of_a_row()
    one_deletion()
    before_and_after()
    two_storages()
    decision_tree()
