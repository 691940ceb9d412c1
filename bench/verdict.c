#include "verdict.h"

#include <math.h>
#include <stdio.h>

enum verdict verdict_of(const struct stats_interval *effect, bool significant, double margin)
{
  if (effect->low >= log1p(-margin) && effect->high <= log1p(margin)) return VERDICT_SAME;
  if (significant && effect->low > 0) return VERDICT_SLOWER;
  if (significant && effect->high < 0) return VERDICT_FASTER;
  return VERDICT_INCONCLUSIVE;
}

const char *verdict_name(enum verdict verdict)
{
  static const char *const names[VERDICTS] = {"faster", "slower", "same", "inconclusive"};
  return names[verdict];
}

double verdict_percent(double effect) { return 100 * expm1(effect); }

char *verdict_text(enum verdict verdict, const struct stats_interval *effect, double margin, char *text, size_t bytes)
{
  switch (verdict) {
  case VERDICT_FASTER:
  case VERDICT_SLOWER:
    snprintf(text, bytes, "%s by %.1f %%", verdict_name(verdict), fabs(verdict_percent(effect->estimate)));
    break;
  case VERDICT_SAME: snprintf(text, bytes, "same within %.3g %%", 100 * margin); break;
  default: snprintf(text, bytes, "inconclusive"); break;
  }
  return text;
}

char *verdict_interval_text(const struct stats_interval *effect, char *text, size_t bytes)
{
  if (isfinite(effect->low) && isfinite(effect->high))
    snprintf(text, bytes, "%+.1f ... %+.1f %%", verdict_percent(effect->low), verdict_percent(effect->high));
  else
    snprintf(text, bytes, "unknown");
  return text;
}
