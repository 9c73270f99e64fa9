"""Makes a failing script small: delta debugging on its statements."""


def shrink(items, fails):
    """Return a part of the items that still fails, and from which no single one can be left out."""
    size = max(1, len(items) // 2)
    while True:
        start, shorter = 0, False
        while start < len(items):
            rest = items[:start] + items[start + size :]
            if rest and fails(rest):
                items, shorter = rest, True
            else:
                start += size
        if size > 1:
            size = max(1, size // 2)
        elif not shorter:
            return items
