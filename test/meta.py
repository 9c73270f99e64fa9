#!/usr/bin/env python3
"""Whether META.json keeps PGXN's specification 1.0.0, names files that there are, and has
the version that everything else has.

    test/meta.py [DIR]      the tree that is examined, this one by default
"""
import json
import re
import sys
from pathlib import Path

TOP = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)
SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-?[0-9A-Za-z-]+)?"
TERM = r"[^\s/\\\x00-\x1f]{2,}"
URL = r"[a-z][a-z0-9+.-]*://\S+"
LICENSES = (
    "agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1"
    " lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source"
    " restricted unrestricted unknown"
).split()
mistakes = []


def need(condition, mistake):
    """Notes the mistake unless the condition holds."""
    if not condition:
        mistakes.append(mistake)


def check_map(path, value, required, optional):
    """Checks the keys of a map, and each value by its pattern or function."""
    if not isinstance(value, dict):
        mistakes.append(f"{path} is no map")
        return
    for key in sorted(required.keys() - value.keys()):
        mistakes.append(f"{path} lacks {key}")
    for key, item in value.items():
        name = f"{path}.{key}"
        kind = {**required, **optional}.get(key, optional.get("*"))
        if kind is None:
            need(re.match("[xX]_", key), f"{name} is not of the specification")
        elif callable(kind):
            kind(name, item)
        else:
            need(isinstance(item, str) and re.fullmatch(kind, item), f"{name} may not be {item!r}")


def map_of(required, optional):
    """A check of a map with these keys."""
    return lambda path, value: check_map(path, value, required, optional)


def list_of(pattern):
    """A check of a string or a list of strings."""

    def check(path, value):
        items = value if isinstance(value, list) else [value]
        need(items, f"{path} is empty")
        for item in items:
            need(isinstance(item, str) and re.fullmatch(pattern, item), f"{path} may not be {item!r}")

    return check


def check_file(path, value):
    """A file of the distribution."""
    need(isinstance(value, str) and (TOP / value).is_file(), f"{path}: there is no file {value!r}")


def check_provides(path, value):
    """At least one extension, by its name."""
    extension = map_of({"file": check_file, "version": SEMVER}, {"abstract": ".+", "docfile": check_file})
    need(value, f"{path} is empty")
    check_map(path, value, {}, {"*": extension})


def check_license(path, value):
    """Known names, or names with URLs."""
    if isinstance(value, dict):
        check_map(path, value, {}, {"*": URL})
    else:
        list_of("|".join(LICENSES))(path, value)


RELATIONS = map_of({}, dict.fromkeys(("requires", "recommends", "suggests", "conflicts"), map_of(
    {}, {"*": rf"0|((==|!=|>=?|<=?) *)?{SEMVER}(, *(==|!=|>=?|<=?) *{SEMVER})*"})))
REQUIRED = {
    "name": TERM,
    "version": SEMVER,
    "abstract": ".+",
    "maintainer": list_of(".+"),
    "license": check_license,
    "provides": check_provides,
    "meta-spec": map_of({"version": r"1\.\d+\.\d+"}, {"url": r"https?://pgxn\.org/meta/spec\.txt"}),
}
OPTIONAL = {
    "description": "(?s).+",
    "generated_by": ".+",
    "tags": list_of(r"[^/\\\x00-\x1f]{1,255}"),
    "no_index": map_of({}, {"file": list_of(".+"), "directory": list_of(".+")}),
    "prereqs": map_of({}, dict.fromkeys(("configure", "build", "test", "runtime", "develop"), RELATIONS)),
    "release_status": "stable|testing|unstable",
    "resources": map_of({}, {
        "homepage": URL,
        "bugtracker": map_of({}, {"web": URL, "mailto": r"\S+@\S+"}),
        "repository": map_of({}, {"url": URL, "web": URL, "type": "[a-z]+"}),
    }),
}


def version_in(path, pattern):
    """The version that a file says."""
    found = re.search(pattern, (TOP / path).read_text(), re.M)
    return found and found.group(1)


def main():
    """Prints the mistakes, and fails if there are any."""
    meta = json.loads((TOP / "META.json").read_text())
    check_map("META.json", meta, REQUIRED, OPTIONAL)
    need("resources" in meta, "META.json lacks resources")
    for name, extension in meta.get("provides", {}).items():
        need((TOP / f"{name}.control").is_file(), f"{name} has no control file")
        need(extension.get("version") == meta.get("version"), f"{name} has another version than META.json")
    for path, pattern in (
        ("soft_delete.control", r"^default_version = '(.*)'"),
        ("debian/changelog", r"\A\S+ \((.*)-"),
        ("packaging/soft_delete.spec", r"^Version: *(\S+)"),
    ):
        found = version_in(path, pattern)
        need(found == meta.get("version"), f"{path} has version {found}, META.json has {meta.get('version')}")
    print("\n".join(mistakes), end="\n" if mistakes else "")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
