"""Times a call: the best and the median of several, after a warm-up, as one line of JSON with the peak memory of the process."""

import json
import statistics
import time

from peak_memory import peak_mib


def report(run, runs, warm=5):
    for _ in range(warm):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"ms": min(times), "median": statistics.median(times), "peakMiB": peak_mib()}))
