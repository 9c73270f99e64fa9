#!/usr/bin/python3
"""report.py PAGE MAJOR FILE: puts the results of a major, lines of five columns, into the
table of the page; those of other majors stay."""
import re
import sys

page, major, results = sys.argv[1:]
with open(page, encoding="utf-8") as file:
    text = file.read()
begin, end = f"<!-- {major}: begin -->\n", f"<!-- {major}: end -->\n"
rows = []
with open(results, encoding="utf-8") as file:
    for line in file:
        tool, version, storage, checked, verdict = line.rstrip("\n").split("\t")
        row = [tool, version, storage.replace("_", " "), checked, verdict]
        # one row for both storages, where they agree
        if rows and rows[-1][:2] + rows[-1][3:] == row[:2] + row[3:] and rows[-1][2] != row[2]:
            rows[-1][2] = "both"
        else:
            rows.append(row)
rows.sort(key=lambda row: row[0].lower())
table = f"### PostgreSQL {major}\n\n| tool | version | storage | what was checked | verdict |\n|-|-|-|-|-|\n"
table += "".join("| " + " | ".join(row) + " |\n" for row in rows)
text = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + table + end, text, flags=re.S)
with open(page, "w", encoding="utf-8") as file:
    file.write(text)
