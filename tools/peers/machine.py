"""What the pages say about the machine, and which CPUs a run is confined to."""

import os
import platform
import re


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def cores():
    """The first allowed hardware thread of every physical core."""
    seen, first = set(), []
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").strip() or str(cpu)
        if siblings not in seen:
            seen.add(siblings)
            first.append(cpu)
    quota = quota_cpus()
    return first[: max(1, int(quota))] if quota else first


def quota_cpus():
    """CPUs that the cgroup allows; 0: no limit."""
    limit, _, period = read("/sys/fs/cgroup/cpu.max").partition(" ")
    if limit.isdigit() and period.strip().isdigit():
        return int(limit) / int(period)
    limit, period = (
        read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip(),
        read("/sys/fs/cgroup/cpu/cpu.cfs_period_us").strip(),
    )
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else 0


def model():
    match = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.M)
    return match.group(1).strip() if match else platform.machine()


def vector_extensions():
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", read("/proc/cpuinfo"), re.M)
    flags = match.group(1).split() if match else []
    return [
        f
        for f in flags
        if re.fullmatch(r"avx2|fma|f16c|avx512(f|bw|dq|vl|_bf16|_fp16|_vnni)|amx_\w+|asimd\w*|sve\d?|bf16|i8mm", f)
    ]


def mhz():
    match = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", read("/proc/cpuinfo"), re.M)
    return round(float(match.group(1))) if match else 0


def caches(cpu):
    """Google Benchmark's list: type, level, size, num_sharing."""
    found = []
    for index in range(8):
        base = f"/sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
        size = re.fullmatch(r"(\d+)K", read(f"{base}/size").strip())
        if not size:
            continue
        shared = read(f"{base}/shared_cpu_list").strip()
        count = sum(int(b or a) - int(a) + 1 for a, b in re.findall(r"(\d+)(?:-(\d+))?", shared)) or 1
        found.append(
            {
                "type": read(f"{base}/type").strip(),
                "level": int(read(f"{base}/level") or 0),
                "size": int(size.group(1)) * 1024,
                "num_sharing": count,
            }
        )
    return found


def scaling():
    return read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() not in ("", "performance")
