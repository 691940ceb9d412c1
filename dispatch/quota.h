/* What share of the machine the process's cgroup allows. */
#ifndef ATTN_QUOTA_H
#define ATTN_QUOTA_H

/* CPUs, by the tightest limit from the process's cgroup up to the root, version 1 or 2; 0: no limit, or not to be found.
 * own: /proc/self/cgroup; mount: /sys/fs/cgroup. */
double attn_cgroup_quota(const char *own, const char *mount);

#endif
