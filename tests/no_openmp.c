/* OpenMP's calls for a build without it, where every parallel region is the code in it (mk/msan.mk). */
#include <omp.h>

int omp_get_thread_num(void) { return 0; }
int omp_in_parallel(void) { return 0; }
omp_proc_bind_t omp_get_proc_bind(void) { return omp_proc_bind_false; }
