"""Runs measurements on the cluster that bench/run has started: measure.py RESULTS SCALE [NAME...]"""
import sys
import time

from harness import Bench, set_durable
from measurements import deletes, reads, upkeep, writes

MEASUREMENTS = {f.__name__: f for f in (
    deletes.bulk, deletes.single, deletes.wide, deletes.family, reads.select, reads.joins, reads.graveyard, reads.order, reads.bystander,
    writes.tpcb, writes.insert, writes.upsert, writes.reload, writes.livekey, writes.children, upkeep.purge, upkeep.lock, upkeep.adopt, upkeep.thousand, upkeep.schema, deletes.memory, deletes.growth)}


def main(results, scale, *names):
    unknown = set(names) - MEASUREMENTS.keys()
    if unknown:
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    for name in names or MEASUREMENTS:
        bench = Bench(name, float(scale), results)
        set_durable(False)
        start = time.time()
        MEASUREMENTS[name](bench)
        bench.count_all()
        bench.clean_up()
        bench.write(time.time() - start)
        print(f"{name}: {time.time() - start:.0f} s", flush=True)


if sys.argv[1] == "--list":
    print(*MEASUREMENTS)
else:
    main(*sys.argv[1:])
