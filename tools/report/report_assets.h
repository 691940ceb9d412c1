/* The files of tools/report/ and Debian's Chart.js, as the build put them into the binary. */
#ifndef ATTNBENCH_REPORT_ASSETS_H
#define ATTNBENCH_REPORT_ASSETS_H

#include <stdbool.h>
#include <stdio.h>

/* Writes the named part: "page.html", "page.css", "page.js", "chart.js". False: the build had no such file (chart.js is
 * optional), nothing was written. */
bool report_asset_write(FILE *out, const char *name);
bool report_has_charts(void); /* the build had Chart.js */

#endif
