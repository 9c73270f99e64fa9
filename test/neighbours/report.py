#!/usr/bin/python3
"""report.py PAGE MAJOR FILE: puts the results of a major, lines of five columns, into the
table of the page; those of other majors stay."""
import re
import sys

page, major, results = sys.argv[1:]
with open(page, encoding="utf-8") as file:
    text = file.read()
begin, end = f"<!-- {major}: begin -->\n", f"<!-- {major}: end -->\n"
rows = {}
with open(results, encoding="utf-8") as file:
    for line in file:
        tool, version, storage, checked, verdict = line.rstrip("\n").replace("|", "\\|").split("\t")
        storage = storage.replace("_", " ")
        # one row for both storages, where they agree
        row = (tool, version, checked, verdict)
        rows[row] = "both" if rows.get(row, storage) != storage else storage
table = f"### PostgreSQL {major}\n\n| tool | version | storage | what was checked | verdict |\n|-|-|-|-|-|\n"
for (tool, version, checked, verdict), storage in sorted(rows.items(), key=lambda item: item[0][0].lower()):
    table += f"| {tool} | {version} | {storage} | {checked} | {verdict} |\n"
text = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + table + end, text, flags=re.S)
with open(page, "w", encoding="utf-8") as file:
    file.write(text)
